CREATE SCHEMA baseline;
SET search_path = baseline;

CREATE TABLE balances (
    account_id  bigint PRIMARY KEY,
    available   bigint NOT NULL CHECK (available >= 0),
    version     bigint NOT NULL
);

CREATE TABLE transfers (
    id               uuid PRIMARY KEY,
    idempotency_key  text NOT NULL UNIQUE,
    sender           bigint NOT NULL,
    recipient        bigint NOT NULL,
    amount           bigint NOT NULL CHECK (amount > 0),
    created_at       timestamptz NOT NULL
);

CREATE TABLE entries (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id     bigint NOT NULL,
    transfer_id    uuid NOT NULL,
    amount         bigint NOT NULL,
    balance_after  bigint NOT NULL,
    created_at     timestamptz NOT NULL
);
-- An account's history, and a transfer's entries.
CREATE INDEX ON entries (account_id, id);
CREATE INDEX ON entries (transfer_id);

CREATE TABLE events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transfer_id  uuid NOT NULL,
    payload      jsonb NOT NULL
);

CREATE FUNCTION pay(id uuid, key text, sender bigint, recipient bigint, units bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    taken bigint;
    given bigint;
BEGIN
    PERFORM 1 FROM balances WHERE account_id IN (sender, recipient) ORDER BY account_id FOR UPDATE;
    UPDATE balances SET available = available - units, version = version + 1
        WHERE account_id = sender AND available >= units RETURNING available INTO STRICT taken;
    UPDATE balances SET available = available + units, version = version + 1
        WHERE account_id = recipient RETURNING available INTO STRICT given;
    INSERT INTO transfers VALUES (id, key, sender, recipient, units, now());
    INSERT INTO entries (account_id, transfer_id, amount, balance_after, created_at)
        VALUES (sender, id, -units, taken, now()), (recipient, id, units, given, now());
    INSERT INTO events (transfer_id, payload)
        VALUES (id, jsonb_build_object('status', 'Success', 'amount', units));
END;
$$;
