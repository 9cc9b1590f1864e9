//! What was used of limits in the root asset.

use diesel::sql_types::{BigInt, Bytea, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

statement! {
    /// Makes the rows of users' uses in the root asset, so that they can be locked. None of them is
    /// counted yet.
    InsertRootUses {
        "/* insert_root_uses */ INSERT INTO root_uses (user_id, kind, uses) \
         SELECT n.user_id, n.kind, NULL FROM unnest(" users: Uuid => SqlUuid,
        ", " kinds: &'a str => Text,
    }
    ") AS n (user_id, kind) ORDER BY n.user_id, n.kind ON CONFLICT (user_id, kind) DO NOTHING"
}

statement! {
    /// Locks users' uses in the root asset in one order and reads them as they are after any wait.
    LockRootUses -> (SqlUuid, Text, Nullable<Bytea>) {
        "/* lock_root_uses */ SELECT u.user_id, u.kind, u.uses \
         FROM root_uses u JOIN unnest(" users: Uuid => SqlUuid,
        ", " kinds: &'a str => Text,
    }
    ") AS n (user_id, kind) USING (user_id, kind) \
     ORDER BY u.user_id, u.kind FOR NO KEY UPDATE OF u"
}

statement! {
    /// Reads users' uses in the root asset that nobody else may write, without a lock.
    ReadRootUses -> (SqlUuid, Text, Nullable<Bytea>) {
        "/* read_root_uses */ SELECT u.user_id, u.kind, u.uses \
         FROM root_uses u JOIN unnest(" users: Uuid => SqlUuid,
        ", " kinds: &'a str => Text,
    }
    ") AS n (user_id, kind) USING (user_id, kind)"
}

statement! {
    /// Writes users' uses in the root asset. A short count raises (division by zero).
    UpdateRootUses -> (BigInt) {
        "/* update_root_uses */ WITH written AS (UPDATE root_uses u SET uses = n.uses \
         FROM unnest(" users: Uuid => SqlUuid,
        ", " kinds: &'a str => Text,
        ", " uses: Vec<u8> => Bytea,
    }
    ") AS n (user_id, kind, uses) WHERE u.user_id = n.user_id AND u.kind = n.kind RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}
