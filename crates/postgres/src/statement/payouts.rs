//! Payouts that begin.

use diesel::sql_types::{BigInt, Timestamptz};

use crate::value::At;

statement! {
    /// Schedules payouts, due at once by the server's clock, which also judges what is due.
    InsertPayouts {
        "/* insert_payouts */ INSERT INTO payouts \
         (transfer_id, began_at, attempts, next_attempt_at) \
         SELECT n.id, n.began_at, 0, statement_timestamp() FROM unnest(" ids: i64 => BigInt,
        ", " began: At => Timestamptz,
    }
    ") AS n (id, began_at) ORDER BY n.id ON CONFLICT (transfer_id) DO NOTHING"
}
