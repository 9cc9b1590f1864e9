//! What accounts held at a time.

use bursar_domain::{Timestamp, UserId};
use bursar_ports::{AccountBalance, LedgerOwner, StoreError};
use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    accounts::system_owners,
    error::unavailable,
    ledger::{Chosen, choose, holdings, lines_before},
    pool::Database,
    row::read_account_key,
    tx::Snapshot,
    value::{At, Units},
};

/// A user's times never go back, so what an account held after its last line up to then is the sum
/// of its lines up to then.
pub(super) async fn of_user(
    connection: &mut AsyncPgConnection,
    user: UserId,
    at: Timestamp,
) -> Result<Vec<AccountBalance>, StoreError> {
    let chosen = Chosen {
        owner: Some(LedgerOwner::User(user)),
        asset: None,
        after: 0,
        limit: i64::MAX,
    };
    let accounts = choose(connection, chosen).await?;
    let last = lines_before(connection, &accounts, at.tick()).await?;
    let held = holdings(connection, last.into_iter().collect()).await?;
    let balances = accounts.iter().filter_map(|account| {
        let (holding, updated_at) = *held.get(&account.id)?;
        Some(AccountBalance {
            account: account.key,
            available: holding.available,
            held: holding.held,
            updated_at,
        })
    });
    Ok(sorted(balances.collect()))
}

/// A system account's times may go back, so its lines are summed up one by one, as an export reads
/// them: there may be millions.
pub(super) async fn of_system(
    database: &Database,
    at: Timestamp,
) -> Result<Vec<AccountBalance>, StoreError> {
    let snapshot = Snapshot::open(database).await?;
    let mut snapshot = snapshot.ok_or(StoreError::Overloaded)?;
    let rows: Vec<SumRow> = snapshot
        .read(async move |connection| {
            let sums = SystemSums(At(at), system_owners()).load(connection);
            sums.await.map_err(unavailable)
        })
        .await?;
    let balances = rows.into_iter().filter_map(read);
    Ok(sorted(balances.collect::<Result<_, _>>()?))
}

/// Here, so that the order does not depend on the server's locale.
fn sorted(mut balances: Vec<AccountBalance>) -> Vec<AccountBalance> {
    balances.sort_unstable_by_key(|balance| (balance.account.asset, balance.account.owner));
    balances
}

type SumRow = (String, String, Option<Units>, Option<Units>, Option<At>);

/// What was already there at the time; before its first line an account was not.
fn read(row: SumRow) -> Option<Result<AccountBalance, StoreError>> {
    let (owner_kind, asset, available, held, updated_at) = row;
    let (available, held, updated_at) = (available?, held?, updated_at?);
    let balance = |account| AccountBalance {
        account,
        available: available.0,
        held: held.0,
        updated_at: updated_at.0,
    };
    Some(read_account_key(&owner_kind, Uuid::nil(), &asset).map(balance))
}

/// The sums of every system account's lines up to a time; the account for fees has several rows.
#[derive(Clone, Debug)]
pub(super) struct SystemSums(pub(super) At, pub(super) Vec<Uuid>);

impl QueryFragment<Pg> for SystemSums {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT a.owner_kind, a.asset, sum(e.available), sum(e.held), \
               max(e.updated_at) \
             FROM book_main.accounts AS a CROSS JOIN LATERAL (\
               SELECT sum(available_delta) AS available, sum(held_delta) AS held, \
                 max(created_at) AS updated_at \
               FROM book_main.entries WHERE account_id = a.id AND created_at <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(") AS e WHERE a.owner_kind IN ('fees', 'world') AND a.owner = ANY(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.1)?;
        out.push_sql(") GROUP BY a.owner_kind, a.asset");
        Ok(())
    }
}

impl QueryId for SystemSums {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for SystemSums {
    type SqlType = (
        Text,
        Text,
        Nullable<Numeric>,
        Nullable<Numeric>,
        Nullable<Timestamptz>,
    );
}

impl<Conn> diesel::RunQueryDsl<Conn> for SystemSums {}
