//! One try at one batch: lock and read in one pipelined round trip, decide in memory, write and
//! commit in another.
//!
//! The lock order is the same everywhere: keys (sorted), transfers by id, accounts by id. Only then
//! comes what is read without a lock, in statements of their own, so that it is as fresh as the
//! locks.

use std::collections::{BTreeSet, HashMap};

use bursar_domain::{AccountKey, Commit, Timestamp, Transfer, TransferId};
use bursar_ports::StoreError;
use diesel::{
    ExpressionMethods as _, QueryDsl as _, SelectableHelper as _,
    result::{Error as DieselError, QueryResult},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::task::unconstrained;

use super::{
    batch::Batch,
    round_trips::{Send, flatten, lock_and_read, within, write},
    sealer::Sealer,
    writes::{Before, Writes},
};
use crate::{
    error::{inconsistent, unavailable},
    pool::PoolConfig,
    row::TransferRow,
    schema::transfers,
    seal::SealKeys,
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
            batch: <&[Commit]>::default(),
            ids: &HashMap::new(),
            looked_for: &BTreeSet::new(),
            now: Timestamp::EPOCH,
            seals: &SealKeys::default(),
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
    pub(super) fn by<B: Batch + ?Sized>(batch: &B) -> Self {
        let (mut needed, mut receiving) = (BTreeSet::new(), BTreeSet::new());
        for change in batch.changes() {
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
pub(super) enum Tried<T> {
    /// It is committed.
    Done(T),
    /// Nothing was written, because these recipients' accounts are missing and nothing else.
    Missing(BTreeSet<AccountKey>),
}

/// One try at one batch.
pub(super) struct Attempt<'a, B: ?Sized> {
    pub(super) batch: &'a B,
    pub(super) ids: &'a HashMap<AccountKey, i64>,
    pub(super) now: Timestamp,
    /// What seals rows.
    pub(super) seals: &'a SealKeys,
    /// The recipients' accounts that were looked for: whichever of them is not there cannot be.
    pub(super) looked_for: &'a BTreeSet<AccountKey>,
    /// An earlier try may have been committed: look, and send COMMIT alone.
    pub(super) resolving: bool,
}

impl<B: Batch + ?Sized> Attempt<'_, B> {
    pub(super) async fn run(
        &self,
        connection: &AsyncPgConnection,
    ) -> Result<Tried<B::Outcomes>, Failure> {
        let read = within(unconstrained(lock_and_read(connection, self, false)))
            .await
            .flatten()
            .map_err(Failure::NotCommitted)?;
        let claimed = read.claimed.clone();
        let mut sealer = Sealer::new(self.seals, &read)?;
        let (mut books, balances) = read.into_books(self.batch)?;
        let verdicts = self.batch.settle(&mut books, self.now);
        let missing = self.missing(&verdicts);
        if !missing.is_empty() {
            end_without_change(connection).await?;
            return Ok(Tried::Missing(missing));
        }
        let landed = landed(connection, &self.batch.landed(&verdicts)).await?;
        let before = Before {
            balances: &balances,
            claimed: &claimed,
        };
        let writes = Writes::of(
            self.batch,
            &verdicts,
            &books,
            &before,
            self.ids,
            &mut sealer,
        );
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
        Ok(Tried::Done(B::outcomes(verdicts, landed)))
    }

    /// The recipients' accounts that stand in the way only because they are missing.
    fn missing(&self, verdicts: &B::Verdicts) -> BTreeSet<AccountKey> {
        let can_be_made = |account: &AccountKey| {
            !self.ids.contains_key(account) && !self.looked_for.contains(account)
        };
        self.batch.missing(verdicts, &can_be_made)
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
}

/// The transfers of an earlier try of this batch, which must be the very same, in order.
async fn landed(
    connection: &AsyncPgConnection,
    wanted: &[&Transfer],
) -> Result<Vec<Transfer>, Failure> {
    if wanted.is_empty() {
        return Ok(vec![]);
    }
    let ids: Vec<i64> = wanted.iter().map(|transfer| transfer.id().get()).collect();
    let rows: Vec<TransferRow> = within(
        transfers::table
            .filter(transfers::id.eq_any(ids))
            .select(TransferRow::as_select())
            .load(&mut &*connection),
    )
    .await
    .flatten()
    .map_err(Failure::NotCommitted)?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let transfer = Transfer::try_from(row)?;
        found.insert(transfer.id(), transfer);
    }
    let fault = |id: TransferId, what: &str| inconsistent("transfers", format!("id {id} {what}"));
    let mut landed = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let id = wanted.id();
        let transfer = found.get(&id).ok_or_else(|| fault(id, "is gone"))?;
        if !transfer.is_same_request(wanted) {
            return Err(fault(id, "was given to two transfers").into());
        }
        landed.push(transfer.clone());
    }
    Ok(landed)
}

/// Nothing to write: what was claimed is given back with the transaction.
async fn end_without_change(connection: &AsyncPgConnection) -> Result<(), Failure> {
    let ended = within(async { Rollback.execute(&mut &*connection).await }).await;
    ended.flatten().map(|_| ()).map_err(Failure::NotCommitted)
}
