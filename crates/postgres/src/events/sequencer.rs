//! The sequencer: numbers what was committed, one chunk in one transaction.
//!
//! Nothing that a transaction knows of itself says when it will be committed, so numbers are given
//! afterwards. A snapshot that sees an effect sees its causes too: whatever is not seen yet depends
//! on nothing that has a number. Among what is seen, [`in_causal_order`] decides. The row of
//! `sequencers` is the lease: whoever has locked it numbers, others pass by, and when the holder
//! dies the server frees the lock and nothing has happened.

use std::collections::HashMap;

use async_trait::async_trait;
use bursar_domain::{
    TransferId, Version,
    feed::{JournalEntry, in_causal_order},
};
use bursar_ports::{EventSequencer, Numbering, StoreError};
use diesel::{
    dsl::{self, exists},
    prelude::*,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::{PgEvents, SEQUENCE};
use crate::{
    error::{inconsistent, unavailable},
    schema::{journal, journal_queue, sequencers},
    sequencers::{lease, move_on},
    statement::NumberJournal,
    tx::run_tx,
    value::At,
};

/// How many rows of the journal one transaction numbers.
const CHUNK: i64 = 512;

/// Id, time, transfers, versions, and how many events the row holds.
type Row = (Uuid, At, Vec<i64>, Vec<i32>, i32);

/// What came of one chunk.
enum Chunk {
    /// Numbered, this many rows; the next number is this.
    Numbered { rows: usize, next: i64 },
    /// A row contradicts itself.
    Bad(Uuid),
    /// Somebody else is at it.
    Elsewhere,
}

#[async_trait]
impl EventSequencer for PgEvents {
    async fn number(&self) -> Result<Numbering, StoreError> {
        let peek = async |connection: &mut AsyncPgConnection| peek(connection).await;
        let (next, waiting) = self.database.read(peek).await?;
        let seen = Numbering {
            last: next.saturating_sub(1),
            more: false,
        };
        // Locking the row writes to the disk: not when there is nothing to do.
        if !waiting {
            return Ok(seen);
        }
        let chunk = run_tx(self.database.pool(), "number events", |connection| {
            number(connection).boxed()
        });
        match chunk.await? {
            Chunk::Elsewhere => Ok(seen),
            Chunk::Bad(id) => Err(inconsistent("journal", format!("id {id}"))),
            Chunk::Numbered { rows, next } => Ok(Numbering {
                last: next.saturating_sub(1),
                more: i64::try_from(rows).is_ok_and(|rows| rows >= CHUNK),
            }),
        }
    }
}

/// The next number, and whether anything waits for one.
async fn peek(connection: &mut AsyncPgConnection) -> Result<(i64, bool), StoreError> {
    let waiting = journal_queue::table.select(journal_queue::id);
    sequencers::table
        .filter(sequencers::name.eq(SEQUENCE))
        .select((sequencers::next_number, exists(waiting)))
        .first(connection)
        .await
        .map_err(unavailable)
}

/// What comes next among what has no number.
#[dsl::auto_type]
fn waiting() -> _ {
    let chunk: i64 = CHUNK;
    journal_queue::table
        .inner_join(journal::table.on(journal::id.eq(journal_queue::id)))
        .order((journal_queue::locked_at, journal_queue::id))
        .limit(chunk)
        .select((
            journal::id,
            journal_queue::locked_at,
            journal::transfer_ids,
            journal::versions,
            journal::count,
        ))
}

async fn number(connection: &mut AsyncPgConnection) -> QueryResult<Chunk> {
    let Some(first) = lease(connection, SEQUENCE).await? else {
        return Ok(Chunk::Elsewhere);
    };
    // In a statement of its own: it sees what was committed before the lease was given.
    let rows: Vec<Row> = waiting().load(connection).await?;
    let mut entries = Vec::with_capacity(rows.len());
    let mut counts = HashMap::with_capacity(rows.len());
    for row in rows {
        let (id, count) = (row.0, i64::from(row.4));
        let Some(entry) = entry(row) else {
            return Ok(Chunk::Bad(id));
        };
        entries.push(entry);
        counts.insert(id, count);
    }
    let mut next = first;
    let (mut ids, mut firsts, mut locked) = (vec![], vec![], vec![]);
    for entry in in_causal_order(entries) {
        ids.push(entry.id);
        firsts.push(next);
        locked.push(At(entry.locked_at));
        next = next.saturating_add(counts.get(&entry.id).copied().unwrap_or_default());
    }
    if !ids.is_empty() {
        NumberJournal {
            ids: &ids,
            firsts: &firsts,
            locked: &locked,
        }
        .load::<(i64,)>(connection)
        .await?;
        move_on(connection, SEQUENCE, next).await?;
    }
    Ok(Chunk::Numbered {
        rows: ids.len(),
        next,
    })
}

fn entry((id, locked_at, transfers, versions, _): Row) -> Option<JournalEntry> {
    let steps = transfers.into_iter().zip(versions).map(|(id, version)| {
        let transfer = TransferId::try_new(id).ok()?;
        Some((transfer, Version::new(version)))
    });
    Some(JournalEntry {
        id,
        locked_at: locked_at.0,
        steps: steps.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use diesel_async::{AsyncConnection, SimpleAsyncConnection};

    use super::*;
    use crate::{explain::read_by, testing::TestDatabase};

    /// A long feed of which the last rows have no number yet.
    const FEED: &str = "SET search_path = book_main; \
        INSERT INTO journal (id, topic, locked_at, transfer_ids, versions, states, ats, count, \
        first_number) \
        SELECT gen_random_uuid(), 'transfers', now() + n * interval '1 second', ARRAY[n], '{1}', \
        '{Completed}', ARRAY[now()], 1, CASE WHEN n <= 19990 THEN n END \
        FROM generate_series(1, 20000) AS n; \
        INSERT INTO journal_queue SELECT locked_at, id FROM journal WHERE first_number IS NULL; \
        ANALYZE journal, journal_queue";

    #[tokio::test]
    async fn what_waits_for_a_number_is_found_without_reading_the_feed() {
        let database = TestDatabase::create().await;
        let mut connection = AsyncPgConnection::establish(database.url()).await.unwrap();
        connection.batch_execute(FEED).await.unwrap();
        let read = read_by(&mut connection, waiting()).await;
        assert!(read.contains(&"journal_id_pk".to_owned()), "{read:?}");
        assert!(!read.contains(&"journal".to_owned()), "{read:?}");
    }

    #[tokio::test]
    async fn a_page_is_found_by_its_numbers() {
        let database = TestDatabase::create().await;
        let mut connection = AsyncPgConnection::establish(database.url()).await.unwrap();
        connection.batch_execute(FEED).await.unwrap();
        let read = read_by(&mut connection, super::super::begins(9_000).limit(1)).await;
        assert_eq!(read, ["journal_first_number_uq"]);
        let read = read_by(&mut connection, super::super::between(9_000, 9_100)).await;
        assert_eq!(read, ["journal_first_number_uq"]);
    }
}
