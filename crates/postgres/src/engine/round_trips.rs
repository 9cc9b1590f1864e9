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

use super::{
    attempt::{Attempt, Ending},
    batch::Batch,
    books::{AssetRow, KeyColumns, KeyName, Read},
    journal_columns::JournalColumns,
    rules::{RULE_SET, RootUseKeys},
    writes::Writes,
};
use crate::{
    error::is_disconnect,
    row::AccountRow,
    statement::{DeleteKeys, LockAccounts, LockTransfers, ReadRules, ReadVersions, RowTypes},
    tx::{Begin, CommitTx},
};

/// How long either round trip may take. Longer than the statement timeout, so that it ends only
/// what the server does not answer any more.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// A row of [`ReadRules`].
type RuleRow = (
    i64,
    Option<String>,
    Option<String>,
    Option<i16>,
    Option<bool>,
    Option<bool>,
    Option<bool>,
);

/// What the second round trip sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Send {
    /// The statements that have something to write, with COMMIT behind them.
    WithCommit,
    /// The statements that have something to write.
    WithoutCommit,
    /// Every statement, to prepare it.
    Everything,
}

/// First round trip; all of its statements when `all` is set, else those with something in
/// them.
#[expect(
    clippy::too_many_lines,
    reason = "an arm for each statement, and nothing else"
)]
pub(super) async fn lock_and_read<B: Batch + ?Sized>(
    connection: &AsyncPgConnection,
    attempt: &Attempt<'_, B>,
    all: bool,
) -> QueryResult<Read> {
    let keys = KeyColumns::of(attempt.batch.claims());
    let (created, changed) = transfer_ids(attempt.batch);
    let account_ids: Vec<i64> = attempt.ids.values().copied().collect();
    let asset_ids = asset_ids(attempt.batch);
    let has_keys = all || !keys.is_empty();
    let root_uses = RootUseKeys::of(attempt.usage);
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
        async {
            LockAccounts { ids: &account_ids }
                .load::<AccountRow>(&mut &*connection)
                .await
        },
        when(all || !root_uses.is_empty(), async {
            root_uses.lock().load(&mut &*connection).await
        }),
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
        revision: rules
            .as_slice()
            .first()
            .map_or(0, |(revision, ..)| *revision),
        assets: rules.into_iter().filter_map(asset_row).collect(),
        root_uses,
    })
}

/// The asset of a row of [`ReadRules`], if it has one.
fn asset_row(row: RuleRow) -> Option<AssetRow> {
    let (_, id, name, scale, can_deposit, can_withdraw, can_transfer) = row;
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

/// Second round trip: the writes and, when `commit` is set, COMMIT behind them. The second result
/// is COMMIT's; the server answers ROLLBACK to it, without an error, when a write failed.
#[expect(
    clippy::too_many_lines,
    reason = "an arm for each statement, and nothing else"
)]
pub(super) async fn write(
    connection: &AsyncPgConnection,
    types: &RowTypes,
    writes: &Writes<'_>,
    send: Send,
) -> (QueryResult<()>, QueryResult<()>) {
    let (all, commit) = (send == Send::Everything, send == Send::WithCommit);
    let (transfers, updates, told) = (&writes.inserted, &writes.updated, &writes.journal);
    let root_uses = &writes.uses;
    let (
        accounts,
        inserted,
        updated,
        entries,
        used,
        rewritten,
        deleted,
        callbacks,
        audit,
        journal,
        payouts,
        committed,
    ) = join!(
        when(all || !writes.accounts.ids.is_empty(), async {
            writes
                .accounts
                .statement(types)
                .load::<(i64,)>(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !transfers.is_empty(), async {
            transfers
                .insert(types)
                .load::<(i64,)>(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !updates.is_empty(), async {
            updates
                .update(types)
                .load::<(i64,)>(&mut &*connection)
                .await
                .map(|_| ())
        }),
        when(all || !writes.entries.accounts.is_empty(), async {
            let insert = writes.entries.statement(types);
            insert.execute(&mut &*connection).await.map(|_| ())
        }),
        when(all || !root_uses.is_empty(), async {
            root_uses
                .statement()
                .load::<(i64,)>(&mut &*connection)
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
            let delete = writes.deleted.delete();
            delete.execute(&mut &*connection).await.map(|_| ())
        }),
        when(all || !writes.callbacks.ids.is_empty(), async {
            let insert = writes.callbacks.statement();
            insert.execute(&mut &*connection).await.map(|_| ())
        }),
        when(all || !writes.audit.is_empty(), async {
            let insert = writes.audit.insert_into_book(types);
            insert.execute(&mut &*connection).await.map(|_| ())
        }),
        when(all || !told.is_empty(), tell(connection, told)),
        when(all || !writes.payouts.ids.is_empty(), async {
            writes
                .payouts
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
        accounts, inserted, updated, entries, used, rewritten, deleted, callbacks, audit, journal,
        payouts,
    ]);
    (written, committed)
}

/// Tells the journal what the batch changed.
async fn tell(connection: &AsyncPgConnection, journal: &JournalColumns) -> QueryResult<()> {
    let statement = journal.statement();
    statement.execute(&mut &*connection).await.map(|_| ())
}

/// The error that says most: what the server reported, before what was merely cut off.
fn first_error(results: [QueryResult<()>; 11]) -> QueryResult<()> {
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
pub(super) fn flatten(
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
