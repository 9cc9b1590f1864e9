//! What becomes of a claim.

use bursar_domain::Timestamp;
use bursar_ports::{AttemptRecord, Lane, Verdict};
use diesel::{
    pg::Pg,
    prelude::QueryResult,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use uuid::Uuid;

use crate::value::At;

/// Ends a lease with what was tried under it. Writes nothing when the lease is somebody else's.
#[derive(Clone, Debug)]
pub(super) struct RecordAttempt {
    id: Uuid,
    lease: Uuid,
    state: &'static str,
    next_attempt_at: Option<At>,
    at: At,
    duration_ms: i64,
    http_status: Option<i32>,
    outcome: &'static str,
}

impl From<AttemptRecord> for RecordAttempt {
    fn from(attempt: AttemptRecord) -> Self {
        let (state, next_attempt_at) = match attempt.verdict {
            Verdict::Succeeded => ("succeeded", None),
            Verdict::RetryAt(at) => ("pending", Some(At(at))),
            Verdict::Dead => ("dead", None),
        };
        Self {
            id: attempt.id,
            lease: attempt.lease.0,
            state,
            next_attempt_at,
            at: At(attempt.at),
            duration_ms: attempt.duration_ms,
            http_status: attempt.http_status.map(i32::from),
            outcome: attempt.outcome,
        }
    }
}

impl QueryId for RecordAttempt {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for RecordAttempt {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH ended AS ( \
               UPDATE book_main.callbacks \
               SET lease = NULL, queued = false, attempts = attempts + 1, state = ",
        );
        out.push_bind_param::<Text, _>(&self.state)?;
        out.push_sql(", next_attempt_at = ");
        out.push_bind_param::<Nullable<Timestamptz>, _>(&self.next_attempt_at)?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<SqlUuid, _>(&self.id)?;
        out.push_sql(" AND lease = ");
        out.push_bind_param::<SqlUuid, _>(&self.lease)?;
        out.push_sql(
            " RETURNING id, attempts \
             ) \
             INSERT INTO book_main.callback_attempts \
               (callback_id, attempt, at, duration_ms, http_status, outcome) \
             SELECT id, attempts, ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.at)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.duration_ms)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Integer>, _>(&self.http_status)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.outcome)?;
        out.push_sql(" FROM ended");
        Ok(())
    }
}

impl<Conn> diesel::RunQueryDsl<Conn> for RecordAttempt {}

/// Ends leases under which nothing was tried. When the row was due before the claim is not known
/// any more; the time at which it was made is past, so it is due at once.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) ids: Vec<Uuid>,
    pub(super) leases: Vec<Uuid>,
}

impl QueryId for Release {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for Release {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE book_main.callbacks AS c \
             SET lease = NULL, queued = true, next_attempt_at = coalesce(c.made_at, c.created_at) \
             FROM unnest(",
        );
        out.push_bind_param::<Array<SqlUuid>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.leases)?;
        out.push_sql(") AS r (id, lease) WHERE c.id = r.id AND c.lease = r.lease");
        Ok(())
    }
}

impl<Conn> diesel::RunQueryDsl<Conn> for Release {}

/// How many callbacks at the head of a lane are looked at when some of them are given up.
const GIVEN_UP_MAX: i64 = 1_000;

/// Ends what waits at the head of a lane for longer than anything is tried.
#[derive(Clone, Debug)]
pub(super) struct GiveUp {
    lane: Lane,
    created_before: At,
    now: At,
}

impl GiveUp {
    pub(super) const fn new(lane: Lane, created_before: Timestamp, now: Timestamp) -> Self {
        Self {
            lane,
            created_before: At(created_before),
            now: At(now),
        }
    }
}

impl QueryId for GiveUp {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for GiveUp {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH head AS MATERIALIZED ( \
               SELECT id, greatest(created_at, made_at, replayed_at) AS begun_at, next_attempt_at \
               FROM book_main.callbacks \
               WHERE state = 'pending' AND queued AND subscriber = ",
        );
        out.push_bind_param::<Text, _>(&self.lane.subscriber)?;
        out.push_sql(" AND host = ");
        out.push_bind_param::<Text, _>(&self.lane.host)?;
        out.push_sql(" ORDER BY is_final DESC, next_attempt_at LIMIT ");
        out.push_bind_param::<BigInt, _>(&GIVEN_UP_MAX)?;
        out.push_sql(
            " FOR UPDATE SKIP LOCKED \
             ), ended AS ( \
               UPDATE book_main.callbacks \
               SET state = 'dead', next_attempt_at = NULL, lease = NULL, queued = false, \
                 attempts = attempts + 1 \
               WHERE id = ANY(ARRAY(SELECT id FROM head WHERE begun_at < ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.created_before)?;
        out.push_sql(" AND next_attempt_at <= ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(
            ")) RETURNING id, attempts \
             ) \
             INSERT INTO book_main.callback_attempts \
               (callback_id, attempt, at, duration_ms, http_status, outcome) \
             SELECT id, attempts, ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(", 0, NULL, 'breaker' FROM ended");
        Ok(())
    }
}

impl<Conn> diesel::RunQueryDsl<Conn> for GiveUp {}
