//! Callbacks that are due, written by the transaction that made them due.

use async_trait::async_trait;
use bursar_domain::{Operation, Status, Subscriber, Timestamp, Transfer};
use uuid::Uuid;

use crate::StoreError;

/// Proves that a claim is still the claimer's: an attempt is recorded only with the token of the
/// lease that it was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub Uuid);

/// What deliveries are shared out between: the callbacks that one subscriber has on one host.
///
/// Callbacks that the release before wrote are all in the lane without subscriber and host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The name of who gave the URLs.
    pub subscriber: String,
    /// Their host in lower case, with its port: `example.com:443`.
    pub host: String,
}

/// A lane that something waits in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueLane {
    /// The lane.
    pub lane: Lane,
    /// Whether what comes first in it tells a final state.
    pub is_final: bool,
    /// Since when that has been due.
    pub due_at: Timestamp,
}

/// Lanes that something waits in, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueLanes {
    /// The lanes.
    pub lanes: Vec<DueLane>,
    /// Where to go on, if there may be more.
    pub next: Option<Lane>,
}

/// How many callbacks of a lane to claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneShare {
    /// The lane.
    pub lane: Lane,
    /// At most so many.
    pub places: u32,
}

/// How much waits in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// How many callbacks are due and not being tried; counted up to 10,000.
    pub due: u32,
    /// Since when the oldest of them has been due.
    pub oldest_due_at: Option<Timestamp>,
}

/// A callback claimed for one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedCallback {
    /// Its id, the same on every attempt.
    pub id: Uuid,
    /// The lease.
    pub lease: LeaseToken,
    /// Where it goes.
    pub url: String,
    /// Who gave the URL, and whose secret signs.
    pub subscriber: Subscriber,
    /// The lane it is in.
    pub lane: Lane,
    /// What made it due.
    pub operation: Operation,
    /// The status that its body tells.
    pub status: Status,
    /// What `ErrorDetails` says.
    pub error: Option<String>,
    /// How many attempts there were before.
    pub attempts: u32,
    /// Since when it is due: since what it tells happened, or since it was made or replayed later.
    pub due_since: Timestamp,
    /// The transfer it is about.
    pub transfer: Transfer,
}

/// What is recorded of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The callback.
    pub id: Uuid,
    /// The lease it was claimed under.
    pub lease: LeaseToken,
    /// When the attempt began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The receiver's HTTP status, if it answered.
    pub http_status: Option<u16>,
    /// One fixed word for what happened; never the receiver's own words.
    pub outcome: &'static str,
    /// What follows.
    pub verdict: Verdict,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Succeeded,
    /// Try again at this time.
    RetryAt(Timestamp),
    /// Never again by itself: a dead letter.
    Dead,
}

/// The callbacks that are due.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Puts at most `limit` callbacks into the queue whose time has come by `now`: a retry's, or a
    /// lease's that ran out. Tells how many there were.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    async fn enqueue_due(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError>;

    /// The lanes that something waits in, behind `after` in the order of their names, and at most
    /// one of each subscriber in `full`. What it costs depends on the number of lanes, never on how
    /// much waits in them; it ends after some hundreds.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    async fn due_lanes(
        &self,
        now: Timestamp,
        after: Option<Lane>,
        full: Vec<String>,
    ) -> Result<DueLanes, StoreError>;

    /// Claims for `lease_ms` what waits in these lanes at `now`, in each at most as many as it has
    /// places: final states first, and what has been due for longest before the rest.
    ///
    /// Several callers never hold the same one, and never two of one transfer and URL: order holds.
    /// When a newer callback of the same transfer and URL is due or has arrived, older ones are
    /// skipped. A claim whose lease ran out can be claimed again.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        shares: Vec<LaneShare>,
    ) -> Result<Vec<ClaimedCallback>, StoreError>;

    /// Records an attempt and what follows; `false` when the lease was lost meanwhile, and then
    /// nothing is recorded.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    async fn record_attempt(&self, attempt: AttemptRecord) -> Result<bool, StoreError>;

    /// Gives claims back that will not be tried.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    async fn release(&self, claims: Vec<(Uuid, LeaseToken)>) -> Result<(), StoreError>;

    /// Gives up what waits at the head of a lane and was created before a time, with an attempt
    /// that says `breaker`. Tells how many there were; there may be more.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    async fn give_up(
        &self,
        lane: Lane,
        created_before: Timestamp,
        now: Timestamp,
    ) -> Result<u32, StoreError>;

    /// How much waits, at a bounded cost.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    async fn figures(&self, now: Timestamp) -> Result<QueueFigures, StoreError>;
}
