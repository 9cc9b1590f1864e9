//! Counts what succeeded into hourly sums, one chunk of the event feed in one transaction with the
//! number that comes next.
//!
//! Money transactions know nothing of it. The row of `sequencers` is the lease, as of the feed's own
//! numbers: whoever has locked it counts, others pass by. Every transfer succeeds in one event, and
//! every event is counted in one transaction, which moves the number on or leaves everything as it
//! was: sums are exact whoever dies when. See `docs/adr/0017-hourly-volumes.md`.

use async_trait::async_trait;
use bursar_ports::{StoreError, Summary};
use diesel::{prelude::*, sql_query, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;

use super::{BEHIND, BehindRow, PgFigures, SEQUENCE};
use crate::{
    error::unavailable,
    sequencers::{lease, move_on},
    tx::run_tx,
};

/// How many rows of the journal one transaction counts: some thousand transfers under load.
const CHUNK: i64 = 128;

/// Adds what a chunk tells of to the sums. `$1` is the first number that is not counted, `$2` how many
/// rows to read. States are those that mean success, of every kind; a step that takes some of a
/// transfer back has another one. After the last row everything that has a number is counted, also where
/// numbers were left out.
pub(super) const FOLD: &str = "WITH chunk AS MATERIALIZED ( \
      SELECT topic, first_number, count, transfer_ids, states, ats FROM book_main.journal \
      WHERE first_number >= $1 ORDER BY first_number LIMIT $2 \
    ), successes AS ( \
      SELECT s.id, s.at FROM chunk \
      CROSS JOIN LATERAL unnest(transfer_ids, states, ats) AS s (id, state, at) \
      WHERE chunk.topic = 'transfers' AND s.state IN ('Completed', 'Success') \
    ), added AS ( \
      INSERT INTO book_main.hourly_volumes AS v (hour, asset, kind, count, amount) \
      SELECT date_trunc('hour', s.at, 'UTC'), t.asset, t.kind, count(*), sum(t.amount) \
      FROM successes AS s JOIN book_main.transfers AS t ON t.id = s.id GROUP BY 1, 2, 3 \
      ON CONFLICT (hour, asset, kind) DO UPDATE \
      SET count = v.count + excluded.count, amount = v.amount + excluded.amount \
    ) \
    SELECT count(*) AS rows, greatest($1, max(first_number + count), CASE WHEN count(*) < $2 \
      THEN (SELECT next_number FROM book_main.sequencers WHERE name = 'events') END)::bigint AS next \
    FROM chunk";

#[derive(QueryableByName)]
struct Folded {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = BigInt)]
    next: i64,
}

#[async_trait]
impl Summary for PgFigures {
    async fn fold(&self) -> Result<bool, StoreError> {
        let behind = self.database.read(async |connection| {
            let behind: BehindRow = sql_query(BEHIND)
                .get_result(connection)
                .await
                .map_err(unavailable)?;
            Ok(behind.behind)
        });
        // Locking the row writes to the disk: not when there is nothing to do.
        if behind.await? <= 0 {
            return Ok(false);
        }
        run_tx(self.database.pool(), "count volumes", |connection| {
            fold(connection).boxed()
        })
        .await
    }
}

async fn fold(connection: &mut AsyncPgConnection) -> QueryResult<bool> {
    let Some(first) = lease(connection, SEQUENCE).await? else {
        return Ok(false);
    };
    // In a statement of its own: it sees what was committed before the lease was given.
    let folded: Folded = sql_query(FOLD)
        .bind::<BigInt, _>(first)
        .bind::<BigInt, _>(CHUNK)
        .get_result(connection)
        .await?;
    if folded.next > first {
        move_on(connection, SEQUENCE, folded.next).await?;
    }
    Ok(folded.rows >= CHUNK)
}
