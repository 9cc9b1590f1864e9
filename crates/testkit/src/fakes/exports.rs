//! Exports whose pages a test gives.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bursar_domain::Transfer;
use bursar_ports::{
    AuditFilter, AuditRecord, EntryFilter, ExportPages, Exports, LedgerRecord, OpenExport,
    StoreError, TransferScan,
};

use super::locked;

/// Pages that come one after the other; `None` is where the store cannot go on.
pub type Pages<T> = VecDeque<Option<Vec<T>>>;

#[derive(Default)]
pub struct FakeExports {
    pub transfers: Mutex<Pages<Transfer>>,
    pub entries: Mutex<Pages<LedgerRecord>>,
    pub audit: Mutex<Pages<AuditRecord>>,
    pub busy: AtomicBool,
    pub asked_transfers: Mutex<Option<TransferScan>>,
    pub asked_entries: Mutex<Option<EntryFilter>>,
    pub asked_audit: Mutex<Option<AuditFilter>>,
    /// How many pages were asked for.
    pub read: Arc<AtomicUsize>,
    /// How many exports are under way.
    pub open: Arc<AtomicUsize>,
}

struct FakePages<T> {
    pages: Pages<T>,
    read: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl<T> Drop for FakePages<T> {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl<T: Send + 'static> ExportPages<T> for FakePages<T> {
    async fn next_page(&mut self) -> Result<Option<Vec<T>>, StoreError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        match self.pages.pop_front() {
            None => Ok(None),
            Some(Some(page)) => Ok(Some(page)),
            Some(None) => Err(StoreError::Unavailable("gone".into())),
        }
    }
}

impl FakeExports {
    fn open<T: Clone + Send + 'static>(&self, pages: &Mutex<Pages<T>>) -> OpenExport<T> {
        if self.busy.load(Ordering::SeqCst) {
            return OpenExport::Busy;
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        OpenExport::Opened(Box::new(FakePages {
            pages: locked(pages).clone(),
            read: self.read.clone(),
            open: self.open.clone(),
        }))
    }
}

#[async_trait]
impl Exports for FakeExports {
    async fn open_transfers(&self, scan: TransferScan) -> Result<OpenExport<Transfer>, StoreError> {
        *locked(&self.asked_transfers) = Some(scan);
        Ok(self.open(&self.transfers))
    }

    async fn open_entries(
        &self,
        filter: EntryFilter,
    ) -> Result<OpenExport<LedgerRecord>, StoreError> {
        *locked(&self.asked_entries) = Some(filter);
        Ok(self.open(&self.entries))
    }

    async fn open_audit(&self, filter: AuditFilter) -> Result<OpenExport<AuditRecord>, StoreError> {
        *locked(&self.asked_audit) = Some(filter);
        Ok(self.open(&self.audit))
    }
}
