//! The rules' revision and assets, ledger lines and callbacks.

use diesel::sql_types::{
    BigInt, Bool, Bytea, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use crate::{
    seal::Seal,
    value::{At, Units},
};

statement! {
    /// Which version of the rules is in force, and what may be done with assets right now. There is
    /// a row also when there is no such asset.
    ReadRules -> (
        BigInt,
        Nullable<Text>, Nullable<Text>, Nullable<SmallInt>, Nullable<Bool>, Nullable<Bool>,
        Nullable<Bool>,
    ) {
        "/* read_rules */ SELECT r.revision, \
         a.id, a.name, a.scale, a.can_deposit, a.can_withdraw, a.can_transfer \
         FROM rule_sets r LEFT JOIN assets a ON a.id = ANY(" assets: &'a str => Text,
        ") WHERE r.name = ANY(" names: &'a str => Text,
    }
    ")"
}

statement! {
    /// Appends ledger lines.
    InsertEntries {
        "/* insert_entries */ INSERT INTO entries \
         (account_id, seq, transfer_id, available_delta, held_delta, available_after, held_after, \
         created_at, seal) \
         SELECT * FROM unnest(" accounts: i64 => BigInt,
        ", " seqs: i64 => BigInt,
        ", " transfers: i64 => BigInt,
        ", " available_deltas: Units => Numeric,
        ", " held_deltas: Units => Numeric,
        ", " available_after: Units => Numeric,
        ", " held_after: Units => Numeric,
        ", " created: At => Timestamptz,
        ", " seals: Option<Seal> => Nullable<Bytea>,
    }
    ")"
}

statement! {
    /// Makes callbacks due, one for each transfer, operation and URL.
    InsertCallbacks {
        "/* insert_callbacks */ INSERT INTO callbacks \
         (id, transfer_id, operation, url, url_digest, subscriber, host, status, is_final, error, \
         state, attempts, created_at, next_attempt_at) \
         SELECT n.id, n.transfer_id, n.operation, n.url, n.url_digest, n.subscriber, n.host, \
         n.status, n.is_final, n.error, 'pending', 0, n.created_at, n.created_at \
         FROM unnest(" ids: Uuid => SqlUuid,
        ", " transfers: i64 => BigInt,
        ", " operations: &'a str => Text,
        ", " urls: &'a str => Text,
        ", " url_digests: Vec<u8> => Bytea,
        ", " subscribers: String => Text,
        ", " hosts: String => Text,
        ", " statuses: &'a str => Text,
        ", " finals: bool => Bool,
        ", " errors: Option<&'a str> => Nullable<Text>,
        ", " created: At => Timestamptz,
    }
    ") AS n (id, transfer_id, operation, url, url_digest, subscriber, host, status, is_final, \
     error, created_at) \
     ORDER BY n.transfer_id, n.operation, n.url_digest \
     ON CONFLICT (transfer_id, operation, url_digest) DO NOTHING"
}
