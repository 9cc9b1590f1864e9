//! Numbers after a restore: none is given again that was given in the time that the database has
//! forgotten.
//!
//! A database that was put back to an earlier time, or a standby that lacks what came last, counts on
//! from where it stood then. What it gave out since is known elsewhere: payout gateways take an equal
//! id for the same payout, and consumers of events go on after the last number that they had. How much
//! that was nobody can tell from the database. So every count goes on from the microseconds since 1970
//! by the server's clock. Counting never gets there, for that takes a million a second all the time;
//! and whoever restores again begins beyond the restore before, though it be from the same backup.

use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::StoreError;
use diesel::{
    QueryResult, QueryableByName, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Map, Value};

use crate::{
    audit_log::note_in_directory,
    pool::{Database, PoolConfig},
    tx::run_tx,
};

/// What is counted in a row of a table.
struct Count {
    what: &'static str,
    table: &'static str,
    column: &'static str,
    name: &'static str,
    /// Where it begins.
    base: i64,
}

impl Count {
    const fn of_ids(what: &'static str, table: &'static str, base: i64) -> Self {
        Self {
            what,
            table,
            column: "next",
            name: what,
            base,
        }
    }
}

/// Everything that is counted and known outside the database. Ids of accounts are in exported heads;
/// the epoch is in the memory of a writer that may have outlived its database.
const COUNTS: [Count; 5] = [
    Count::of_ids("transfers", "directory.id_ranges", 0),
    Count::of_ids("user_accounts", "book_main.id_ranges", 0),
    Count::of_ids("system_accounts", "book_main.id_ranges", 1 << 62),
    Count {
        what: "events",
        table: "book_main.sequencers",
        column: "next_number",
        name: "events",
        base: 0,
    },
    Count {
        what: "writer_epoch",
        table: "book_main.writers",
        column: "epoch",
        name: "main",
        base: 0,
    },
];

/// Who is connected as replicas and commands are. Everybody may see the name and the database of every
/// session.
const OTHERS: &str = "SELECT count(*) AS number FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'bursar' \
    AND pid <> pg_backend_pid()";
const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS number";

/// A count that was moved on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedOn {
    /// What it counts.
    pub what: &'static str,
    /// The number that would have come next.
    pub from: i64,
    /// The number that comes next now.
    pub to: i64,
}

/// Why numbers were not moved on. Nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum AfterRestoreError {
    /// The database did not do it.
    #[error("the numbers cannot be moved on")]
    Store(#[from] StoreError),
    /// Replicas have numbers in memory that they would still give.
    #[error("{0} sessions of Bursar are connected to the database: stop every replica and command")]
    Connected(i64),
    /// Whatever the clock says, it is not later than a restore before this one.
    #[error("the server's clock is behind: {what} are at {from} already; set it right")]
    ClockBehind {
        /// What is counted.
        what: &'static str,
        /// The number that comes next.
        from: i64,
    },
}

/// Moves every count of the database at `url` on beyond whatever was given out before it was restored,
/// in one transaction, with a row of the audit log. Repeating it moves them on further.
///
/// # Errors
/// [`AfterRestoreError`]; nothing is changed then, unless the connection was lost while committing.
pub async fn after_restore(
    url: &str,
    audit: AuditDraft,
) -> Result<Vec<MovedOn>, AfterRestoreError> {
    let database = Database::connect(PoolConfig::new(url)).await?;
    let moved = run_tx(database.pool(), "move numbers on", move |connection| {
        let audit = audit.clone();
        async move { move_on(connection, &audit).await }.boxed()
    });
    moved.await?
}

async fn move_on(
    connection: &mut AsyncPgConnection,
    audit: &AuditDraft,
) -> QueryResult<Result<Vec<MovedOn>, AfterRestoreError>> {
    let others = number(connection, OTHERS).await?;
    if others > 0 {
        return Ok(Err(AfterRestoreError::Connected(others)));
    }
    let mut stood = Vec::with_capacity(COUNTS.len());
    for count in &COUNTS {
        stood.push(lock(connection, count).await?);
    }
    let clock = number(connection, CLOCK).await?;
    let mut moved = Vec::with_capacity(COUNTS.len());
    for (count, from) in COUNTS.iter().zip(stood) {
        let (what, to) = (count.what, count.base.saturating_add(clock));
        if to <= from {
            return Ok(Err(AfterRestoreError::ClockBehind { what, from }));
        }
        moved.push(MovedOn { what, from, to });
    }
    for (count, moved) in COUNTS.iter().zip(&moved) {
        set(connection, count, moved.to).await?;
    }
    let at = Timestamp::from_micros(clock);
    let (before, after) = (told(&moved, |one| one.from), told(&moved, |one| one.to));
    note_in_directory(connection, audit, at, Some(&before), Some(&after)).await?;
    Ok(Ok(moved))
}

fn told(moved: &[MovedOn], number: impl Fn(&MovedOn) -> i64) -> Value {
    let members = moved
        .iter()
        .map(|one| (one.what.to_owned(), number(one).into()));
    Value::Object(members.collect::<Map<_, _>>())
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

async fn number(connection: &mut AsyncPgConnection, query: &str) -> QueryResult<i64> {
    let row: Number = sql_query(query).get_result(connection).await?;
    Ok(row.number)
}

/// Says where a count stands, and keeps everybody from it.
async fn lock(connection: &mut AsyncPgConnection, count: &Count) -> QueryResult<i64> {
    let Count { table, column, .. } = count;
    let row: Number = sql_query(format!(
        "SELECT {column} AS number FROM {table} WHERE name = $1 FOR UPDATE"
    ))
    .bind::<Text, _>(count.name)
    .get_result(connection)
    .await?;
    Ok(row.number)
}

async fn set(connection: &mut AsyncPgConnection, count: &Count, next: i64) -> QueryResult<()> {
    let Count { table, column, .. } = count;
    sql_query(format!("UPDATE {table} SET {column} = $1 WHERE name = $2"))
        .bind::<BigInt, _>(next)
        .bind::<Text, _>(count.name)
        .execute(connection)
        .await?;
    Ok(())
}
