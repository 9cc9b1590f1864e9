//! Ledger lines, for those who prove the books.

use diesel::sql_types::{BigInt, Bytea, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};

statement! {
    /// Entries by account and number, each with whose account it is.
    ReadLines -> (BigInt, BigInt, BigInt, Numeric, Numeric, Text, SqlUuid, Text) {
        "/* read_lines */ SELECT e.account_id, e.seq, e.transfer_id, e.available_delta, \
         e.held_delta, a.owner_kind, a.owner, a.asset \
         FROM unnest(" accounts: i64 => BigInt,
        ", " seqs: i64 => BigInt,
    }
    ") AS n (account_id, seq) JOIN entries e USING (account_id, seq) \
     JOIN accounts a ON a.id = e.account_id"
}

statement! {
    /// The entries of accounts from a number on, by account and number.
    ReadTails -> (
        BigInt, BigInt, BigInt, Numeric, Numeric, Numeric, Numeric, Timestamptz, Nullable<Bytea>,
    ) {
        "/* read_tails */ SELECT e.account_id, e.seq, e.transfer_id, e.available_delta, \
         e.held_delta, e.available_after, e.held_after, e.created_at, e.seal \
         FROM unnest(" accounts: i64 => BigInt,
        ", " from: i64 => BigInt,
    }
    ") AS n (account_id, seq) CROSS JOIN LATERAL ( \
       SELECT * FROM entries e WHERE e.account_id = n.account_id AND e.seq >= n.seq \
     ) AS e ORDER BY e.account_id, e.seq"
}
