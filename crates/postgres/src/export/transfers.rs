//! All transfers that a scan finds.

use async_trait::async_trait;
use bursar_domain::Transfer;
use bursar_ports::{ExportPages, ListPlace, StoreError, TransferScan};

use super::PAGE_ROWS;
use crate::{query::scan_part, tx::Snapshot};

/// The parts of a scan, one after the other, as the list reads them.
pub(super) struct TransferPages {
    snapshot: Snapshot,
    scan: TransferScan,
    /// The next part begins after this place; `None` after the last.
    next: Option<Option<ListPlace>>,
}

impl TransferPages {
    pub(super) const fn new(snapshot: Snapshot, scan: TransferScan) -> Self {
        Self {
            snapshot,
            scan,
            next: Some(None),
        }
    }
}

#[async_trait]
impl ExportPages<Transfer> for TransferPages {
    async fn next_page(&mut self) -> Result<Option<Vec<Transfer>>, StoreError> {
        let Some(after) = self.next else {
            return Ok(None);
        };
        let part = TransferScan {
            after,
            limit: PAGE_ROWS,
            ..self.scan.clone()
        };
        let slice = self
            .snapshot
            .read(async move |connection| scan_part(connection, &part).await)
            .await?;
        self.next = slice.next.map(Some);
        Ok(Some(slice.transfers))
    }
}
