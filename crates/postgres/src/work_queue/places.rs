//! The places of a queue, found by the index that has its order.

use bigdecimal::BigDecimal;
use bursar_domain::TransferId;
use bursar_ports::{OpenWork, QueueOrder, QueuePlace, StoreError};
use diesel::{
    pg::Pg,
    prelude::{QueryResult, Queryable},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Numeric, Text, Timestamptz},
};

use crate::{error::inconsistent, value::At};

/// How many rows of a queue one page may cost when it is narrowed to an asset.
const LOOKED_AT_MAX: i64 = 10_000;

/// What a transfer is sorted by in order of value, as the index has it and `sort_value` of the ports.
const VALUE: &str = "coalesce(amount * root_rate * power(10::numeric, (18 - scale)::numeric), -1)";

/// A place in a queue.
#[derive(Clone, Debug, Queryable)]
pub(super) struct PlaceRow {
    pub(super) id: i64,
    created_at: At,
    value: BigDecimal,
}

impl PlaceRow {
    pub(super) fn place(self, order: QueueOrder) -> Result<QueuePlace, StoreError> {
        let id = TransferId::try_new(self.id)
            .map_err(|error| inconsistent("transfers", error.to_string()))?;
        Ok(match order {
            QueueOrder::Age => QueuePlace::Age {
                created_at: self.created_at.0,
                id,
            },
            QueueOrder::Value => QueuePlace::Value {
                value: self.value.normalized(),
                id,
            },
        })
    }
}

/// A place as a query compares with it.
#[derive(Clone, Debug)]
enum Edge {
    Age(At, i64),
    Value(BigDecimal, i64),
}

impl From<QueuePlace> for Edge {
    fn from(place: QueuePlace) -> Self {
        match place {
            QueuePlace::Age { created_at, id } => Self::Age(At(created_at), id.get()),
            QueuePlace::Value { value, id } => Self::Value(value, id.get()),
        }
    }
}

/// The places of a part of a queue.
#[derive(Clone, Debug)]
pub(super) struct Places {
    which: OpenWork,
    order: QueueOrder,
    after: Option<Edge>,
    until: Option<Edge>,
    asset: Option<String>,
    limit: i64,
    offset: i64,
}

impl Places {
    /// What comes after this place.
    pub(super) fn new(which: OpenWork, order: QueueOrder, after: Option<QueuePlace>) -> Self {
        Self {
            which,
            order,
            after: after.map(Edge::from),
            until: None,
            asset: None,
            limit: 0,
            offset: 0,
        }
    }

    /// The last place that may be looked at.
    pub(super) fn horizon(self) -> Self {
        Self {
            limit: 1,
            offset: LOOKED_AT_MAX.saturating_sub(1),
            ..self
        }
    }

    /// Those of an asset up to a place, one more than asked for.
    pub(super) fn of(self, asset: Option<String>, until: Option<QueuePlace>, limit: u32) -> Self {
        Self {
            until: until.map(Edge::from),
            asset,
            limit: i64::from(limit).saturating_add(1),
            ..self
        }
    }

    /// Which rows are in the queue, and the order of the index that has them. Predicates of partial
    /// indexes stand in the text, so that the planner sees that they serve; see `docs/DATABASE.md`.
    /// What they say twice it would take for two conditions.
    const fn words(&self) -> [&'static str; 2] {
        match (self.which, self.order) {
            (OpenWork::Withdrawals, QueueOrder::Age) => [
                "kind = 'withdrawal' AND state = 'AwaitingConfirmation' AND stage IS NULL",
                "created_at, id",
            ],
            // Nothing but withdrawals that nobody has confirmed is in the index without a stage.
            (OpenWork::Withdrawals, QueueOrder::Value) => [
                "(state = 'AwaitingConfirmation' OR stage IS NOT NULL) AND stage IS NULL",
                "stage, value DESC, id DESC",
            ],
            (OpenWork::Approvals, QueueOrder::Age) => ["stage = 'approval'", "created_at, id"],
            (OpenWork::Approvals, QueueOrder::Value) => {
                ["stage = 'approval'", "value DESC, id DESC"]
            }
        }
    }
}

impl QueryFragment<Pg> for Places {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let [queue, order] = self.words();
        for text in ["SELECT id, created_at, ", VALUE, " AS value "] {
            out.push_sql(text);
        }
        for text in ["FROM book_main.transfers WHERE ", queue] {
            out.push_sql(text);
        }
        if let Some(edge) = &self.after {
            compare(edge, [" > (", " < ("], &mut out)?;
        }
        if let Some(edge) = &self.until {
            compare(edge, [" <= (", " >= ("], &mut out)?;
        }
        if let Some(asset) = &self.asset {
            out.push_sql(" AND asset = ");
            out.push_bind_param::<Text, _>(asset)?;
        }
        out.push_sql(" ORDER BY ");
        out.push_sql(order);
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(" OFFSET ");
        out.push_bind_param::<BigInt, _>(&self.offset)
    }
}

/// Rows on one side of a place: times grow down a queue, values fall.
fn compare<'b>(
    edge: &'b Edge,
    [by_age, by_value]: [&str; 2],
    out: &mut AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    let id = match edge {
        Edge::Age(created_at, id) => {
            out.push_sql(" AND (created_at, id)");
            out.push_sql(by_age);
            out.push_bind_param::<Timestamptz, _>(created_at)?;
            id
        }
        Edge::Value(value, id) => {
            for text in [" AND (", VALUE, ", id)", by_value] {
                out.push_sql(text);
            }
            out.push_bind_param::<Numeric, _>(value)?;
            id
        }
    };
    out.push_sql(", ");
    out.push_bind_param::<BigInt, _>(id)?;
    out.push_sql(")");
    Ok(())
}

/// The text depends on what is asked for, so it is the text that a prepared statement is found by.
impl QueryId for Places {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Places {
    type SqlType = (BigInt, Timestamptz, Numeric);
}

impl<Conn> diesel::RunQueryDsl<Conn> for Places {}
