-- What was committed, a row for each transaction that changed transfers, and the numbers that the
-- event feed gives to its steps afterwards.
CREATE TABLE book_main.journal (
    id            uuid NOT NULL,
    -- 'transfers', or what else happened.
    topic         text NOT NULL,
    -- A moment at which the transaction held all of its locks, by the server's clock.
    locked_at     timestamptz NOT NULL,
    -- The transfers that changed, the version and state that each came to, and when: side by side.
    transfer_ids  bigint[] NOT NULL,
    versions      integer[] NOT NULL,
    states        text[] NOT NULL,
    ats           timestamptz[] NOT NULL,
    payload       jsonb,
    count         integer NOT NULL,
    -- The number of the first of its events; none until the sequencer has seen the row.
    first_number  bigint,
    CONSTRAINT journal_id_pk PRIMARY KEY (id),
    CONSTRAINT journal_count_ck CHECK (count > 0),
    CONSTRAINT journal_first_number_ck CHECK (first_number > 0)
);

CREATE UNIQUE INDEX journal_first_number_uq ON book_main.journal (first_number)
    WHERE first_number IS NOT NULL;

-- The rows without a number. A table of its own, because every row leaves it at once: an index of the
-- journal would keep what has left until the whole journal is vacuumed.
CREATE TABLE book_main.journal_queue (
    locked_at  timestamptz NOT NULL,
    id         uuid NOT NULL,
    CONSTRAINT journal_queue_locked_at_id_pk PRIMARY KEY (locked_at, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Whoever holds the row's lock gives the numbers.
CREATE TABLE book_main.sequencers (
    name         text NOT NULL,
    next_number  bigint NOT NULL,
    CONSTRAINT sequencers_name_pk PRIMARY KEY (name),
    CONSTRAINT sequencers_next_number_ck CHECK (next_number > 0)
);

INSERT INTO book_main.sequencers (name, next_number) VALUES ('events', 1);
