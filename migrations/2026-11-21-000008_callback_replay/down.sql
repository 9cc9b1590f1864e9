DROP INDEX book_main.callbacks_skipped_idx;
DROP INDEX book_main.callbacks_dead_idx;
DROP INDEX book_main.callbacks_list_idx;
ALTER TABLE book_main.callbacks
    DROP COLUMN replayed_at,
    DROP COLUMN attempts_before_replay;
