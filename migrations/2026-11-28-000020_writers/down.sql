DROP TYPE book_main.account_write;
DROP TABLE book_main.writers;
