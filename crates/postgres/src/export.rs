//! Exports: all of a list, of the ledger or of the audit log, from one snapshot.
//!
//! An export is read in pages, each found by where the last one ended: by the same ranges of the same
//! indexes that serve the lists, and not by a cursor over one large query. So no page waits for a
//! sort of everything, none looks at more than a bounded number of rows, and what is kept in memory
//! here and on the server is one page.
//!
//! To export something else: a `next_page` of its own over a [`Snapshot`].

mod audit;
mod entries;
mod transfers;

use std::fmt;

use async_trait::async_trait;
use bursar_domain::Transfer;
use bursar_ports::{
    AuditFilter, AuditRecord, EntryFilter, ExportPages, Exports, LedgerRecord, OpenExport,
    StoreError, TransferScan,
};

use self::{audit::AuditPages, entries::EntryPages, transfers::TransferPages};
use crate::{pool::Database, tx::Snapshot};

/// How many rows a page has at most.
const PAGE_ROWS: u32 = 1_000;

/// Exports of the main book, and of the audit log of both schemas.
#[derive(Clone)]
pub struct PgExports {
    database: Database,
}

impl PgExports {
    /// Exports over connections like these, but each over one of its own.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Begins an export, unless too many are under way.
    async fn open<T, P: ExportPages<T> + 'static>(
        &self,
        pages: impl FnOnce(Snapshot) -> P + Send,
    ) -> Result<OpenExport<T>, StoreError>
    where
        T: Send + 'static,
    {
        Ok(match Snapshot::open(&self.database).await? {
            Some(snapshot) => OpenExport::Opened(Box::new(pages(snapshot))),
            None => OpenExport::Busy,
        })
    }
}

#[async_trait]
impl Exports for PgExports {
    async fn open_transfers(&self, scan: TransferScan) -> Result<OpenExport<Transfer>, StoreError> {
        self.open(|snapshot| TransferPages::new(snapshot, scan))
            .await
    }

    async fn open_entries(
        &self,
        filter: EntryFilter,
    ) -> Result<OpenExport<LedgerRecord>, StoreError> {
        self.open(|snapshot| EntryPages::new(snapshot, filter))
            .await
    }

    async fn open_audit(&self, filter: AuditFilter) -> Result<OpenExport<AuditRecord>, StoreError> {
        self.open(|snapshot| AuditPages::new(snapshot, filter))
            .await
    }
}

impl fmt::Debug for PgExports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgExports")
            .field("database", &self.database)
            .finish()
    }
}
