//! Which callbacks a claim takes.

use std::collections::BTreeMap;

use bursar_domain::{Operation, Status, Timestamp};
use bursar_ports::LaneShare;
use diesel::{
    pg::Pg,
    prelude::{QueryResult, Queryable},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{
        Array, BigInt, Bool, Bytea, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid,
    },
};
use uuid::Uuid;

use crate::value::At;

/// Locks the pending members of the families that come first in these lanes.
///
/// `due` passes over families with a running lease, so that what waits for one of them takes no
/// place away from others, and skips what another claimer has locked, so that claimers side by side
/// get different ones.
///
/// Whether a newer member arrived is read from the snapshot: one that is still pending there makes
/// the family one member short, or leased, by the time that it has arrived.
#[derive(Clone, Debug)]
pub(super) struct LockFamilies {
    now: At,
    subscribers: Vec<String>,
    hosts: Vec<String>,
    places: Vec<i64>,
}

impl LockFamilies {
    pub(super) fn new(now: Timestamp, shares: Vec<LaneShare>) -> Self {
        let mut locked = Self {
            now: At(now),
            subscribers: vec![],
            hosts: vec![],
            places: vec![],
        };
        for LaneShare { lane, places } in shares {
            locked.subscribers.push(lane.subscriber);
            locked.hosts.push(lane.host);
            locked.places.push(i64::from(places));
        }
        locked
    }
}

impl QueryId for LockFamilies {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for LockFamilies {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH due AS MATERIALIZED ( \
               SELECT d.transfer_id, d.url_digest, d.next_attempt_at \
               FROM unnest(",
        );
        out.push_bind_param::<Array<Text>, _>(&self.subscribers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.hosts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.places)?;
        out.push_sql(
            ") AS w (subscriber, host, places) CROSS JOIN LATERAL ( \
                 SELECT c.transfer_id, c.url_digest, c.next_attempt_at \
                 FROM book_main.callbacks AS c \
                 WHERE c.subscriber = w.subscriber AND c.host = w.host \
                   AND c.state = 'pending' AND c.queued AND (c.next_attempt_at <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        // Not conditions for an index: through one on times everything that is due, or that waits
        // for its time, would be read.
        out.push_sql(
            ") IS TRUE AND NOT EXISTS ( \
                   SELECT FROM book_main.callbacks AS s \
                   WHERE s.transfer_id = c.transfer_id AND s.url_digest = c.url_digest \
                     AND s.state = 'pending' AND s.lease IS NOT NULL \
                     AND (s.next_attempt_at > ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(
            ") IS TRUE) \
                 ORDER BY c.is_final DESC, c.next_attempt_at \
                 LIMIT w.places \
                 FOR UPDATE OF c SKIP LOCKED \
               ) AS d \
             ), families AS ( \
               SELECT m.transfer_id, m.url_digest, d.due_at, count(*) AS members \
               FROM ( \
                 SELECT transfer_id, url_digest, min(next_attempt_at) AS due_at \
                 FROM due GROUP BY transfer_id, url_digest \
               ) AS d \
               JOIN book_main.callbacks AS m \
                 ON m.transfer_id = d.transfer_id AND m.url_digest = d.url_digest \
                 AND m.state = 'pending' \
               GROUP BY m.transfer_id, m.url_digest, d.due_at \
             ) \
             SELECT c.id, c.transfer_id, c.url_digest, c.url, c.subscriber, c.host, \
               c.operation, c.status, c.error, \
               c.attempts - c.attempts_before_replay, c.created_at, \
               greatest(c.created_at, c.made_at, c.replayed_at), c.next_attempt_at, c.lease, f.due_at, \
               f.members, EXISTS ( \
                 SELECT FROM book_main.callbacks AS n \
                 WHERE n.transfer_id = c.transfer_id AND n.url_digest = c.url_digest \
                   AND n.state = 'succeeded' AND n.created_at > c.created_at) \
             FROM families AS f \
             JOIN book_main.callbacks AS c \
               ON c.transfer_id = f.transfer_id AND c.url_digest = f.url_digest \
               AND c.state = 'pending' \
             FOR UPDATE OF c SKIP LOCKED",
        );
        Ok(())
    }
}

impl Query for LockFamilies {
    type SqlType = (
        SqlUuid,
        BigInt,
        Bytea,
        Text,
        Text,
        Text,
        Text,
        Text,
        Nullable<Text>,
        Integer,
        Timestamptz,
        Timestamptz,
        Timestamptz,
        Nullable<SqlUuid>,
        Timestamptz,
        BigInt,
        Bool,
    );
}

impl<Conn> diesel::RunQueryDsl<Conn> for LockFamilies {}

/// A pending callback that is locked.
#[derive(Clone, Debug, Queryable)]
pub(super) struct Candidate {
    pub(super) id: Uuid,
    pub(super) transfer_id: i64,
    url_digest: Vec<u8>,
    pub(super) url: String,
    pub(super) subscriber: String,
    pub(super) host: String,
    pub(super) operation: String,
    pub(super) status: String,
    pub(super) error: Option<String>,
    pub(super) attempts: i32,
    created_at: At,
    /// When it became due first, or was replayed.
    pub(super) begun_at: At,
    next_attempt_at: At,
    lease: Option<Uuid>,
    /// Since when a member of the family has been due.
    family_due_at: At,
    /// How many members of the family are pending.
    family_members: i64,
    /// Whether a newer member of the family has arrived.
    is_overtaken: bool,
}

impl Candidate {
    fn is_due(&self, now: Timestamp) -> bool {
        self.next_attempt_at.0 <= now
    }

    fn is_leased(&self, now: Timestamp) -> bool {
        self.lease.is_some() && !self.is_due(now)
    }

    /// Whether this tells that a confirm or cancel was refused, and not a state of the transfer.
    pub(super) fn is_refusal(&self) -> bool {
        self.status == Status::Failed.as_str()
            && [Operation::Confirm, Operation::Cancel]
                .iter()
                .any(|operation| operation.as_str() == self.operation)
    }

    /// Which of two is told first: the newer one, and of a state and a refusal that it was the
    /// reason for, which bear the same time, the state.
    fn rank(&self) -> (Timestamp, bool, Uuid) {
        (self.created_at.0, !self.is_refusal(), self.id)
    }
}

/// What a claim does with what it locked.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// To be tried, what has been due for longest first.
    pub(super) claimed: Vec<Candidate>,
    /// Never to be tried: a newer one is, or has arrived.
    pub(super) overtaken: Vec<Uuid>,
}

/// Takes the newest member that is due of every family that is locked whole, unless a newer one has
/// arrived.
pub(super) fn choose(locked: Vec<Candidate>, now: Timestamp) -> Chosen {
    let mut families: BTreeMap<(i64, Vec<u8>), Vec<Candidate>> = BTreeMap::new();
    for candidate in locked {
        let family = (candidate.transfer_id, candidate.url_digest.clone());
        families.entry(family).or_default().push(candidate);
    }
    let mut chosen = Chosen::default();
    for members in families.into_values() {
        if !is_free(&members, now) {
            continue;
        }
        // Replay may have made these due while the newer one was on its way.
        let (overtaken, members): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|member| member.is_overtaken);
        let overtaken = overtaken.into_iter().map(|member| member.id);
        chosen.overtaken.extend(overtaken);
        let due = members.iter().filter(|member| member.is_due(now));
        let Some(newest) = due.max_by_key(|member| member.rank()).cloned() else {
            continue;
        };
        // A refusal bears the time of the state that it was refused for, so neither overtakes the
        // other: both are told.
        let older = members
            .iter()
            .filter(|member| member.created_at.0 < newest.created_at.0);
        chosen.overtaken.extend(older.map(|member| member.id));
        chosen.claimed.push(newest);
    }
    chosen.claimed.sort_by_key(|c| (c.family_due_at.0, c.id));
    chosen
}

/// Whether every member is locked and none is being tried.
fn is_free(members: &[Candidate], now: Timestamp) -> bool {
    let locked = i64::try_from(members.len()).unwrap_or(i64::MAX);
    members
        .iter()
        .all(|member| member.family_members == locked && !member.is_leased(now))
}

/// Puts the claimed ones under a lease, and takes them out of the queue.
#[derive(Clone, Debug)]
pub(super) struct MarkLeased {
    ids: Vec<Uuid>,
    token: Uuid,
    until: At,
}

impl MarkLeased {
    pub(super) const fn new(ids: Vec<Uuid>, token: Uuid, until: Timestamp) -> Self {
        Self {
            ids,
            token,
            until: At(until),
        }
    }
}

impl QueryId for MarkLeased {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for MarkLeased {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE book_main.callbacks SET queued = false, lease = ");
        out.push_bind_param::<SqlUuid, _>(&self.token)?;
        out.push_sql(", next_attempt_at = ");
        out.push_bind_param::<Timestamptz, _>(&self.until)?;
        out.push_sql(" WHERE id = ANY(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.ids)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<Conn> diesel::RunQueryDsl<Conn> for MarkLeased {}

/// Ends the overtaken ones, and says so where their attempts are; the lease of one that ran out
/// becomes worthless.
#[derive(Clone, Debug)]
pub(super) struct MarkSkipped {
    ids: Vec<Uuid>,
    at: At,
}

impl MarkSkipped {
    pub(super) const fn new(ids: Vec<Uuid>, at: Timestamp) -> Self {
        Self { ids, at: At(at) }
    }
}

impl QueryId for MarkSkipped {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for MarkSkipped {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH ended AS ( \
               UPDATE book_main.callbacks \
               SET state = 'skipped', next_attempt_at = NULL, lease = NULL, queued = false, \
                 attempts = attempts + 1 \
               WHERE id = ANY(",
        );
        out.push_bind_param::<Array<SqlUuid>, _>(&self.ids)?;
        out.push_sql(
            ") RETURNING id, attempts \
             ) \
             INSERT INTO book_main.callback_attempts \
               (callback_id, attempt, at, duration_ms, http_status, outcome) \
             SELECT id, attempts, ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.at)?;
        out.push_sql(", 0, NULL, 'overtaken' FROM ended");
        Ok(())
    }
}

impl<Conn> diesel::RunQueryDsl<Conn> for MarkSkipped {}

#[cfg(test)]
mod tests {
    use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

    use bursar_ports::Lane;

    use super::{
        super::{
            queue::{CountDue, DueLanes, Enqueue},
            record::GiveUp,
        },
        *,
    };
    use crate::{
        explain::{measure, read_by},
        testing::TestDatabase,
    };

    /// Half a million callbacks that arrived, and 100,000 that wait in one lane of many.
    const FILL: &str = "
        INSERT INTO book_main.callbacks (id, transfer_id, operation, url, url_digest, subscriber,
            host, status, is_final, state, queued, attempts, created_at, next_attempt_at)
        SELECT gen_random_uuid(), n, 'create', 'u', 'd', 'user:' || m, 'host' || m, 'Completed',
            n % 2 = 0, CASE WHEN waits THEN 'pending' ELSE 'succeeded' END, true, 0, at,
            CASE WHEN waits THEN at END
        FROM (SELECT n, CASE WHEN n <= 100000 THEN 500 ELSE n % 1000 END AS m,
                n <= 100000 OR n > 499000 AS waits,
                timestamptz '2026-01-01Z' + n * interval '1 second' AS at
            FROM generate_series(1, 500000) AS n) AS c;
        ANALYZE book_main.callbacks";
    const QUEUE: &str = "callbacks_queue_idx";

    async fn filled() -> (TestDatabase, AsyncPgConnection, Timestamp) {
        let database = TestDatabase::create().await;
        let mut connection = AsyncPgConnection::establish(database.url()).await.unwrap();
        connection.batch_execute(FILL).await.unwrap();
        let now = Timestamp::parse("2026-02-01").unwrap();
        (database, connection, now)
    }

    fn lane(number: u32) -> Lane {
        Lane {
            subscriber: format!("user:{number}"),
            host: format!("host{number}"),
        }
    }

    #[tokio::test]
    async fn a_lane_with_100_000_callbacks_is_one_of_the_lanes() {
        let (_database, mut connection, now) = filled().await;
        let every = DueLanes::new(None, vec![], std::collections::BTreeMap::new(), 512, 512);
        assert_eq!(read_by(&mut connection, every.clone()).await, [QUEUE]);
        let (plan, looked_at) = measure(&mut connection, every).await;
        assert!(looked_at <= 4 * 512, "{looked_at}: {plan}");
        // Those that may be claimed are claimed without a look at the rest.
        let shares = |lanes: std::ops::Range<u32>| -> Vec<LaneShare> {
            lanes
                .map(|number| LaneShare {
                    lane: lane(number),
                    places: 8,
                })
                .collect()
        };
        let claim = LockFamilies::new(now, shares(500..510));
        let read = read_by(&mut connection, claim.clone()).await;
        let siblings = "callbacks_transfer_id_operation_url_uq";
        assert_eq!(read, [QUEUE, siblings]);
        let (plan, looked_at) = measure(&mut connection, claim).await;
        assert!(looked_at <= 200, "{looked_at}: {plan}");
    }

    #[tokio::test]
    async fn whats_waiting_is_found_by_its_time_and_the_figures_have_a_bound() {
        let (_database, mut connection, now) = filled().await;
        let retries = "UPDATE book_main.callbacks SET queued = false
            WHERE state = 'pending' AND transfer_id > 499500; ANALYZE book_main.callbacks";
        connection.batch_execute(retries).await.unwrap();
        let (plan, looked_at) = measure(&mut connection, Enqueue::new(now, 256)).await;
        assert!(plan.contains("callbacks_waiting_idx"), "{plan}");
        // Each is found, handed on and updated.
        assert!(looked_at <= 3 * 256, "{looked_at}: {plan}");
        let (plan, looked_at) = measure(&mut connection, CountDue::new(now)).await;
        assert!(plan.contains("callbacks_due_idx"), "{plan}");
        assert!(looked_at <= 10_001, "{looked_at}: {plan}");
        let old = GiveUp::new(lane(500), now, now);
        let (plan, looked_at) = measure(&mut connection, old).await;
        assert!(plan.contains(QUEUE), "{plan}");
        assert!(looked_at <= 10_000, "{looked_at}: {plan}");
    }
}
