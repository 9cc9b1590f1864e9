-- What proves the books, keyed by a key that is not in the database; see docs/DATABASE.md. NULL in
-- rows from before, and in what replicas of the release before still write.
ALTER TABLE book_main.entries ADD COLUMN seal bytea;
-- The seal of the account's last sealed entry; before the first entry, of what names the account.
ALTER TABLE book_main.accounts ADD COLUMN head bytea;
ALTER TABLE book_main.transfers ADD COLUMN seal bytea;

-- The second line behind the application's role, which may not do this either: what stands in the
-- ledger stays as it is. For each statement, not for each row, and never for an insert: it costs
-- payments nothing.
CREATE FUNCTION book_main.refuse_to_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER entries_append_only_trg
    BEFORE UPDATE OR DELETE OR TRUNCATE ON book_main.entries
    FOR EACH STATEMENT EXECUTE FUNCTION book_main.refuse_to_rewrite();
