//! Making deposits and internal transfers final.

use bursar_domain::{Command, Decision, Transfer};
use bursar_ports::StoreError;

use crate::{App, Error, RecipientTurn, commit::Made};

/// How often a change that others got ahead of is tried again.
pub(crate) const STALE_TRIES_MAX: u32 = 5;

/// A transfer is left to the background pass once it has waited this long, in milliseconds. Well
/// above what a settlement takes, so that the pass does not run into settlements under way.
const UNSETTLED_AGE_MS: i64 = 1_000;
/// How many transfers one pass takes up.
const UNSETTLED_LIMIT: i64 = 256;

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
            match self.commit_one(change, None).await? {
                Made::Now(transfer) | Made::Before(transfer) => return Ok(*transfer),
                Made::Stale => current = self.recorded(current.id()).await?,
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

    /// Settles what a crash or an outage left pending: one bounded pass. Returns how many transfers
    /// it took up; a full pass means that there may be more.
    ///
    /// # Errors
    /// [`StoreError`] when the pending transfers cannot be listed. A transfer that cannot be
    /// settled is logged and left for the next pass.
    pub async fn settle_pending(&self) -> Result<usize, StoreError> {
        let pending = self
            .ports
            .store
            .list_unsettled(UNSETTLED_AGE_MS, UNSETTLED_LIMIT)
            .await?;
        let count = pending.len();
        for transfer in pending {
            let id = transfer.id();
            match self.settle(transfer).await {
                Ok(settled) => {
                    tracing::info!(transfer.id = %id, transfer.status = settled.status().as_str(), "settled what was left pending");
                }
                Err(error) => {
                    tracing::warn!(transfer.id = %id, %error, "could not settle a pending transfer");
                }
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
