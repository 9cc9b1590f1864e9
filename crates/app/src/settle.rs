//! Making deposits and internal transfers final.

use std::collections::HashMap;

use bursar_domain::{Command, Commit, Decision, Transfer, TransferId};
use bursar_ports::{CommitOutcome, StoreError};

use crate::{App, Error, RecipientTurn};

/// How often a change that others got ahead of is tried again.
pub(crate) const STALE_TRIES_MAX: u32 = 5;

/// A transfer is left to the background pass once it has waited this long, in milliseconds. Well
/// above what a settlement takes, so that the pass does not run into settlements under way.
const UNSETTLED_AGE_MS: i64 = 1_000;
/// How many transfers one pass takes up.
const UNSETTLED_LIMIT: i64 = 256;
/// How many transfers are settled in one transaction: few enough that others soon get their turn
/// on the accounts.
const TOGETHER_MAX: usize = 256;

impl App {
    /// Settles a transfer and returns it as it then is, whoever settled it.
    pub(crate) async fn settle(&self, transfer: Transfer) -> Result<Transfer, Error> {
        let mut current = transfer;
        for _ in 0..STALE_TRIES_MAX {
            let change = match current.decide(&Command::Settle, self.now()) {
                Ok(Decision::Apply(change)) => *change,
                // Already settled, one way or the other.
                Ok(Decision::AlreadyApplied) | Err(_) => return Ok(current),
            };
            match self.commit_one(Commit::new(change)).await? {
                Some((transfer, _)) => return Ok(transfer),
                None => current = self.recorded(current.id()).await?,
            }
        }
        Ok(current)
    }

    /// Settles a transfer that exists, for a caller that waits. When that fails it is answered as
    /// it was: an error would deny a transfer that there is.
    pub(crate) async fn settle_now(&self, transfer: Transfer) -> Transfer {
        match self.settle(transfer.clone()).await {
            Ok(settled) => settled,
            Err(error) => {
                tracing::warn!(transfer.id = %transfer.id(), %error, "settlement is left to the background pass");
                transfer
            }
        }
    }

    /// Settles a transfer after the answer. What fails here the background pass takes up.
    pub(crate) fn settle_later(&self, transfer: Transfer, turn: Option<RecipientTurn>) {
        let app = self.clone();
        self.ports.tasks.spawn(Box::pin(async move {
            let id = transfer.id();
            if let Err(error) = app.settle(transfer).await {
                tracing::warn!(transfer.id = %id, %error, "settlement is left to the background pass");
            }
            drop(turn);
        }));
    }

    /// Settles transfers together, in order, and returns each as it then is. What cannot be settled
    /// now is returned as it was, and left to the background pass.
    pub(crate) async fn settle_all(&self, transfers: Vec<Transfer>) -> Vec<Transfer> {
        let mut settled = Vec::with_capacity(transfers.len());
        for together in transfers.chunks(TOGETHER_MAX) {
            match self.settle_together(together).await {
                Ok(now) => settled.extend(now),
                Err(error) => {
                    tracing::warn!(transfers = together.len(), %error, "settlement is left to the background pass");
                    settled.extend_from_slice(together);
                }
            }
        }
        settled
    }

    /// Settles transfers together after the answer. The turn ends with that.
    pub(crate) fn settle_all_later(&self, transfers: Vec<Transfer>, turn: RecipientTurn) {
        let app = self.clone();
        self.ports.tasks.spawn(Box::pin(async move {
            app.settle_all(transfers).await;
            drop(turn);
        }));
    }

    /// Settles transfers in one transaction, in order, and returns each as it then is.
    async fn settle_together(&self, transfers: &[Transfer]) -> Result<Vec<Transfer>, Error> {
        let mut commits = Vec::with_capacity(transfers.len());
        for transfer in transfers {
            match transfer.decide(&Command::Settle, self.now()) {
                Ok(Decision::Apply(change)) => commits.push(Commit::new(*change)),
                // Already settled, one way or the other.
                Ok(Decision::AlreadyApplied) | Err(_) => {}
            }
        }
        let ids: Vec<TransferId> = commits.iter().map(|c| c.change.next.id()).collect();
        let outcomes = self.ports.store.commit(commits).await?;
        let mut settled = HashMap::with_capacity(ids.len());
        let mut stale = Vec::new();
        for (id, outcome) in ids.into_iter().zip(outcomes) {
            match outcome {
                CommitOutcome::Committed(transfer) => {
                    settled.insert(id, *transfer);
                }
                CommitOutcome::Stale { .. } => stale.push(id),
                // It stays pending until things move again.
                CommitOutcome::ReadOnly => {}
                CommitOutcome::Replayed { .. }
                | CommitOutcome::RefusalReplayed { .. }
                | CommitOutcome::KeyReused { .. }
                | CommitOutcome::Refused { .. }
                | CommitOutcome::OverLimit { .. } => {
                    return Err(Error::Internal(
                        "a settlement has no key and is never refused",
                    ));
                }
            }
        }
        self.note_made(settled.values()).await;
        if !stale.is_empty() {
            // Somebody else was faster; mostly that somebody has settled them.
            for transfer in self.ports.store.find_many(stale).await? {
                settled.insert(transfer.id(), self.settle(transfer).await?);
            }
        }
        let now = |transfer: &Transfer| settled.remove(&transfer.id());
        let now = transfers.iter().map(now).zip(transfers);
        Ok(now
            .map(|(now, before)| now.unwrap_or_else(|| before.clone()))
            .collect())
    }

    /// Settles what a crash or an outage left pending: one bounded pass. Returns how many transfers
    /// it took up; a full pass means that there may be more.
    ///
    /// # Errors
    /// [`StoreError`] when the pending transfers cannot be listed, or the store takes nothing right now.
    /// A transfer that cannot be settled is logged and left for the next pass.
    pub async fn settle_pending(&self) -> Result<usize, StoreError> {
        let pending = self
            .ports
            .store
            .list_unsettled(UNSETTLED_AGE_MS, UNSETTLED_LIMIT)
            .await?;
        let count = pending.len();
        if count == 0 {
            return Ok(0);
        }
        match self.settle_together(&pending).await {
            Ok(now) => {
                // Nothing settles while nothing may move.
                let settled = now.iter().filter(|one| one.status().is_final()).count();
                if settled > 0 {
                    tracing::info!(transfers = settled, "settled what was left pending");
                }
            }
            // No transfer's fault: all are taken up once the store goes on.
            Err(Error::Store(error @ (StoreError::Standby | StoreError::Overloaded))) => {
                return Err(error);
            }
            Err(error) => {
                // One that cannot be settled must not keep the others from it, not even those that this
                // pass has no room for.
                tracing::warn!(transfers = count, %error, "could not settle pending transfers together");
                let others_wait = i64::try_from(count).is_ok_and(|count| count >= UNSETTLED_LIMIT);
                self.settle_one_by_one(pending, others_wait).await;
            }
        }
        Ok(count)
    }

    async fn settle_one_by_one(&self, pending: Vec<Transfer>, others_wait: bool) {
        for transfer in pending {
            let id = transfer.id();
            match self.settle(transfer).await {
                Ok(settled) => {
                    tracing::info!(transfer.id = %id, transfer.status = settled.status().as_str(), "settled what was left pending");
                }
                Err(error) => {
                    tracing::warn!(transfer.id = %id, %error, "could not settle a pending transfer");
                    if others_wait && error.may_be_its_own() {
                        self.ports.store.leave_alone(id);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
