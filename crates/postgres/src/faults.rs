//! Where tests make things go wrong, in builds with the feature `failpoints` alone.
//!
//! A *point* is a place in the course of a batch or of a callback: what happens there is chosen while
//! the program runs. A *planted fault* is a wrong turn in the code, to find out whether the tests that
//! ought to notice it do. In any other build both are nothing.

/// Where a batch or a callback may be struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A batch is taken up, and nothing is asked of the database yet.
    Taken,
    /// The accounts of a batch are known, or were made, in a transaction of their own.
    AccountsKnown,
    /// Its keys are claimed and its rows are locked and read.
    Locked,
    /// What comes of it is decided, and nothing of that is written.
    Decided,
    /// Everything is written but COMMIT, which is not sent along if this point is chosen.
    Written,
    /// It is committed, and nobody is told.
    Committed,
    /// A single writer's batch wrote what it may before its turn.
    WrittenAhead,
    /// Callbacks are claimed, and not tried.
    CallbacksClaimed,
    /// A callback is tried, and what came of it is not recorded.
    CallbackTried,
    /// What came of a callback is recorded, and nothing is made of it.
    CallbackRecorded,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Taken,
        Self::AccountsKnown,
        Self::Locked,
        Self::Decided,
        Self::Written,
        Self::Committed,
        Self::WrittenAhead,
        Self::CallbacksClaimed,
        Self::CallbackTried,
        Self::CallbackRecorded,
    ];

    /// Its name, by which it is chosen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::AccountsKnown => "accounts_known",
            Self::Locked => "locked",
            Self::Decided => "decided",
            Self::Written => "written",
            Self::Committed => "committed",
            Self::WrittenAhead => "written_ahead",
            Self::CallbacksClaimed => "callbacks_claimed",
            Self::CallbackTried => "callback_tried",
            Self::CallbackRecorded => "callback_recorded",
        }
    }
}

/// A wrong turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Callers are answered before COMMIT.
    AnswersEarly,
    /// COMMIT does not wait for the disk.
    CommitsAsynchronously,
    /// Keys are neither looked at nor bound.
    ForgetsKeys,
    /// Lines are committed in one transaction and balances in another.
    TwoTransactions,
    /// The last line of a batch is not written.
    LosesLines,
    /// What is held is let go twice.
    ReleasesTwice,
    /// A callback counts as delivered when it is claimed.
    TellsBeforehand,
    /// Callbacks are written after the transfer is committed.
    TellsAfterwards,
    /// An account's newest line is not shown.
    ReadsStale,
    /// When nobody knows whether it was committed, callers are told that nothing happened.
    Guesses,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::AnswersEarly,
        Self::CommitsAsynchronously,
        Self::ForgetsKeys,
        Self::TwoTransactions,
        Self::LosesLines,
        Self::ReleasesTwice,
        Self::TellsBeforehand,
        Self::TellsAfterwards,
        Self::ReadsStale,
        Self::Guesses,
    ];

    /// Its name, by which it is chosen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnswersEarly => "answers_early",
            Self::CommitsAsynchronously => "commits_asynchronously",
            Self::ForgetsKeys => "forgets_keys",
            Self::TwoTransactions => "two_transactions",
            Self::LosesLines => "loses_lines",
            Self::ReleasesTwice => "releases_twice",
            Self::TellsBeforehand => "tells_beforehand",
            Self::TellsAfterwards => "tells_afterwards",
            Self::ReadsStale => "reads_stale",
            Self::Guesses => "guesses",
        }
    }
}

#[cfg(feature = "failpoints")]
pub use self::armed::arm;
#[cfg(feature = "failpoints")]
pub(crate) use self::armed::{is_chosen, is_planted, reach};

#[cfg(feature = "failpoints")]
mod armed;

/// Nothing happens here.
#[cfg(not(feature = "failpoints"))]
#[expect(
    clippy::unused_async,
    reason = "with the feature there is something to wait for"
)]
pub(crate) async fn reach(_point: Point) -> diesel::result::QueryResult<()> {
    Ok(())
}

/// Nothing is chosen here.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn is_chosen(_point: Point) -> bool {
    false
}

/// Nothing is planted here.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn is_planted(_fault: Planted) -> bool {
    false
}

/// How long a planted fault leaves for something to come between.
const TARRIED: std::time::Duration = std::time::Duration::from_millis(20);

/// Leaves time for something to come between two halves of a planted fault.
pub(crate) async fn tarry() {
    tokio::time::sleep(TARRIED).await;
}
