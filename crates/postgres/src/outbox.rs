//! The callbacks that are due.
//!
//! A callback's *family* is every callback of the same transfer and URL. A claim writes a lease, a
//! random token, into the row and the lease's end into `next_attempt_at`; the state stays
//! `pending`. Nobody has to notice a dead claimer: when its lease ends, the row is due again.
//!
//! # Never two of one family in flight
//!
//! 1. A claim locks **every** pending member of a family, not only the one that is due, without
//!    waiting (`SKIP LOCKED`). It takes the family only when it got the lock on every member that
//!    its snapshot shows, and none of them is under a lease that still runs. Leases are judged on
//!    what the lock returned, which is the row as it is now, not as the snapshot shows it.
//! 2. Two claimers that see a common member fight for its lock, and one of them loses the family.
//! 3. Two claimers that see different members of one family: the later snapshot shows what the
//!    earlier one shows, unless that became final in between, and then the earlier claimer's lock
//!    finds it final and leaves the family alone. So they do see a common member, whatever was
//!    added meanwhile.
//! 4. What is recorded of an attempt counts only under the lease it was made under.
//! 5. No attempt begins late in its lease: whoever claimed and was held up gives the claim back.
//!
//! # The final state comes last
//!
//! Of what is pending the newest that is due is told, and what is older is skipped. A newer member
//! that arrived is not pending any more, and replay may make an older one due that it did not see
//! overtaken: so a claim looks for such a member too, and skips what it finds one for.
//!
//! # The queue
//!
//! `queued` says that a callback is due and nobody is at it, and keeps retries that wait for their
//! time out of the index that lanes are found by. It decides only what is *looked at*: whether a
//! family is taken is decided by state, lease and time alone, on the locked rows, so nothing above
//! rests on it. A claim and a retry take a callback out of the queue, and [`queue::Enqueue`] puts it
//! back once its time has come, which is also how the claims of a dead claimer come back.
//!
//! Claimers' clocks are compared with each other: a lease must be longer than an attempt by more
//! than the clocks of two replicas differ.

mod claim;
mod queue;
mod record;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bursar_domain::{Operation, Status, Subscriber, Timestamp};
use bursar_ports::{
    AttemptRecord, ClaimedCallback, DueLane, DueLanes, Lane, LaneShare, LeaseToken, Outbox,
    QueueFigures, StoreError,
};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::{
    claim::{Candidate, LockFamilies, MarkLeased, MarkSkipped},
    queue::{CountDue, Enqueue, Head},
    record::{GiveUp, RecordAttempt, Release},
};
use crate::{
    error::{inconsistent, unavailable},
    faults::{Planted, Point, is_planted, reach, tarry},
    pool::Database,
    row::SealedRow,
    schema::callbacks,
    seal::SealKeys,
    tx::run_tx,
    value::At,
};

/// How many lanes one look finds.
const LANES_MAX: u32 = 512;
/// How many lanes of one subscriber a look finds; the next look finds others.
const LANES_OF_ONE_MAX: u32 = 48;
/// How many attempts are recorded at once. Hundreds may end in the same moment: they wait here, for
/// as long as it takes, and neither run out of time in the pool nor keep everybody else out of it.
const RECORDED_AT_ONCE: usize = 3;

/// The callbacks of the main book.
#[derive(Clone)]
pub struct PgOutbox {
    database: Database,
    seals: SealKeys,
    recording: Arc<Semaphore>,
    /// The subscribers that looks left with lanes behind these hosts.
    left: Arc<Mutex<BTreeMap<String, String>>>,
}

impl PgOutbox {
    /// An outbox on these connections, with the keys of the seals of what it tells of.
    pub fn new(database: Database, seals: SealKeys) -> Self {
        Self {
            database,
            seals,
            recording: Arc::new(Semaphore::new(RECORDED_AT_ONCE)),
            left: Arc::default(),
        }
    }
}

#[async_trait]
impl Outbox for PgOutbox {
    async fn enqueue_due(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        let enqueued = self
            .database
            .run(async |connection| Enqueue::new(now, limit).execute(connection).await)
            .await?;
        Ok(u32::try_from(enqueued).unwrap_or(u32::MAX))
    }

    async fn due_lanes(
        &self,
        now: Timestamp,
        after: Option<Lane>,
        full: Vec<String>,
    ) -> Result<DueLanes, StoreError> {
        let left = self.left().clone();
        let heads: Vec<Head> = self
            .database
            .run(async |connection| {
                let (after, full) = (after.clone(), full.clone());
                queue::DueLanes::new(after, full, left, LANES_OF_ONE_MAX, LANES_MAX)
                    .load(connection)
                    .await
            })
            .await?;
        let may_be_more = u32::try_from(heads.len()).is_ok_and(|found| found >= LANES_MAX);
        leave(&mut self.left(), &heads, after.as_ref(), &full, may_be_more);
        let lane_of = |head: &Head| Lane {
            subscriber: head.subscriber.clone(),
            host: head.host.clone(),
        };
        let next = heads.last().filter(|_| may_be_more).map(lane_of);
        // A replica of the release before leaves what it has claimed in the queue.
        let due = heads.iter().filter(|head| head.due_at.0 <= now);
        let lanes = due.map(|head| DueLane {
            lane: lane_of(head),
            is_final: head.is_final,
            due_at: head.due_at.0,
        });
        Ok(DueLanes {
            lanes: lanes.collect(),
            next,
        })
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        shares: Vec<LaneShare>,
    ) -> Result<Vec<ClaimedCallback>, StoreError> {
        let token = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let until = now.plus_micros(lease_ms.saturating_mul(1_000));
        let work = run_tx(self.database.pool(), "claim callbacks", move |connection| {
            claim(connection, now, token, until, shares.clone()).boxed()
        });
        let (claimed, transfers) = work.await?;
        reach(Point::CallbacksClaimed).await.map_err(unavailable)?;
        if is_planted(Planted::TellsBeforehand) {
            tarry().await;
        }
        let transfers: HashMap<i64, SealedRow> =
            transfers.into_iter().map(|row| (row.id(), row)).collect();
        let read = claimed.into_iter().map(|candidate| {
            let transfer = transfers.get(&candidate.transfer_id).cloned();
            read_claim(candidate, transfer, LeaseToken(token), &self.seals)
        });
        // One row that fits no value must not hold up everybody else's callbacks: it is told, stays
        // leased, and comes up again when the lease ends.
        let claims = read.filter_map(|claim| match claim {
            Ok(claim) => Some(claim),
            Err(error) => {
                metrics::counter!("bursar_callbacks_unreadable_total").increment(1);
                tracing::error!(%error, "a callback that is due cannot be read");
                None
            }
        });
        Ok(claims.collect())
    }

    async fn record_attempt(&self, attempt: AttemptRecord) -> Result<bool, StoreError> {
        let _turn = self.recording.acquire().await;
        reach(Point::CallbackTried).await.map_err(unavailable)?;
        let recorded = self
            .database
            .run(async |connection| RecordAttempt::from(attempt).execute(connection).await)
            .await?;
        reach(Point::CallbackRecorded).await.map_err(unavailable)?;
        Ok(recorded > 0)
    }

    async fn release(&self, claims: Vec<(Uuid, LeaseToken)>) -> Result<(), StoreError> {
        if claims.is_empty() {
            return Ok(());
        }
        let (ids, leases) = claims.into_iter().map(|(id, lease)| (id, lease.0)).unzip();
        self.database
            .run(async |connection| Release { ids, leases }.execute(connection).await)
            .await?;
        Ok(())
    }

    async fn give_up(
        &self,
        lane: Lane,
        created_before: Timestamp,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        let given_up = self
            .database
            .run(async |connection| {
                GiveUp::new(lane, created_before, now)
                    .execute(connection)
                    .await
            })
            .await?;
        Ok(u32::try_from(given_up).unwrap_or(u32::MAX))
    }

    async fn figures(&self, now: Timestamp) -> Result<QueueFigures, StoreError> {
        let (due, oldest): (i64, Option<At>) = self
            .database
            .run(async |connection| CountDue::new(now).get_result(connection).await)
            .await?;
        Ok(QueueFigures {
            due: u32::try_from(due).unwrap_or(u32::MAX),
            oldest_due_at: oldest.map(|at| at.0),
        })
    }
}

impl PgOutbox {
    fn left(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes where a look left its subscribers: behind the last lane of those that may have more. Whoever
/// was seen to the end begins anew; whoever was full was shown one lane alone and stays where it was, and
/// so does whoever the look did not come to.
///
/// Behind a subscriber that has nothing behind its place a look comes to the next one at its first lane,
/// whatever that one's place is: it was passed, and stays where it was too.
fn leave(
    left: &mut BTreeMap<String, String>,
    heads: &[Head],
    after: Option<&Lane>,
    full: &[String],
    may_be_more: bool,
) {
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for head in heads {
        seen.entry(&head.subscriber).or_default().push(&head.host);
    }
    let end = heads.last().filter(|_| may_be_more);
    left.retain(|subscriber, place| {
        let is_before = after.is_some_and(|lane| *subscriber < lane.subscriber);
        let is_behind = end.is_some_and(|end| *subscriber >= end.subscriber);
        let first = seen
            .get(subscriber.as_str())
            .and_then(|hosts| hosts.as_slice().first());
        let is_full = full.contains(subscriber) && first.is_some();
        let is_passed = first.is_some_and(|first| *first <= place.as_str());
        if is_passed {
            seen.remove(subscriber.as_str());
        }
        is_before || is_behind || is_full || is_passed
    });
    for (subscriber, hosts) in seen {
        let may_have_more = u32::try_from(hosts.len()).is_ok_and(|count| count >= LANES_OF_ONE_MAX);
        if let Some(last) = hosts.as_slice().last().filter(|_| may_have_more) {
            left.insert(subscriber.to_owned(), (*last).to_owned());
        }
    }
}

impl fmt::Debug for PgOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgOutbox")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// The transfers are read before the commit: if that fails, nothing is leased in vain.
async fn claim(
    connection: &mut AsyncPgConnection,
    now: Timestamp,
    token: Uuid,
    until: Timestamp,
    shares: Vec<LaneShare>,
) -> QueryResult<(Vec<Candidate>, Vec<SealedRow>)> {
    let locked = LockFamilies::new(now, shares).load(connection).await?;
    let chosen = claim::choose(locked, now);
    if !chosen.overtaken.is_empty() {
        MarkSkipped::new(chosen.overtaken, now)
            .execute(connection)
            .await?;
    }
    if chosen.claimed.is_empty() {
        return Ok((vec![], vec![]));
    }
    let ids = chosen.claimed.iter().map(|callback| callback.id).collect();
    MarkLeased::new(ids, token, until)
        .execute(connection)
        .await?;
    if is_planted(Planted::TellsBeforehand) {
        tell_beforehand(connection, &chosen.claimed).await?;
    }
    let ids: Vec<i64> = chosen.claimed.iter().map(|c| c.transfer_id).collect();
    let rows = SealedRow::load_many(connection, ids).await?;
    Ok((chosen.claimed, rows))
}

/// A planted fault: what is claimed counts as delivered.
async fn tell_beforehand(
    connection: &mut AsyncPgConnection,
    claimed: &[Candidate],
) -> QueryResult<()> {
    let ids: Vec<Uuid> = claimed.iter().map(|callback| callback.id).collect();
    diesel::update(callbacks::table.filter(callbacks::id.eq_any(ids)))
        .set((
            callbacks::state.eq("succeeded"),
            callbacks::next_attempt_at.eq(None::<At>),
            callbacks::lease.eq(None::<Uuid>),
            callbacks::queued.eq(false),
        ))
        .execute(connection)
        .await
        .map(drop)
}

fn read_claim(
    candidate: Candidate,
    transfer: Option<SealedRow>,
    lease: LeaseToken,
    seals: &SealKeys,
) -> Result<ClaimedCallback, StoreError> {
    let id = candidate.id;
    let fault = |column: &str| inconsistent("callbacks", format!("id {id}: {column}"));
    let transfer = transfer.ok_or_else(|| fault("transfer_id"))?.prove(seals)?;
    let status = Status::from_name(&candidate.status).ok_or_else(|| fault("status"))?;
    // What is refused is told as failed, whatever has become of the transfer.
    let is_refusal = candidate.is_refusal() && candidate.error.is_some();
    if status.is_final() && status != transfer.status() && !is_refusal {
        return Err(fault("status is not the transfer's"));
    }
    let subscriber = match candidate.subscriber.as_str() {
        "" => transfer.subscriber(),
        name => Subscriber::from_name(name).ok_or_else(|| fault("subscriber"))?,
    };
    Ok(ClaimedCallback {
        id,
        lease,
        operation: Operation::from_name(&candidate.operation).ok_or_else(|| fault("operation"))?,
        status,
        attempts: u32::try_from(candidate.attempts).map_err(|_| fault("attempts"))?,
        url: candidate.url,
        subscriber,
        lane: Lane {
            subscriber: candidate.subscriber,
            host: candidate.host,
        },
        due_since: candidate.begun_at.0,
        error: candidate.error,
        transfer,
    })
}
