COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000023 for programs that know 20261128000021';

DROP INDEX book_main.transfers_open_value_idx;
