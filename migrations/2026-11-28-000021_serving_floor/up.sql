-- Which programs may serve on this schema although it is newer than they are, in words that they read
-- at start: see migrations/README.md. Every later migration says it anew.
COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000021 for programs that know 20261128000021';
