//! First round trip: locks, and what is read behind them.

use bursar_domain::{Change, Expected};
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::join;
use uuid::Uuid;

use super::when;
use crate::{
    engine::{
        attempt::{Attempt, Ending},
        batch::Batch,
        books::{AssetRow, KeyColumns, KeyName, Read},
        rules::{RULE_SET, RootUseKeys},
    },
    row::AccountRow,
    statement::{DeleteKeys, LockAccounts, LockTransfers, ReadAccounts, ReadRules, ReadVersions},
    tx::Begin,
};

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

/// First round trip; all of its statements when `all` is set, else those with something in
/// them.
pub(in crate::engine) async fn lock_and_read<B: Batch + ?Sized>(
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
    // One of them at most has rows.
    let (locked, read) = join!(
        when(all || unknown.is_none(), async {
            LockAccounts { ids: &ids }.load(&mut &*connection).await
        }),
        when(all || unknown.is_some_and(|ids| !ids.is_empty()), async {
            let ids = unknown.unwrap_or_default();
            ReadAccounts { ids }.load(&mut &*connection).await
        }),
    );
    let mut rows = locked?;
    rows.append(&mut read?);
    Ok(rows)
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
    let mut rows = locked?;
    rows.append(&mut read?);
    Ok(rows)
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
