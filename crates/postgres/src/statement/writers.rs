//! Who may write the book.

use diesel::sql_types::BigInt;

statement! {
    /// Counts a batch of the book's holder. It raises (division by zero) when it is not the next one
    /// of this epoch: the holder was overtaken, or somebody changed what it keeps in memory.
    CountBatch -> (BigInt) {
        "/* count_batch */ WITH written AS (UPDATE writers w SET batch = n.batch FROM unnest("
            epochs: i64 => BigInt,
        ", " batches: i64 => BigInt,
    }
    ") AS n (epoch, batch) WHERE w.name = 'main' AND w.epoch = n.epoch AND w.batch = n.batch - 1 \
     RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}
