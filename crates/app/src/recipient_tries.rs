//! How often a user may name a recipient that cannot be paid (contract §2): whoever could try
//! names without end could find out who has an account.
//!
//! A try counts once it is known to have failed: when a transfer is rejected for its recipient, on
//! whichever replica and however late, or when an entry of the address book does not fit. Until
//! then nothing tells a good recipient from a bad one: counting what *looks* unknown at creation
//! would show in when the limit is reached, also for a sender without money, whose transfers are
//! rejected before the recipient matters. To keep many tries at once from getting past the limit
//! before the first of them is known, a user has only a few undecided transfers on one replica;
//! more of them wait for their turn, whoever the recipient. Whoever hangs up meanwhile is charged all
//! the same (`internal/unbroken.rs`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use async_lock::{Semaphore, SemaphoreGuardArc};
use bursar_domain::{Kind, Reason, Transfer, UserId};
use bursar_ports::Quota;

use crate::{App, Error, ItemError, Limit, RateLimited};

/// Failed recipients after which every create is refused.
const FAILED: Quota = Quota {
    units: 20,
    window_ms: 3_600_000,
};
/// How many transfers of one user may be undecided at once on one replica: so many tries can fail
/// beyond the limit at most.
const UNDECIDED_MAX: usize = 8;
/// With how many users the register is tidied up for the first time.
const TIDY_AT: usize = 1_024;

/// The turns of users whose transfers are undecided.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    register: Mutex<Register>,
}

#[derive(Debug, Default)]
struct Register {
    users: HashMap<UserId, Weak<Semaphore>>,
    tidy_at: usize,
}

impl Turns {
    async fn wait(&self, user: UserId) -> SemaphoreGuardArc {
        let turns = self.of(user);
        turns.acquire_arc().await
    }

    fn of(&self, user: UserId) -> Arc<Semaphore> {
        let mut register = self.register.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = register.users.get(&user).and_then(Weak::upgrade) {
            return turns;
        }
        if register.users.len() >= register.tidy_at.max(TIDY_AT) {
            register.users.retain(|_, turns| turns.strong_count() > 0);
            register.tidy_at = register.users.len().saturating_mul(2);
        }
        let turns = Arc::new(Semaphore::new(UNDECIDED_MAX));
        register.users.insert(user, Arc::downgrade(&turns));
        turns
    }
}

/// A user's turn to name recipients. It must be kept until it is known what became of them.
#[derive(Debug)]
#[must_use]
pub(crate) struct RecipientTurn {
    user: UserId,
    left: u32,
    _turn: SemaphoreGuardArc,
}

impl RecipientTurn {
    /// How many recipients may fail until none may be named any more.
    pub(crate) fn left(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }
}

impl App {
    /// Waits for a user's turn to name recipients.
    ///
    /// # Errors
    /// [`Error::RateLimited`] after too many that could not be paid, [`Error::Store`] when that
    /// cannot be found out.
    pub(crate) async fn require_recipient_tries(
        &self,
        user: UserId,
    ) -> Result<RecipientTurn, Error> {
        let turn = self.turns.wait(user).await;
        let left = self.recipient_tries(user).await??;
        Ok(RecipientTurn {
            user,
            left,
            _turn: turn,
        })
    }

    /// Refuses a bulk in which more recipients would fail than the user has tries left. They are
    /// used up: else a bulk could ask about many at no cost.
    pub(crate) async fn beyond_the_limit(&self, turn: &RecipientTurn) -> Error {
        self.note_failed_recipients(turn.user, turn.left()).await;
        RateLimited::new(Limit::FailedRecipients, FAILED.window_ms).into()
    }

    /// Counts entries of the address book that did not fit their recipients.
    pub(crate) async fn note_mismatches(&self, user: UserId, errors: &[&ItemError]) {
        let mismatch = |error: &&&ItemError| ***error == ItemError::AddressBookMismatch;
        let mismatches = errors.iter().filter(mismatch).count();
        self.note_failed_recipients(user, mismatches).await;
    }

    /// Counts transfers that have just become final, if they were rejected for their recipients. To
    /// be called with what a commit made, so that each transfer counts once.
    pub(crate) async fn note_made<'a>(&self, made: impl IntoIterator<Item = &'a Transfer>) {
        let mut failed: BTreeMap<UserId, usize> = BTreeMap::new();
        for transfer in made {
            if transfer.kind() == Kind::Internal
                && transfer.reason() == Some(Reason::RecipientUnavailable)
            {
                let count = failed.entry(transfer.owner()).or_default();
                *count = count.saturating_add(1);
            }
        }
        for (user, count) in failed {
            self.note_failed_recipients(user, count).await;
        }
    }

    /// How many more may fail, at least one; else why none may be named.
    pub(crate) async fn recipient_tries(
        &self,
        user: UserId,
    ) -> Result<Result<u32, RateLimited>, Error> {
        let peeked = self.ports.limiter.peek(key(user), 1, FAILED).await?;
        let refusal = || RateLimited::new(Limit::FailedRecipients, peeked.retry_after_ms);
        Ok(peeked
            .allowed
            .then_some(peeked.remaining)
            .ok_or_else(refusal))
    }

    /// Counts recipients that could not be paid.
    pub(crate) async fn note_failed_recipients(&self, user: UserId, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count == 0 {
            return;
        }
        let noted = self.ports.limiter.record(key(user), count, FAILED).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "a failed recipient was not counted");
        }
    }
}

fn key(user: UserId) -> String {
    format!("failed_recipients:user:{user}")
}

#[cfg(test)]
mod tests;
