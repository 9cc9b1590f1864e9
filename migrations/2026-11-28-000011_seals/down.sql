DROP TRIGGER entries_append_only_trg ON book_main.entries;
DROP FUNCTION book_main.refuse_to_rewrite();
ALTER TABLE book_main.transfers DROP COLUMN seal;
ALTER TABLE book_main.accounts DROP COLUMN head;
ALTER TABLE book_main.entries DROP COLUMN seal;
