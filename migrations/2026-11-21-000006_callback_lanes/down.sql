DROP INDEX book_main.callbacks_waiting_idx;
DROP INDEX book_main.callbacks_queue_idx;
ALTER TABLE book_main.callbacks
    DROP COLUMN queued,
    DROP COLUMN is_final,
    DROP COLUMN host,
    DROP COLUMN subscriber;
