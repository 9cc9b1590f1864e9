//! The rules' revision, and what was used of the limits.

use diesel::sql_types::{Array, BigInt, Integer, Numeric, Text, Uuid as SqlUuid};
use uuid::Uuid;

statement! {
    /// Which version of the rules is in force.
    ReadRevision -> (BigInt) {
        "/* read_revision */ SELECT revision FROM rule_sets WHERE name = ANY(" names: &'a str => Text,
    }
    ")"
}

statement! {
    /// Makes the rows of users' uses, so that they can be locked. None of them is counted yet.
    InsertUsage {
        "/* insert_usage */ INSERT INTO limit_usage (user_id, kind, asset, epoch, times, amounts) \
         SELECT n.user_id, n.kind, n.asset, 0, '{}', '{}' FROM unnest(" users: Uuid => SqlUuid,
        ", " kinds: &'a str => Text,
        ", " assets: &'a str => Text,
    }
    ") AS n (user_id, kind, asset) ORDER BY n.user_id, n.kind, n.asset \
     ON CONFLICT (user_id, kind, asset) DO NOTHING"
}

statement! {
    /// Locks users' uses in one order and reads them as they are after any wait.
    LockUsage -> (SqlUuid, Text, Text, Integer, Array<BigInt>, Array<Numeric>) {
        "/* lock_usage */ SELECT u.user_id, u.kind, u.asset, u.epoch, u.times, u.amounts \
         FROM limit_usage u JOIN unnest(" users: Uuid => SqlUuid,
        ", " kinds: &'a str => Text,
        ", " assets: &'a str => Text,
    }
    ") AS n (user_id, kind, asset) USING (user_id, kind, asset) \
     ORDER BY u.user_id, u.kind, u.asset FOR NO KEY UPDATE OF u"
}

statement! {
    /// Writes users' uses. A short count raises (division by zero).
    UpdateUsage -> (BigInt) {
        "/* update_usage */ WITH written AS (UPDATE limit_usage u \
         SET epoch = n.epoch, times = n.times::bigint[], amounts = n.amounts::numeric[] \
         FROM unnest(" users: Uuid => SqlUuid,
        ", " kinds: &'a str => Text,
        ", " assets: &'a str => Text,
        ", " epochs: i32 => Integer,
        ", " times: String => Text,
        ", " amounts: String => Text,
    }
    ") AS n (user_id, kind, asset, epoch, times, amounts) \
     WHERE u.user_id = n.user_id AND u.kind = n.kind AND u.asset = n.asset RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}
