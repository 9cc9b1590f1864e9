//! The journal.

use diesel::sql_types::{BigInt, Integer, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::value::At;

statement! {
    /// Tells what a batch changed: one row, or none without an id. It is sent when all locks are
    /// held, so of two batches that depend on each other the later one reads a later time.
    InsertJournal {
        "/* insert_journal */ WITH told AS (INSERT INTO journal \
         (transfer_ids, versions, states, ats, topic, locked_at, count, id) SELECT "
            transfers: i64 => BigInt,
        ", " versions: i32 => Integer,
        ", " states: &'a str => Text,
        ", " ats: At => Timestamptz,
        ", 'transfers', clock_timestamp(), cardinality($1), n.id FROM unnest("
            ids: Uuid => SqlUuid,
    }
    ") AS n (id) RETURNING locked_at, id) \
     INSERT INTO journal_queue (locked_at, id) SELECT locked_at, id FROM told"
}

statement! {
    /// Gives rows of the journal their numbers, for which they waited. A short count raises
    /// (division by zero).
    NumberJournal -> (BigInt) {
        "/* number_journal */ WITH numbered (id, first, locked_at) AS (SELECT * FROM unnest("
            ids: Uuid => SqlUuid,
        ", " firsts: i64 => BigInt,
        ", " locked: At => Timestamptz,
    }
    ")), freed AS (DELETE FROM journal_queue q USING numbered n \
     WHERE q.locked_at = n.locked_at AND q.id = n.id RETURNING 1), \
     written AS (UPDATE journal j SET first_number = n.first \
     FROM numbered n WHERE j.id = n.id AND j.first_number IS NULL RETURNING 1) \
     SELECT 1 / (f.count = cardinality($1) AND w.count = cardinality($1))::int::bigint \
     FROM (SELECT count(*) FROM freed) f, (SELECT count(*) FROM written) w"
}
