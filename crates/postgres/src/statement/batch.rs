//! The rules' revision and assets, ledger lines and callbacks.

use diesel::sql_types::{
    BigInt, Bool, Bytea, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use crate::{
    seal::Seal,
    value::{At, Units},
};

statement! {
    /// Which version of the rules is in force, who writes the book (whether one replica alone, and the
    /// epoch), and what may be done with assets right now. There is a row also when there is no such asset.
    ReadRules -> (
        BigInt, Bool, BigInt,
        Nullable<Text>, Nullable<Text>, Nullable<SmallInt>, Nullable<Bool>, Nullable<Bool>,
        Nullable<Bool>,
    ) {
        "/* read_rules */ SELECT r.revision, w.holder IS NOT NULL, w.epoch, \
         a.id, a.name, a.scale, a.can_deposit, a.can_withdraw, a.can_transfer \
         FROM rule_sets r JOIN writers w ON w.name = r.name LEFT JOIN assets a ON a.id = ANY(" assets: &'a str => Text,
        ") WHERE r.name = ANY(" names: &'a str => Text,
    }
    ")"
}

row_statement! {
    /// Appends ledger lines.
    InsertEntries {
        accounts: i64,
        seqs: i64,
        transfers: i64,
        available_deltas: Units,
        held_deltas: Units,
        available_after: Units,
        held_after: Units,
        created: At,
        seals: Option<Seal>,
    }
    "/* insert_entries */ INSERT INTO entries \
     (account_id, seq, transfer_id, available_delta, held_delta, available_after, held_after, \
     created_at, seal) \
     SELECT n.account_id, n.seq, n.transfer_id, n.available_delta, n.held_delta, \
     n.available_after, n.held_after, n.created_at, n.seal FROM unnest("
    "::new_entry[]) AS n"
}

statement! {
    /// Makes callbacks due, one for each transfer, operation and URL.
    InsertCallbacks {
        "/* insert_callbacks */ INSERT INTO callbacks \
         (id, transfer_id, operation, url, url_digest, subscriber, host, status, is_final, error, \
         state, attempts, created_at, made_at, next_attempt_at) \
         SELECT n.id, n.transfer_id, n.operation, n.url, n.url_digest, n.subscriber, n.host, \
         n.status, n.is_final, n.error, 'pending', 0, n.created_at, n.made_at, \
         coalesce(n.made_at, n.created_at) \
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
        ", " made: Option<At> => Nullable<Timestamptz>,
    }
    ") AS n (id, transfer_id, operation, url, url_digest, subscriber, host, status, is_final, \
     error, created_at, made_at) \
     ORDER BY n.transfer_id, n.operation, n.url_digest \
     ON CONFLICT (transfer_id, operation, url_digest) DO NOTHING"
}
