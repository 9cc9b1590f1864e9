//! Transfers.

use bigdecimal::BigDecimal;
use diesel::sql_types::{
    Array, BigInt, Bytea, Integer, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use crate::{
    seal::Seal,
    value::{At, Units},
};

statement! {
    /// Locks transfers in order of ids and reads them as they are after any wait. Nothing but these
    /// rows is read here: what a statement reads without locking it is from before its wait.
    LockTransfers -> (BigInt, Integer, Array<BigInt>) {
        "/* lock_transfers */ SELECT id, version, entry_refs FROM transfers WHERE id = ANY("
            ids: i64 => BigInt,
    }
    ") ORDER BY id FOR NO KEY UPDATE"
}

statement! {
    /// Which of these transfers exist. Read after the accounts are locked, it tells for certain
    /// whether an earlier try of the same batch was committed: that try held the same locks.
    ReadVersions -> (BigInt, Integer) {
        "/* read_versions */ SELECT id, version FROM transfers WHERE id = ANY("
            ids: i64 => BigInt,
    }
    ")"
}

statement! {
    /// Inserts new transfers. COMMIT is sent before the number of rows comes back, so a short count
    /// raises in SQL (division by zero).
    InsertTransfers -> (BigInt) {
        "/* insert_transfers */ WITH written AS (INSERT INTO transfers \
         (id, version, kind, state, asset, scale, amount, fee, user_id, recipient_id, \
         recipient_typed, code_salt, custom_id, note, callback_url, reason, created_by, \
         finished_by, root_asset, root_scale, root_rate, created_at, updated_at, entry_refs, \
         stage, expires_at, reverses, reversal_covers, reversal_fee, root_source, \
         root_rated_at, seal) \
         SELECT n.id, n.version, n.kind, n.state, n.asset, n.scale, n.amount, n.fee, n.user_id, \
         n.recipient_id, n.recipient_typed, n.code_salt, n.custom_id, n.note, n.callback_url, \
         n.reason, n.created_by, n.finished_by, n.root_asset, n.root_scale, n.root_rate, \
         n.created_at, n.updated_at, n.entry_refs::bigint[], n.stage, n.expires_at, \
         n.reverses, n.reversal_covers, n.reversal_fee, n.root_source, \
         n.root_rated_at, n.seal \
         FROM unnest(" ids: i64 => BigInt,
        ", " versions: i32 => Integer,
        ", " kinds: &'a str => Text,
        ", " states: &'a str => Text,
        ", " assets: &'a str => Text,
        ", " scales: i16 => SmallInt,
        ", " amounts: Units => Numeric,
        ", " fees: Units => Numeric,
        ", " users: Uuid => SqlUuid,
        ", " recipients: Option<Uuid> => Nullable<SqlUuid>,
        ", " recipients_typed: Option<&'a str> => Nullable<Text>,
        ", " code_salts: Option<&'a [u8]> => Nullable<Bytea>,
        ", " custom_ids: Option<&'a str> => Nullable<Text>,
        ", " notes: Option<&'a str> => Nullable<Text>,
        ", " callback_urls: Option<&'a str> => Nullable<Text>,
        ", " reasons: Option<&'a str> => Nullable<Text>,
        ", " creators: &'a str => Text,
        ", " finishers: Option<&'a str> => Nullable<Text>,
        ", " root_assets: Option<&'a str> => Nullable<Text>,
        ", " root_scales: Option<i16> => Nullable<SmallInt>,
        ", " root_rates: Option<&'a BigDecimal> => Nullable<Numeric>,
        ", " created: At => Timestamptz,
        ", " updated: At => Timestamptz,
        ", " entry_refs: String => Text,
        ", " stages: Option<&'a str> => Nullable<Text>,
        ", " expires: Option<At> => Nullable<Timestamptz>,
        ", " reverses: Option<i64> => Nullable<BigInt>,
        ", " reversal_covers: Option<Units> => Nullable<Numeric>,
        ", " reversal_fees: Option<Units> => Nullable<Numeric>,
        ", " root_sources: Option<&'a str> => Nullable<Text>,
        ", " root_rated: Option<At> => Nullable<Timestamptz>,
        ", " seals: Option<Seal> => Nullable<Bytea>,
    }
    ") AS n (id, version, kind, state, asset, scale, amount, fee, user_id, recipient_id, \
     recipient_typed, code_salt, custom_id, note, callback_url, reason, created_by, finished_by, \
     root_asset, root_scale, root_rate, created_at, updated_at, entry_refs, stage, expires_at, \
     reverses, reversal_covers, reversal_fee, root_source, root_rated_at, seal) \
     ON CONFLICT (id) DO NOTHING RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}

statement! {
    /// Moves transfers to their next state, each only from the version before it.
    UpdateTransfers -> (BigInt) {
        "/* update_transfers */ WITH written AS (UPDATE transfers t \
         SET version = n.version, state = n.state, reason = n.reason, \
         finished_by = n.finished_by, updated_at = n.updated_at, \
         entry_refs = t.entry_refs || n.entry_refs::bigint[], \
         stage = n.stage, expires_at = n.expires_at, confirmed_by = n.confirmed_by, \
         confirm_url = n.confirm_url, reviewed_by = n.reviewed_by, \
         review_digest = n.review_digest, reversed = n.reversed, seal = n.seal \
         FROM unnest(" ids: i64 => BigInt,
        ", " versions: i32 => Integer,
        ", " states: &'a str => Text,
        ", " reasons: Option<&'a str> => Nullable<Text>,
        ", " finishers: Option<&'a str> => Nullable<Text>,
        ", " updated: At => Timestamptz,
        ", " entry_refs: String => Text,
        ", " stages: Option<&'a str> => Nullable<Text>,
        ", " expires: Option<At> => Nullable<Timestamptz>,
        ", " confirmers: Option<&'a str> => Nullable<Text>,
        ", " confirm_urls: Option<&'a str> => Nullable<Text>,
        ", " reviewers: Option<&'a str> => Nullable<Text>,
        ", " review_digests: Option<&'a [u8]> => Nullable<Bytea>,
        ", " reversed: Units => Numeric,
        ", " seals: Option<Seal> => Nullable<Bytea>,
    }
    ") AS n (id, version, state, reason, finished_by, updated_at, entry_refs, stage, expires_at, \
     confirmed_by, confirm_url, reviewed_by, review_digest, reversed, seal) \
     WHERE t.id = n.id AND t.version = n.version - 1 \
     RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}
