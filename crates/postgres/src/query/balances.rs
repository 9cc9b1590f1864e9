//! What accounts hold.

use bursar_domain::{Timestamp, UserId};
use bursar_ports::{AccountBalance, LedgerOwner, StoreError};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::{
    accounts::rows_of,
    error::{inconsistent, unavailable},
    pool::Database,
    row::read_account_key,
    schema::{accounts, entries},
    value::{At, Units},
};

type BalanceRow = (i64, String, Uuid, String, Units, Units, i64, Option<At>);

pub(super) async fn list_of_user(
    database: &Database,
    user: UserId,
) -> Result<Vec<AccountBalance>, StoreError> {
    list(database, LedgerOwner::User(user)).await
}

/// What an asset earned in fees is the sum of several rows.
pub(super) async fn list_of_system(database: &Database) -> Result<Vec<AccountBalance>, StoreError> {
    let rows = list(database, LedgerOwner::System).await?;
    let mut balances: Vec<AccountBalance> = Vec::with_capacity(rows.len());
    for row in rows {
        match balances.last_mut() {
            Some(sum) if sum.account == row.account => {
                sum.available = sum.available.saturating_add(row.available);
                sum.held = sum.held.saturating_add(row.held);
                sum.updated_at = sum.updated_at.max(row.updated_at);
            }
            Some(_) | None => balances.push(row),
        }
    }
    Ok(balances)
}

/// A range of `accounts_owner_asset_uq`, each account with its last ledger line: when that was
/// written is when the balance last changed.
async fn list(database: &Database, owner: LedgerOwner) -> Result<Vec<AccountBalance>, StoreError> {
    let (owners, kinds) = rows_of(owner);
    let last_entry = entries::account_id
        .eq(accounts::id)
        .and(entries::seq.eq(accounts::seq));
    let balances = accounts::table
        .left_join(entries::table.on(last_entry))
        .filter(accounts::owner.eq_any(owners))
        .filter(accounts::owner_kind.eq_any(kinds))
        .select((
            accounts::id,
            accounts::owner_kind,
            accounts::owner,
            accounts::asset,
            accounts::available,
            accounts::held,
            accounts::seq,
            entries::created_at.nullable(),
        ));
    let rows: Vec<BalanceRow> = database
        .read(async move |connection| balances.load(connection).await.map_err(unavailable))
        .await?;
    let mut balances: Vec<AccountBalance> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
    // Here, so that the order does not depend on the server's locale.
    balances.sort_unstable_by_key(|balance| (balance.account.asset, balance.account.owner));
    Ok(balances)
}

fn read(row: BalanceRow) -> Result<AccountBalance, StoreError> {
    let (id, kind, owner, asset, available, held, seq, changed_at) = row;
    let updated_at = match (seq, changed_at) {
        (0, None) => Timestamp::EPOCH,
        (_, Some(at)) => at.0,
        (_, None) => {
            return Err(inconsistent(
                "entries",
                format!("account {id} has no {seq}"),
            ));
        }
    };
    Ok(AccountBalance {
        account: read_account_key(&kind, owner, &asset)?,
        available: available.0,
        held: held.0,
        updated_at,
    })
}
