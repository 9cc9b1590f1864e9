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

/// The last line that each account had before everything else.
pub fn began(record: &[Line]) -> impl Iterator<Item = &Place> {
    let began = record.iter().filter_map(|line| match line {
        Line::Began(Began { lines }) => Some(lines),
        Line::Asked(_) | Line::Saw(_) | Line::Heard(_) => None,
    });
    began.flatten()
}

/// What accounts were said not to have, refusal by refusal.
pub fn missing(record: &[Line]) -> impl Iterator<Item = &Missing> {
    record.iter().filter_map(|line| match line {
        Line::Asked(Asked { lacks, .. }) => lacks.as_ref(),
        Line::Began(_) | Line::Saw(_) | Line::Heard(_) => None,
    })
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
    /// When the answer came; none when there was none that is certain, and when it said that what was
    /// asked for is done later.
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
    /// Whether what it made is settled one by one, at different times: the items of a bulk that was not
    /// waited for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub one_by_one: bool,
    /// What was missing, of a request that was refused for lack of money, or whose transfer was rejected
    /// for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Missing>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes every field so"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What an account was said not to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// The account that was to pay.
    pub account: u64,
    /// How much it was to pay, its fee included, in the asset's smallest units: a text of digits, for
    /// not every reader of JSON keeps numbers of more than 53 bits.
    #[serde(with = "digits")]
    pub units: i128,
}

/// A whole number as a text.
mod digits {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(units: &i128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(units)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i128, D::Error> {
        let text = String::deserialize(from)?;
        let units = text.parse();
        units.map_err(|_| D::Error::custom(format!("`{text}` is no whole number of units")))
    }
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
