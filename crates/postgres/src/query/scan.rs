//! Transfers of every kind, as an operator looks for them.
//!
//! Some filters have an index (kind and status, user, the sender's identifier, id, creation), others
//! have none (asset, amount, many users). When one without is given, a scan looks at no more than
//! [`LOOKED_AT_MAX`] rows of the indexed ranges and tells where it stopped, so that a page costs the
//! same however rare its rows are.

use bursar_domain::{Kind, TransferId, UserId};
use bursar_ports::{ListPlace, StoreError, TransferScan, TransferSlice};
use diesel::OptionalExtension;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    condition::Condition,
    is_text, of_few,
    ranges::{Places, Range, Rows, narrow, of_kinds},
    read_all,
};
use crate::{
    error::{inconsistent, unavailable},
    pool::Database,
    row::TransferRow,
    value::At,
};

/// How many rows of the indexed ranges one page may cost.
pub(super) const LOOKED_AT_MAX: u32 = 10_000;

/// What a scan reads.
pub(super) struct Plan {
    /// What has an index.
    pub(super) ranges: Vec<Range>,
    /// What is looked at row by row.
    pub(super) filters: Vec<Condition>,
}

pub(super) async fn scan(
    database: &Database,
    scan: TransferScan,
) -> Result<TransferSlice, StoreError> {
    if matches_nothing(&scan) {
        return Ok(NOTHING);
    }
    database
        .read_list(async move |connection| part(connection, &scan).await)
        .await
}

/// A part of a list, on a connection that is already there.
pub(crate) async fn part(
    connection: &mut AsyncPgConnection,
    scan: &TransferScan,
) -> Result<TransferSlice, StoreError> {
    if matches_nothing(scan) {
        return Ok(NOTHING);
    }
    let (mut rows, end) = slice(connection, plan(scan), scan.limit).await?;
    let limit = usize::try_from(scan.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let transfers = read_all(rows)?;
    let last = transfers.last().map(|transfer| ListPlace {
        created_at: transfer.parts().created_at,
        id: transfer.id(),
    });
    let next = if more { last } else { end };
    Ok(TransferSlice { transfers, next })
}

const NOTHING: TransferSlice = TransferSlice {
    transfers: vec![],
    next: None,
};

/// Whether no row can match, so that none is looked for.
fn matches_nothing(scan: &TransferScan) -> bool {
    plan(scan).ranges.is_empty() || !scan.custom_id.as_deref().is_none_or(is_text)
}

/// One row more than asked for, and the last place that was looked at if there may be more behind
/// it.
async fn slice(
    connection: &mut AsyncPgConnection,
    plan: Plan,
    limit: u32,
) -> Result<(Vec<TransferRow>, Option<ListPlace>), StoreError> {
    let mut end = None;
    if !plan.filters.is_empty() {
        // Found first: what is committed meanwhile cannot move it under the rows.
        let last: Option<(At, i64)> = horizon(plan.ranges.clone())
            .get_result(connection)
            .await
            .optional()
            .map_err(unavailable)?;
        end = last.map(place).transpose()?;
    }
    let rows = found(plan, end, limit).load(connection).await;
    Ok((rows.map_err(unavailable)?, end))
}

/// The last place that may be looked at.
pub(super) fn horizon(ranges: Vec<Range>) -> Places {
    Places::new(ranges, 1, i64::from(LOOKED_AT_MAX.saturating_sub(1)))
}

/// What passes the filters up to this place, one row more than asked for.
pub(super) fn found(plan: Plan, end: Option<ListPlace>, limit: u32) -> Rows {
    let Plan {
        mut ranges,
        mut filters,
    } = plan;
    filters.extend(end.map(Condition::up_to));
    narrow(&mut ranges, &filters);
    Rows::at(Places::new(ranges, limit.saturating_add(1), 0))
}

pub(super) fn place((created_at, id): (At, i64)) -> Result<ListPlace, StoreError> {
    let id = TransferId::try_new(id).map_err(|e| inconsistent("transfers", e.to_string()))?;
    Ok(ListPlace {
        created_at: created_at.0,
        id,
    })
}

/// Which ranges hold what is asked for; none when nothing can match.
pub(super) fn plan(scan: &TransferScan) -> Plan {
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| scan.kind.is_none_or(|asked| asked == *kind))
        .collect();
    let pairs = of_kinds(&kinds, scan.status);
    let users: Option<Vec<Uuid>> = scan
        .users
        .as_ref()
        .map(|users| users.iter().map(UserId::as_uuid).collect());
    let mut filters = amounts(scan);
    let nothing = pairs.is_empty() || users.as_ref().is_some_and(Vec::is_empty);
    let mut indexed = vec![];
    indexed.extend(scan.after.map(Condition::after));
    indexed.extend(scan.from.map(Condition::created_from));
    indexed.extend(scan.to.map(Condition::created_to));
    let mut ranges = if nothing {
        vec![]
    } else if scan.id.is_some() || scan.custom_id.is_some() {
        // Few, so everything else may be looked at row by row.
        indexed.extend(users.map(Condition::party_among));
        indexed.append(&mut filters);
        vec![named(scan)]
    } else if let Some(few) = users.as_deref().and_then(of_few) {
        of_users(&few, scan)
    } else {
        filters.extend(users.map(Condition::party_among));
        pairs
    };
    narrow(&mut ranges, &indexed);
    Plan { ranges, filters }
}

fn named(scan: &TransferScan) -> Range {
    let mut range = vec![];
    range.extend(scan.id.map(|id| Condition::id(id.get())));
    range.extend(scan.custom_id.as_deref().map(Condition::custom_id));
    range.extend(kind_and_state(scan));
    range
}

fn kind_and_state(scan: &TransferScan) -> impl Iterator<Item = Condition> {
    let kind = scan.kind.map(Condition::kind);
    kind.into_iter().chain(scan.status.map(Condition::state))
}

/// What each user deposited or withdrew, sent and received. What one of them sent to another is
/// found with the sender only.
fn of_users(users: &[Uuid], scan: &TransferScan) -> Vec<Range> {
    let of = |user: &Uuid| {
        let own = Condition::owner(*user);
        let sent = Condition::kind(Kind::Internal);
        let others = Condition::owner_not_among(users.to_vec());
        let internal = scan.kind.is_none_or(|kind| kind == Kind::Internal);
        let backoffice = scan.kind != Some(Kind::Internal);
        [
            (backoffice, vec![own.clone(), Condition::backoffice()]),
            (internal, vec![own, sent]),
            (internal, vec![Condition::received_by(*user), others]),
        ]
    };
    let asked: Vec<Condition> = kind_and_state(scan).collect();
    let mut ranges: Vec<Range> = users
        .iter()
        .flat_map(of)
        .filter_map(|(may_match, range)| may_match.then_some(range))
        .collect();
    narrow(&mut ranges, &asked);
    ranges
}

fn amounts(scan: &TransferScan) -> Vec<Condition> {
    let asset = scan.asset.map(|asset| Condition::asset(asset.as_str()));
    let min = scan
        .amount_min
        .map(|min| Condition::amount_from(min.units()));
    let max = scan.amount_max.map(|max| Condition::amount_to(max.units()));
    [asset, min, max].into_iter().flatten().collect()
}
