-- Who may sign in to the console. A change of what an operator is known by moves `revision` on, so
-- that a sign-in that was judged by what was there before opens nothing.
CREATE TABLE directory.operators (
    name            text        NOT NULL,
    password_hash   text        NOT NULL,
    totp_key_id     text        NOT NULL,
    totp_secret     bytea       NOT NULL,
    -- The step of the last code that was accepted: none is accepted twice.
    totp_step       bigint,
    permissions     text[]      NOT NULL,
    status          text        NOT NULL,
    revision        bigint      NOT NULL,
    -- Tries since the last sign-in; each is counted before it is judged.
    failures        integer     NOT NULL,
    next_try_at     timestamptz,
    created_at      timestamptz NOT NULL,
    CONSTRAINT operators_name_pk PRIMARY KEY (name),
    CONSTRAINT operators_status_ck CHECK (status IN ('active', 'disabled')),
    CONSTRAINT operators_failures_ck CHECK (failures >= 0)
);

-- Of a session's token only the SHA-256 is kept, as of bearer tokens.
CREATE TABLE directory.operator_sessions (
    id            uuid        NOT NULL,
    token_hash    bytea       NOT NULL,
    operator      text        NOT NULL,
    created_at    timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    -- Its end, however busy it is; the end of one that is idle is decided by the program.
    expires_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    address       text        NOT NULL,
    user_agent    text        NOT NULL,
    CONSTRAINT operator_sessions_id_pk PRIMARY KEY (id),
    CONSTRAINT operator_sessions_token_hash_uq UNIQUE (token_hash),
    CONSTRAINT operator_sessions_operator_fk
        FOREIGN KEY (operator) REFERENCES directory.operators (name)
);

CREATE INDEX operator_sessions_operator_id_idx ON directory.operator_sessions (operator, id);

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000022 for programs that know 20261128000021';
