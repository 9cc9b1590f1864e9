//! Internal transfers, as one of their users sees them.

use bursar_domain::{Status, Timestamp, Transfer};
use bursar_ports::{InternalFilter, StoreError};
use diesel::{
    expression::Expression,
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::BigInt,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Pool};

use super::{
    Transfers, newest_first,
    part::{Part, Stamp},
    read_all, sql_offset, transfers_in,
};
use crate::{error::unavailable, pool::checkout, row::TransferRow, schema::transfers, value::At};

const SECOND_US: i64 = 1_000_000;

pub(super) async fn list(
    pool: &Pool<AsyncPgConnection>,
    filter: InternalFilter,
) -> Result<Vec<Transfer>, StoreError> {
    // PostgreSQL's `text` holds every character but this one, so nobody's identifier has it.
    if filter
        .custom_id
        .as_ref()
        .is_some_and(|id| id.contains('\0'))
    {
        return Ok(vec![]);
    }
    let rows: Vec<TransferRow> = visible(&filter)
        .load(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    read_all(rows)
}

/// What the user sent and what it received are two indexes. Each gives its newest, as many as could
/// be on the page, and the page is cut from both; nobody sends to itself, so nothing comes twice.
pub(super) struct Visible {
    sent: Transfers,
    /// None when the filters leave nothing that was received.
    received: Option<Transfers>,
    limit: i64,
    offset: i64,
}

pub(super) fn visible(filter: &InternalFilter) -> Visible {
    let offset = sql_offset(filter.offset);
    let limit = i64::from(filter.limit);
    let reach = offset.saturating_add(limit);
    let user = filter.user.as_uuid();
    let mut sent = narrowed(Part::Sent, filter).filter(transfers::user_id.eq(user));
    if let Some(status) = filter.status {
        sent = sent.filter(transfers::state.eq(status.as_str()));
    }
    if let Some(custom_id) = &filter.custom_id {
        sent = sent.filter(transfers::custom_id.eq(custom_id.clone()));
    }
    let may_be_received =
        filter.custom_id.is_none() && matches!(filter.status, None | Some(Status::Success));
    let received = may_be_received
        .then(|| narrowed(Part::Received, filter).filter(transfers::recipient_id.eq(user)));
    Visible {
        sent: newest_first(sent).limit(reach),
        received: received.map(|received| newest_first(received).limit(reach)),
        limit,
        offset,
    }
}

/// The filters that both halves share. Whole seconds count: a bound is moved to the beginning of its
/// second, and the second of `to` belongs to the list.
fn narrowed(part: Part, filter: &InternalFilter) -> Transfers {
    let mut list = transfers_in(part);
    if let Some(asset) = filter.asset {
        list = list.filter(transfers::asset.eq(asset.as_str().to_owned()));
    }
    if let Some(from) = filter.from.map(Timestamp::floor_second) {
        list = list.filter(Stamp::From(At(from)));
    }
    if let Some(to) = filter.to.map(Timestamp::floor_second) {
        let end = At(to.plus_micros(SECOND_US));
        // Nothing is done before it is created: the index can leave out what came later.
        list = list
            .filter(transfers::created_at.lt(end))
            .filter(Stamp::Before(end));
    }
    list
}

impl QueryFragment<Pg> for Visible {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT * FROM ((");
        QueryFragment::<Pg>::walk_ast(&self.sent, out.reborrow())?;
        out.push_sql(")");
        if let Some(received) = &self.received {
            out.push_sql(" UNION ALL (");
            QueryFragment::<Pg>::walk_ast(received, out.reborrow())?;
            out.push_sql(")");
        }
        out.push_sql(") AS visible ORDER BY created_at DESC, id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(" OFFSET ");
        out.push_bind_param::<BigInt, _>(&self.offset)
    }
}

impl QueryId for Visible {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Visible {
    type SqlType = <diesel::dsl::AsSelect<TransferRow, Pg> as Expression>::SqlType;
}

impl<Conn> diesel::RunQueryDsl<Conn> for Visible {}
