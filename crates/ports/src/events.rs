//! The event feed: what happened, in an order in which no effect comes before its cause.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bursar_domain::{Status, Timestamp, Transfer, TransferId, Version};
use uuid::Uuid;

use crate::StoreError;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the feed: 1, 2, 3 and so on, for ever. There is no gap but after a restore.
    pub number: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What it was.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A transfer came to a state.
    Step(Step),
    /// Something else.
    Notice {
        /// What: two words with a dot between them.
        topic: String,
        /// The transfer it is about, as it was then.
        about: Option<Step>,
        /// What more there is to know.
        data: BTreeMap<String, String>,
    },
}

/// A transfer at some point of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The transfer as it is today: only what never changes says anything about that point.
    pub transfer: Transfer,
    /// The version it was at.
    pub version: Version,
    /// The status it had.
    pub status: Status,
    /// Whether some of it was taken back in this step.
    pub reversed: bool,
}

/// A part of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventPage {
    /// What comes next, in order; nothing when there is nothing yet.
    Events(Vec<Event>),
    /// What comes next is not kept any more.
    Pruned {
        /// The first number that is, or the one that comes next.
        oldest: i64,
    },
    /// The number that was asked with was never given here: whoever has it knows of events that the
    /// store has forgotten.
    Ahead {
        /// The last number that was given; 0 before the first.
        last: i64,
    },
}

/// Something to be told that is no step of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its id: told again under the same one, it is told once.
    pub id: Uuid,
    /// What: two words with a dot between them.
    pub topic: &'static str,
    /// When it happened.
    pub at: Timestamp,
    /// The transfer it is about, and the version at which it is true.
    pub about: Option<(TransferId, Version)>,
    /// What more there is to know.
    pub data: BTreeMap<String, String>,
}

/// The event feed.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventFeed: Send + Sync {
    /// Withdrawals that nobody has confirmed and whose time will be up within this long by the store's
    /// clock, the most urgent first, each with the id of the notice that tells of it; those that were
    /// told of are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_expiring(
        &self,
        within_ms: i64,
        limit: i64,
    ) -> Result<Vec<(Uuid, Transfer)>, StoreError>;

    /// The events whose numbers come after this one, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list(&self, after: i64, limit: u32) -> Result<EventPage, StoreError>;

    /// Tells something that is no step of a transfer, in a transaction of its own. Answers whether
    /// it is told: not when the transfer it is about has moved on from that version. It then comes
    /// before whatever moves the transfer on.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer; repeating the call is safe.
    async fn append(&self, notice: Notice) -> Result<bool, StoreError>;
}

/// How far the feed has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// The last number that was given, by whomever; 0 before the first.
    pub last: i64,
    /// Whether there may be more to number right now.
    pub more: bool,
}

/// Gives what was committed its numbers.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventSequencer: Send + Sync {
    /// Numbers a chunk of what has none yet, unless somebody else is about it.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer; nothing was numbered, or all of it.
    async fn number(&self) -> Result<Numbering, StoreError>;
}
