//! One try at one batch: lock and read in one pipelined round trip, decide in memory, write and
//! commit in another.
//!
//! The lock order is the same everywhere: keys (sorted), transfers by id, accounts by id. Only then
//! comes what is read without a lock, in statements of their own, so that it is as fresh as the
//! locks.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    time::Duration,
};

use bursar_domain::{
    AccountKey, Commit, Expected, Timestamp, Transfer,
    ledger::{self, Verdict},
};
use bursar_ports::{CommitOutcome, StoreError};
use diesel::{
    ExpressionMethods as _, QueryDsl as _, SelectableHelper as _,
    result::{DatabaseErrorKind, Error as DieselError, QueryResult},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::join;
use tokio::task::unconstrained;

use super::{
    books::{KeyColumns, Read},
    writes::Writes,
};
use crate::{
    error::is_disconnect,
    pool::PoolConfig,
    row::{AccountRow, TransferRow},
    schema::transfers,
    statement::{LockAccounts, LockTransfers, ReadAssets, ReadVersions},
    tx::{Begin, CommitTx},
};

/// How long either round trip may take. Longer than the statement timeout, so that it ends only
/// what the server does not answer any more.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// Why a try failed.
pub(super) enum Failure {
    /// Nothing was committed.
    NotCommitted(DieselError),
    /// The connection was lost when COMMIT was under way.
    OutcomeUnknown(DieselError),
    /// The batch could not even be tried, or a row contradicts itself. Nothing was committed.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A connection for one batcher, with every hot statement prepared.
///
/// Preparing beforehand is not for speed alone: a statement that still had to be prepared would be
/// overtaken by the statements pipelined behind it, COMMIT among them.
pub(super) async fn connect(pool: &PoolConfig) -> Result<AsyncPgConnection, StoreError> {
    let unavailable = |error: DieselError| StoreError::Unavailable(error.into());
    let connection = pool
        .connect()
        .await
        .map_err(|error| StoreError::Unavailable(error.into()))?;
    let nothing = Attempt {
        batch: &[],
        ids: &HashMap::new(),
        now: Timestamp::EPOCH,
        resolving: true,
    };
    nothing.prepare(&connection).await.map_err(unavailable)?;
    Ok(connection)
}

/// Every account that a batch touches or names.
pub(super) fn accounts_of(batch: &[Commit]) -> BTreeSet<AccountKey> {
    batch
        .iter()
        .flat_map(|commit| commit.change.accounts())
        .collect()
}

/// One try at one batch.
pub(super) struct Attempt<'a> {
    pub(super) batch: &'a [Commit],
    pub(super) ids: &'a HashMap<AccountKey, i64>,
    pub(super) now: Timestamp,
    /// An earlier try may have been committed: look, and send COMMIT alone.
    pub(super) resolving: bool,
}

impl Attempt<'_> {
    pub(super) async fn run(
        &self,
        connection: &AsyncPgConnection,
    ) -> Result<Vec<CommitOutcome>, Failure> {
        let read = within(unconstrained(self.pipeline(connection, false)))
            .await
            .flatten()
            .map_err(Failure::NotCommitted)?;
        let claimed = read.claimed.clone();
        let (mut books, balances) = read.into_books(self.batch)?;
        let verdicts = ledger::settle(&mut books, self.batch, self.now);
        let writes = Writes::of(self.batch, &verdicts, &books, &balances, self.ids, &claimed);
        if writes.is_empty() {
            end_without_change(connection).await?;
        } else if self.resolving {
            let written = within(unconstrained(write(connection, &writes, false))).await;
            flatten(written).map_err(|(error, _)| Failure::NotCommitted(error))?;
            within(async { CommitTx.execute(&mut &*connection).await })
                .await
                .flatten()
                .map_err(Failure::OutcomeUnknown)?;
        } else {
            let written = within(unconstrained(write(connection, &writes, true))).await;
            flatten(written).map_err(|(error, during_commit)| {
                if during_commit {
                    Failure::OutcomeUnknown(error)
                } else {
                    Failure::NotCommitted(error)
                }
            })?;
        }
        self.outcomes(connection, verdicts).await
    }

    /// Sends every hot statement once, over empty arrays, one after the other.
    async fn prepare(&self, connection: &AsyncPgConnection) -> QueryResult<()> {
        Begin.execute(&mut &*connection).await?;
        self.pipeline(connection, true).await?;
        let (results, _) = write(connection, &Writes::default(), false).await;
        results?;
        CommitTx.execute(&mut &*connection).await?;
        Begin.execute(&mut &*connection).await?;
        crate::tx::Rollback.execute(&mut &*connection).await?;
        Ok(())
    }

    /// First round trip; all of its statements when `all` is set, else those with something in
    /// them.
    async fn pipeline(&self, connection: &AsyncPgConnection, all: bool) -> QueryResult<Read> {
        let keys = KeyColumns::of(self.batch.iter().filter_map(|commit| {
            commit
                .idempotency
                .as_ref()
                .map(|claim| (claim, commit.change.next.id()))
        }));
        let (created, changed): (Vec<_>, Vec<_>) = self
            .batch
            .iter()
            .map(|commit| &commit.change)
            .partition(|change| change.expected == Expected::Absent);
        let ids = |changes: Vec<&bursar_domain::Change>| {
            changes
                .iter()
                .map(|change| change.next.id().get())
                .collect::<Vec<i64>>()
        };
        let (created, changed) = (ids(created), ids(changed));
        let account_ids: Vec<i64> = self.ids.values().copied().collect();
        let mut asset_ids: Vec<&str> = self
            .batch
            .iter()
            .map(|commit| commit.change.next.parts().asset.as_str())
            .collect();
        asset_ids.sort_unstable();
        asset_ids.dedup();
        let has_keys = all || !keys.is_empty();
        let (begun, claimed, locked, accounts, stored, assets, landed) = join!(
            async {
                if all {
                    Ok(0)
                } else {
                    Begin.execute(&mut &*connection).await
                }
            },
            when(has_keys, async {
                keys.claim().load(&mut &*connection).await
            }),
            when(all || !changed.is_empty(), async {
                LockTransfers { ids: &changed }
                    .load(&mut &*connection)
                    .await
            }),
            async {
                LockAccounts { ids: &account_ids }
                    .load::<AccountRow>(&mut &*connection)
                    .await
            },
            when(has_keys, async {
                keys.read().load(&mut &*connection).await
            }),
            async { ReadAssets { ids: &asset_ids }.load(&mut &*connection).await },
            when(self.resolving, async {
                ReadVersions { ids: &created }.load(&mut &*connection).await
            }),
        );
        begun?;
        Ok(Read {
            claimed: claimed?,
            versions: locked?.into_iter().chain(landed?).collect(),
            accounts: accounts?,
            stored: stored?,
            assets: assets?,
        })
    }

    /// What each verdict means to the caller. Transfers of an earlier try are read after the fact.
    async fn outcomes(
        &self,
        connection: &AsyncPgConnection,
        verdicts: Vec<Verdict>,
    ) -> Result<Vec<CommitOutcome>, Failure> {
        let mut outcomes = Vec::with_capacity(verdicts.len());
        for (commit, verdict) in self.batch.iter().zip(verdicts) {
            outcomes.push(match verdict {
                Verdict::Applied(applied) => CommitOutcome::Committed(Box::new(applied.next)),
                Verdict::Landed => {
                    let id = commit.change.next.id().get();
                    CommitOutcome::Committed(Box::new(find(connection, id).await?))
                }
                Verdict::Replayed { original } => CommitOutcome::Replayed { original },
                Verdict::RefusalReplayed { reason } => CommitOutcome::RefusalReplayed { reason },
                Verdict::KeyReused { original, fields } => {
                    CommitOutcome::KeyReused { original, fields }
                }
                Verdict::Stale { current } => CommitOutcome::Stale { current },
                Verdict::Refused { reason } => CommitOutcome::Refused { reason },
            });
        }
        Ok(outcomes)
    }
}

async fn find(connection: &AsyncPgConnection, id: i64) -> Result<Transfer, Failure> {
    let row: TransferRow = transfers::table
        .filter(transfers::id.eq(id))
        .select(TransferRow::as_select())
        .first(&mut &*connection)
        .await
        .map_err(Failure::OutcomeUnknown)?;
    Ok(row.try_into()?)
}

/// Nothing to write: what was claimed is given back with the transaction.
async fn end_without_change(connection: &AsyncPgConnection) -> Result<(), Failure> {
    let ended = within(async { crate::tx::Rollback.execute(&mut &*connection).await }).await;
    ended.flatten().map(|_| ()).map_err(Failure::NotCommitted)
}

/// Second round trip: the writes and, when `commit` is set, COMMIT behind them. The second result
/// is COMMIT's; the server answers ROLLBACK to it, without an error, when a write failed.
async fn write(
    connection: &AsyncPgConnection,
    writes: &Writes<'_>,
    commit: bool,
) -> (QueryResult<()>, QueryResult<()>) {
    let all = !commit && writes.is_empty();
    let (transfers, updates) = (&writes.inserted, &writes.updated);
    let (accounts, inserted, updated, entries, rewritten, deleted, callbacks, committed) = join!(
        when(all || !writes.accounts.ids.is_empty(), async {
            writes
                .accounts
                .statement()
                .load::<(i64,)>(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !transfers.is_empty(), async {
            transfers
                .insert()
                .load::<(i64,)>(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !updates.is_empty(), async {
            updates
                .update()
                .load::<(i64,)>(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !writes.entries.accounts.is_empty(), async {
            writes
                .entries
                .statement()
                .execute(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !writes.rewritten.is_empty(), async {
            writes
                .rewritten
                .rewrite()
                .load::<(i64,)>(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !writes.deleted.is_empty(), async {
            writes
                .deleted
                .delete()
                .execute(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !writes.callbacks.ids.is_empty(), async {
            writes
                .callbacks
                .statement()
                .execute(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(commit, async {
            CommitTx.execute(&mut &*connection).await.map(|_| ())
        }),
    );
    let written = first_error([
        accounts, inserted, updated, entries, rewritten, deleted, callbacks,
    ]);
    (written, committed)
}

/// The error that says most: what the server reported, before what was merely cut off.
fn first_error(results: [QueryResult<()>; 7]) -> QueryResult<()> {
    let mut errors: Vec<DieselError> = results.into_iter().filter_map(Result::err).collect();
    let reported = errors
        .iter()
        .position(|error| !is_disconnect(error))
        .unwrap_or(0);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.swap_remove(reported))
    }
}

/// Whether the batch is committed; if not, the error and whether it leaves that open.
///
/// An error that the server reported for a write proves that nothing was committed. A connection
/// that was cut off during the writes does not, for COMMIT was sent along.
fn flatten(
    written: QueryResult<(QueryResult<()>, QueryResult<()>)>,
) -> Result<(), (DieselError, bool)> {
    match written {
        Err(timed_out) => Err((timed_out, true)),
        Ok((Err(error), _)) if !is_disconnect(&error) => Err((error, false)),
        Ok((Err(error), _) | (Ok(()), Err(error))) => Err((error, true)),
        Ok((Ok(()), Ok(()))) => Ok(()),
    }
}

/// A statement that is only sent when there is something in it.
async fn when<T: Default>(
    wanted: bool,
    query: impl Future<Output = QueryResult<T>>,
) -> QueryResult<T> {
    if wanted {
        query.await
    } else {
        Ok(T::default())
    }
}

/// Ends what the server does not answer any more. The connection must then be dropped.
async fn within<T>(round_trip: impl Future<Output = T>) -> QueryResult<T> {
    tokio::time::timeout(ROUND_TRIP_MAX, round_trip)
        .await
        .map_err(|elapsed| {
            DieselError::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand,
                Box::new(elapsed.to_string()),
            )
        })
}
