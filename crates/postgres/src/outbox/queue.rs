//! What waits: which lanes have something, what comes into the queue, and how much it is.

use std::collections::BTreeMap;

use bursar_domain::Timestamp;
use bursar_ports::Lane;
use diesel::{
    pg::Pg,
    prelude::{QueryResult, Queryable},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz},
};

use crate::value::At;

/// The heads of the lanes behind a place, two index probes each: however much waits in a lane, only
/// its first callback is read. A full subscriber has one lane here, any other at most
/// `of_one_max`: the next probe passes over the rest, so that nobody is looked at later for what
/// others have. Where a look left a subscriber, the next one goes on with it.
#[derive(Clone, Debug)]
pub(super) struct DueLanes {
    subscriber: String,
    from: String,
    full: Vec<String>,
    left: Vec<String>,
    left_at: Vec<String>,
    of_one_max: i64,
    limit: i64,
}

impl DueLanes {
    /// What is behind `after`; of the subscribers in `left` what is behind these hosts.
    pub(super) fn new(
        after: Option<Lane>,
        full: Vec<String>,
        left: BTreeMap<String, String>,
        of_one_max: u32,
        limit: u32,
    ) -> Self {
        let (subscriber, from) = match after {
            None => Default::default(),
            Some(Lane { subscriber, host }) => (subscriber, behind(host)),
        };
        let (left, left_at) = left
            .into_iter()
            .map(|(subscriber, host)| (subscriber, behind(host)))
            .unzip();
        Self {
            subscriber,
            from,
            full,
            left,
            left_at,
            of_one_max: i64::from(of_one_max),
            limit: i64::from(limit),
        }
    }
}

/// The smallest text behind a host's name.
fn behind(host: String) -> String {
    host + "\u{1}"
}

impl QueryId for DueLanes {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for DueLanes {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // The first row is where to begin, and no lane. No host has a character as high as DEL.
        out.push_sql(
            "WITH RECURSIVE lanes AS ( \
               SELECT 0::bigint AS place, 0::bigint AS of_one, ",
        );
        out.push_bind_param::<Text, _>(&self.subscriber)?;
        out.push_sql(" COLLATE \"C\" AS subscriber, '' COLLATE \"C\" AS host, ");
        out.push_bind_param::<Text, _>(&self.from)?;
        out.push_sql(
            " COLLATE \"C\" AS next, true AS is_final, NULL::timestamptz AS next_attempt_at \
               UNION ALL \
               SELECT l.place + 1, \
                 CASE WHEN m.subscriber = l.subscriber THEN l.of_one + 1 ELSE 1 END, \
                 m.subscriber, m.host, m.host || chr(1), m.is_final, m.next_attempt_at \
               FROM lanes AS l CROSS JOIN LATERAL ( \
                 SELECT c.subscriber, c.host \
                 FROM book_main.callbacks AS c \
                 WHERE c.state = 'pending' AND c.queued AND (c.subscriber, c.host) >= \
                   (l.subscriber, CASE WHEN l.of_one >= ",
        );
        out.push_bind_param::<BigInt, _>(&self.of_one_max)?;
        out.push_sql(" OR l.of_one > 0 AND l.subscriber = ANY(");
        out.push_bind_param::<Array<Text>, _>(&self.full)?;
        out.push_sql(
            ") THEN chr(127) ELSE l.next END) \
                 ORDER BY c.subscriber, c.host, c.is_final DESC, c.next_attempt_at \
                 LIMIT 1 \
               ) AS n CROSS JOIN LATERAL ( \
                 SELECT c.subscriber, c.host, c.is_final, c.next_attempt_at \
                 FROM book_main.callbacks AS c \
                 WHERE c.state = 'pending' AND c.queued AND (c.subscriber, c.host) >= \
                   (n.subscriber, CASE WHEN n.subscriber = l.subscriber THEN n.host \
                      ELSE greatest(n.host, (SELECT r.host FROM unnest(",
        );
        out.push_bind_param::<Array<Text>, _>(&self.left)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.left_at)?;
        out.push_sql(
            ") AS r (subscriber, host) WHERE r.subscriber = n.subscriber)) END) \
                 ORDER BY c.subscriber, c.host, c.is_final DESC, c.next_attempt_at \
                 LIMIT 1 \
               ) AS m WHERE l.place < ",
        );
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(
            ") SELECT subscriber, host, is_final, next_attempt_at FROM lanes WHERE place > 0",
        );
        Ok(())
    }
}

impl Query for DueLanes {
    type SqlType = (Text, Text, Bool, Timestamptz);
}

impl<Conn> diesel::RunQueryDsl<Conn> for DueLanes {}

/// The first callback of a lane.
#[derive(Clone, Debug, Queryable)]
pub(super) struct Head {
    pub(super) subscriber: String,
    pub(super) host: String,
    pub(super) is_final: bool,
    pub(super) due_at: At,
}

/// Puts what has waited for its time into the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enqueue {
    now: At,
    limit: i64,
}

impl Enqueue {
    pub(super) fn new(now: Timestamp, limit: u32) -> Self {
        Self {
            now: At(now),
            limit: i64::from(limit),
        }
    }
}

impl QueryId for Enqueue {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for Enqueue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE book_main.callbacks SET queued = true WHERE id = ANY(ARRAY( \
               SELECT id FROM book_main.callbacks \
               WHERE state = 'pending' AND NOT queued AND next_attempt_at <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(" ORDER BY next_attempt_at LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(" FOR UPDATE SKIP LOCKED))");
        Ok(())
    }
}

impl<Conn> diesel::RunQueryDsl<Conn> for Enqueue {}

/// How many are counted at most: enough for an alert, and not the cost of a backlog.
const COUNTED_MAX: i64 = 10_000;

/// How many are due, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountDue {
    now: At,
}

impl CountDue {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { now: At(now) }
    }
}

impl QueryId for CountDue {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for CountDue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT count(*), min(next_attempt_at) FROM ( \
               SELECT next_attempt_at FROM book_main.callbacks \
               WHERE state = 'pending' AND next_attempt_at <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(" ORDER BY next_attempt_at LIMIT ");
        out.push_bind_param::<BigInt, _>(&COUNTED_MAX)?;
        out.push_sql(") AS due");
        Ok(())
    }
}

impl Query for CountDue {
    type SqlType = (BigInt, Nullable<Timestamptz>);
}

impl<Conn> diesel::RunQueryDsl<Conn> for CountDue {}
