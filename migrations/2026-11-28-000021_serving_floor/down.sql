COMMENT ON TABLE __diesel_schema_migrations IS NULL;
