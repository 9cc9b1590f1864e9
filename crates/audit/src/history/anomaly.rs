//! What can be wrong with a history.

use std::fmt;

use super::Place;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Somebody was told that it happened, and the ledger has nothing of it.
    LostAnswer,
    /// Somebody was told that it did not happen, and the ledger has lines of it.
    RefusedWrite,
    /// A line between others is nobody's.
    MissingLine,
    /// Two wrote the same line, or one wrote over what it had not seen.
    LostUpdate,
    /// Somebody saw a line that never was (G1a).
    AbortedRead,
    /// Somebody saw lines of an operation and not its last ones (G1b).
    IntermediateRead,
    /// Writes follow each other in a circle (G0).
    WriteCycle,
    /// Writes and what was seen of them follow each other in a circle (G1c).
    CircularFlow,
    /// Somebody saw one account before and another one after the same operation (G-single).
    FracturedRead,
    /// Two saw two operations in opposite orders.
    LongFork,
    /// Two each missed what the other wrote (G2-item), which is called write skew.
    WriteSkew,
    /// Somebody missed what had been answered before it was sent.
    StaleRead,
    /// What was sent after an answer was written before it.
    OrderInversion,
}

impl Kind {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LostAnswer => "lost answer",
            Self::RefusedWrite => "refused write",
            Self::MissingLine => "missing line",
            Self::LostUpdate => "lost update",
            Self::AbortedRead => "aborted read (G1a)",
            Self::IntermediateRead => "intermediate read (G1b)",
            Self::WriteCycle => "write cycle (G0)",
            Self::CircularFlow => "circular information flow (G1c)",
            Self::FracturedRead => "fractured read (G-single)",
            Self::LongFork => "long fork",
            Self::WriteSkew => "write skew (G2-item)",
            Self::StaleRead => "stale read",
            Self::OrderInversion => "order inversion",
        }
    }
}

/// One thing that is wrong, with the operations that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// What is wrong.
    pub kind: Kind,
    /// The operations, by their places in the history; of a cycle each comes before the next one.
    pub operations: Vec<usize>,
    /// The line that it is about, if it is about one.
    pub place: Option<Place>,
}

impl Anomaly {
    pub(super) fn of(
        kind: Kind,
        operations: impl IntoIterator<Item = usize>,
        place: Option<Place>,
    ) -> Self {
        Self {
            kind,
            operations: operations.into_iter().collect(),
            place,
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: operations {:?}", self.kind.name(), self.operations)?;
        if let Some(Place { account, line }) = self.place {
            write!(f, ", line {line} of account {account}")?;
        }
        Ok(())
    }
}
