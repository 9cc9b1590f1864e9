-- Withdrawals that a gateway is paying out, and when it is asked next.

CREATE TABLE book_main.payouts (
    transfer_id      bigint NOT NULL,
    began_at         timestamptz NOT NULL,
    -- How often the gateway was asked.
    attempts         integer NOT NULL,
    -- When it is asked next or, under a lease, when the lease ends.
    next_attempt_at  timestamptz NOT NULL,
    lease            uuid,
    -- What came of the last try, in a word.
    outcome          text,
    CONSTRAINT payouts_transfer_id_pk PRIMARY KEY (transfer_id),
    CONSTRAINT payouts_attempts_ck CHECK (attempts >= 0)
);

CREATE INDEX payouts_due_idx ON book_main.payouts (next_attempt_at);
