//! Exports: everything that a list, the ledger or the audit log has, with its totals, from one snapshot.
//!
//! What has gone by is counted and summed up while it goes by, so the totals are of exactly the rows
//! that were handed on.

mod totals;

use bursar_domain::{CodeSalt, Transfer};
use bursar_ports::{
    AuditFilter, AuditRecord, EntryFilter, ExportPages, LedgerRecord, OpenExport, TransferScan,
};

pub use self::totals::{AuditTotal, EntryTotal, OwnerKind, TransferTotal};
use self::totals::{AuditTotals, EntryTotals, TransferTotals};
use super::{CodedLine, FoundTransfer, READERS, TransferSearch, transfers::has_salt};
use crate::{
    App, Error, Grant,
    limits::{Limit, RateLimited},
};

/// When it is worth another try after too many exports.
const RETRY_MS: u32 = 10_000;

/// An export of transfers. Dropping it ends it.
pub struct TransferExport {
    app: App,
    /// None when nothing can match.
    pages: Option<Box<dyn ExportPages<Transfer>>>,
    salt: Option<CodeSalt>,
    totals: TransferTotals,
}

/// An export of ledger lines. Dropping it ends it.
pub struct EntryExport {
    app: App,
    pages: Box<dyn ExportPages<LedgerRecord>>,
    totals: EntryTotals,
}

/// An export of the audit log. Dropping it ends it.
pub struct AuditExport {
    pages: Box<dyn ExportPages<AuditRecord>>,
    totals: AuditTotals,
}

impl App {
    /// Begins to export the transfers that [`App::search_transfers`] finds, in its order. Where the
    /// search begins and how long its pages are does not matter.
    ///
    /// # Errors
    /// Those of the search, and [`Error::RateLimited`] when too many exports are under way.
    pub async fn export_transfers(
        &self,
        grant: &Grant,
        wanted: TransferSearch,
    ) -> Result<TransferExport, Error> {
        grant.require_any(&READERS)?;
        let (pages, salt) = match self.scan_for(wanted).await? {
            Some((scan, salt)) => (Some(self.open_transfers(scan).await?), salt),
            None => (None, None),
        };
        Ok(TransferExport {
            app: self.clone(),
            pages,
            salt,
            totals: TransferTotals::default(),
        })
    }

    /// Begins to export ledger lines: one account after the other, each from its oldest line on.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when too many exports are under way.
    pub async fn export_entries(
        &self,
        grant: &Grant,
        filter: EntryFilter,
    ) -> Result<EntryExport, Error> {
        grant.require_any(&READERS)?;
        Ok(EntryExport {
            app: self.clone(),
            pages: opened(self.ports.exports.open_entries(filter).await?)?,
            totals: EntryTotals::default(),
        })
    }

    /// Begins to export the rows of the audit log that [`App::list_audit`] lists, in its order. Where
    /// the list begins and how long its pages are does not matter.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when too many exports are under way.
    pub async fn export_audit(
        &self,
        grant: &Grant,
        filter: AuditFilter,
    ) -> Result<AuditExport, Error> {
        grant.require_any(&READERS)?;
        Ok(AuditExport {
            pages: opened(self.ports.exports.open_audit(filter).await?)?,
            totals: AuditTotals::default(),
        })
    }

    async fn open_transfers(
        &self,
        scan: TransferScan,
    ) -> Result<Box<dyn ExportPages<Transfer>>, Error> {
        opened(self.ports.exports.open_transfers(scan).await?)
    }
}

fn opened<T>(open: OpenExport<T>) -> Result<Box<dyn ExportPages<T>>, Error> {
    match open {
        OpenExport::Opened(pages) => Ok(pages),
        OpenExport::Busy => Err(RateLimited::new(Limit::Exports, RETRY_MS).into()),
    }
}

impl TransferExport {
    /// The next transfers; `None` after the last one. There may be none among those looked at.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot go on.
    pub async fn next_page(&mut self) -> Result<Option<Vec<FoundTransfer>>, Error> {
        let Some(pages) = &mut self.pages else {
            return Ok(None);
        };
        let Some(mut transfers) = pages.next_page().await? else {
            return Ok(None);
        };
        transfers.retain(|transfer| self.salt.is_none_or(|salt| has_salt(transfer, salt)));
        for transfer in &transfers {
            self.totals.add(transfer);
        }
        let found = transfers.into_iter().map(|transfer| FoundTransfer {
            code: self.app.code_of(&transfer),
            transfer,
        });
        Ok(Some(found.collect()))
    }

    /// The totals of what has gone by, by asset, kind and status.
    pub fn totals(&self) -> Vec<TransferTotal> {
        self.totals.all()
    }
}

impl EntryExport {
    /// The next lines; `None` after the last one. There may be none among those looked at.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot go on.
    pub async fn next_page(&mut self) -> Result<Option<Vec<CodedLine>>, Error> {
        let Some(records) = self.pages.next_page().await? else {
            return Ok(None);
        };
        for record in &records {
            self.totals.add(record);
        }
        Ok(Some(self.app.coded(records)))
    }

    /// The totals of what has gone by, by asset, owner and kind.
    pub fn totals(&self) -> Vec<EntryTotal> {
        self.totals.all()
    }
}

impl AuditExport {
    /// The next rows; `None` after the last one. There may be none among those looked at.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot go on.
    pub async fn next_page(&mut self) -> Result<Option<Vec<AuditRecord>>, Error> {
        let Some(records) = self.pages.next_page().await? else {
            return Ok(None);
        };
        for record in &records {
            self.totals.add(record);
        }
        Ok(Some(records))
    }

    /// How many rows of each action have gone by.
    pub fn totals(&self) -> Vec<AuditTotal> {
        self.totals.all()
    }
}

#[cfg(test)]
mod tests;
