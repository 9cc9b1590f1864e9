-- The directory: who and what there is. Money transactions never touch it, and no statement joins
-- it with a book, so that a book can live on another node.

CREATE SCHEMA directory;

CREATE TABLE directory.users (
    id             uuid NOT NULL,
    username       text NOT NULL,
    -- Lower-cased by the application, so that uniqueness does not depend on the server's locale.
    username_fold  text NOT NULL,
    email          text NOT NULL,
    email_fold     text NOT NULL,
    roles          text[] NOT NULL,
    status         text NOT NULL,
    updated_at     timestamptz NOT NULL,
    -- Numbers the changes of the status, so that the directory and the book agree on which came
    -- last although no transaction writes both.
    status_revision bigint NOT NULL DEFAULT 0,
    CONSTRAINT users_id_pk PRIMARY KEY (id),
    CONSTRAINT users_username_fold_uq UNIQUE (username_fold),
    CONSTRAINT users_status_ck CHECK (status IN ('Active', 'Frozen', 'Terminated')),
    CONSTRAINT users_status_revision_ck CHECK (status_revision >= 0)
);

-- Many users have no email; those who have one share it with nobody.
CREATE UNIQUE INDEX users_email_fold_uq ON directory.users (email_fold) WHERE email_fold <> '';

CREATE TABLE directory.asset_books (
    asset  text NOT NULL,
    book   text NOT NULL,
    CONSTRAINT asset_books_asset_pk PRIMARY KEY (asset)
);

CREATE TABLE directory.asset_rates (
    asset       text NOT NULL,
    rate        numeric NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT asset_rates_asset_pk PRIMARY KEY (asset),
    CONSTRAINT asset_rates_rate_ck CHECK (rate > 0 AND rate <> 'NaN' AND rate < 'Infinity')
);

CREATE TABLE directory.tokens (
    id           uuid NOT NULL,
    hash         bytea NOT NULL,
    subject      text NOT NULL,
    user_id      uuid,
    permissions  text[] NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    CONSTRAINT tokens_id_pk PRIMARY KEY (id),
    CONSTRAINT tokens_hash_uq UNIQUE (hash)
);

CREATE TABLE directory.access_keys (
    access_key           text NOT NULL,
    user_id              uuid NOT NULL,
    permissions          text[] NOT NULL,
    secret_key_id        text NOT NULL,
    secret               bytea NOT NULL,
    allowed_ips          text[] NOT NULL,
    requests_per_minute  integer,
    created_at           timestamptz NOT NULL,
    revoked_at           timestamptz,
    CONSTRAINT access_keys_access_key_pk PRIMARY KEY (access_key),
    CONSTRAINT access_keys_requests_per_minute_ck CHECK (requests_per_minute > 0)
);

-- Hands out ranges of ids: portable, dense, and without a clock. A range that was handed out is
-- never handed out again, whatever becomes of it.
CREATE TABLE directory.id_ranges (
    name  text NOT NULL,
    next  bigint NOT NULL,
    CONSTRAINT id_ranges_name_pk PRIMARY KEY (name),
    CONSTRAINT id_ranges_next_ck CHECK (next > 0)
);

INSERT INTO directory.id_ranges (name, next) VALUES ('transfers', 1);
