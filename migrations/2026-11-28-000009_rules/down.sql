ALTER TABLE directory.asset_rates DROP COLUMN source;
ALTER TABLE book_main.callbacks
    DROP CONSTRAINT callbacks_operation_ck,
    ADD CONSTRAINT callbacks_operation_ck
        CHECK (operation IN ('create', 'settle', 'confirm', 'cancel', 'fail'));
ALTER TABLE book_main.accounts
    DROP CONSTRAINT accounts_available_ck,
    ADD CONSTRAINT accounts_available_ck
        CHECK ((available >= 0 OR owner_kind = 'world') AND available <> 'NaN');
ALTER TABLE book_main.transfers
    DROP COLUMN stage,
    DROP COLUMN expires_at,
    DROP COLUMN confirmed_by,
    DROP COLUMN confirm_url,
    DROP COLUMN reviewed_by,
    DROP COLUMN review_digest,
    DROP COLUMN reverses,
    DROP COLUMN reversal_covers,
    DROP COLUMN reversal_fee,
    DROP COLUMN reversed,
    DROP COLUMN root_source,
    DROP COLUMN root_rated_at;
DROP TABLE book_main.stops;
DROP TABLE book_main.limit_usage;
DROP TABLE book_main.limits;
DROP TABLE book_main.fee_schedules;
DROP TABLE book_main.rule_sets;
