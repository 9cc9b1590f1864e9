-- What the batch engine sends for a table: an array of rows, one parameter for each statement.
-- Sent as an array for each column, PostgreSQL kept every one of them apart, which took longer than
-- writing the rows. A type never changes once released: replicas of two releases work side by side,
-- and a row with a column more is another type.
CREATE TYPE book_main.new_transfer AS (
    id               bigint,
    version          integer,
    kind             text,
    state            text,
    asset            text,
    scale            smallint,
    amount           numeric,
    fee              numeric,
    user_id          uuid,
    recipient_id     uuid,
    recipient_typed  text,
    code_salt        bytea,
    custom_id        text,
    note             text,
    callback_url     text,
    reason           text,
    created_by       text,
    finished_by      text,
    root_asset       text,
    root_scale       smallint,
    root_rate        text,
    created_at       timestamptz,
    updated_at       timestamptz,
    entry_refs       bigint[],
    stage            text,
    expires_at       timestamptz,
    reverses         bigint,
    reversal_covers  numeric,
    reversal_fee     numeric,
    root_source      text,
    root_rated_at    timestamptz,
    seal             bytea
);

CREATE TYPE book_main.transfer_change AS (
    id             bigint,
    version        integer,
    state          text,
    reason         text,
    finished_by    text,
    updated_at     timestamptz,
    entry_refs     bigint[],
    stage          text,
    expires_at     timestamptz,
    confirmed_by   text,
    confirm_url    text,
    reviewed_by    text,
    review_digest  bytea,
    reversed       numeric,
    seal           bytea
);

CREATE TYPE book_main.new_entry AS (
    account_id       bigint,
    seq              bigint,
    transfer_id      bigint,
    available_delta  numeric,
    held_delta       numeric,
    available_after  numeric,
    held_after       numeric,
    created_at       timestamptz,
    seal             bytea
);

CREATE TYPE book_main.account_change AS (
    id               bigint,
    available        numeric,
    held             numeric,
    seq              bigint,
    stamped_at       timestamptz,
    head             bytea,
    withdrawal_uses  bytea,
    internal_uses    bytea
);

CREATE TYPE book_main.key_claim AS (
    principal    text,
    operation    text,
    key          text,
    fingerprint  bytea,
    fields       text,
    transfer_id  bigint,
    results      text
);

CREATE TYPE book_main.new_audit_record AS (
    id          uuid,
    at          timestamptz,
    actor       text,
    credential  text,
    request_id  text,
    address     text,
    action      text,
    target      text,
    before      text,
    after       text
);
