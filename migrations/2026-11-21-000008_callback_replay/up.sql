-- Replay starts the schedule of attempts anew; the attempts before it are kept and still counted.
ALTER TABLE book_main.callbacks
    ADD COLUMN attempts_before_replay integer NOT NULL DEFAULT 0,
    ADD COLUMN replayed_at timestamptz;

-- The list of all callbacks, newest first, and of the rare states, which it would be long in finding.
CREATE INDEX callbacks_list_idx ON book_main.callbacks (created_at, id);
CREATE INDEX callbacks_dead_idx ON book_main.callbacks (created_at, id) WHERE state = 'dead';
CREATE INDEX callbacks_skipped_idx ON book_main.callbacks (created_at, id) WHERE state = 'skipped';
