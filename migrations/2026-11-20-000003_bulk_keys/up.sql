-- What came of each item of a bulk, in order: the id of its transfer, or the refusal that the caller
-- was told. NULL for keys of single requests. `json`, not `jsonb`: it is read back as a whole, and
-- keeps every text that a client may have sent.
ALTER TABLE book_main.idempotency_keys ADD COLUMN results json;
