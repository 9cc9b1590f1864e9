//! Callbacks that are due, written by the transaction that made them due.

use async_trait::async_trait;
use bursar_domain::{Operation, Status, Subscriber, Timestamp, Transfer};
use uuid::Uuid;

use crate::StoreError;

/// Proves that a claim is still the claimer's: an attempt is recorded only with the token of the
/// lease that it was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub Uuid);

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
    /// What made it due.
    pub operation: Operation,
    /// The status that its body tells.
    pub status: Status,
    /// What `ErrorDetails` says.
    pub error: Option<String>,
    /// How many attempts there were before.
    pub attempts: u32,
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
    /// Claims at most `limit` callbacks that are due at `now`, oldest first, for `lease_ms`.
    ///
    /// Several callers never hold the same one, and never two of one transfer and URL: order holds.
    /// When a newer callback of the same transfer and URL is due, older ones are skipped. A claim
    /// whose lease ran out is claimed again.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: u32,
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
}
