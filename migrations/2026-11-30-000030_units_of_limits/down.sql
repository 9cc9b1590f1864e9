ALTER TABLE book_main.limits
    DROP COLUMN root_scale,
    DROP COLUMN root_asset;

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261130000029 for programs that know 20261128000021';
