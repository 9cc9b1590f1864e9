//! Deposits and withdrawals: of one user, and of all.

use bursar_domain::{Status, Transfer, UserId};
use bursar_ports::{AccountHistory, StoreError, TransferFilter, TransferPage};
use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::BigInt,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Pool};
use uuid::Uuid;

use super::{Transfers, newest_first, part::Part, read_all, sql_offset, transfers_in};
use crate::{
    error::{inconsistent, unavailable},
    explain::{self, Explain},
    pool::checkout,
    row::TransferRow,
    schema::transfers,
    value::At,
};

/// How far matches are counted one by one.
const COUNT_MAX: u64 = 10_000;

pub(super) async fn list_account_history(
    pool: &Pool<AsyncPgConnection>,
    filter: AccountHistory,
) -> Result<Vec<Transfer>, StoreError> {
    let rows = account_history(&filter)
        .load(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    read_all(rows)
}

/// A range of `transfers_account_history_idx`.
pub(super) fn account_history(filter: &AccountHistory) -> Transfers {
    let mut list =
        transfers_in(Part::Backoffice).filter(transfers::user_id.eq(filter.user.as_uuid()));
    if let Some(from) = filter.from {
        list = list.filter(transfers::created_at.ge(At(from)));
    }
    if let Some(to) = filter.to {
        list = list.filter(transfers::created_at.le(At(to)));
    }
    newest_first(list)
        .limit(i64::from(filter.limit))
        .offset(sql_offset(filter.offset))
}

pub(super) async fn list_transfers(
    pool: &Pool<AsyncPgConnection>,
    filter: TransferFilter,
) -> Result<TransferPage, StoreError> {
    if filter.users.as_ref().is_some_and(Vec::is_empty) {
        return Ok(TransferPage {
            transfers: vec![],
            total: 0,
            estimated: false,
        });
    }
    let mut connection = checkout(pool).await?;
    let rows: Vec<TransferRow> = page(&filter)
        .load(&mut connection)
        .await
        .map_err(unavailable)?;
    let total = match total_of_last_page(&filter, rows.len()) {
        Some(total) => total,
        None => count(&mut connection, &filter).await?,
    };
    Ok(TransferPage {
        transfers: read_all(rows)?,
        total,
        estimated: total > COUNT_MAX,
    })
}

/// A range of `transfers_backoffice_list_idx`, of `transfers_backoffice_state_idx` when a status is
/// asked for, or of `transfers_account_history_idx` when few users are.
pub(super) fn page(filter: &TransferFilter) -> Transfers {
    newest_first(matching(filter))
        .limit(i64::from(filter.limit))
        .offset(sql_offset(filter.offset))
}

fn matching(filter: &TransferFilter) -> Transfers {
    let mut list = transfers_in(Part::Backoffice);
    if let Some(users) = &filter.users {
        let users: Vec<Uuid> = users.iter().map(UserId::as_uuid).collect();
        list = list.filter(transfers::user_id.eq_any(users));
    }
    if let Some(from) = filter.from {
        list = list.filter(transfers::created_at.ge(At(from)));
    }
    if let Some(to) = filter.to {
        list = list.filter(transfers::created_at.le(At(to)));
    }
    if let Some(status) = filter.status {
        list = list.filter(transfers::state.eq(Status::as_str(status)));
    }
    if let Some(kind) = filter.kind {
        list = list.filter(transfers::kind.eq(kind.as_str()));
    }
    list
}

/// A page that is not full is the last one, and tells by itself how many there are.
fn total_of_last_page(filter: &TransferFilter, rows: usize) -> Option<u64> {
    let rows = u64::try_from(rows).ok()?;
    let is_last = rows < u64::from(filter.limit) && (rows > 0 || filter.offset == 0);
    is_last.then(|| filter.offset.saturating_add(rows))
}

/// Counts up to [`COUNT_MAX`], and beyond that takes the planner's word: it knows what the filters
/// leave, which the size of the table does not tell.
async fn count(
    connection: &mut AsyncPgConnection,
    filter: &TransferFilter,
) -> Result<u64, StoreError> {
    let beyond = COUNT_MAX.saturating_add(1);
    let limited = matching(filter).limit(sql_offset(beyond));
    let counted: i64 = Count(limited)
        .get_result(connection)
        .await
        .map_err(unavailable)?;
    let counted = u64::try_from(counted).unwrap_or_default();
    if counted < beyond {
        return Ok(counted);
    }
    let plan = Explain(matching(filter)).get_result(connection).await;
    let estimate = explain::rows(&plan.map_err(unavailable)?)
        .ok_or_else(|| inconsistent("transfers", "a plan without an estimate"))?;
    Ok(estimate.max(beyond))
}

/// How many rows a query has.
struct Count<Q>(Q);

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Count<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(") AS matching");
        Ok(())
    }
}

impl<Q> QueryId for Count<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Count<Q> {
    type SqlType = BigInt;
}

impl<Q, Conn> diesel::RunQueryDsl<Conn> for Count<Q> {}
