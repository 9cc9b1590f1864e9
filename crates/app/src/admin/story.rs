//! The whole story of one transfer.

use bursar_domain::{Transfer, TransferId};
use bursar_ports::{CallbackRecord, LedgerLine};

use super::READERS;
use crate::{App, Error, Grant, Missing};

/// Everything there is to know about a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferStory {
    /// The transfer.
    pub transfer: Transfer,
    /// Its public code, if it is an internal one.
    pub code: Option<String>,
    /// Its ledger lines.
    pub entries: Vec<LedgerLine>,
    /// Its callbacks with their attempts.
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
        Ok(TransferStory {
            code: self.code_of(&transfer),
            entries: self.ports.query.list_entries(id).await?,
            callbacks: self.ports.query.list_callbacks(id).await?,
            transfer,
        })
    }
}

#[cfg(test)]
mod tests;
