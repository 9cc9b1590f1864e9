//! Having confirmed withdrawals paid out by a gateway, and hearing from it what came of them.
//!
//! A payout is asked for until it is known what came of it, under a lease that is longer than a try,
//! so that never two tries of it are on their way. What the gateway answers and what it says by
//! itself meet at the transfer's version: whoever comes second finds it ended.

use std::sync::Arc;

use bursar_domain::{
    Command, Commit, Decision, Reason, Stage, Timestamp, Transfer, TransferId, UserStatus,
};
use bursar_ports::{
    ClaimedPayout, PayoutAnswer, PayoutClearance, PayoutGateway, PayoutOrder, PayoutSchedule,
    PostponedPayout, SignedMessage, StoreError,
};

use crate::{
    App, AuthError, Conflict, Error, Missing, Original, commit::Overtaken, dispatch::jittered_ms,
    settle::STALE_TRIES_MAX,
};

/// How much longer than a try a lease is.
const SLACK_MS: i64 = 10_000;
/// A try that begins later than this after its claim would outlive the lease, or nearly.
const LATE_MS: i64 = SLACK_MS / 2;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;

/// How long to wait after the first, second, … try that told nothing; the last one repeats for ever.
const STEPS_MS: [i64; 4] = [5 * SECOND_MS, 30 * SECOND_MS, 2 * MINUTE_MS, LAST_STEP_MS];
const LAST_STEP_MS: i64 = 5 * MINUTE_MS;
/// How soon a payout is looked at again that an operator's word holds up: a stop or a freeze.
const HELD_UP_MS: i64 = 5 * SECOND_MS;
/// How much of a gateway's words is written into the log, in characters.
const DETAIL_CHARS_MAX: usize = 200;

/// Who pays withdrawals out, and when.
#[derive(Clone)]
pub struct Payouts {
    /// Who pays.
    pub gateway: Arc<dyn PayoutGateway>,
    /// When it is asked.
    pub schedule: Arc<dyn PayoutSchedule>,
}

/// A payout that is to be tried at once.
#[derive(Clone, Debug)]
pub struct DuePayout {
    claimed: ClaimedPayout,
    claimed_at: Timestamp,
}

/// What came of a payout, by the gateway's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayoutEnd {
    /// It is paid.
    Paid,
    /// It is not paid and never will be.
    Refused,
}

impl PayoutEnd {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Refused => "refused",
        }
    }

    const fn command(self) -> Command {
        match self {
            Self::Paid => Command::PaidOut,
            Self::Refused => Command::Fail {
                reason: Reason::PayoutRefused,
            },
        }
    }
}

/// Proof that the gateway signed a message.
#[derive(Debug)]
pub struct FromGateway(());

/// What the gateway says by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutResult {
    /// The withdrawal; none when what was sent can name no transfer.
    pub transfer: Option<TransferId>,
    /// What came of it.
    pub end: PayoutEnd,
    /// Why, in the gateway's words, for the log.
    pub detail: Option<String>,
}

impl App {
    /// Whether a message is the gateway's. Without a gateway none is.
    ///
    /// # Errors
    /// [`AuthError::SignatureInvalid`] when it is not, or was signed too long ago.
    pub fn from_gateway(&self, message: &SignedMessage) -> Result<FromGateway, Error> {
        let now = self.now();
        self.ports
            .payouts
            .as_ref()
            .filter(|payouts| payouts.gateway.is_genuine(message, now))
            .map(|_| FromGateway(()))
            .ok_or(Error::Unauthenticated(AuthError::SignatureInvalid))
    }

    /// Ends a payout by the gateway's word. Hearing the same again changes nothing.
    ///
    /// # Errors
    /// See [`Error`]: [`Error::Conflict`] when the withdrawal has ended otherwise, or is not being
    /// paid out.
    pub async fn payout_result(
        &self,
        _proof: &FromGateway,
        result: PayoutResult,
    ) -> Result<Transfer, Error> {
        let found = self.find_sent(result.transfer).await?;
        let transfer = found.ok_or(Error::NotFound(Missing::Transfer))?;
        let id = transfer.id();
        log_refusal(id, result.end, result.detail.as_deref());
        let ended = self.end_payout(transfer, result.end).await?;
        // What is left in the schedule is found to have ended when it comes up.
        if let Err(error) = self.forget_payout(id).await {
            tracing::warn!(transfer.id = %id, %error, "an ended payout is still scheduled");
        }
        Ok(ended)
    }

    /// Claims payouts that are due. Each must be given to [`App::pay_out`] at once, since the claims
    /// run out.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    pub async fn claim_payouts(&self, limit: u32) -> Result<Vec<DuePayout>, StoreError> {
        let Some(Payouts { gateway, schedule }) = &self.ports.payouts else {
            return Ok(vec![]);
        };
        let claimed_at = self.now();
        let lease_ms = gateway.try_max_ms().saturating_add(SLACK_MS);
        let claimed = schedule.claim_due(lease_ms, limit).await?;
        let due = claimed.into_iter().map(|claimed| DuePayout {
            claimed,
            claimed_at,
        });
        Ok(due.collect())
    }

    /// Asks the gateway once for a payout, and records what came of it. What cannot be recorded is
    /// asked again once the claim has run out.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be recorded, or nobody knows whether the owner's money may leave;
    /// the gateway is not asked then.
    pub async fn pay_out(&self, due: DuePayout) -> Result<&'static str, StoreError> {
        let Some(payouts) = &self.ports.payouts else {
            return Ok("none");
        };
        let outcome = self.try_payout(payouts, due).await?;
        metrics::counter!("bursar_payout_attempts_total", "outcome" => outcome).increment(1);
        Ok(outcome)
    }

    /// Whether Bursar has withdrawals paid out; else whoever confirms one has seen to it.
    pub const fn pays_out(&self) -> bool {
        self.ports.payouts.is_some()
    }

    async fn try_payout(
        &self,
        payouts: &Payouts,
        due: DuePayout,
    ) -> Result<&'static str, StoreError> {
        let DuePayout {
            claimed,
            claimed_at,
        } = due;
        let id = claimed.transfer.id();
        if claimed.transfer.stage() != Some(Stage::Payout) {
            payouts.schedule.end(id).await?;
            return Ok("ended");
        }
        // This is read last, and nothing is awaited between it and the order: once a stop or a freeze
        // has returned no order follows, but for one that was at this very point by then.
        let (owner, asset) = (claimed.transfer.owner(), claimed.transfer.parts().asset);
        let clearance = payouts.schedule.clearance(owner, asset).await?;
        if let Some(outcome) = held_up_by(clearance) {
            let held_up = PostponedPayout {
                id,
                lease: claimed.lease,
                wait_ms: HELD_UP_MS,
                outcome,
                was_tried: false,
            };
            payouts.schedule.postpone(held_up).await?;
            return Ok(outcome);
        }
        let now = self.now();
        if now > claimed_at.plus_micros(LATE_MS.saturating_mul(1_000)) {
            // Somebody else may soon have it.
            return Ok("late");
        }
        self.order_payout(payouts, claimed, now).await
    }

    async fn order_payout(
        &self,
        payouts: &Payouts,
        claimed: ClaimedPayout,
        now: Timestamp,
    ) -> Result<&'static str, StoreError> {
        let id = claimed.transfer.id();
        let answer = payouts.gateway.pay(order(&claimed.transfer, now)).await;
        let (end, word) = match answer {
            PayoutAnswer::Paid => (Some(PayoutEnd::Paid), "paid"),
            PayoutAnswer::Refused { detail } => {
                log_refusal(id, PayoutEnd::Refused, detail.as_deref());
                (Some(PayoutEnd::Refused), "refused")
            }
            PayoutAnswer::UnderWay => (None, "under_way"),
            PayoutAnswer::Unknown { what } => (None, what),
        };
        let word = match end {
            None => word,
            Some(end) => match self.end_payout(claimed.transfer, end).await {
                Ok(_) => {
                    payouts.schedule.end(id).await?;
                    return Ok(word);
                }
                Err(Error::Conflict(conflict)) => {
                    tracing::error!(transfer.id = %id, said = end.as_str(), conflict = conflict.code(), "the gateway contradicts how a withdrawal has ended");
                    payouts.schedule.end(id).await?;
                    return Ok("contradicted");
                }
                Err(error) => {
                    tracing::warn!(transfer.id = %id, %error, said = end.as_str(), "what came of a payout cannot be recorded");
                    "unrecorded"
                }
            },
        };
        let wait_ms = wait_ms(claimed.attempts, self.ports.ids.random_bytes());
        let again = PostponedPayout {
            id,
            lease: claimed.lease,
            wait_ms,
            outcome: word,
            was_tried: true,
        };
        payouts.schedule.postpone(again).await?;
        Ok(word)
    }

    /// Makes a withdrawal final that is being paid out, unless it ended this way already.
    async fn end_payout(&self, transfer: Transfer, end: PayoutEnd) -> Result<Transfer, Error> {
        let command = end.command();
        let mut current = transfer;
        let mut overtaken = Overtaken::default();
        for _ in 0..STALE_TRIES_MAX {
            if !current.status().is_final() && current.stage() != Some(Stage::Payout) {
                return Err(Error::Conflict(Conflict::PayoutNotUnderWay));
            }
            let change = match current.decide(&command, self.now()) {
                Ok(Decision::Apply(change)) => *change,
                Ok(Decision::AlreadyApplied) => return Ok(current),
                Err(_) => return Err(Error::Conflict(Conflict::of(&current))),
            };
            let committed = self.commit_one(Commit::new(change)).await;
            if let Some((transfer, _)) = committed.map_err(|error| overtaken.told(error))? {
                return Ok(transfer);
            }
            let id = current.id();
            overtaken.on(Original::Id(id));
            let found = self.recorded(id).await;
            current = found.map_err(|error| overtaken.told(error))?;
        }
        Err(Error::Internal("a payout kept being changed by others"))
    }

    async fn forget_payout(&self, id: TransferId) -> Result<(), StoreError> {
        match &self.ports.payouts {
            Some(payouts) => payouts.schedule.end(id).await,
            None => Ok(()),
        }
    }
}

/// The word for a payout whose money an operator's word keeps here for now, also where the gateway was
/// asked before.
const fn held_up_by(clearance: PayoutClearance) -> Option<&'static str> {
    if clearance.is_stopped {
        return Some("stopped");
    }
    match clearance.owner {
        UserStatus::Active => None,
        UserStatus::Frozen => Some("frozen"),
        UserStatus::Terminated => Some("terminated"),
    }
}

fn order(transfer: &Transfer, at: Timestamp) -> PayoutOrder {
    let parts = transfer.parts();
    PayoutOrder {
        id: parts.id,
        asset: parts.asset,
        amount: parts.amount.to_plain(parts.scale),
        user: transfer.owner(),
        comment: parts.note.clone(),
        created_at: parts.created_at,
        at,
    }
}

fn log_refusal(id: TransferId, end: PayoutEnd, detail: Option<&str>) {
    match end {
        PayoutEnd::Paid => {}
        PayoutEnd::Refused => {
            let detail: String = detail
                .unwrap_or_default()
                .chars()
                .take(DETAIL_CHARS_MAX)
                .collect();
            tracing::warn!(transfer.id = %id, detail, "the gateway refuses a payout");
        }
    }
}

/// How long to wait after another try that told nothing, in milliseconds.
fn wait_ms(attempts_before: u32, random: [u8; 32]) -> i64 {
    let step = usize::try_from(attempts_before)
        .ok()
        .and_then(|place| STEPS_MS.get(place).copied())
        .unwrap_or(LAST_STEP_MS);
    jittered_ms(step, random)
}

#[cfg(test)]
mod tests;
