-- Nearly every transfer is an internal one that succeeded. In an index of all kinds and states each
-- of them costs four comparisons per step and a place in the middle; by itself, in order of time, it
-- goes to the end. What each index serves is told in docs/DATABASE.md.
CREATE INDEX transfers_successes_idx ON book_main.transfers (created_at, id)
    WHERE kind = 'internal' AND state = 'Success';
CREATE INDEX transfers_others_idx
    ON book_main.transfers (kind, state, created_at DESC, id DESC)
    WHERE kind <> 'internal' OR state <> 'Success';
DROP INDEX book_main.transfers_list_idx;

-- Nothing has needed it since 000004.
DROP INDEX book_main.transfers_backoffice_state_idx;
