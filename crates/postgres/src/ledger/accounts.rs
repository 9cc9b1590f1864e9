//! Accounts that have lines.

use bursar_domain::{AccountKey, AssetId};
use bursar_ports::{LedgerOwner, StoreError};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    accounts::rows_of,
    error::unavailable,
    faults::{Planted, is_planted},
    row::read_account_key,
    schema::accounts,
};

/// An account and how many lines it has.
#[derive(Clone, Debug)]
pub(crate) struct LedgerAccount {
    pub(crate) id: i64,
    pub(crate) key: AccountKey,
    pub(crate) lines: i64,
}

/// Which accounts are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    pub(crate) owner: Option<LedgerOwner>,
    pub(crate) asset: Option<AssetId>,
    /// Only those with a larger id.
    pub(crate) after: i64,
    pub(crate) limit: i64,
}

type AccountRow = (i64, String, Uuid, String, i64);

/// These accounts, by id, without those that nothing ever touched.
pub(crate) async fn choose(
    connection: &mut AsyncPgConnection,
    chosen: Chosen,
) -> Result<Vec<LedgerAccount>, StoreError> {
    let mut query = accounts::table
        .filter(accounts::id.gt(chosen.after))
        .filter(accounts::seq.gt(0))
        .order(accounts::id)
        .limit(chosen.limit)
        .select((
            accounts::id,
            accounts::owner_kind,
            accounts::owner,
            accounts::asset,
            accounts::seq,
        ))
        .into_boxed();
    if let Some(owner) = chosen.owner {
        let (owners, kinds) = rows_of(owner);
        query = query
            .filter(accounts::owner.eq_any(owners))
            .filter(accounts::owner_kind.eq_any(kinds));
    }
    if let Some(asset) = chosen.asset {
        query = query.filter(accounts::asset.eq(asset.as_str().to_owned()));
    }
    let rows: Vec<AccountRow> = query.load(connection).await.map_err(unavailable)?;
    rows.into_iter()
        .map(|(id, owner_kind, owner, asset, lines)| {
            Ok(LedgerAccount {
                id,
                key: read_account_key(&owner_kind, owner, &asset)?,
                lines: if is_planted(Planted::ReadsStale) {
                    lines.saturating_sub(1).max(1)
                } else {
                    lines
                },
            })
        })
        .collect()
}
