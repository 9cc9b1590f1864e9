-- What 000009 added NOT VALID is looked at here, without the lock that adding it takes.
ALTER TABLE book_main.transfers VALIDATE CONSTRAINT transfers_stage_ck;
ALTER TABLE book_main.transfers VALIDATE CONSTRAINT transfers_reviewed_by_ck;
ALTER TABLE book_main.transfers VALIDATE CONSTRAINT transfers_review_digest_ck;
ALTER TABLE book_main.transfers VALIDATE CONSTRAINT transfers_reverses_ck;
ALTER TABLE book_main.transfers VALIDATE CONSTRAINT transfers_reversal_covers_ck;
ALTER TABLE book_main.transfers VALIDATE CONSTRAINT transfers_reversal_fee_ck;
ALTER TABLE book_main.transfers VALIDATE CONSTRAINT transfers_reversed_ck;
ALTER TABLE book_main.accounts VALIDATE CONSTRAINT accounts_available_ck;
ALTER TABLE book_main.callbacks VALIDATE CONSTRAINT callbacks_operation_ck;
