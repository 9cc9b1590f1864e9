//! All of the audit log that a filter finds.

use async_trait::async_trait;
use bursar_ports::{AuditFilter, AuditRecord, ExportPages, StoreError};

use super::PAGE_ROWS;
use crate::{audit_log::read_part, tx::Snapshot};

/// The parts of the log, one after the other, as the list reads them: each table is asked by itself,
/// and both answer from the one snapshot.
pub(super) struct AuditPages {
    snapshot: Snapshot,
    /// The next part; `None` after the last.
    next: Option<AuditFilter>,
}

impl AuditPages {
    pub(super) const fn new(snapshot: Snapshot, mut filter: AuditFilter) -> Self {
        filter.after = None;
        filter.limit = PAGE_ROWS;
        Self {
            snapshot,
            next: Some(filter),
        }
    }
}

#[async_trait]
impl ExportPages<AuditRecord> for AuditPages {
    async fn next_page(&mut self) -> Result<Option<Vec<AuditRecord>>, StoreError> {
        let Some(part) = self.next.clone() else {
            return Ok(None);
        };
        let filter = part.clone();
        let records = self
            .snapshot
            .read(async move |connection| read_part(connection, &filter).await)
            .await?;
        let is_full = u32::try_from(records.len()) == Ok(PAGE_ROWS);
        let last = records.last().filter(|_| is_full);
        self.next = last.map(|last| AuditFilter {
            after: Some(last.place()),
            ..part
        });
        Ok(Some(records))
    }
}
