DROP TABLE book_main.sequencers;
DROP TABLE book_main.journal_queue;
DROP TABLE book_main.journal;
