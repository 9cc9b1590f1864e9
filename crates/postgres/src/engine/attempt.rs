//! One try at one batch: lock and read in one pipelined round trip, decide in memory, write and
//! commit in another.
//!
//! The lock order is the same everywhere: keys (sorted), transfers by id, accounts by id. Only then
//! comes what is read without a lock, in statements of their own, so that it is as fresh as the
//! locks.

use std::collections::{BTreeSet, HashMap};

use bursar_domain::{
    AccountKey, Commit, Reason, Timestamp, Transfer,
    ledger::{self, Verdict},
};
use bursar_ports::{CommitOutcome, StoreError};
use diesel::{
    ExpressionMethods as _, QueryDsl as _, SelectableHelper as _,
    result::{Error as DieselError, QueryResult},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::task::unconstrained;

use super::{
    round_trips::{Send, flatten, lock_and_read, within, write},
    writes::Writes,
};
use crate::{
    error::{inconsistent, unavailable},
    pool::PoolConfig,
    row::TransferRow,
    schema::transfers,
    tx::{Begin, CommitTx, Rollback},
};

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
    let ready = within(async {
        let connection = pool
            .connect()
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let nothing = Attempt {
            batch: &[],
            ids: &HashMap::new(),
            looked_for: &BTreeSet::new(),
            now: Timestamp::EPOCH,
            resolving: true,
        };
        nothing.prepare(&connection).await.map_err(unavailable)?;
        Ok(connection)
    });
    ready.await.map_err(unavailable)?
}

/// The accounts that a batch touches or names.
pub(super) struct Wanted {
    /// Those that it cannot be tried without.
    pub(super) needed: BTreeSet<AccountKey>,
    /// Those that only receive. One that is missing is made when nothing else stands in the way of
    /// its payment: were it made beforehand, the time of a payment that its sender cannot afford
    /// would tell whether there is such a recipient.
    pub(super) receiving: BTreeSet<AccountKey>,
}

impl Wanted {
    pub(super) fn by(batch: &[Commit]) -> Self {
        let (mut needed, mut receiving) = (BTreeSet::new(), BTreeSet::new());
        for change in batch.iter().map(|commit| &commit.change) {
            let recipient = change.recipient_account();
            receiving.extend(recipient);
            let accounts = change.accounts().into_iter();
            needed.extend(accounts.filter(|account| Some(*account) != recipient));
        }
        receiving.retain(|account| !needed.contains(account));
        Self { needed, receiving }
    }
}

/// What a try came to.
pub(super) enum Tried {
    /// It is committed.
    Done(Vec<CommitOutcome>),
    /// Nothing was written, because these recipients' accounts are missing and nothing else.
    Missing(BTreeSet<AccountKey>),
}

/// One try at one batch.
pub(super) struct Attempt<'a> {
    pub(super) batch: &'a [Commit],
    pub(super) ids: &'a HashMap<AccountKey, i64>,
    pub(super) now: Timestamp,
    /// The recipients' accounts that were looked for: whichever of them is not there cannot be.
    pub(super) looked_for: &'a BTreeSet<AccountKey>,
    /// An earlier try may have been committed: look, and send COMMIT alone.
    pub(super) resolving: bool,
}

impl Attempt<'_> {
    pub(super) async fn run(&self, connection: &AsyncPgConnection) -> Result<Tried, Failure> {
        let read = within(unconstrained(lock_and_read(connection, self, false)))
            .await
            .flatten()
            .map_err(Failure::NotCommitted)?;
        let claimed = read.claimed.clone();
        let (mut books, balances) = read.into_books(self.batch)?;
        let verdicts = ledger::settle(&mut books, self.batch, self.now);
        let missing = self.missing(&verdicts);
        if !missing.is_empty() {
            end_without_change(connection).await?;
            return Ok(Tried::Missing(missing));
        }
        let landed = self.landed(connection, &verdicts).await?;
        let writes = Writes::of(self.batch, &verdicts, &books, &balances, self.ids, &claimed);
        if writes.is_empty() {
            end_without_change(connection).await?;
        } else if self.resolving {
            let written = within(unconstrained(write(
                connection,
                &writes,
                Send::WithoutCommit,
            )))
            .await;
            flatten(written).map_err(|(error, _)| Failure::NotCommitted(error))?;
            within(async { CommitTx.execute(&mut &*connection).await })
                .await
                .flatten()
                .map_err(Failure::OutcomeUnknown)?;
        } else {
            let written = within(unconstrained(write(connection, &writes, Send::WithCommit))).await;
            flatten(written).map_err(|(error, during_commit)| {
                if during_commit {
                    Failure::OutcomeUnknown(error)
                } else {
                    Failure::NotCommitted(error)
                }
            })?;
        }
        Ok(Tried::Done(outcomes(verdicts, landed)))
    }

    /// The recipients' accounts that stand in the way only because they are missing.
    fn missing(&self, verdicts: &[Verdict]) -> BTreeSet<AccountKey> {
        let unpaid = self.batch.iter().zip(verdicts).filter(|(_, verdict)| {
            let reason = match verdict {
                Verdict::Applied(applied) => applied.next.reason(),
                Verdict::Refused { reason } => Some(*reason),
                Verdict::Landed
                | Verdict::Replayed { .. }
                | Verdict::RefusalReplayed { .. }
                | Verdict::KeyReused { .. }
                | Verdict::Stale { .. } => None,
            };
            reason == Some(Reason::RecipientUnavailable)
        });
        unpaid
            .filter_map(|(commit, _)| commit.change.recipient_account())
            .filter(|account| !self.ids.contains_key(account) && !self.looked_for.contains(account))
            .collect()
    }

    /// Sends every hot statement once, over empty arrays, one after the other.
    async fn prepare(&self, connection: &AsyncPgConnection) -> QueryResult<()> {
        Begin.execute(&mut &*connection).await?;
        lock_and_read(connection, self, true).await?;
        let (results, _) = write(connection, &Writes::default(), Send::Everything).await;
        results?;
        CommitTx.execute(&mut &*connection).await?;
        Begin.execute(&mut &*connection).await?;
        Rollback.execute(&mut &*connection).await?;
        Ok(())
    }

    /// The transfers of an earlier try of this batch, which must be the very same.
    async fn landed(
        &self,
        connection: &AsyncPgConnection,
        verdicts: &[Verdict],
    ) -> Result<Vec<Transfer>, Failure> {
        let mut landed = Vec::new();
        for (commit, verdict) in self.batch.iter().zip(verdicts) {
            if *verdict != Verdict::Landed {
                continue;
            }
            let wanted = &commit.change.next;
            let found = within(find(connection, wanted.id().get()))
                .await
                .map_err(Failure::NotCommitted)??;
            if !found.is_same_request(wanted) {
                let detail = format!("id {} was given to two transfers", wanted.id());
                return Err(inconsistent("transfers", detail).into());
            }
            landed.push(found);
        }
        Ok(landed)
    }
}

/// What each verdict means to the caller; `landed` holds the transfers of [`Verdict::Landed`], in
/// order.
fn outcomes(verdicts: Vec<Verdict>, landed: Vec<Transfer>) -> Vec<CommitOutcome> {
    let mut landed = landed.into_iter();
    verdicts
        .into_iter()
        .filter_map(|verdict| {
            Some(match verdict {
                Verdict::Applied(applied) => CommitOutcome::Committed(Box::new(applied.next)),
                Verdict::Landed => CommitOutcome::Committed(Box::new(landed.next()?)),
                Verdict::Replayed { original } => CommitOutcome::Replayed { original },
                Verdict::RefusalReplayed { reason } => CommitOutcome::RefusalReplayed { reason },
                Verdict::KeyReused { original, fields } => {
                    CommitOutcome::KeyReused { original, fields }
                }
                Verdict::Stale { current } => CommitOutcome::Stale { current },
                Verdict::Refused { reason } => CommitOutcome::Refused { reason },
            })
        })
        .collect()
}

async fn find(connection: &AsyncPgConnection, id: i64) -> Result<Transfer, Failure> {
    let row: TransferRow = transfers::table
        .filter(transfers::id.eq(id))
        .select(TransferRow::as_select())
        .first(&mut &*connection)
        .await
        .map_err(Failure::NotCommitted)?;
    Ok(row.try_into()?)
}

/// Nothing to write: what was claimed is given back with the transaction.
async fn end_without_change(connection: &AsyncPgConnection) -> Result<(), Failure> {
    let ended = within(async { Rollback.execute(&mut &*connection).await }).await;
    ended.flatten().map(|_| ()).map_err(Failure::NotCommitted)
}
