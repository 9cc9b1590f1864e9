//! Delivering callbacks: what is claimed is rendered, POSTed once, and its outcome recorded with
//! what follows from it (contract §3).
//!
//! Claims and deliveries are apart so that whoever drives this can start a claimed delivery at once
//! and claim more while slow ones are still under way: a slow receiver then delays nobody else.
//! Which lanes get the next places is decided by [`Dispatch`].

use std::{sync::Arc, time::Duration};

use bursar_domain::Timestamp;
use bursar_ports::{
    AttemptRecord, CallbackSecrets, ClaimedCallback, Clock, Delivered, IdSource, LeaseToken,
    Notifier, Outbox, QueueFigures, StoreError, Undelivered, Verdict,
};
use uuid::Uuid;

use crate::{
    Keyring, callback_body,
    carry::{Signer, in_a_word},
    dispatch::{Dispatch, Reception, Ticket, jittered_ms, ms_between},
};

/// How long a claim holds: well above what an attempt may take.
const LEASE_MS: i64 = 30_000;
/// A POST that begins later than this after its claim would outlive the lease, or nearly: it may
/// take ten seconds, and the clocks of two replicas differ.
const LATE_MS: i64 = LEASE_MS - 15_000;
/// The word for what was given back instead of being POSTed late; no attempt bears it.
const LATE: &str = "late";

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// How long to wait after the first, second, … failed attempt. After the last: dead.
const RETRY_STEPS_MS: [i64; 9] = [
    5 * SECOND_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];

/// The whole schedule with the longest jitter: nothing is tried for longer. In milliseconds.
const SCHEDULE_MS: i64 = {
    let (mut sum, mut step) = (0, 0);
    while step < RETRY_STEPS_MS.len() {
        #[expect(
            clippy::indexing_slicing,
            reason = "the compiler runs this, and checks it"
        )]
        let wait: i64 = RETRY_STEPS_MS[step];
        sum += wait + wait / 5;
        step += 1;
    }
    sum
};

/// How many callbacks come back into the queue at once.
const ENQUEUED_MAX: u32 = 500;

/// The receiver says that it is gone for good.
const GONE: u16 = 410;

/// Delivers callbacks that are due.
#[derive(Clone)]
pub struct CallbackPass {
    /// Where the callbacks are.
    pub outbox: Arc<dyn Outbox>,
    /// Who carries them.
    pub notifier: Arc<dyn Notifier>,
    /// What signs them.
    pub secrets: Arc<dyn CallbackSecrets>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for the jitter.
    pub ids: Arc<dyn IdSource>,
    /// Opens the secrets, and makes the codes of internal transfers.
    pub keyring: Arc<Keyring>,
}

/// A claimed callback that is to be tried.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The callback.
    pub callback: ClaimedCallback,
    /// The place that it takes.
    pub ticket: Ticket,
    /// What its lease is counted from.
    claimed_at: Timestamp,
    /// Whether it probes a host that has not answered for long.
    is_last_call: bool,
}

/// What a look found.
#[derive(Debug)]
pub struct Look {
    /// What was claimed.
    pub attempts: Vec<Attempt>,
    /// When to look again at the latest, for what could not be claimed now.
    pub again_in: Option<Duration>,
}

/// What came of an attempt.
#[derive(Debug)]
pub struct Delivery {
    /// What it told of the receiver.
    pub reception: Reception,
    /// What it was in a word, as it is recorded; `late` when it was given back untried.
    pub outcome: &'static str,
    /// What follows.
    pub verdict: Verdict,
    /// Since it was due first to the end of the attempt, in milliseconds.
    pub lag_ms: i64,
    /// How many others were given up with it, which had waited for the same receiver.
    pub given_up: u32,
    /// Whether it was recorded, or the claim given back; when that cannot be, the callback is tried
    /// again once its claim has run out.
    pub recorded: Result<(), StoreError>,
}

impl CallbackPass {
    /// Puts callbacks into the queue whose time has come; whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    pub async fn enqueue(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let enqueued = self.outbox.enqueue_due(now, ENQUEUED_MAX).await?;
        Ok(enqueued >= ENQUEUED_MAX)
    }

    /// Claims what is due and may be tried now. Each must be given to [`CallbackPass::deliver`] at
    /// once, since the claims run out, or else to [`CallbackPass::release`]; and its ticket to
    /// [`CallbackPass::end`] or [`Dispatch::lose`].
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    pub async fn claim(&self, dispatch: &mut Dispatch) -> Result<Look, StoreError> {
        let now = self.clock.now();
        let (after, full) = (dispatch.next_after(), dispatch.full_subscribers());
        let due = self.outbox.due_lanes(now, after, full).await?;
        let allotment = dispatch.allot(&due.lanes, now);
        let again_at = if due.next.is_some() {
            Some(now)
        } else {
            allotment.again_at
        };
        dispatch.go_on_after(due.next);
        let claimed = if allotment.shares.is_empty() {
            vec![]
        } else {
            let claim = self.outbox.claim_due(now, LEASE_MS, allotment.shares);
            claim.await?
        };
        let attempts = claimed.into_iter().map(|callback| {
            let (ticket, is_last_call) = dispatch.begin(&callback, now);
            Attempt {
                callback,
                ticket,
                claimed_at: now,
                is_last_call,
            }
        });
        let wait = |at: Timestamp| at.as_micros().saturating_sub(now.as_micros());
        Ok(Look {
            attempts: attempts.collect(),
            again_in: again_at
                .map(|at| Duration::from_micros(u64::try_from(wait(at)).unwrap_or_default())),
        })
    }

    /// Gives back what was claimed and will not be tried.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer; others take it up once the claims have run
    /// out.
    pub async fn release(&self, attempts: Vec<Attempt>) -> Result<(), StoreError> {
        let claims: Vec<(Uuid, LeaseToken)> = attempts
            .into_iter()
            .map(|attempt| (attempt.callback.id, attempt.callback.lease))
            .collect();
        self.outbox.release(claims).await
    }

    /// Tells what a delivery has shown of its receiver, and frees its place.
    pub fn end(&self, dispatch: &mut Dispatch, ticket: Ticket, delivery: &Delivery) {
        let now = self.clock.now();
        dispatch.end(ticket, delivery.reception, delivery.lag_ms, now);
    }

    /// Frees the place of a delivery that broke off.
    pub fn lose(&self, dispatch: &mut Dispatch, ticket: Ticket) {
        dispatch.lose(ticket, self.clock.now());
    }

    /// How much waits, and for how long the oldest has.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    pub async fn figures(&self) -> Result<(QueueFigures, Duration), StoreError> {
        let now = self.clock.now();
        let figures = self.outbox.figures(now).await?;
        let waited = figures.oldest_due_at.map_or(0, |oldest| {
            now.as_micros().saturating_sub(oldest.as_micros())
        });
        let waited = Duration::from_micros(u64::try_from(waited).unwrap_or_default());
        Ok((figures, waited))
    }

    /// Tries a claimed callback once and records what came of it, or gives it back when it is too
    /// late to try it.
    pub async fn deliver(&self, attempt: Attempt) -> Delivery {
        let Attempt {
            callback,
            claimed_at,
            is_last_call,
            ..
        } = attempt;
        let begun = self.clock.now();
        let (outcome, kept) = match self.attempt(&callback, claimed_at, begun).await {
            Ok(Some(outcome)) => (outcome, Ok(())),
            Ok(None) => return self.give_back(&callback, begun).await,
            Err(error) => (Err(Undelivered::Unsigned), Err(error)),
        };
        let ended = self.clock.now();
        let reception = Reception::of(outcome);
        let mut verdict = self.verdict(outcome, callback.attempts, ended);
        let has_waited_in_vain =
            is_last_call && reception == Reception::Away && is_over(&callback, begun);
        if has_waited_in_vain {
            verdict = Verdict::Dead;
        }
        let (http_status, word) = in_a_word(outcome);
        let attempt = AttemptRecord {
            id: callback.id,
            lease: callback.lease,
            at: begun,
            duration_ms: ms_between(begun, ended),
            http_status,
            outcome: word,
            verdict,
        };
        let recorded = match kept {
            Ok(()) => self.record(&callback, attempt).await,
            // Nothing was tried: the claim runs out, and then it is.
            Err(error) => Err(error),
        };
        let given_up = if has_waited_in_vain {
            self.give_up_with(&callback, begun).await
        } else {
            0
        };
        Delivery {
            reception,
            outcome: word,
            verdict,
            lag_ms: ms_between(callback.due_since, ended),
            given_up,
            recorded,
        }
    }

    async fn record(
        &self,
        callback: &ClaimedCallback,
        attempt: AttemptRecord,
    ) -> Result<(), StoreError> {
        let (word, http_status, verdict) = (attempt.outcome, attempt.http_status, attempt.verdict);
        let recorded = self.outbox.record_attempt(attempt).await?;
        let transfer = callback.transfer.id();
        if !recorded {
            tracing::warn!(transfer.id = %transfer, callback.id = %callback.id, callback.outcome = word, "a callback's claim ran out before its attempt was recorded");
        } else if verdict == Verdict::Dead {
            tracing::warn!(transfer.id = %transfer, callback.id = %callback.id, callback.outcome = word, http_status, "a callback is given up");
        } else {
            tracing::debug!(transfer.id = %transfer, callback.id = %callback.id, callback.outcome = word, http_status, "tried a callback");
        }
        Ok(())
    }

    /// Gives back what would be POSTed too late: it is due at once, and no attempt is used up.
    async fn give_back(&self, callback: &ClaimedCallback, begun: Timestamp) -> Delivery {
        let transfer = callback.transfer.id();
        tracing::warn!(transfer.id = %transfer, callback.id = %callback.id, "a callback is given back: its claim would run out while it is tried");
        let claim = (callback.id, callback.lease);
        Delivery {
            reception: Reception::Unheard,
            outcome: LATE,
            verdict: Verdict::RetryAt(begun),
            lag_ms: ms_between(callback.due_since, begun),
            given_up: 0,
            recorded: self.outbox.release(vec![claim]).await,
        }
    }

    /// POSTs a callback; none when it is too late to: once the lease has run out somebody else may
    /// tell a newer state, and the final one must come last.
    async fn attempt(
        &self,
        callback: &ClaimedCallback,
        claimed_at: Timestamp,
        at: Timestamp,
    ) -> Result<Option<Result<Delivered, Undelivered>>, StoreError> {
        let signer = Signer {
            secrets: &*self.secrets,
            keyring: &self.keyring,
            ids: &*self.ids,
        };
        let body = callback_body::render(callback, &self.keyring);
        let url = callback.url.clone();
        let signed = signer.sign(&callback.subscriber, url, callback.id, at, body);
        let notification = match signed.await? {
            Ok(notification) => notification,
            Err(unsigned) => return Ok(Some(Err(unsigned))),
        };
        // Nothing that may take long comes between this and the POST.
        if self.clock.now() > claimed_at.plus_micros(LATE_MS.saturating_mul(1_000)) {
            return Ok(None);
        }
        Ok(Some(self.notifier.notify(notification).await))
    }

    /// Gives up what has waited behind a callback for the same receiver, for longer than anything
    /// is tried: it would have been tried in vain. How many there were.
    async fn give_up_with(&self, callback: &ClaimedCallback, now: Timestamp) -> u32 {
        let created_before = now.plus_micros(SCHEDULE_MS.saturating_mul(-1_000));
        let lane = callback.lane.clone();
        match self.outbox.give_up(lane, created_before, now).await {
            Ok(0) => 0,
            Ok(given_up) => {
                tracing::warn!(
                    host = callback.lane.host,
                    given_up,
                    "callbacks are given up that waited for a receiver that is gone"
                );
                given_up
            }
            // They still wait, and the next probe asks again.
            Err(error) => {
                tracing::warn!(%error, "callbacks could not be given up");
                0
            }
        }
    }

    fn verdict(
        &self,
        outcome: Result<Delivered, Undelivered>,
        attempts_before: u32,
        now: Timestamp,
    ) -> Verdict {
        let retry_after_ms = match outcome {
            Ok(_) => return Verdict::Succeeded,
            Err(Undelivered::Answered {
                http_status: GONE, ..
            }) => return Verdict::Dead,
            Err(undelivered) => undelivered.retry_after_ms(),
        };
        match wait_ms(attempts_before, retry_after_ms, self.ids.random_bytes()) {
            Some(wait) => Verdict::RetryAt(now.plus_micros(wait.saturating_mul(1_000))),
            None => Verdict::Dead,
        }
    }
}

/// Whether a callback's time is up, however seldom it was tried.
fn is_over(callback: &ClaimedCallback, now: Timestamp) -> bool {
    let ends_at = callback
        .due_since
        .plus_micros(SCHEDULE_MS.saturating_mul(1_000));
    ends_at <= now
}

/// How long to wait after another failed attempt, in milliseconds; none when it was the last.
///
/// The step with its jitter, or what the receiver asked for, between one and two times the step.
fn wait_ms(attempts_before: u32, retry_after_ms: Option<i64>, random: [u8; 32]) -> Option<i64> {
    let step = *RETRY_STEPS_MS.get(usize::try_from(attempts_before).ok()?)?;
    if let Some(asked) = retry_after_ms {
        return Some(asked.clamp(step, step.saturating_mul(2)));
    }
    Some(jittered_ms(step, random))
}

#[cfg(test)]
mod tests;
