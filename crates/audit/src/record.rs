//! What clients asked, were told and saw, and what receivers heard, as it is written down: a file with
//! one JSON object in each line, in any order.
//!
//! All clients share one clock. Whoever asked for anything that touches an account of the record is in
//! it; else lines are found that nobody asked for.

use serde::{Deserialize, Serialize};

use crate::history::{Outcome, Place};

/// A line of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Line {
    /// What there was before everything else.
    Began(Began),
    /// A client asked for something.
    Asked(Asked),
    /// A client saw accounts.
    Saw(Saw),
    /// A receiver heard of a transfer.
    Heard(Heard),
}

/// What there was before everything else. Without it the books were empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Began {
    /// The last line of each account.
    pub lines: Vec<Place>,
}

/// A request for money to move, and what its client knows of it. Requests with the same key are
/// repeats of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// When it was sent, in nanoseconds.
    pub sent: u64,
    /// When the answer came; none when there was none that is certain.
    #[serde(default)]
    pub answered: Option<u64>,
    /// Its idempotency key.
    pub key: String,
    /// The transfer that it ends by confirming or cancelling it; none when it makes one.
    #[serde(default)]
    pub ends: Option<i64>,
    /// What the answer said.
    pub outcome: Outcome,
    /// Whether it said that money moved.
    #[serde(default)]
    pub moves: bool,
    /// The transfer that the answer named by its number.
    #[serde(default)]
    pub transfer: Option<i64>,
}

/// What a client saw at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saw {
    /// When it asked, in nanoseconds.
    pub sent: u64,
    /// When the answer came.
    pub answered: u64,
    /// The last line of each account in the answer.
    pub lines: Vec<Place>,
}

/// A callback that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// Its `webhook-id`.
    pub id: String,
    /// The status that its body told.
    pub status: String,
}
