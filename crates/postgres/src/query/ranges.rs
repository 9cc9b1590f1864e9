//! Lists of transfers, newest first, as ranges of indexes that are merged.
//!
//! A list is made of ranges that have no row in common, each of which one index gives in the list's
//! order. The page is found with the keys alone, which indexes have without the table: passing over
//! ten thousand rows costs little more than reading ten thousand index entries. Only then the rows
//! of the page are read, by their ids.

use bursar_domain::{Kind, Status};
use diesel::{
    dsl::AsSelect,
    expression::Expression,
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Integer, Timestamptz},
};

use super::condition::Condition;
use crate::row::TransferRow;

/// What one index range is narrowed to.
pub(super) type Range = Vec<Condition>;

/// One range of `transfers_others_idx`, or all of `transfers_successes_idx`, for every kind and status that may match; none when no kind
/// has that status.
pub(super) fn of_kinds(kinds: &[Kind], status: Option<Status>) -> Vec<Range> {
    let pairs = kinds.iter().flat_map(|kind| {
        let statuses = kind.statuses().iter();
        statuses.map(|status| (*kind, *status))
    });
    pairs
        .filter(|(_, each)| status.is_none_or(|status| status == *each))
        .map(|(kind, status)| vec![Condition::kind(kind), Condition::state(status)])
        .collect()
}

/// Every range narrowed further.
pub(super) fn narrow(ranges: &mut [Range], conditions: &[Condition]) {
    for range in ranges {
        range.extend_from_slice(conditions);
    }
}

/// The places of a part of a list: creation and id.
#[derive(Clone, Debug)]
pub(super) struct Places {
    ranges: Vec<Range>,
    limit: i64,
    offset: i64,
    /// As many as could be on the part, of each range.
    reach: i64,
}

impl Places {
    /// `limit` rows after the first `offset`.
    pub(super) fn new(ranges: Vec<Range>, limit: u32, offset: i64) -> Self {
        let limit = i64::from(limit);
        Self {
            ranges,
            limit,
            offset,
            reach: offset.saturating_add(limit),
        }
    }
}

impl QueryFragment<Pg> for Places {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        const NEWEST_FIRST: &str = " ORDER BY created_at DESC, id DESC LIMIT ";
        if let [only] = self.ranges.as_slice() {
            select("created_at, id", only, &mut out)?;
        } else {
            out.push_sql("SELECT created_at, id FROM (");
            for (number, range) in self.ranges.iter().enumerate() {
                out.push_sql(if number == 0 { "(" } else { " UNION ALL (" });
                select("created_at, id", range, &mut out)?;
                out.push_sql(NEWEST_FIRST);
                out.push_bind_param::<BigInt, _>(&self.reach)?;
                out.push_sql(")");
            }
            out.push_sql(") AS merged");
        }
        out.push_sql(NEWEST_FIRST);
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(" OFFSET ");
        out.push_bind_param::<BigInt, _>(&self.offset)
    }
}

/// The rows of a part of a list.
pub(super) struct Rows {
    columns: AsSelect<TransferRow, Pg>,
    places: Places,
}

impl Rows {
    /// The rows at these places.
    pub(super) fn at(places: Places) -> Self {
        Self {
            columns: TransferRow::as_select(),
            places,
        }
    }
}

impl QueryFragment<Pg> for Rows {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(" FROM (");
        self.places.walk_ast(out.reborrow())?;
        out.push_sql(
            ") AS page JOIN book_main.transfers ON book_main.transfers.id = page.id \
             ORDER BY page.created_at DESC, page.id DESC",
        );
        Ok(())
    }
}

/// One for each row of a list.
#[derive(Clone, Debug)]
pub(super) struct Ones(pub(super) Vec<Range>);

impl QueryFragment<Pg> for Ones {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (number, range) in self.0.iter().enumerate() {
            if number > 0 {
                out.push_sql(" UNION ALL ");
            }
            select("1", range, &mut out)?;
        }
        Ok(())
    }
}

/// How many rows a list has, counted up to a limit.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) ones: Ones,
    pub(super) limit: i64,
}

impl QueryFragment<Pg> for Count {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (");
        self.ones.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") AS matching");
        Ok(())
    }
}

fn select<'b>(
    columns: &str,
    range: &'b [Condition],
    out: &mut AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    out.push_sql("SELECT ");
    out.push_sql(columns);
    out.push_sql(" FROM book_main.transfers");
    for (number, condition) in range.iter().enumerate() {
        out.push_sql(if number == 0 { " WHERE " } else { " AND " });
        condition.walk_ast(out.reborrow())?;
    }
    Ok(())
}

/// The text depends on the filters, so it is the text that a prepared statement is found by.
macro_rules! query {
    ($($query:ty => $row:ty),* $(,)?) => {$(
        impl QueryId for $query {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }
        impl Query for $query {
            type SqlType = $row;
        }
        impl<Conn> diesel::RunQueryDsl<Conn> for $query {}
    )*};
}

query!(
    Places => (Timestamptz, BigInt),
    Rows => <AsSelect<TransferRow, Pg> as Expression>::SqlType,
    Ones => Integer,
    Count => BigInt,
);
