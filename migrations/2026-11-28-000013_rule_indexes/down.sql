DROP INDEX book_main.transfers_reverses_idx;
DROP INDEX book_main.transfers_stage_idx;
DROP INDEX book_main.transfers_expiry_idx;
