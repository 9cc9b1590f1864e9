COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000024 for programs that know 20261128000021';

DROP INDEX directory.access_keys_user_id_access_key_idx;
DROP INDEX directory.tokens_user_id_id_idx;
