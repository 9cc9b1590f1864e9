COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000021 for programs that know 20261128000021';

DELETE FROM book_main.sequencers WHERE name = 'volumes';
DROP TABLE book_main.hourly_volumes;
DROP TABLE book_main.takings;
