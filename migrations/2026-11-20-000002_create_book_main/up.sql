-- The main book: everything that must change together for its assets. One money transaction touches
-- one book and nothing else.
--
-- Amounts are integers of the asset's smallest unit. `<> 'NaN'` because 'NaN' >= 0 is true.

CREATE SCHEMA book_main;

CREATE TABLE book_main.assets (
    id            text NOT NULL,
    name          text NOT NULL,
    scale         smallint NOT NULL,
    can_deposit   boolean NOT NULL,
    can_withdraw  boolean NOT NULL,
    can_transfer  boolean NOT NULL,
    CONSTRAINT assets_id_pk PRIMARY KEY (id),
    CONSTRAINT assets_id_ck CHECK (id ~ '^[a-z0-9][a-z0-9._-]{0,14}$'),
    CONSTRAINT assets_scale_ck CHECK (scale BETWEEN 0 AND 18)
);

-- The book's own copy of who may move money: new accounts take their status from here, and a
-- freeze writes here first and then on every account of the user.
CREATE TABLE book_main.owners (
    id        uuid NOT NULL,
    status    text NOT NULL,
    -- Numbers the changes of the status; see directory.users.
    revision  bigint NOT NULL DEFAULT 0,
    CONSTRAINT owners_id_pk PRIMARY KEY (id),
    CONSTRAINT owners_revision_ck CHECK (revision >= 0),
    CONSTRAINT owners_status_ck CHECK (status IN ('Active', 'Frozen', 'Terminated'))
);

-- Ids of user accounts and of system accounts, which lie above all others so that the hottest rows
-- are locked last.
CREATE TABLE book_main.id_ranges (
    name  text NOT NULL,
    next  bigint NOT NULL,
    CONSTRAINT id_ranges_name_pk PRIMARY KEY (name),
    CONSTRAINT id_ranges_next_ck CHECK (next > 0)
);

INSERT INTO book_main.id_ranges (name, next)
VALUES ('user_accounts', 1), ('system_accounts', 4611686018427387904);

-- No index on a changing column: every update stays on its page (HOT).
CREATE TABLE book_main.accounts (
    id          bigint NOT NULL,
    owner_kind  text NOT NULL,
    owner       uuid NOT NULL,
    asset       text NOT NULL,
    available   numeric(39, 0) NOT NULL,
    held        numeric(39, 0) NOT NULL,
    seq         bigint NOT NULL,
    status      text NOT NULL,
    stamped_at  timestamptz NOT NULL,
    CONSTRAINT accounts_id_pk PRIMARY KEY (id),
    CONSTRAINT accounts_owner_asset_uq UNIQUE (owner, asset, owner_kind),
    CONSTRAINT accounts_owner_kind_ck CHECK (owner_kind IN ('user', 'fees', 'world')),
    CONSTRAINT accounts_available_ck
        CHECK ((available >= 0 OR owner_kind = 'world') AND available <> 'NaN'),
    CONSTRAINT accounts_held_ck CHECK (held >= 0 AND held <> 'NaN'),
    CONSTRAINT accounts_seq_ck CHECK (seq >= 0),
    CONSTRAINT accounts_status_ck CHECK (status IN ('Active', 'Frozen', 'Terminated'))
) WITH (fillfactor = 50);

CREATE TABLE book_main.transfers (
    id               bigint NOT NULL,
    version          integer NOT NULL,
    kind             text NOT NULL,
    state            text NOT NULL,
    asset            text NOT NULL,
    scale            smallint NOT NULL,
    amount           numeric(39, 0) NOT NULL,
    fee              numeric(39, 0) NOT NULL,
    user_id          uuid NOT NULL,
    recipient_id     uuid,
    recipient_typed  text,
    code_salt        bytea,
    custom_id        text,
    note             text,
    callback_url     text,
    reason           text,
    created_by       text NOT NULL,
    finished_by      text,
    root_asset       text,
    root_scale       smallint,
    root_rate        numeric,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    -- (account, seq) pairs of the transfer's ledger lines, one after the other: no index needed.
    entry_refs       bigint[] NOT NULL,
    CONSTRAINT transfers_id_pk PRIMARY KEY (id),
    CONSTRAINT transfers_id_ck CHECK (id BETWEEN 1 AND 9007199254740991),
    CONSTRAINT transfers_amount_ck CHECK (amount > 0 AND amount <> 'NaN'),
    CONSTRAINT transfers_fee_ck CHECK (fee >= 0 AND fee <> 'NaN'),
    CONSTRAINT transfers_state_ck CHECK (
        CASE kind
            WHEN 'deposit' THEN state IN ('Pending', 'Completed', 'Failed')
            WHEN 'withdrawal'
                THEN state IN ('AwaitingConfirmation', 'Completed', 'Failed', 'Canceled')
            WHEN 'internal' THEN state IN ('Pending', 'Success', 'Rejected')
            ELSE false
        END),
    CONSTRAINT transfers_reason_ck
        CHECK ((reason IS NOT NULL) = (state IN ('Failed', 'Rejected'))),
    CONSTRAINT transfers_code_salt_ck CHECK ((code_salt IS NOT NULL) = (kind = 'internal'))
);

-- What each index serves is told in docs/DATABASE.md.
CREATE INDEX transfers_account_history_idx
    ON book_main.transfers (user_id, created_at DESC, id DESC) WHERE kind <> 'internal';
CREATE INDEX transfers_backoffice_list_idx
    ON book_main.transfers (created_at DESC, id DESC) WHERE kind <> 'internal';
CREATE INDEX transfers_backoffice_state_idx
    ON book_main.transfers (state, created_at DESC, id DESC) WHERE kind <> 'internal';
CREATE INDEX transfers_sent_idx
    ON book_main.transfers (user_id, created_at DESC, id DESC) WHERE kind = 'internal';
CREATE INDEX transfers_received_idx
    ON book_main.transfers (recipient_id, created_at DESC, id DESC)
    WHERE kind = 'internal' AND state = 'Success';
CREATE INDEX transfers_unsettled_idx ON book_main.transfers (created_at) WHERE state = 'Pending';

CREATE TABLE book_main.entries (
    account_id       bigint NOT NULL,
    seq              bigint NOT NULL,
    transfer_id      bigint NOT NULL,
    available_delta  numeric(39, 0) NOT NULL,
    held_delta       numeric(39, 0) NOT NULL,
    available_after  numeric(39, 0) NOT NULL,
    held_after       numeric(39, 0) NOT NULL,
    created_at       timestamptz NOT NULL,
    CONSTRAINT entries_account_id_seq_pk PRIMARY KEY (account_id, seq)
);

CREATE TABLE book_main.idempotency_keys (
    principal    text NOT NULL,
    operation    text NOT NULL,
    key          text NOT NULL,
    fingerprint  bytea NOT NULL,
    fields       jsonb NOT NULL,
    transfer_id  bigint NOT NULL,
    refusal      text,
    CONSTRAINT idempotency_keys_principal_operation_key_pk
        PRIMARY KEY (principal, operation, key)
);

CREATE TABLE book_main.callbacks (
    id               uuid NOT NULL,
    transfer_id      bigint NOT NULL,
    operation        text NOT NULL,
    url              text NOT NULL,
    url_digest       bytea NOT NULL,
    status           text NOT NULL,
    error            text,
    state            text NOT NULL,
    attempts         integer NOT NULL,
    created_at       timestamptz NOT NULL,
    -- When it is due; while it is leased, when the lease ends.
    next_attempt_at  timestamptz,
    lease            uuid,
    CONSTRAINT callbacks_id_pk PRIMARY KEY (id),
    -- One delivery per transfer, operation and URL.
    CONSTRAINT callbacks_transfer_id_operation_url_uq UNIQUE (transfer_id, operation, url_digest),
    CONSTRAINT callbacks_operation_ck
        CHECK (operation IN ('create', 'settle', 'confirm', 'cancel', 'fail')),
    CONSTRAINT callbacks_state_ck CHECK (state IN ('pending', 'succeeded', 'dead', 'skipped')),
    CONSTRAINT callbacks_next_attempt_at_ck
        CHECK ((next_attempt_at IS NOT NULL) = (state = 'pending')),
    CONSTRAINT callbacks_lease_ck CHECK (lease IS NULL OR state = 'pending')
);

CREATE INDEX callbacks_due_idx ON book_main.callbacks (next_attempt_at) WHERE state = 'pending';

CREATE TABLE book_main.callback_attempts (
    callback_id  uuid NOT NULL,
    attempt      integer NOT NULL,
    at           timestamptz NOT NULL,
    duration_ms  bigint NOT NULL,
    http_status  integer,
    outcome      text NOT NULL,
    CONSTRAINT callback_attempts_callback_id_attempt_pk PRIMARY KEY (callback_id, attempt)
);
