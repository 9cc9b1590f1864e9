//! Which callbacks a claim takes.

use std::collections::BTreeMap;

use bursar_domain::{Operation, Status, Timestamp};
use diesel::{
    pg::Pg,
    prelude::{QueryResult, Queryable},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Bytea, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use uuid::Uuid;

use crate::value::At;

/// Locks the pending members of the families that have been due for longest.
///
/// `due` passes over families with a running lease, so that what waits for one of them takes no
/// place away from others, and skips what another claimer has locked, so that claimers side by side
/// get different ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockFamilies {
    now: At,
    limit: i64,
}

impl LockFamilies {
    pub(super) fn new(now: Timestamp, limit: u32) -> Self {
        Self {
            now: At(now),
            limit: i64::from(limit),
        }
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
               SELECT c.transfer_id, c.url_digest, c.next_attempt_at \
               FROM book_main.callbacks AS c \
               WHERE c.state = 'pending' AND c.next_attempt_at <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(
            " AND NOT EXISTS ( \
                 SELECT FROM book_main.callbacks AS s \
                 WHERE s.transfer_id = c.transfer_id AND s.url_digest = c.url_digest \
                   AND s.state = 'pending' AND s.lease IS NOT NULL AND s.next_attempt_at > ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(
            ") \
               ORDER BY c.next_attempt_at, c.id \
               LIMIT ",
        );
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(
            " FOR UPDATE OF c SKIP LOCKED \
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
             SELECT c.id, c.transfer_id, c.url_digest, c.url, c.subscriber, c.operation, c.status, c.error, \
               c.attempts - c.attempts_before_replay, c.created_at, c.next_attempt_at, c.lease, f.due_at, f.members \
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
        Nullable<Text>,
        Integer,
        Timestamptz,
        Timestamptz,
        Nullable<SqlUuid>,
        Timestamptz,
        BigInt,
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
    pub(super) operation: String,
    pub(super) status: String,
    pub(super) error: Option<String>,
    pub(super) attempts: i32,
    created_at: At,
    next_attempt_at: At,
    lease: Option<Uuid>,
    /// Since when a member of the family has been due.
    family_due_at: At,
    /// How many members of the family are pending.
    family_members: i64,
}

impl Candidate {
    fn is_due(&self, now: Timestamp) -> bool {
        self.next_attempt_at.0 <= now
    }

    fn is_leased(&self, now: Timestamp) -> bool {
        self.lease.is_some() && !self.is_due(now)
    }

    /// Whether this tells that a confirm or cancel was refused, and not a state of the transfer.
    fn is_refusal(&self) -> bool {
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
    /// Never to be tried: a newer one is.
    pub(super) overtaken: Vec<Uuid>,
}

/// Takes the newest member that is due of every family that is locked whole.
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

/// Puts the claimed ones under a lease.
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
        out.push_sql("UPDATE book_main.callbacks SET lease = ");
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

/// Ends the overtaken ones; the lease of one that ran out becomes worthless.
#[derive(Clone, Debug)]
pub(super) struct MarkSkipped(pub(super) Vec<Uuid>);

impl QueryId for MarkSkipped {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for MarkSkipped {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE book_main.callbacks \
             SET state = 'skipped', next_attempt_at = NULL, lease = NULL WHERE id = ANY(",
        );
        out.push_bind_param::<Array<SqlUuid>, _>(&self.0)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<Conn> diesel::RunQueryDsl<Conn> for MarkSkipped {}

#[cfg(test)]
mod tests {
    use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

    use super::*;
    use crate::{explain::read_by, testing::TestDatabase};

    /// Many callbacks that arrived, a few that are pending.
    const FILL: &str = "
        INSERT INTO book_main.callbacks (id, transfer_id, operation, url, url_digest, status, state,
            attempts, created_at, next_attempt_at)
        SELECT gen_random_uuid(), n, 'create', 'u', 'd', 'Completed',
            CASE WHEN n > 19950 THEN 'pending' ELSE 'succeeded' END, 1,
            timestamptz '2026-01-01Z' + n * interval '1 second',
            CASE WHEN n > 19950 THEN timestamptz '2026-01-01Z' + n * interval '1 second' END
        FROM generate_series(1, 20000) AS n;
        ANALYZE book_main.callbacks";

    #[tokio::test]
    async fn a_claim_reads_only_what_is_pending() {
        let database = TestDatabase::create().await;
        let mut connection = AsyncPgConnection::establish(database.url()).await.unwrap();
        connection.batch_execute(FILL).await.unwrap();
        let now = Timestamp::parse("2026-02-01").unwrap();
        let read = read_by(&mut connection, LockFamilies::new(now, 64)).await;
        let due = "callbacks_due_idx".to_owned();
        let siblings = "callbacks_transfer_id_operation_url_uq".to_owned();
        assert!(read.contains(&due), "{read:?}");
        assert!(
            read.iter().all(|index| [&due, &siblings].contains(&index)),
            "{read:?}"
        );
    }
}
