-- What a user's page asks for. Credentials are few beside what is done with them, and never on the way of
-- money. What each index serves is told in docs/DATABASE.md.
CREATE INDEX tokens_user_id_id_idx ON directory.tokens (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX access_keys_user_id_access_key_idx ON directory.access_keys (user_id, access_key);

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000025 for programs that know 20261128000021';
