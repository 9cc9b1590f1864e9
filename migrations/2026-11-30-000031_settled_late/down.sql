DROP INDEX book_main.transfers_settled_late_idx;

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261130000030 for programs that know 20261128000021';
