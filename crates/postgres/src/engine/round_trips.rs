//! What goes to the server and comes back, pipelined.
//!
//! The futures of one round trip are polled in the order they stand here, and each sends its
//! statement when it is first polled, because every statement is prepared and nothing else can make
//! it wait: the connection is used by one batch alone, and the caller lifts tokio's budget.

use std::{future::Future, time::Duration};

use bursar_domain::{Change, Expected};
use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::join;
use uuid::Uuid;

use super::{
    attempt::{Attempt, Ending},
    batch::Batch,
    books::{AssetRow, KeyColumns, KeyName, Read},
    rules::{RULE_SET, RootUseKeys},
    writes::Writes,
};
use crate::{
    error::is_disconnect,
    row::AccountRow,
    statement::{
        CountBatch, DeleteKeys, LockAccounts, LockTransfers, ReadAccounts, ReadRules, ReadVersions,
        RowTypes,
    },
    tx::{Begin, CommitTx},
};

/// How long either round trip may take. Longer than the statement timeout, so that it ends only
/// what the server does not answer any more.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// A row of [`ReadRules`].
type RuleRow = (
    i64,
    bool,
    i64,
    Option<String>,
    Option<String>,
    Option<i16>,
    Option<bool>,
    Option<bool>,
    Option<bool>,
);

/// How the second round trip ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    /// The epoch and the number of a batch of the single writer.
    pub(super) number: Option<(i64, i64)>,
    /// Whether COMMIT is sent right behind what is written.
    pub(super) commit: bool,
    /// Sends every statement, to prepare it, and not only those that have something to write.
    pub(super) all: bool,
}

/// What the second round trip came to.
pub(super) struct Written {
    pub(super) rows: QueryResult<()>,
    /// Whether a batch of the single writer was the next one.
    pub(super) counted: QueryResult<()>,
    /// The server answers ROLLBACK to COMMIT, without an error, when a write failed.
    pub(super) committed: QueryResult<()>,
}

/// Why a batch is not committed, or not known to be.
pub(super) enum Trouble {
    /// The server refused a write: nothing was committed.
    Refused(DieselError),
    /// The batch was not the next one of the book's holder: nothing was committed.
    NotCounted(DieselError),
    /// The connection was lost.
    Lost(DieselError),
}

/// First round trip; all of its statements when `all` is set, else those with something in
/// them.
pub(super) async fn lock_and_read<B: Batch + ?Sized>(
    connection: &AsyncPgConnection,
    attempt: &Attempt<'_, B>,
    all: bool,
) -> QueryResult<Read> {
    let keys = KeyColumns::of(attempt.batch.claims());
    let (created, changed) = transfer_ids(attempt.batch);
    let asset_ids = asset_ids(attempt.batch);
    let has_keys = all || !keys.is_empty();
    let (begun, claimed, locked, accounts, root_uses, rules, landed) = join!(
        async {
            if all {
                Ok(0)
            } else {
                Begin.execute(&mut &*connection).await
            }
        },
        when(has_keys, async {
            keys.claim(attempt.types).load(&mut &*connection).await
        }),
        when(all || !changed.is_empty(), async {
            LockTransfers { ids: &changed }
                .load::<(i64, i32, Vec<i64>)>(&mut &*connection)
                .await
        }),
        lock_accounts(connection, attempt, all),
        lock_root_uses(connection, attempt, all),
        async {
            let read = ReadRules {
                assets: &asset_ids,
                names: &[RULE_SET],
            };
            read.load::<RuleRow>(&mut &*connection).await
        },
        when(attempt.ending == Ending::Resolve, async {
            ReadVersions { ids: &created }.load(&mut &*connection).await
        }),
    );
    if let Err(error) = begun {
        // Without a transaction the claims were committed by themselves: they bind nothing.
        give_back(connection, claimed.unwrap_or_default()).await;
        return Err(error);
    }
    // In the order they were sent, so that the first error is told and not what followed from it.
    let (claimed, locked) = (claimed?, locked?);
    let (accounts, root_uses) = (accounts?, root_uses?);
    let rules = rules?;
    let mut versions: Vec<(i64, i32)> = landed?;
    // Nearly always every key is free. What the others are bound to is read when all locks are held.
    let stored = if all || claimed.len() < keys.len() {
        keys.read().load(&mut &*connection).await?
    } else {
        vec![]
    };
    let rule_set = rules.as_slice().first();
    let (revision, is_held, epoch) = rule_set.map_or((0, false, 0), |row| (row.0, row.1, row.2));
    let mut entry_refs = Vec::with_capacity(locked.len());
    for (id, version, refs) in locked {
        versions.push((id, version));
        entry_refs.push((id, refs));
    }
    Ok(Read {
        claimed,
        versions,
        entry_refs,
        accounts,
        stored,
        revision,
        is_held,
        epoch,
        assets: rules.into_iter().filter_map(asset_row).collect(),
        root_uses,
    })
}

/// Locks accounts, or reads those that the single writer does not remember.
async fn lock_accounts<B: Batch + ?Sized>(
    connection: &AsyncPgConnection,
    attempt: &Attempt<'_, B>,
    all: bool,
) -> QueryResult<Vec<AccountRow>> {
    let ids: Vec<i64> = attempt.ids.values().copied().collect();
    let unknown = attempt.order.map(|(_, ticket)| ticket.accounts.as_slice());
    let (locked, read) = join!(
        when(all || unknown.is_none(), async {
            LockAccounts { ids: &ids }.load(&mut &*connection).await
        }),
        when(all || unknown.is_some_and(|ids| !ids.is_empty()), async {
            let ids = unknown.unwrap_or_default();
            ReadAccounts { ids }.load(&mut &*connection).await
        }),
    );
    Ok([locked?, read?].concat())
}

/// A row of `root_uses`.
type RootUseRow = (Uuid, String, Option<Vec<u8>>);

/// Locks what was used of limits, or reads what the single writer does not remember.
async fn lock_root_uses<B: Batch + ?Sized>(
    connection: &AsyncPgConnection,
    attempt: &Attempt<'_, B>,
    all: bool,
) -> QueryResult<Vec<RootUseRow>> {
    let keys = RootUseKeys::of(attempt.usage);
    let nothing = RootUseKeys::default();
    let unknown = attempt.order.map(|(_, ticket)| &ticket.root_uses);
    let (locked, read) = join!(
        when(all || (unknown.is_none() && !keys.is_empty()), async {
            keys.lock().load(&mut &*connection).await
        }),
        when(all || unknown.is_some_and(|keys| !keys.is_empty()), async {
            let keys = unknown.unwrap_or(&nothing);
            keys.read().load(&mut &*connection).await
        }),
    );
    Ok([locked?, read?].concat())
}

/// The asset of a row of [`ReadRules`], if it has one.
fn asset_row(row: RuleRow) -> Option<AssetRow> {
    let (_, _, _, id, name, scale, can_deposit, can_withdraw, can_transfer) = row;
    Some((
        id?,
        name?,
        scale?,
        can_deposit?,
        can_withdraw?,
        can_transfer?,
    ))
}

/// The ids of transfers to be created, and of those to be changed.
fn transfer_ids<B: Batch + ?Sized>(batch: &B) -> (Vec<i64>, Vec<i64>) {
    let (created, changed): (Vec<_>, Vec<_>) = batch
        .changes()
        .partition(|change| change.expected == Expected::Absent);
    let id = |change: &Change| change.next.id().get();
    let linked = batch.changes().filter_map(|change| change.linked.as_ref());
    let linked = linked.map(|linked| linked.next.id().get());
    (
        created.into_iter().map(id).collect(),
        changed.into_iter().map(id).chain(linked).collect(),
    )
}

fn asset_ids<B: Batch + ?Sized>(batch: &B) -> Vec<&str> {
    let mut ids: Vec<&str> = batch
        .changes()
        .map(|change| change.next.parts().asset.as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Frees keys that were claimed outside any transaction.
async fn give_back(connection: &AsyncPgConnection, claimed: Vec<KeyName>) {
    if claimed.is_empty() {
        return;
    }
    let column = |pick: fn(&KeyName) -> &str| claimed.iter().map(pick).collect::<Vec<&str>>();
    let freed = DeleteKeys {
        principals: &column(|name| &name.0),
        operations: &column(|name| &name.1),
        keys: &column(|name| &name.2),
    }
    .execute(&mut &*connection)
    .await;
    if let Err(error) = freed {
        tracing::error!(%error, keys = claimed.len(), "idempotency keys stay bound to nothing");
    }
}

/// Second round trip: everything that is written.
pub(super) async fn write(
    connection: &AsyncPgConnection,
    types: &RowTypes,
    writes: &Writes<'_>,
    last: Last,
) -> Written {
    let (ahead, written) = join!(
        write_ahead(connection, types, writes, last.all),
        write_last(connection, types, writes, last),
    );
    Written {
        rows: first_error([ahead, written.rows]),
        ..written
    }
}

/// What nobody but the batch writes: it needs no turn.
pub(super) async fn write_ahead(
    connection: &AsyncPgConnection,
    types: &RowTypes,
    writes: &Writes<'_>,
    all: bool,
) -> QueryResult<()> {
    let (transfers, updates) = (&writes.inserted, &writes.updated);
    let (inserted, updated, entries, rewritten, deleted, callbacks, audit, payouts) = join!(
        when(all || !transfers.is_empty(), async {
            let insert = transfers.insert(types);
            done(insert.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !updates.is_empty(), async {
            let update = updates.update(types);
            done(update.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !writes.entries.accounts.is_empty(), async {
            let insert = writes.entries.statement(types);
            done(insert.execute(&mut &*connection).await)
        }),
        when(all || !writes.rewritten.is_empty(), async {
            let rewrite = writes.rewritten.rewrite();
            done(rewrite.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !writes.deleted.is_empty(), async {
            done(writes.deleted.delete().execute(&mut &*connection).await)
        }),
        when(all || !writes.callbacks.ids.is_empty(), async {
            let insert = writes.callbacks.statement();
            done(insert.execute(&mut &*connection).await)
        }),
        when(all || !writes.audit.is_empty(), async {
            let insert = writes.audit.insert_into_book(types);
            done(insert.execute(&mut &*connection).await)
        }),
        when(all || !writes.payouts.ids.is_empty(), async {
            let insert = writes.payouts.statement();
            done(insert.execute(&mut &*connection).await)
        }),
    );
    first_error([
        inserted, updated, entries, rewritten, deleted, callbacks, audit, payouts,
    ])
}

/// Balances, which a batch of the single writer writes in its turn only, what was used of limits, and
/// the journal, which tells of batches in their order.
pub(super) async fn write_last(
    connection: &AsyncPgConnection,
    types: &RowTypes,
    writes: &Writes<'_>,
    last: Last,
) -> Written {
    let all = last.all;
    let (epochs, batches): (Vec<i64>, Vec<i64>) = last.number.into_iter().unzip();
    let (accounts, used, told, counted, committed) = join!(
        when(all || !writes.accounts.ids.is_empty(), async {
            let update = writes.accounts.statement(types);
            done(update.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !writes.uses.is_empty(), async {
            let update = writes.uses.statement();
            done(update.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !writes.journal.is_empty(), async {
            let insert = writes.journal.statement();
            done(insert.execute(&mut &*connection).await)
        }),
        when(all || !epochs.is_empty(), async {
            let count = CountBatch {
                epochs: &epochs,
                batches: &batches,
            };
            done(count.load::<(i64,)>(&mut &*connection).await)
        }),
        when(last.commit, async {
            done(CommitTx.execute(&mut &*connection).await)
        }),
    );
    Written {
        rows: first_error([accounts, used, told]),
        counted,
        committed,
    }
}

/// That a statement was executed is all that is asked of it.
fn done<T>(executed: QueryResult<T>) -> QueryResult<()> {
    executed.map(drop)
}

/// The error that says most: what the server reported, before what was merely cut off.
fn first_error<const N: usize>(results: [QueryResult<()>; N]) -> QueryResult<()> {
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

/// Whether the batch is written, and committed if COMMIT was sent along.
///
/// An error that the server reported for a write proves that nothing was committed. A connection
/// that was cut off during the writes does not, if COMMIT was sent along.
pub(super) fn flatten(written: QueryResult<Written>) -> Result<(), Trouble> {
    let Written {
        rows,
        counted,
        committed,
    } = written.map_err(Trouble::Lost)?;
    match (rows, counted, committed) {
        (Err(error), _, _) if !is_disconnect(&error) => Err(Trouble::Refused(error)),
        (Ok(()), Err(error), _) if !is_disconnect(&error) => Err(Trouble::NotCounted(error)),
        (Err(error), _, _) | (Ok(()), Err(error), _) | (Ok(()), Ok(()), Err(error)) => {
            Err(Trouble::Lost(error))
        }
        (Ok(()), Ok(()), Ok(())) => Ok(()),
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
pub(super) async fn within<T>(round_trip: impl Future<Output = T>) -> QueryResult<T> {
    tokio::time::timeout(ROUND_TRIP_MAX, round_trip)
        .await
        .map_err(|elapsed| {
            DieselError::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand,
                Box::new(elapsed.to_string()),
            )
        })
}
