//! Internal transfers, as one of their users sees them.

use bursar_domain::{Kind, Status, Timestamp, Transfer};
use bursar_ports::{InternalFilter, StoreError};
use diesel_async::RunQueryDsl;

use super::{
    condition::Condition,
    is_text,
    ranges::{Places, Range, Rows, narrow},
    read_all, sql_offset,
};
use crate::{error::unavailable, pool::Database};

const SECOND_US: i64 = 1_000_000;

pub(super) async fn list(
    database: &Database,
    filter: InternalFilter,
) -> Result<Vec<Transfer>, StoreError> {
    if !filter.custom_id.as_deref().is_none_or(is_text) {
        return Ok(vec![]);
    }
    let page = visible(&filter);
    let rows = database
        .read_list(async move |connection| page.load(connection).await.map_err(unavailable))
        .await?;
    read_all(rows)
}

/// What the user sent and what it received are ranges of two indexes; nobody sends to itself, so
/// nothing comes twice. What it sent under an identifier of its own has an index by itself.
pub(super) fn visible(filter: &InternalFilter) -> Rows {
    let user = filter.user.as_uuid();
    let mut sent: Range = vec![Condition::kind(Kind::Internal), Condition::owner(user)];
    sent.extend(filter.status.map(Condition::state));
    sent.extend(filter.custom_id.as_deref().map(Condition::custom_id));
    let mut ranges = vec![sent];
    // Only the sender knows the identifier.
    if filter.custom_id.is_none() && matches!(filter.status, None | Some(Status::Success)) {
        ranges.push(vec![Condition::received_by(user)]);
    }
    narrow(&mut ranges, &shared(filter));
    let offset = sql_offset(filter.offset);
    Rows::at(Places::new(ranges, filter.limit, offset))
}

/// The filters that both halves share. Whole seconds count: a bound is moved to the beginning of its
/// second, and the second of `to` belongs to the list.
fn shared(filter: &InternalFilter) -> Vec<Condition> {
    let mut conditions = vec![];
    conditions.extend(filter.asset.map(|asset| Condition::asset(asset.as_str())));
    if let Some(from) = filter.from.map(Timestamp::floor_second) {
        conditions.push(Condition::stamp_from(from));
    }
    if let Some(to) = filter.to.map(Timestamp::floor_second) {
        conditions.push(Condition::stamp_before(to.plus_micros(SECOND_US)));
    }
    conditions
}
