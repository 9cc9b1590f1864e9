DROP TABLE book_main.payouts;
