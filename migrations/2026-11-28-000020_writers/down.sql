DROP TABLE book_main.writers;
