//! All transfers that a scan finds.

use async_trait::async_trait;
use bursar_domain::Transfer;
use bursar_ports::{ExportPages, StoreError, TransferScan};

use super::PAGE_ROWS;
use crate::{query::scan_part, tx::Snapshot};

/// The parts of a scan, one after the other, as the list reads them.
pub(super) struct TransferPages {
    snapshot: Snapshot,
    /// The next part; `None` after the last.
    next: Option<TransferScan>,
}

impl TransferPages {
    pub(super) const fn new(snapshot: Snapshot, mut scan: TransferScan) -> Self {
        scan.after = None;
        scan.limit = PAGE_ROWS;
        Self {
            snapshot,
            next: Some(scan),
        }
    }
}

#[async_trait]
impl ExportPages<Transfer> for TransferPages {
    async fn next_page(&mut self) -> Result<Option<Vec<Transfer>>, StoreError> {
        let Some(part) = self.next.clone() else {
            return Ok(None);
        };
        let scan = part.clone();
        let slice = self
            .snapshot
            .read(async move |connection| scan_part(connection, &scan).await)
            .await?;
        self.next = slice.next.map(|place| TransferScan {
            after: Some(place),
            ..part
        });
        Ok(Some(slice.transfers))
    }
}
