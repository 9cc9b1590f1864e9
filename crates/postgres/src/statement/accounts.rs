//! Accounts: found, created, locked and written.

use diesel::sql_types::{BigInt, Bytea, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::{
    seal::Seal,
    value::{At, Units},
};

statement! {
    /// The ids of accounts.
    FindAccounts -> (BigInt, Text, SqlUuid, Text) {
        "/* find_accounts */ SELECT a.id, a.owner_kind, a.owner, a.asset \
         FROM unnest(" owner_kinds: &'a str => Text,
        ", " owners: Uuid => SqlUuid,
        ", " assets: &'a str => Text,
    }
    ") AS n (owner_kind, owner, asset) JOIN accounts a USING (owner, asset, owner_kind)"
}

statement! {
    /// Makes the book know users, so that their rows can be locked.
    InsertOwners {
        "/* insert_owners */ INSERT INTO owners (id, status, revision) \
         SELECT n.id, 'Active', 0 FROM unnest(" ids: Uuid => SqlUuid,
    }
    ") AS n (id) ORDER BY n.id ON CONFLICT (id) DO NOTHING"
}

statement! {
    /// Locks users against a change of status and says what it is. A freeze that is under way is
    /// waited for; one that comes later finds the new accounts.
    LockOwners -> (SqlUuid, Text) {
        "/* lock_owners */ SELECT id, status FROM owners WHERE id = ANY(" ids: Uuid => SqlUuid,
    }
    ") ORDER BY id FOR SHARE"
}

statement! {
    /// Locks assets against a change of scale and says which exist.
    ShareAssets -> (Text) {
        "/* share_assets */ SELECT id FROM assets WHERE id = ANY(" ids: &'a str => Text,
    }
    ") ORDER BY id FOR SHARE"
}

statement! {
    /// Takes ranges of account ids: the first id of each range.
    TakeAccountIds -> (Text, BigInt) {
        "/* take_account_ids */ UPDATE id_ranges r SET next = r.next + n.size \
         FROM (SELECT l.name, w.size FROM unnest(" names: &'a str => Text,
        ", " sizes: i64 => BigInt,
    }
    ") AS w (name, size) JOIN id_ranges l USING (name) ORDER BY l.name FOR UPDATE OF l) \
     AS n WHERE r.name = n.name RETURNING r.name, r.next - n.size"
}

statement! {
    /// Creates accounts; those that exist by now stay as they are.
    InsertAccounts {
        "/* insert_accounts */ INSERT INTO accounts \
         (id, owner_kind, owner, asset, available, held, seq, status, stamped_at, head) \
         SELECT n.id, n.owner_kind, n.owner, n.asset, 0, 0, 0, n.status, 'epoch', n.head \
         FROM unnest(" ids: i64 => BigInt,
        ", " owner_kinds: &'a str => Text,
        ", " owners: Uuid => SqlUuid,
        ", " assets: &'a str => Text,
        ", " statuses: &'a str => Text,
        ", " heads: Option<Seal> => Nullable<Bytea>,
    }
    ") AS n (id, owner_kind, owner, asset, status, head) ORDER BY n.owner, n.asset, n.owner_kind \
     ON CONFLICT (owner, asset, owner_kind) DO NOTHING"
}

statement! {
    /// Locks accounts in order of ids and reads them as they are after any wait.
    LockAccounts -> (
        BigInt, Text, SqlUuid, Text, Numeric, Numeric, BigInt, Text, Timestamptz, Nullable<Bytea>,
        Nullable<Bytea>, Nullable<Bytea>,
    ) {
        "/* lock_accounts */ SELECT id, owner_kind, owner, asset, available, held, seq, status, \
         stamped_at, head, withdrawal_uses, internal_uses FROM accounts WHERE id = ANY(" ids: i64 => BigInt,
    }
    ") ORDER BY id FOR NO KEY UPDATE"
}

statement! {
    /// Reads accounts that nobody else may write, without a lock.
    ReadAccounts -> (
        BigInt, Text, SqlUuid, Text, Numeric, Numeric, BigInt, Text, Timestamptz, Nullable<Bytea>,
        Nullable<Bytea>, Nullable<Bytea>,
    ) {
        "/* read_accounts */ SELECT id, owner_kind, owner, asset, available, held, seq, status, \
         stamped_at, head, withdrawal_uses, internal_uses FROM accounts WHERE id = ANY(" ids: i64 => BigInt,
    }
    ")"
}

row_statement! {
    /// Writes accounts; uses that are not told stay as they are. An account that has other lines
    /// than it was decided by makes the count short, which raises (division by zero): it was locked,
    /// or is remembered by the book's only writer, so that never happens.
    UpdateAccounts -> (BigInt) {
        ids: i64,
        decided_by: i64,
        available: Units,
        held: Units,
        seqs: i64,
        stamped: At,
        heads: Option<Seal>,
        withdrawal_uses: Option<Vec<u8>>,
        internal_uses: Option<Vec<u8>>,
    }
    "/* update_accounts */ WITH written AS (UPDATE accounts a \
     SET available = n.available, held = n.held, seq = n.seq, stamped_at = n.stamped_at, \
     head = n.head, withdrawal_uses = coalesce(n.withdrawal_uses, a.withdrawal_uses), \
     internal_uses = coalesce(n.internal_uses, a.internal_uses) FROM unnest("
    "::account_write[]) AS n WHERE a.id = n.id AND a.seq = n.decided_by RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}
