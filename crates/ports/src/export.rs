//! Exports: all of a list, of the ledger or of the audit log, part by part, from one snapshot.

use async_trait::async_trait;
use bursar_domain::{AssetId, Timestamp, Transfer};

use crate::{AuditFilter, AuditRecord, LedgerOwner, LedgerRecord, StoreError, TransferScan};

/// Which ledger lines to export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Only of these accounts.
    pub owner: Option<LedgerOwner>,
    /// Only of this asset.
    pub asset: Option<AssetId>,
    /// What happened at this time or after.
    pub from: Option<Timestamp>,
    /// What happened at this time or before.
    pub to: Option<Timestamp>,
}

/// The rest of an export. Dropping it ends the export.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ExportPages<T: Send + 'static>: Send {
    /// The next rows; `None` after the last one. A part has a bounded number of rows, and may have
    /// none when few of those looked at match.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot go on; the export has then ended.
    async fn next_page(&mut self) -> Result<Option<Vec<T>>, StoreError>;
}

/// What became of beginning an export.
#[must_use]
pub enum OpenExport<T> {
    /// It has begun: everything that it gives is what was committed now.
    Opened(Box<dyn ExportPages<T>>),
    /// As many run as may run at once.
    Busy,
}

/// Everything that matches, however much it is.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Exports: Send + Sync {
    /// The transfers that [`crate::TransferQuery::scan_transfers`] finds page by page, in its order.
    /// `after` and `limit` do not matter.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn open_transfers(&self, scan: TransferScan) -> Result<OpenExport<Transfer>, StoreError>;

    /// Ledger lines: one account after the other, in the order in which the accounts were made and
    /// those of the system last; each from its oldest line on.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn open_entries(
        &self,
        filter: EntryFilter,
    ) -> Result<OpenExport<LedgerRecord>, StoreError>;

    /// The rows that [`crate::AuditLog::list`] finds page by page, in its order. `after` and `limit`
    /// do not matter.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn open_audit(&self, filter: AuditFilter) -> Result<OpenExport<AuditRecord>, StoreError>;
}
