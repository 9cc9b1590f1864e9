CREATE INDEX transfers_backoffice_state_idx
    ON book_main.transfers (state, created_at DESC, id DESC) WHERE kind <> 'internal';
CREATE INDEX transfers_list_idx
    ON book_main.transfers (kind, state, created_at DESC, id DESC);
DROP INDEX book_main.transfers_others_idx;
DROP INDEX book_main.transfers_successes_idx;
