COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000026 for programs that know 20261128000021';

-- The extension stays: somebody else may use it.
DROP INDEX IF EXISTS directory.users_name_parts_idx;
