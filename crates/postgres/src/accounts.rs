//! Which row an account is, and the rows of new accounts.
//!
//! Accounts are created before the money transaction, in one of their own: a row must exist to be
//! locked, an account without entries hurts nobody, and accounts are never deleted, so an id once
//! known is known for ever and the hot path locks by primary key alone.

use std::collections::{BTreeSet, HashMap};

use bursar_domain::{AccountKey, Owner, UserId, UserStatus};
use bursar_ports::{LedgerOwner, StoreError};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use moka::sync::Cache;
use rand::RngExt as _;
use uuid::Uuid;

use crate::{
    pool::Database,
    row::{name_of, owner_columns, read_account_key},
    schema::{accounts, owners},
    seal::{Seal, SealKeys},
    statement::{
        FindAccounts, InsertAccounts, InsertOwners, LockOwners, ShareAssets, TakeAccountIds,
    },
    tx::{not_prepared, run_tx},
};

const USER_RANGE: &str = "user_accounts";
const SYSTEM_RANGE: &str = "system_accounts";

/// Over how many rows the fees of an asset are split.
const FEE_ROWS: usize = 16;

/// The owners of the rows of system accounts: there is more than one of the rows for fees.
pub(crate) fn system_owners() -> Vec<Uuid> {
    (0..FEE_ROWS).map(fee_row).collect()
}

/// The owners and the kinds of the rows of an owner's accounts.
pub(crate) fn rows_of(owner: LedgerOwner) -> (Vec<Uuid>, Vec<&'static str>) {
    match owner {
        LedgerOwner::User(user) => (vec![user.as_uuid()], vec!["user"]),
        LedgerOwner::System => (system_owners(), vec!["fees", "world"]),
    }
}

fn fee_row(row: usize) -> Uuid {
    Uuid::from_u128(u128::try_from(row).unwrap_or_default())
}

/// Those of these users who are frozen or terminated, whether they have accounts or not.
pub(crate) async fn inactive(
    connection: &AsyncPgConnection,
    users: &BTreeSet<UserId>,
) -> QueryResult<BTreeSet<UserId>> {
    let ids: Vec<Uuid> = users.iter().map(UserId::as_uuid).collect();
    let found: Vec<Uuid> = owners::table
        .filter(owners::id.eq_any(ids))
        .filter(owners::status.ne(UserStatus::Active.as_str()))
        .select(owners::id)
        .load(&mut &*connection)
        .await?;
    Ok(found.into_iter().map(UserId::new).collect())
}

/// Finds and creates the rows of accounts.
///
/// What an asset earns in fees is split over several rows, for it would be a row in every batch of
/// every batcher: each batcher has a row of its own to post to. Their sum is the account.
#[derive(Clone)]
pub(crate) struct AccountIds {
    database: Database,
    known: Cache<(AccountKey, Uuid), i64>,
    /// Which of the rows for fees is posted to.
    fee_row: Uuid,
    /// The row of the first batcher; others come behind it. Drawn, so that replicas differ too.
    first_fee_row: usize,
    seals: SealKeys,
}

type FoundRow = (i64, String, Uuid, String);

impl AccountIds {
    pub(crate) fn new(database: Database, remembered_max: u64, seals: SealKeys) -> Self {
        Self {
            database,
            known: Cache::new(remembered_max),
            fee_row: Uuid::nil(),
            first_fee_row: rand::rng().random_range(0..FEE_ROWS),
            seals,
        }
    }

    /// The same with the row for fees that this batcher posts to.
    pub(crate) fn for_batcher(&self, number: usize) -> Self {
        let row = self.first_fee_row.wrapping_add(number) % FEE_ROWS;
        Self {
            fee_row: fee_row(row),
            ..self.clone()
        }
    }

    /// The row that stands for an account here.
    fn row_of(&self, key: AccountKey) -> (AccountKey, Uuid) {
        match key.owner {
            Owner::Fees => (key, self.fee_row),
            Owner::User(_) | Owner::World => (key, owner_columns(key.owner).1),
        }
    }

    /// The ids of those of these accounts that are in memory.
    pub(crate) fn remembered(&self, wanted: &BTreeSet<AccountKey>) -> HashMap<AccountKey, i64> {
        let known = |key: &AccountKey| Some((*key, self.known.get(&self.row_of(*key))?));
        wanted.iter().filter_map(known).collect()
    }

    /// Every account of these users.
    pub(crate) async fn all_of(
        &self,
        users: &BTreeSet<UserId>,
    ) -> Result<HashMap<AccountKey, i64>, StoreError> {
        let owners: Vec<Uuid> = users.iter().map(UserId::as_uuid).collect();
        let rows: Vec<(i64, Uuid, String)> = self
            .database
            .look_up_once(async |connection| {
                accounts::table
                    .filter(accounts::owner.eq_any(owners))
                    .filter(accounts::owner_kind.eq("user"))
                    .select((accounts::id, accounts::owner, accounts::asset))
                    .load(connection)
                    .await
            })
            .await?;
        let read = |(id, owner, asset): (i64, Uuid, String)| {
            Ok((read_account_key("user", owner, &asset)?, id))
        };
        rows.into_iter().map(read).collect()
    }

    /// The ids of these accounts, created where they were missing. An account of an asset that the
    /// book does not have is left out.
    pub(crate) async fn resolve(
        &self,
        wanted: &BTreeSet<AccountKey>,
    ) -> Result<HashMap<AccountKey, i64>, StoreError> {
        let mut ids = HashMap::with_capacity(wanted.len());
        let mut unknown = Vec::new();
        for key in wanted {
            let row = self.row_of(*key);
            match self.known.get(&row) {
                Some(id) => {
                    ids.insert(*key, id);
                }
                None => unknown.push(row),
            }
        }
        if unknown.is_empty() {
            return Ok(ids);
        }
        let rows = run_tx(self.database.lookups(), "create accounts", |connection| {
            let (unknown, seals) = (unknown.clone(), self.seals.clone());
            async move { find_or_create(connection, &unknown, &seals).await }.boxed()
        })
        .await
        .map_err(not_prepared)?;
        for (id, owner_kind, owner, asset) in rows {
            let key = read_account_key(&owner_kind, owner, &asset)?;
            self.known.insert((key, owner), id);
            ids.insert(key, id);
        }
        Ok(ids)
    }
}

/// An account, and the owner column of the row that stands for it.
type AccountRowKey = (AccountKey, Uuid);

/// Columns of account keys, as arrays.
struct KeyColumns<'a> {
    owner_kinds: Vec<&'a str>,
    owners: Vec<Uuid>,
    assets: Vec<&'a str>,
}

impl<'a> KeyColumns<'a> {
    fn of(rows: &'a [AccountRowKey]) -> Self {
        let kinds = rows.iter().map(|(key, _)| owner_columns(key.owner).0);
        Self {
            owner_kinds: kinds.collect(),
            owners: rows.iter().map(|(_, owner)| *owner).collect(),
            assets: rows.iter().map(|(key, _)| key.asset.as_str()).collect(),
        }
    }

    async fn find(&self, connection: &mut AsyncPgConnection) -> QueryResult<Vec<FoundRow>> {
        let find = FindAccounts {
            owner_kinds: &self.owner_kinds,
            owners: &self.owners,
            assets: &self.assets,
        };
        find.load(connection).await
    }
}

async fn find_or_create(
    connection: &mut AsyncPgConnection,
    keys: &[AccountRowKey],
    seals: &SealKeys,
) -> QueryResult<Vec<FoundRow>> {
    let found = KeyColumns::of(keys).find(connection).await?;
    if found.len() == keys.len() {
        return Ok(found);
    }
    let exists = |(key, owner): &AccountRowKey| {
        let (owner_kind, _) = owner_columns(key.owner);
        found.iter().any(|(_, kind, uuid, asset)| {
            kind == owner_kind && uuid == owner && asset == key.asset.as_str()
        })
    };
    let missing: Vec<AccountRowKey> = keys.iter().filter(|key| !exists(key)).copied().collect();
    create(connection, missing, seals).await?;
    KeyColumns::of(keys).find(connection).await
}

/// Locks owners, then assets, then the ranges of ids, then inserts: one order everywhere.
async fn create(
    connection: &mut AsyncPgConnection,
    missing: Vec<AccountRowKey>,
    seals: &SealKeys,
) -> QueryResult<()> {
    let mut users: Vec<Uuid> = missing
        .iter()
        .filter_map(|(key, _)| key.owner.user())
        .map(|user| user.as_uuid())
        .collect();
    users.sort_unstable();
    users.dedup();
    InsertOwners { ids: &users }.execute(connection).await?;
    let statuses: HashMap<Uuid, String> = LockOwners { ids: &users }
        .load::<(Uuid, String)>(connection)
        .await?
        .into_iter()
        .collect();
    let mut assets: Vec<&str> = missing.iter().map(|(key, _)| key.asset.as_str()).collect();
    assets.sort_unstable();
    assets.dedup();
    let existing: Vec<(String,)> = ShareAssets { ids: &assets }.load(connection).await?;
    let known: Vec<AccountRowKey> = missing
        .iter()
        .filter(|(key, _)| existing.iter().any(|(id,)| id == key.asset.as_str()))
        .copied()
        .collect();
    let ids = take_ids(connection, &known).await?;
    let status_of = |(key, _): &AccountRowKey| {
        let status = key
            .owner
            .user()
            .and_then(|user| statuses.get(&user.as_uuid()));
        status.map_or("Active", String::as_str)
    };
    let statuses: Vec<&str> = known.iter().map(status_of).collect();
    let columns = KeyColumns::of(&known);
    let heads: Vec<Option<Seal>> = ids
        .iter()
        .zip(&known)
        .map(|(id, (key, owner))| seals.account(name_of(*id, key, *owner)))
        .collect();
    let insert = InsertAccounts {
        ids: &ids,
        owner_kinds: &columns.owner_kinds,
        owners: &columns.owners,
        assets: &columns.assets,
        statuses: &statuses,
        heads: &heads,
    };
    insert.execute(connection).await?;
    Ok(())
}

/// A new id for each account. System accounts' ids lie above all others.
async fn take_ids(
    connection: &mut AsyncPgConnection,
    keys: &[AccountRowKey],
) -> QueryResult<Vec<i64>> {
    let range_of = |(key, _): &AccountRowKey| match key.owner {
        Owner::User(_) => USER_RANGE,
        Owner::Fees | Owner::World => SYSTEM_RANGE,
    };
    let size = |range: &str| {
        i64::try_from(keys.iter().filter(|key| range_of(key) == range).count()).unwrap_or(i64::MAX)
    };
    let take = TakeAccountIds {
        names: &[USER_RANGE, SYSTEM_RANGE],
        sizes: &[size(USER_RANGE), size(SYSTEM_RANGE)],
    };
    let mut next: HashMap<String, i64> = take
        .load::<(String, i64)>(connection)
        .await?
        .into_iter()
        .collect();
    keys.iter()
        .map(|key| {
            let next = next
                .get_mut(range_of(key))
                .ok_or(diesel::result::Error::NotFound)?;
            let id = *next;
            *next = next.saturating_add(1);
            Ok(id)
        })
        .collect()
}
