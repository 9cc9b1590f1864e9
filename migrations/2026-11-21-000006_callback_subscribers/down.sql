ALTER TABLE book_main.callbacks DROP COLUMN subscriber;
