//! A store that does not commit at once.

use std::sync::Arc;

use async_trait::async_trait;
use bursar_domain::{
    Bulk, Commit, IdempotencyKey, KeyScope, Transfer, TransferId, ledger::StoredClaim,
};
use bursar_ports::{BulkOutcome, CommitOutcome, StoreError, TransferStore};
use tokio::task::yield_now;

/// Lets others go on before it commits.
pub(super) struct Slow(pub(super) Arc<dyn TransferStore>);

#[async_trait]
impl TransferStore for Slow {
    async fn find(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.0.find(id).await
    }

    async fn find_proven(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.0.find_proven(id).await
    }

    async fn find_many(&self, ids: Vec<TransferId>) -> Result<Vec<Transfer>, StoreError> {
        self.0.find_many(ids).await
    }

    async fn find_key(
        &self,
        scope: KeyScope,
        key: IdempotencyKey,
    ) -> Result<Option<StoredClaim>, StoreError> {
        self.0.find_key(scope, key).await
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        yield_now().await;
        self.0.commit(batch).await
    }

    async fn rehearse(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        self.0.rehearse(batch).await
    }

    async fn commit_bulk(&self, bulk: Bulk) -> Result<BulkOutcome, StoreError> {
        yield_now().await;
        self.0.commit_bulk(bulk).await
    }

    async fn list_unsettled(
        &self,
        older_than_ms: i64,
        limit: i64,
    ) -> Result<Vec<Transfer>, StoreError> {
        self.0.list_unsettled(older_than_ms, limit).await
    }

    async fn list_expired(&self, limit: i64) -> Result<Vec<Transfer>, StoreError> {
        self.0.list_expired(limit).await
    }

    fn leave_alone(&self, id: TransferId) {
        self.0.leave_alone(id);
    }

    async fn list_reversals(&self, of: TransferId) -> Result<Vec<Transfer>, StoreError> {
        self.0.list_reversals(of).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.0.ready().await
    }
}
