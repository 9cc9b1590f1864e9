//! Deposits and withdrawals: of one user, and of all.

use bursar_domain::{Kind, Timestamp, Transfer, UserId};
use bursar_ports::{AccountHistory, StoreError, TransferFilter, TransferPage};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    condition::Condition,
    of_few,
    ranges::{Count, Ones, Places, Range, Rows, narrow, of_kinds},
    read_all, sql_offset,
};
use crate::{
    error::{inconsistent, unavailable},
    explain::{self, Explain},
    pool::Database,
    row::TransferRow,
};

/// How far matches are counted one by one.
const COUNT_MAX: u64 = 10_000;

pub(super) async fn list_account_history(
    database: &Database,
    filter: AccountHistory,
) -> Result<Vec<Transfer>, StoreError> {
    let page = account_history(&filter);
    let rows = database
        .read_list(async move |connection| page.load(connection).await.map_err(unavailable))
        .await?;
    read_all(rows)
}

/// A range of `transfers_account_history_idx`.
pub(super) fn account_history(filter: &AccountHistory) -> Rows {
    let mut range = vec![
        Condition::backoffice(),
        Condition::owner(filter.user.as_uuid()),
    ];
    range.extend(created(filter.from, filter.to));
    let offset = sql_offset(filter.offset);
    Rows::at(Places::new(vec![range], filter.limit, offset))
}

pub(super) async fn list_transfers(
    database: &Database,
    filter: TransferFilter,
) -> Result<TransferPage, StoreError> {
    let ranges = matching(&filter);
    if ranges.is_empty() {
        return Ok(TransferPage {
            transfers: vec![],
            total: 0,
            estimated: false,
            more: false,
        });
    }
    let (rows, more, total) = database
        .read_list(async move |connection| {
            let page = page(ranges.clone(), &filter);
            let mut rows: Vec<TransferRow> = page.load(connection).await.map_err(unavailable)?;
            let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
            let more = rows.len() > limit;
            rows.truncate(limit);
            let total = match total_of_last_page(&filter, rows.len(), more) {
                Some(total) => total,
                None => count(connection, ranges).await?,
            };
            Ok((rows, more, total))
        })
        .await?;
    Ok(TransferPage {
        transfers: read_all(rows)?,
        total,
        estimated: total > COUNT_MAX,
        more,
    })
}

/// One row more than asked for, which tells whether there are more: neither an estimate can, nor a
/// count that is made after the rows were read.
pub(super) fn page(ranges: Vec<Range>, filter: &TransferFilter) -> Rows {
    let limit = filter.limit.saturating_add(1);
    Rows::at(Places::new(ranges, limit, sql_offset(filter.offset)))
}

/// The ranges that hold what is asked for: of `transfers_account_history_idx` for one or a few
/// users, of `transfers_others_idx` for a kind or status, of `transfers_backoffice_list_idx` for all.
/// None when nothing can match.
pub(super) fn matching(filter: &TransferFilter) -> Vec<Range> {
    let asked = |kind: &Kind| filter.kind.is_none_or(|asked| asked == *kind);
    let kinds = [Kind::Deposit, Kind::Withdrawal].into_iter().filter(asked);
    let kinds: Vec<Kind> = kinds.collect();
    let everything = filter.kind.is_none() && filter.status.is_none();
    let pairs = of_kinds(&kinds, filter.status);
    let mut ranges = match &filter.users {
        Some(users) if users.is_empty() => vec![],
        _ if pairs.is_empty() => vec![],
        Some(users) => of_users(users, filter),
        None if everything => vec![vec![Condition::backoffice()]],
        None => pairs,
    };
    let between: Vec<Condition> = created(filter.from, filter.to).collect();
    narrow(&mut ranges, &between);
    ranges
}

fn of_users(users: &[UserId], filter: &TransferFilter) -> Vec<Range> {
    let mut conditions = vec![Condition::backoffice()];
    conditions.extend(filter.kind.map(Condition::kind));
    conditions.extend(filter.status.map(Condition::state));
    let users: Vec<Uuid> = users.iter().map(UserId::as_uuid).collect();
    let mut ranges = match of_few(&users) {
        Some(few) => few
            .into_iter()
            .map(|user| vec![Condition::owner(user)])
            .collect(),
        None => vec![vec![Condition::owner_among(users)]],
    };
    narrow(&mut ranges, &conditions);
    ranges
}

fn created(from: Option<Timestamp>, to: Option<Timestamp>) -> impl Iterator<Item = Condition> {
    let from = from.map(Condition::created_from);
    from.into_iter().chain(to.map(Condition::created_to))
}

/// The last page tells by itself how many there are; an empty one may be far behind it.
fn total_of_last_page(filter: &TransferFilter, rows: usize, more: bool) -> Option<u64> {
    let rows = u64::try_from(rows).ok()?;
    let is_last = !more && (rows > 0 || filter.offset == 0);
    is_last.then(|| filter.offset.saturating_add(rows))
}

/// The count of a list, which is not counted beyond [`COUNT_MAX`].
pub(super) fn counted(ranges: Vec<Range>) -> Count {
    Count {
        ones: Ones(ranges),
        limit: sql_offset(COUNT_MAX.saturating_add(1)),
    }
}

/// Counts up to [`COUNT_MAX`], and beyond that takes the planner's word: it knows what the filters
/// leave, which the size of the table does not tell.
async fn count(connection: &mut AsyncPgConnection, ranges: Vec<Range>) -> Result<u64, StoreError> {
    let beyond = COUNT_MAX.saturating_add(1);
    let count: i64 = counted(ranges.clone())
        .get_result(connection)
        .await
        .map_err(unavailable)?;
    let count = u64::try_from(count).unwrap_or_default();
    if count < beyond {
        return Ok(count);
    }
    let plan = Explain(Ones(ranges)).get_result(connection).await;
    let estimate = explain::rows(&plan.map_err(unavailable)?)
        .ok_or_else(|| inconsistent("transfers", "a plan without an estimate"))?;
    Ok(estimate.max(beyond))
}
