-- Replicas keep what they read of users and credentials in memory. Here each of them is told which
-- rows to forget, whoever wrote them, when the write commits; only the key is told.
CREATE FUNCTION directory.tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bursar_directory',
        TG_TABLE_NAME || ':' || (to_jsonb(COALESCE(NEW, OLD)) ->> TG_ARGV[0]));
    RETURN NULL;
END
$$;
CREATE TRIGGER users_change_tg AFTER INSERT OR UPDATE OR DELETE ON directory.users
    FOR EACH ROW EXECUTE FUNCTION directory.tell_change('id');
CREATE TRIGGER tokens_change_tg AFTER INSERT OR UPDATE OR DELETE ON directory.tokens
    FOR EACH ROW EXECUTE FUNCTION directory.tell_change('hash');
CREATE TRIGGER access_keys_change_tg AFTER INSERT OR UPDATE OR DELETE ON directory.access_keys
    FOR EACH ROW EXECUTE FUNCTION directory.tell_change('access_key');
