ALTER TABLE book_main.callbacks DROP COLUMN made_at;

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000027 for programs that know 20261128000021';
