-- That an operator is at a transfer that waits for one. It holds for the version that it was taken at,
-- so whoever acts on the transfer ends it, and until a time. No money rests on it.
CREATE TABLE book_main.takings (
    transfer_id  bigint NOT NULL,
    version      integer NOT NULL,
    taken_by     text NOT NULL,
    taken_at     timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    CONSTRAINT takings_transfer_id_pk PRIMARY KEY (transfer_id),
    CONSTRAINT takings_ends_at_ck CHECK (ends_at >= taken_at)
);

-- What succeeded within an hour, by asset and kind: counted from the journal, each event once. The row
-- of `sequencers` says which event is counted next, and moves in the same transaction.
CREATE TABLE book_main.hourly_volumes (
    hour    timestamptz NOT NULL,
    asset   text NOT NULL,
    kind    text NOT NULL,
    count   bigint NOT NULL,
    amount  numeric NOT NULL,
    CONSTRAINT hourly_volumes_hour_asset_kind_pk PRIMARY KEY (hour, asset, kind),
    CONSTRAINT hourly_volumes_count_ck CHECK (count > 0),
    CONSTRAINT hourly_volumes_amount_ck CHECK (amount > 0 AND amount <> 'NaN')
);

INSERT INTO book_main.sequencers (name, next_number) VALUES ('volumes', 1);

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000023 for programs that know 20261128000021';
