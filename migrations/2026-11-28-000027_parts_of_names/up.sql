-- Operators search for parts of names. Only an index of their parts keeps that from reading every user,
-- and `pg_trgm`, which makes one, is part of PostgreSQL's own distribution, but not on every server, and
-- not every server lets everybody make it, or use it where it is: where it is not to be had for whatever
-- reason, everything works without it and such a search takes longer. What the index serves, and how it
-- is made later, is told in docs/DATABASE.md. A lock that is not to be had is worth another try.
DO $$
DECLARE
    home text;
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        BEGIN
            CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA directory;
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                RAISE;
            WHEN OTHERS THEN
                RAISE WARNING 'parts of names have no index, for pg_trgm cannot be made here: % (%)',
                    SQLERRM, SQLSTATE;
        END;
    END IF;
    SELECT n.nspname INTO home
    FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_trgm';
    IF home IS NOT NULL THEN
        BEGIN
            EXECUTE format('CREATE INDEX users_name_parts_idx ON directory.users USING gin '
                '(username_fold %1$I.gin_trgm_ops, email_fold %1$I.gin_trgm_ops)', home);
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                RAISE;
            WHEN OTHERS THEN
                RAISE WARNING 'parts of names have no index, for it cannot be made here: % (%)',
                    SQLERRM, SQLSTATE;
        END;
    END IF;
END
$$;

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000027 for programs that know 20261128000021';
