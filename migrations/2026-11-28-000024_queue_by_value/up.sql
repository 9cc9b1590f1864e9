-- By itself, so that building it keeps nobody from reading. Only what waits for somebody is in it, so
-- building it is one look at the table. What it serves is told in docs/DATABASE.md; the value is what
-- `sort_value` in crates/ports makes of a transfer.
CREATE INDEX transfers_open_value_idx ON book_main.transfers
    (stage, (coalesce(amount * root_rate * power(10::numeric, (18 - scale)::numeric), -1)) DESC, id DESC)
    WHERE state = 'AwaitingConfirmation' OR stage IS NOT NULL;

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000024 for programs that know 20261128000021';
