//! Ending what nobody confirmed or approved in time.

use bursar_domain::{Command, Commit, Decision};
use bursar_ports::{CommitOutcome, Notice, StoreError};

use crate::App;

/// How many transfers one pass takes up.
const EXPIRED_LIMIT: i64 = 256;

impl App {
    /// Tells the event feed of withdrawals whose time is nearly up, each once: one bounded pass.
    /// Returns how many it told of.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be listed or told of; they are left for the next pass.
    pub async fn tell_expiring(&self) -> Result<usize, StoreError> {
        let within_ms = self.settings.transfers.expiring_notice_ms;
        let events = &self.ports.events;
        let expiring = events.list_expiring(within_ms, EXPIRED_LIMIT).await?;
        let (mut told, mut trouble) = (0_usize, None);
        for (id, transfer) in expiring {
            let expires_at = transfer.parts().expires_at;
            let notice = Notice {
                id,
                topic: "withdrawal.expiring",
                at: self.now(),
                about: Some((transfer.id(), transfer.version())),
                data: expires_at
                    .map(|at| ("expires_at".to_owned(), at.to_micros_text()))
                    .into_iter()
                    .collect(),
            };
            match events.append(notice).await {
                Ok(true) => told = told.saturating_add(1),
                // Somebody was faster, or confirmed it meanwhile.
                Ok(false) => {}
                // One that cannot be told of must not keep the others from it.
                Err(error) => {
                    tracing::debug!(transfer.id = %transfer.id(), %error, "could not tell that a withdrawal expires soon");
                    trouble = Some(error);
                }
            }
        }
        trouble.map_or(Ok(told), Err)
    }

    /// Ends transfers whose time is up by the store's clock: one bounded pass. Returns how many it
    /// took up; a full pass means that there may be more.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be listed or ended; they are left for the next pass.
    pub async fn expire_due(&self) -> Result<usize, StoreError> {
        let due = self.ports.store.list_expired(EXPIRED_LIMIT).await?;
        let count = due.len();
        let mut commits = Vec::with_capacity(count);
        for transfer in due {
            match transfer.decide(&Command::Expire, self.now()) {
                Ok(Decision::Apply(change)) => commits.push(Commit::new(*change)),
                // Somebody was faster.
                Ok(Decision::AlreadyApplied) | Err(_) => {}
            }
        }
        if commits.is_empty() {
            return Ok(0);
        }
        let outcomes = match self.ports.store.commit(commits.clone()).await {
            Ok(outcomes) => outcomes,
            // No transfer's fault: all are taken up once the store goes on.
            Err(error @ (StoreError::Standby | StoreError::Overloaded)) => return Err(error),
            Err(error) => {
                let others_wait = i64::try_from(count).is_ok_and(|count| count >= EXPIRED_LIMIT);
                self.expire_one_by_one(commits, error, others_wait).await?
            }
        };
        let mut ended = 0_usize;
        for outcome in outcomes {
            match outcome {
                CommitOutcome::Committed(transfer) => {
                    ended = ended.saturating_add(1);
                    tracing::info!(transfer.id = %transfer.id(), "a transfer expired");
                }
                // Somebody was faster, or nothing moves right now.
                CommitOutcome::Stale { .. } | CommitOutcome::ReadOnly => {}
                CommitOutcome::Replayed { .. }
                | CommitOutcome::RefusalReplayed { .. }
                | CommitOutcome::KeyReused { .. }
                | CommitOutcome::Refused { .. }
                | CommitOutcome::OverLimit { .. } => {
                    tracing::error!("an expiry has no key and is never refused");
                }
            }
        }
        // Those that others hold up would make this pass again at once, and again.
        Ok(if ended == 0 { 0 } else { count })
    }

    /// One that cannot be ended must not keep the others from it, not even those that this pass has no
    /// room for. When none can, all failed for the reason that they failed for together.
    async fn expire_one_by_one(
        &self,
        commits: Vec<Commit>,
        together: StoreError,
        others_wait: bool,
    ) -> Result<Vec<CommitOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(commits.len());
        if commits.len() > 1 {
            for commit in commits {
                let id = commit.change.next.id();
                match self.ports.store.commit(vec![commit]).await {
                    Ok(outcome) => outcomes.extend(outcome),
                    Err(error) => {
                        tracing::warn!(transfer.id = %id, %error, "could not end an expired transfer");
                        if others_wait && error.may_be_its_own() {
                            self.ports.store.leave_alone(id);
                        }
                    }
                }
            }
        }
        if outcomes.is_empty() {
            return Err(together);
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests;
