//! Delivering callbacks: what is claimed is rendered, POSTed once, and its outcome recorded with
//! what follows from it (contract §3).
//!
//! Claims and deliveries are apart so that whoever drives this can start a claimed delivery at once
//! and claim more while slow ones are still under way: a slow receiver then delays nobody else.

use std::sync::Arc;

use bursar_domain::Timestamp;
use bursar_ports::{
    AttemptRecord, CallbackSecrets, ClaimedCallback, Clock, Delivered, IdSource, Notification,
    Notifier, Outbox, StoreError, Undelivered, Verdict,
};

use crate::{Keyring, callback_body, callback_secret::signing_secrets};

/// How long a claim holds: well above what an attempt may take.
const LEASE_MS: i64 = 30_000;

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

impl CallbackPass {
    /// Claims at most `limit` callbacks that are due. Each must be given to
    /// [`CallbackPass::deliver`] at once: the claims run out.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox cannot answer.
    pub async fn claim(&self, limit: u32) -> Result<Vec<ClaimedCallback>, StoreError> {
        self.outbox
            .claim_due(self.clock.now(), LEASE_MS, limit)
            .await
    }

    /// Tries a claimed callback once and records what came of it.
    ///
    /// # Errors
    /// [`StoreError`] when the secrets cannot be read or the attempt not be recorded; the callback
    /// is then tried again once its claim has run out.
    pub async fn deliver(&self, callback: ClaimedCallback) -> Result<(), StoreError> {
        let begun = self.clock.now();
        let outcome = self.attempt(&callback, begun).await?;
        let ended = self.clock.now();
        let verdict = self.verdict(outcome, callback.attempts, ended);
        let (http_status, word) = match outcome {
            Ok(Delivered { http_status }) => (Some(http_status), "delivered"),
            Err(undelivered) => (undelivered.http_status(), undelivered.word()),
        };
        let micros = ended.as_micros().saturating_sub(begun.as_micros());
        let attempt = AttemptRecord {
            id: callback.id,
            lease: callback.lease,
            at: begun,
            duration_ms: micros.max(0).div_euclid(1_000),
            http_status,
            outcome: word,
            verdict,
        };
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

    /// POSTs a callback, unless there is nothing to sign it with: receivers who verify would take
    /// it for somebody else's.
    async fn attempt(
        &self,
        callback: &ClaimedCallback,
        at: Timestamp,
    ) -> Result<Result<Delivered, Undelivered>, StoreError> {
        let (secrets, ids) = (&*self.secrets, &*self.ids);
        let subscriber = &callback.subscriber;
        let secrets = signing_secrets(secrets, &self.keyring, ids, subscriber, at).await?;
        if secrets.is_empty() {
            return Ok(Err(Undelivered::Unsigned));
        }
        let notification = Notification {
            url: callback.url.clone(),
            webhook_id: callback.id.to_string(),
            at,
            body: callback_body::render(callback, &self.keyring),
            secrets,
        };
        Ok(self.notifier.notify(notification).await)
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

/// How long to wait after another failed attempt, in milliseconds; none when it was the last.
///
/// The step with a jitter of ±20 %, so that what failed together does not come back together; or
/// what the receiver asked for, between one and two times the step.
fn wait_ms(attempts_before: u32, retry_after_ms: Option<i64>, random: [u8; 32]) -> Option<i64> {
    let step = *RETRY_STEPS_MS.get(usize::try_from(attempts_before).ok()?)?;
    if let Some(asked) = retry_after_ms {
        return Some(asked.clamp(step, step.saturating_mul(2)));
    }
    // A 32-bit fraction of the spread: for the longest step the product stays below 2^58.
    let fraction = i64::from(u32::from_be_bytes(*random.first_chunk()?));
    let spread = step.saturating_mul(2).div_euclid(5).saturating_add(1);
    let jitter = fraction.saturating_mul(spread) >> 32_u32;
    Some(
        step.saturating_sub(step.div_euclid(5))
            .saturating_add(jitter),
    )
}

#[cfg(test)]
mod tests;
