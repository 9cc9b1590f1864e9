//! How often a batch is tried.

use std::time::Duration;

use tokio::time::Instant;

use super::trouble::Trouble;

/// Failures of one batch, other than those that repeating cures, before it is split.
const FAILURES_MAX: u32 = 2;
/// Repetitions after serialization failures or lost connections, before the batch is given up.
const REDOS_MAX: u32 = 3;
/// How long a batch that is not committed is repeated. A server that says nothing is not asked again:
/// whoever waits is told so.
const REDO_FOR: Duration = Duration::from_secs(5);
/// Repetitions because what the batch stood on was not committed, which fails by itself often enough
/// for each of the batches before it.
const OVERTAKEN_MAX: u32 = 64;

/// What the tries of a batch have come to, none of which committed anything.
pub(super) struct Tries {
    began: Instant,
    failures: u32,
    redos: u32,
    overtaken: u32,
}

impl Tries {
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            failures: 0,
            redos: 0,
            overtaken: 0,
        }
    }

    /// Whether one was refused.
    pub(super) const fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// The database refuses what is in the batch: it may have been a lock, so once more.
    pub(super) fn fail(&mut self, cause: String) -> Result<(), Trouble> {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_MAX {
            Ok(())
        } else {
            Err(Trouble::Poison(cause))
        }
    }

    /// Nothing is wrong with what is in the batch.
    pub(super) fn redo(&mut self, cause: String) -> Result<(), Trouble> {
        self.redos = self.redos.saturating_add(1);
        if self.redos <= REDOS_MAX && self.began.elapsed() <= REDO_FOR {
            Ok(())
        } else {
            Err(Trouble::Unavailable(cause))
        }
    }

    /// What it stood on was not committed.
    pub(super) fn overtake(&mut self) -> Result<(), Trouble> {
        self.overtaken = self.overtaken.saturating_add(1);
        if self.overtaken <= OVERTAKEN_MAX {
            Ok(())
        } else {
            let cause = "the book keeps changing hands";
            Err(Trouble::Unavailable(cause.to_owned()))
        }
    }
}
