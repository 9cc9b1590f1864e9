//! Callbacks as operators see them.

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Kind, Operation, Status, Timestamp, TransferId};
use uuid::Uuid;

use crate::StoreError;

/// Where a callback stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackState {
    /// It waits for its first or next attempt.
    Pending,
    /// It is being tried.
    Delivering,
    /// It arrived.
    Succeeded,
    /// It is given up: a dead letter.
    Dead,
    /// A newer state of its transfer was due or had arrived, and this one is not told any more.
    Cancelled,
}

impl CallbackState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Delivering,
        Self::Succeeded,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The name in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivering => "delivering",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str().eq_ignore_ascii_case(name))
    }
}

/// A callback with what was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackRecord {
    /// Its id.
    pub id: Uuid,
    /// The transfer it is about.
    pub transfer: TransferId,
    /// The kind of that transfer.
    pub kind: Kind,
    /// What made it due.
    pub operation: Operation,
    /// Where it goes.
    pub url: String,
    /// The status that its body tells.
    pub status: Status,
    /// Where it stands.
    pub state: CallbackState,
    /// When it became due first.
    pub created_at: Timestamp,
    /// When the next attempt is due; unknown while one is made.
    pub next_attempt_at: Option<Timestamp>,
    /// What was tried.
    pub attempts: Vec<CallbackAttempt>,
}

/// One try to deliver a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAttempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The receiver's HTTP status, if it answered.
    pub http_status: Option<i32>,
    /// One fixed word for what happened.
    pub outcome: String,
}

/// A place in the list of callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackPlace {
    /// When the callback became due first.
    pub created_at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

/// Which callbacks to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackFilter {
    /// Where they stand.
    pub state: Option<CallbackState>,
    /// The transfer they are about.
    pub transfer: Option<TransferId>,
    /// Only what comes after this place.
    pub after: Option<CallbackPlace>,
    /// How many.
    pub limit: u32,
}

/// Callbacks that have come to an end and may be delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayable {
    /// Dead letters.
    Dead,
    /// Those that arrived, each only once within an hour: its receiver may have lost them.
    Succeeded,
}

/// What came of asking for one callback to be delivered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// There is no such callback.
    Unknown,
    /// It is due: now again, or still.
    Due(CallbackRecord),
    /// A newer state of its transfer is due or was delivered to the same URL: the final state would
    /// not come last any more.
    Overtaken,
}

/// Reads callbacks, and makes them due again.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CallbackLog: Send + Sync {
    /// Callbacks, newest first (creation, then id, both descending).
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list(&self, filter: CallbackFilter) -> Result<Vec<CallbackRecord>, StoreError>;

    /// One callback.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find(&self, id: Uuid) -> Result<Option<CallbackRecord>, StoreError>;

    /// Makes a callback that has come to an end due at `now`, with the whole schedule of attempts
    /// before it, and writes the row of the audit log. One that is due anyway stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn replay(
        &self,
        id: Uuid,
        now: Timestamp,
        audit: AuditDraft,
    ) -> Result<Replay, StoreError>;

    /// Makes at most `limit` callbacks due at `now` that became due first at `since` or later and
    /// are not overtaken, oldest first; tells how many. If there are any, so does a row of the audit
    /// log. One that was replayed at `now` is left out, so that this can be repeated until nothing is
    /// left.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn replay_since(
        &self,
        which: Replayable,
        since: Timestamp,
        now: Timestamp,
        limit: u32,
        audit: AuditDraft,
    ) -> Result<u64, StoreError>;
}
