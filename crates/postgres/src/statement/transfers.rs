//! Transfers.

use bigdecimal::BigDecimal;
use diesel::sql_types::{Array, BigInt, Integer};
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

row_statement! {
    /// Inserts new transfers. COMMIT is sent before the number of rows comes back, so a short count
    /// raises in SQL (division by zero).
    InsertTransfers -> (BigInt) {
        ids: i64,
        versions: i32,
        kinds: &'a str,
        states: &'a str,
        assets: &'a str,
        scales: i16,
        amounts: Units,
        fees: Units,
        users: Uuid,
        recipients: Option<Uuid>,
        recipients_typed: Option<&'a str>,
        code_salts: Option<&'a [u8]>,
        custom_ids: Option<&'a str>,
        notes: Option<&'a str>,
        callback_urls: Option<&'a str>,
        reasons: Option<&'a str>,
        creators: &'a str,
        finishers: Option<&'a str>,
        root_assets: Option<&'a str>,
        root_scales: Option<i16>,
        root_rates: Option<&'a BigDecimal>,
        created: At,
        updated: At,
        entry_refs: Vec<i64>,
        stages: Option<&'a str>,
        expires: Option<At>,
        reverses: Option<i64>,
        reversal_covers: Option<Units>,
        reversal_fees: Option<Units>,
        root_sources: Option<&'a str>,
        root_rated: Option<At>,
        seals: Option<Seal>,
    }
    "/* insert_transfers */ WITH written AS (INSERT INTO transfers \
     (id, version, kind, state, asset, scale, amount, fee, user_id, recipient_id, \
     recipient_typed, code_salt, custom_id, note, callback_url, reason, created_by, \
     finished_by, root_asset, root_scale, root_rate, created_at, updated_at, entry_refs, \
     stage, expires_at, reverses, reversal_covers, reversal_fee, root_source, \
     root_rated_at, seal) \
     SELECT n.id, n.version, n.kind, n.state, n.asset, n.scale, n.amount, n.fee, n.user_id, \
     n.recipient_id, n.recipient_typed, n.code_salt, n.custom_id, n.note, n.callback_url, \
     n.reason, n.created_by, n.finished_by, n.root_asset, n.root_scale, n.root_rate::numeric, \
     n.created_at, n.updated_at, n.entry_refs, n.stage, n.expires_at, \
     n.reverses, n.reversal_covers, n.reversal_fee, n.root_source, \
     n.root_rated_at, n.seal FROM unnest("
    "::new_transfer[]) AS n ON CONFLICT (id) DO NOTHING RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}

row_statement! {
    /// Moves transfers to their next state, each only from the version before it. A short count
    /// raises (division by zero).
    UpdateTransfers -> (BigInt) {
        ids: i64,
        versions: i32,
        states: &'a str,
        reasons: Option<&'a str>,
        finishers: Option<&'a str>,
        updated: At,
        entry_refs: Vec<i64>,
        stages: Option<&'a str>,
        expires: Option<At>,
        confirmers: Option<&'a str>,
        confirm_urls: Option<&'a str>,
        reviewers: Option<&'a str>,
        review_digests: Option<&'a [u8]>,
        reversed: Units,
        seals: Option<Seal>,
    }
    "/* update_transfers */ WITH written AS (UPDATE transfers t \
     SET version = n.version, state = n.state, reason = n.reason, \
     finished_by = n.finished_by, updated_at = n.updated_at, \
     entry_refs = t.entry_refs || n.entry_refs, \
     stage = n.stage, expires_at = n.expires_at, confirmed_by = n.confirmed_by, \
     confirm_url = n.confirm_url, reviewed_by = n.reviewed_by, \
     review_digest = n.review_digest, reversed = n.reversed, seal = n.seal FROM unnest("
    "::transfer_change[]) AS n WHERE t.id = n.id AND t.version = n.version - 1 RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}
