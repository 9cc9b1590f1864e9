//! Where a time lies among the lines of a user's account, and what it held there.

use std::collections::HashMap;

use bursar_domain::Timestamp;
use bursar_ports::{Holding, StoreError};
use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Numeric, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::LedgerAccount;
use crate::{
    error::{inconsistent, unavailable},
    value::{At, Units},
};

/// How many lines of each of these users' accounts are older than a time, by account id.
pub(crate) async fn lines_before(
    connection: &mut AsyncPgConnection,
    accounts: &[LedgerAccount],
    at: Timestamp,
) -> Result<HashMap<i64, i64>, StoreError> {
    let search = LinesBefore {
        accounts: accounts.iter().map(|account| account.id).collect(),
        lines: accounts.iter().map(|account| account.lines).collect(),
        at: At(at),
    };
    let found: Vec<(i64, i64)> = search.load(connection).await.map_err(unavailable)?;
    if found.len() == accounts.len() {
        Ok(found.into_iter().collect())
    } else {
        Err(inconsistent("entries", "an account has a gap"))
    }
}

/// What these accounts held after these lines, and when those were written, by account id. Before
/// the first line an account holds nothing and is left out.
pub(crate) async fn holdings(
    connection: &mut AsyncPgConnection,
    places: Vec<(i64, i64)>,
) -> Result<HashMap<i64, (Holding, Timestamp)>, StoreError> {
    let (accounts, seqs): (Vec<i64>, Vec<i64>) =
        places.into_iter().filter(|(_, seq)| *seq > 0).unzip();
    if accounts.is_empty() {
        return Ok(HashMap::new());
    }
    let expected = accounts.len();
    let rows: Vec<(i64, Units, Units, At)> = Holdings { accounts, seqs }
        .load(connection)
        .await
        .map_err(unavailable)?;
    if rows.len() != expected {
        return Err(inconsistent("entries", "an account has a gap"));
    }
    let read = |(account, available, held, at): (i64, Units, Units, At)| {
        let holding = Holding {
            available: available.0,
            held: held.0,
        };
        (account, (holding, at.0))
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Halves what is left of each account until it is found how many lines are older. Each step is one
/// look-up for each account; `OFFSET 0` keeps it one, whatever the planner thinks of it.
#[derive(Clone, Debug)]
pub(super) struct LinesBefore {
    pub(super) accounts: Vec<i64>,
    pub(super) lines: Vec<i64>,
    pub(super) at: At,
}

impl QueryFragment<Pg> for LinesBefore {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH RECURSIVE search (account_id, low, high) AS (\
             SELECT r.account_id, 0::bigint, r.lines FROM unnest(",
        );
        out.push_bind_param::<Array<BigInt>, _>(&self.accounts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.lines)?;
        out.push_sql(
            ") AS r (account_id, lines) UNION ALL \
             SELECT s.account_id, \
               CASE WHEN e.is_older THEN e.seq ELSE s.low END, \
               CASE WHEN e.is_older THEN s.high ELSE e.seq - 1 END \
             FROM search AS s CROSS JOIN LATERAL (\
               SELECT seq, created_at < ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.at)?;
        out.push_sql(
            " AS is_older FROM book_main.entries \
               WHERE account_id = s.account_id AND seq = (s.low + s.high + 1) / 2 OFFSET 0\
             ) AS e WHERE s.low < s.high) \
             SELECT account_id, low FROM search WHERE low = high",
        );
        Ok(())
    }
}

/// The balances after lines.
#[derive(Clone, Debug)]
pub(super) struct Holdings {
    pub(super) accounts: Vec<i64>,
    pub(super) seqs: Vec<i64>,
}

impl QueryFragment<Pg> for Holdings {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT e.account_id, e.available_after, e.held_after, e.created_at FROM unnest(",
        );
        out.push_bind_param::<Array<BigInt>, _>(&self.accounts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.seqs)?;
        out.push_sql(
            ") AS r (account_id, seq) CROSS JOIN LATERAL (\
             SELECT * FROM book_main.entries \
             WHERE account_id = r.account_id AND seq = r.seq OFFSET 0) AS e",
        );
        Ok(())
    }
}

macro_rules! query {
    ($($query:ty => $row:ty),* $(,)?) => {$(
        impl QueryId for $query {
            type QueryId = Self;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
        impl Query for $query {
            type SqlType = $row;
        }
        impl<Conn> diesel::RunQueryDsl<Conn> for $query {}
    )*};
}

query!(
    LinesBefore => (BigInt, BigInt),
    Holdings => (BigInt, Numeric, Numeric, Timestamptz),
);
