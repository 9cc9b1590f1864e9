//! The whole story of one transfer.

use bursar_domain::{Transfer, TransferId};
use bursar_ports::{CallbackFilter, CallbackRecord, LedgerLine};

use super::READERS;
use crate::{App, Error, Grant, Missing};

/// How many callbacks a story tells of: each confirm and cancel may bring a URL of its own.
const CALLBACKS_MAX: u32 = 1_000;

/// Everything there is to know about a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferStory {
    /// The transfer.
    pub transfer: Transfer,
    /// Its public code, if it is an internal one.
    pub code: Option<String>,
    /// Its ledger lines.
    pub entries: Vec<LedgerLine>,
    /// The transfers that take it back, oldest first.
    pub reversals: Vec<Transfer>,
    /// Its latest callbacks with their attempts, oldest first.
    pub callbacks: Vec<CallbackRecord>,
}

impl App {
    /// The whole story of one transfer of any kind.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none with this id.
    pub async fn transfer_story(
        &self,
        grant: &Grant,
        id: TransferId,
    ) -> Result<TransferStory, Error> {
        grant.require_any(&READERS)?;
        let found = self.ports.store.find(id).await?;
        let transfer = found.ok_or(Error::NotFound(Missing::Transfer))?;
        let filter = CallbackFilter {
            transfer: Some(id),
            limit: CALLBACKS_MAX,
            ..CallbackFilter::default()
        };
        let mut callbacks = self.ports.callback_log.list(filter).await?;
        callbacks.reverse();
        Ok(TransferStory {
            code: self.code_of(&transfer),
            entries: self.ports.query.list_entries(id).await?,
            reversals: self.reversals_of(&transfer).await?,
            callbacks,
            transfer,
        })
    }

    async fn reversals_of(&self, transfer: &Transfer) -> Result<Vec<Transfer>, Error> {
        if transfer.parts().reversed.is_zero() {
            return Ok(vec![]);
        }
        Ok(self.ports.store.list_reversals(transfer.id()).await?)
    }
}

#[cfg(test)]
mod tests;
