-- What signs callbacks. A subscriber is who gave a callback's URL, as `user:<id>` or
-- `client:<subject>`; it need not exist anywhere.
CREATE TABLE directory.callback_secrets (
    id             uuid NOT NULL,
    subscriber     text NOT NULL,
    secret_key_id  text NOT NULL,
    secret         bytea NOT NULL,
    created_at     timestamptz NOT NULL,
    -- Set once another secret takes its place: it signs on until then.
    expires_at     timestamptz,
    revoked_at     timestamptz,
    CONSTRAINT callback_secrets_id_pk PRIMARY KEY (id),
    CONSTRAINT callback_secrets_subscriber_ck
        CHECK (subscriber LIKE 'user:_%' OR subscriber LIKE 'client:_%')
);

-- One secret of a subscriber has no end: of several that are added at once one stays.
CREATE UNIQUE INDEX callback_secrets_current_uq ON directory.callback_secrets (subscriber)
    WHERE expires_at IS NULL AND revoked_at IS NULL;

CREATE INDEX callback_secrets_subscriber_id_idx ON directory.callback_secrets (subscriber, id);
