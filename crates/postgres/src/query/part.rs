//! Conditions with their values in the text, as the predicates of the partial indexes have them:
//! the planner cannot prove from a parameter that an index may be used.

use diesel::{
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate},
    pg::Pg,
    prelude::QueryResult,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Bool, Timestamptz},
};

use crate::{schema::transfers, value::At};

/// Which transfers a list is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Deposits and withdrawals.
    Backoffice,
    /// Internal transfers, as their sender sees them.
    Sent,
    /// Internal transfers, as their recipient sees them.
    Received,
}

impl QueryFragment<Pg> for Part {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(match self {
            Self::Backoffice => "kind <> 'internal'",
            Self::Sent => "kind = 'internal'",
            Self::Received => "(kind = 'internal' AND state = 'Success')",
        });
        Ok(())
    }
}

/// A bound on the `timestamp` of an internal transfer: when it was done, else when it was created.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamp {
    /// At or after.
    From(At),
    /// Before.
    Before(At),
}

impl QueryFragment<Pg> for Stamp {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("CASE WHEN state = 'Pending' THEN created_at ELSE updated_at END ");
        let bound = match self {
            Self::From(at) => {
                out.push_sql(">= ");
                at
            }
            Self::Before(at) => {
                out.push_sql("< ");
                at
            }
        };
        out.push_bind_param::<Timestamptz, _>(bound)
    }
}

/// The text depends on the value, so it is the text that a prepared statement is found by.
macro_rules! condition_on_transfers {
    ($($condition:ty),*) => {$(
        impl Expression for $condition {
            type SqlType = Bool;
        }
        impl QueryId for $condition {
            type QueryId = Self;
            const HAS_STATIC_QUERY_ID: bool = false;
        }
        impl ValidGrouping<()> for $condition {
            type IsAggregate = is_aggregate::No;
        }
        impl AppearsOnTable<transfers::table> for $condition {}
        impl SelectableExpression<transfers::table> for $condition {}
    )*};
}

condition_on_transfers!(Part, Stamp);
