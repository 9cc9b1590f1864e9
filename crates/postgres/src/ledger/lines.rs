//! Lines of accounts with what they were for.

use bursar_domain::{AccountKey, CodeSalt, Kind, Timestamp, TransferId};
use bursar_ports::{LedgerLine, LedgerRecord, StoreError};
use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Binary, Nullable, Numeric, SmallInt, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    error::{inconsistent, unavailable},
    row::read_scale,
    value::{At, Units},
};

/// Lines of one account that follow each other: those after `after`, up to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) id: i64,
    pub(crate) account: AccountKey,
    pub(crate) after: i64,
    pub(crate) last: i64,
}

impl Span {
    /// How many lines it has.
    pub(crate) const fn len(&self) -> i64 {
        self.last.saturating_sub(self.after)
    }
}

/// The times that lines are narrowed to, both inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

impl Window {
    /// Whether it narrows nothing.
    pub(crate) const fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

/// The lines of these spans, one span after the other, as far as they lie in the window.
pub(crate) async fn read_lines(
    connection: &mut AsyncPgConnection,
    spans: &[Span],
    window: Window,
) -> Result<Vec<LedgerRecord>, StoreError> {
    let rows: Vec<LineRow> = LinesOf::new(spans, window)
        .load(connection)
        .await
        .map_err(unavailable)?;
    let records: Vec<LedgerRecord> = rows
        .into_iter()
        .map(|row| read(spans, row))
        .collect::<Result<_, _>>()?;
    let expected: i64 = spans.iter().map(Span::len).sum();
    // What is not there was deleted, or never written with the balance that it explains.
    if window.is_open() && i64::try_from(records.len()) != Ok(expected) {
        return Err(inconsistent("entries", "an account has a gap"));
    }
    Ok(records)
}

/// The lines of spans. Each span is one range of the primary key; `OFFSET 0` keeps it one, whatever
/// the planner thinks of it. The transfers are found by their ids.
#[derive(Clone, Debug)]
pub(crate) struct LinesOf {
    accounts: Vec<i64>,
    afters: Vec<i64>,
    lasts: Vec<i64>,
    from: Option<At>,
    to: Option<At>,
}

impl LinesOf {
    pub(crate) fn new(spans: &[Span], window: Window) -> Self {
        Self {
            accounts: spans.iter().map(|span| span.id).collect(),
            afters: spans.iter().map(|span| span.after).collect(),
            lasts: spans.iter().map(|span| span.last).collect(),
            from: window.from.map(At),
            to: window.to.map(At),
        }
    }
}

impl QueryFragment<Pg> for LinesOf {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT r.place, e.seq, e.transfer_id, e.available_delta, e.held_delta, \
               e.available_after, e.held_after, e.created_at, t.kind, t.code_salt, t.scale \
             FROM unnest(",
        );
        out.push_bind_param::<Array<BigInt>, _>(&self.accounts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.afters)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.lasts)?;
        out.push_sql(
            ") WITH ORDINALITY AS r (account_id, after, last, place) \
             CROSS JOIN LATERAL (SELECT * FROM book_main.entries \
               WHERE account_id = r.account_id AND seq > r.after AND seq <= r.last",
        );
        if let Some(from) = &self.from {
            out.push_sql(" AND created_at >= ");
            out.push_bind_param::<Timestamptz, _>(from)?;
        }
        if let Some(to) = &self.to {
            out.push_sql(" AND created_at <= ");
            out.push_bind_param::<Timestamptz, _>(to)?;
        }
        out.push_sql(
            " OFFSET 0) AS e \
             LEFT JOIN LATERAL (SELECT kind, code_salt, scale FROM book_main.transfers \
               WHERE id = e.transfer_id OFFSET 0) AS t ON true \
             ORDER BY r.place, e.seq",
        );
        Ok(())
    }
}

impl QueryId for LinesOf {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for LinesOf {
    type SqlType = (
        BigInt,
        BigInt,
        BigInt,
        Numeric,
        Numeric,
        Numeric,
        Numeric,
        Timestamptz,
        Nullable<Text>,
        Nullable<Binary>,
        Nullable<SmallInt>,
    );
}

impl<Conn> diesel::RunQueryDsl<Conn> for LinesOf {}

#[derive(Queryable)]
struct LineRow {
    /// Which of the spans, from 1.
    place: i64,
    seq: i64,
    transfer_id: i64,
    available_delta: Units,
    held_delta: Units,
    available_after: Units,
    held_after: Units,
    created_at: At,
    kind: Option<String>,
    code_salt: Option<Vec<u8>>,
    scale: Option<i16>,
}

fn read(spans: &[Span], row: LineRow) -> Result<LedgerRecord, StoreError> {
    let id = row.transfer_id;
    let wrong = |column: &str| inconsistent("transfers", format!("id {id}: {column}"));
    let span = usize::try_from(row.place.saturating_sub(1))
        .ok()
        .and_then(|place| spans.get(place))
        .ok_or_else(|| inconsistent("entries", "a line that nobody asked for"))?;
    let kind = row.kind.ok_or_else(|| wrong("is missing"))?;
    let kind = Kind::from_name(&kind);
    let salt = row.code_salt.map(|salt| salt.try_into().map(CodeSalt::new));
    Ok(LedgerRecord {
        line: LedgerLine {
            account: span.account,
            seq: row.seq,
            transfer: TransferId::try_new(id)
                .map_err(|error| inconsistent("entries", error.to_string()))?,
            available_delta: row.available_delta.0,
            held_delta: row.held_delta.0,
            available_after: row.available_after.0,
            held_after: row.held_after.0,
            at: row.created_at.0,
        },
        scale: row
            .scale
            .and_then(read_scale)
            .ok_or_else(|| wrong("scale"))?,
        kind: kind.ok_or_else(|| wrong("kind"))?,
        salt: salt.transpose().map_err(|_| wrong("code_salt"))?,
    })
}
