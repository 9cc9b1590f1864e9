DROP TABLE book_main.sequencers;
DROP TABLE book_main.journal;
