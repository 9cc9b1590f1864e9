-- A row that Bursar wrote long ago, with the seal that it had then, must not come back: an open deposit
-- would be credited once more. Whoever serves owns no table, so it cannot take the trigger away.
CREATE FUNCTION book_main.refuse_to_go_back() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a transfer does not go back to an earlier version'
        USING ERRCODE = 'restrict_violation';
END;
$$;

CREATE TRIGGER transfers_go_forward_trg BEFORE UPDATE ON book_main.transfers
    FOR EACH ROW WHEN (NEW.version < OLD.version)
    EXECUTE FUNCTION book_main.refuse_to_go_back();

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261130000029 for programs that know 20261128000021';
