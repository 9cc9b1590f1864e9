-- What operators decide: fees, limits, approvals, stops, expiry and reversals.
--
-- Constraints on the tables that grow are added NOT VALID; 000014 validates them. What this adds is
-- indexed by 000013, for the lock that adding columns takes lets nobody even read.

-- The rules as a whole have a revision, so that a money transaction reads one number and not the
-- rules themselves when nothing has changed.
CREATE TABLE book_main.rule_sets (
    name      text NOT NULL,
    revision  bigint NOT NULL,
    CONSTRAINT rule_sets_name_pk PRIMARY KEY (name),
    CONSTRAINT rule_sets_revision_ck CHECK (revision > 0)
);

INSERT INTO book_main.rule_sets (name, revision) VALUES ('main', 1);

-- Amounts are in smallest units of the asset; percentages count in hundred-millionths.
CREATE TABLE book_main.fee_schedules (
    kind      text NOT NULL,
    asset     text NOT NULL,
    percent   bigint NOT NULL,
    min       numeric(39, 0) NOT NULL,
    max       numeric(39, 0),
    absolute  numeric(39, 0) NOT NULL,
    CONSTRAINT fee_schedules_kind_asset_pk PRIMARY KEY (kind, asset),
    CONSTRAINT fee_schedules_kind_ck CHECK (kind IN ('deposit', 'withdrawal', 'internal')),
    CONSTRAINT fee_schedules_percent_ck CHECK (percent BETWEEN 0 AND 10000000000),
    CONSTRAINT fee_schedules_min_ck CHECK (min >= 0 AND min <> 'NaN'),
    CONSTRAINT fee_schedules_max_ck CHECK (max >= min AND max <> 'NaN'),
    CONSTRAINT fee_schedules_absolute_ck CHECK (absolute >= 0 AND absolute <> 'NaN')
);

-- Without an asset (''), amounts are in smallest units of the root asset.
CREATE TABLE book_main.limits (
    kind            text NOT NULL,
    asset           text NOT NULL,
    min_amount      numeric(39, 0),
    max_amount      numeric(39, 0),
    daily           numeric(39, 0),
    monthly         numeric(39, 0),
    approval_above  numeric(39, 0),
    -- Moves on whenever uses begin to be counted: what was counted before that is out of date.
    epoch           integer NOT NULL,
    CONSTRAINT limits_kind_asset_pk PRIMARY KEY (kind, asset),
    CONSTRAINT limits_kind_ck CHECK (kind IN ('deposit', 'withdrawal', 'internal')),
    CONSTRAINT limits_min_amount_ck CHECK (min_amount >= 0 AND min_amount <> 'NaN'),
    CONSTRAINT limits_max_amount_ck CHECK (max_amount >= 0 AND max_amount <> 'NaN'),
    CONSTRAINT limits_daily_ck CHECK (daily >= 0 AND daily <> 'NaN'),
    CONSTRAINT limits_monthly_ck CHECK (monthly >= 0 AND monthly <> 'NaN'),
    CONSTRAINT limits_approval_above_ck CHECK (approval_above >= 0 AND approval_above <> 'NaN')
);

-- What a user has moved lately: uses close to each other as one, oldest first. Kept only while a
-- rolling limit is in force.
CREATE TABLE book_main.limit_usage (
    user_id  uuid NOT NULL,
    kind     text NOT NULL,
    asset    text NOT NULL,
    -- The limit's epoch that these belong to; of another one they are counted anew.
    epoch    integer NOT NULL,
    -- The time of the last use in each, in microseconds since 1970.
    times    bigint[] NOT NULL,
    amounts  numeric(39, 0)[] NOT NULL,
    CONSTRAINT limit_usage_user_id_kind_asset_pk PRIMARY KEY (user_id, kind, asset),
    CONSTRAINT limit_usage_amounts_ck CHECK (cardinality(times) = cardinality(amounts))
) WITH (fillfactor = 50);

-- What is stopped: everything ('read_only', '') or what leaves accounts of an asset
-- ('outgoing', asset).
CREATE TABLE book_main.stops (
    name        text NOT NULL,
    asset       text NOT NULL,
    reason      text NOT NULL,
    stopped_by  text NOT NULL,
    stopped_at  timestamptz NOT NULL,
    CONSTRAINT stops_name_asset_pk PRIMARY KEY (name, asset),
    CONSTRAINT stops_name_ck CHECK (
        (name = 'read_only' AND asset = '') OR (name = 'outgoing' AND asset <> ''))
);

ALTER TABLE book_main.transfers
    -- What an open transfer waits for beyond what its state tells.
    ADD COLUMN stage text,
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN confirmed_by text,
    ADD COLUMN confirm_url text,
    -- The second operator, and the digest of what was approved or rejected.
    ADD COLUMN reviewed_by text,
    ADD COLUMN review_digest bytea,
    -- The transfer that this one takes back, how much of its amount, and how much of its fee.
    ADD COLUMN reverses bigint,
    ADD COLUMN reversal_covers numeric(39, 0),
    ADD COLUMN reversal_fee numeric(39, 0),
    -- How much of this one was taken back.
    ADD COLUMN reversed numeric(39, 0) NOT NULL DEFAULT 0,
    ADD COLUMN root_source text,
    ADD COLUMN root_rated_at timestamptz,
    ADD CONSTRAINT transfers_stage_ck CHECK (stage IS NULL OR CASE stage
        WHEN 'approval' THEN (kind = 'deposit' AND state = 'Pending')
            OR (kind = 'withdrawal' AND state = 'AwaitingConfirmation')
        WHEN 'payout' THEN kind = 'withdrawal' AND state = 'AwaitingConfirmation'
        ELSE false
    END) NOT VALID,
    -- Never the one who made or confirmed it.
    ADD CONSTRAINT transfers_reviewed_by_ck CHECK (
        reviewed_by IS NULL
        OR (reviewed_by <> created_by AND reviewed_by IS DISTINCT FROM confirmed_by)) NOT VALID,
    ADD CONSTRAINT transfers_review_digest_ck
        CHECK ((reviewed_by IS NULL) = (review_digest IS NULL)) NOT VALID,
    ADD CONSTRAINT transfers_reverses_ck CHECK (
        (reverses IS NULL) = (reversal_covers IS NULL)
        AND (reverses IS NULL) = (reversal_fee IS NULL)) NOT VALID,
    ADD CONSTRAINT transfers_reversal_covers_ck
        CHECK (reversal_covers > 0 AND reversal_covers <> 'NaN') NOT VALID,
    ADD CONSTRAINT transfers_reversal_fee_ck
        CHECK (reversal_fee >= 0 AND reversal_fee <> 'NaN') NOT VALID,
    ADD CONSTRAINT transfers_reversed_ck
        CHECK (reversed >= 0 AND reversed <= amount AND reversed <> 'NaN') NOT VALID;

-- The fee accounts of an asset are split over rows, and a fee may be given back from another row
-- than the one it was posted to: all of them together are what the exchange earned.
ALTER TABLE book_main.accounts
    DROP CONSTRAINT accounts_available_ck,
    ADD CONSTRAINT accounts_available_ck
        CHECK ((available >= 0 OR owner_kind <> 'user') AND available <> 'NaN') NOT VALID;

ALTER TABLE book_main.callbacks
    DROP CONSTRAINT callbacks_operation_ck,
    ADD CONSTRAINT callbacks_operation_ck CHECK (operation IN
        ('create', 'settle', 'confirm', 'cancel', 'fail', 'review', 'payout', 'reverse')) NOT VALID;

-- Who or what said what an asset is worth.
ALTER TABLE directory.asset_rates ADD COLUMN source text NOT NULL DEFAULT '';
