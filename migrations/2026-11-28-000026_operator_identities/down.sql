COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000025 for programs that know 20261128000021';

DROP TABLE directory.operator_identities;
