//! The only place that opens a transaction.
//!
//! READ COMMITTED with explicit row locks in one fixed order, everywhere. Nothing but the database
//! is awaited inside a transaction. Exports alone read from a [`Snapshot`], which locks nothing and
//! waits for whoever reads them.

mod snapshot;

use std::time::Duration;

use bursar_ports::{BoxError, StoreError};
use diesel::{
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    result::{Error, QueryResult},
};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncPgConnection, TransactionManager as _,
    pooled_connection::deadpool::{Object, Pool},
};
use futures_util::future::BoxFuture;

use crate::{
    error::{is_read_only, is_serialization_failure, unavailable},
    pool::checkout,
};

pub(crate) use self::snapshot::Snapshot;

/// How often a transaction is repeated after a serialization failure.
const TRIES_MAX: u32 = 5;
/// How long a transaction may take; longer than its statements may.
const TRANSACTION_MAX: Duration = Duration::from_secs(6);
/// What begins a transaction that sees the same rows from its first statement to its last.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Runs `work` in a transaction, again after a serialization failure. `name` is the same verb
/// phrase in logs and metrics.
///
/// # Errors
/// [`StoreError::Unavailable`] when it failed before COMMIT: nothing happened.
/// [`StoreError::OutcomeUnknown`] when it failed there: whatever is said to COMMIT proves nothing.
pub(crate) async fn run_tx<T, F>(
    pool: &Pool<AsyncPgConnection>,
    name: &'static str,
    work: F,
) -> Result<T, StoreError>
where
    T: Send,
    F: for<'c> Fn(&'c mut AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send + Sync,
{
    let mut connection = checkout(pool).await?;
    let mut tries = 1;
    loop {
        let mut is_done = false;
        let work = connection.transaction(async |connection| {
            let value = work(connection).await?;
            is_done = true;
            Ok(value)
        });
        // A server that is there and says nothing ends no statement by itself. The connection goes
        // with the transaction that it is in.
        let Ok(outcome) = tokio::time::timeout(TRANSACTION_MAX, work).await else {
            metrics::counter!("bursar_tx_failures_total", "name" => name).increment(1);
            let cause = format!("{name}: no answer in time");
            return Err(failed(cause.into(), is_done));
        };
        match outcome {
            Ok(value) => return Ok(value),
            Err(error) if is_serialization_failure(&error) && tries < TRIES_MAX => {
                metrics::counter!("bursar_tx_retries_total", "name" => name).increment(1);
                tokio::time::sleep(Duration::from_millis(10) * tries).await;
                tries += 1;
            }
            Err(error) => {
                metrics::counter!("bursar_tx_failures_total", "name" => name).increment(1);
                if is_read_only(&error) {
                    // The primary is somewhere else by now.
                    drop(Object::take(connection));
                }
                return Err(failed(error.into(), is_done));
            }
        }
    }
}

/// What is known when a transaction failed, after its work was done or before.
fn failed(cause: BoxError, is_done: bool) -> StoreError {
    if is_done {
        StoreError::OutcomeUnknown(cause)
    } else {
        StoreError::Unavailable(cause)
    }
}

/// What it means that a transaction failed which only made what a request needs first, as rows of
/// accounts are: nothing of the request has happened. What is there by now is found by the next who
/// needs it.
pub(crate) fn not_prepared(error: StoreError) -> StoreError {
    match error {
        StoreError::OutcomeUnknown(cause) => StoreError::Unavailable(cause),
        StoreError::Unavailable(_)
        | StoreError::Overloaded
        | StoreError::Standby
        | StoreError::Inconsistent { .. } => error,
    }
}

/// Does all of `work` on a connection of one's own, or nothing of it. It is tried once.
///
/// # Errors
/// What `work` says: nothing has happened; or what became of BEGIN or COMMIT.
pub(crate) async fn all_or_nothing<T, E: From<Error>>(
    connection: &mut AsyncPgConnection,
    work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, E>,
) -> Result<T, E> {
    type Manager = AnsiTransactionManager;
    Manager::begin_transaction(connection).await?;
    let value = match work(connection).await {
        Ok(value) => value,
        Err(error) => {
            if let Err(rollback) = Manager::rollback_transaction(connection).await {
                // The transaction ends with the connection.
                tracing::debug!(%rollback, "not rolled back");
            }
            return Err(error);
        }
    };
    Manager::commit_transaction(connection).await?;
    Ok(value)
}

/// Reads everything that `work` reads from one snapshot.
///
/// # Errors
/// What `work` says, or [`StoreError::Unavailable`] when there is no transaction to be had.
pub(crate) async fn in_snapshot<T>(
    connection: &mut AsyncPgConnection,
    work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    type Manager = AnsiTransactionManager;
    Manager::begin_transaction_sql(connection, SNAPSHOT)
        .await
        .map_err(unavailable)?;
    let outcome = work(connection).await;
    // Nothing was written, so there is nothing to commit.
    let ended = Manager::rollback_transaction(connection).await;
    let outcome = outcome?;
    ended.map_err(unavailable)?;
    Ok(outcome)
}

/// `BEGIN`, for the batch engine, which pipelines it with its first statements.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct Begin;

/// `COMMIT`, for the batch engine, which pipelines it with its last statements.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct CommitTx;

/// `ROLLBACK`, for a batch that is given up.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct Rollback;

impl QueryFragment<Pg> for Begin {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("BEGIN ISOLATION LEVEL READ COMMITTED");
        Ok(())
    }
}

impl QueryFragment<Pg> for CommitTx {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("COMMIT");
        Ok(())
    }
}

impl QueryFragment<Pg> for Rollback {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("ROLLBACK");
        Ok(())
    }
}

impl<Conn> diesel::RunQueryDsl<Conn> for Begin {}
impl<Conn> diesel::RunQueryDsl<Conn> for CommitTx {}
impl<Conn> diesel::RunQueryDsl<Conn> for Rollback {}
