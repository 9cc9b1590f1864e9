ALTER TABLE book_main.idempotency_keys DROP COLUMN results;
