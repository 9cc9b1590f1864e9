//! Tells the delivery of callbacks, the sequencer of events, and who has withdrawals paid out, that
//! there may be some.

use std::sync::Arc;

use async_trait::async_trait;
use bursar_domain::{
    Bulk, Commit, IdempotencyKey, KeyScope, Stage, Transfer, TransferId, ledger::StoredClaim,
};
use bursar_ports::{BulkOutcome, CommitOutcome, StoreError, TransferStore};
use tokio::sync::Notify;

/// A store that gives a hint after every commit, another one after those that may have made callbacks
/// due, and another one after those that began a payout. Only hints: what another replica commits, or
/// what is due again, is found by looking.
pub struct HintingStore {
    store: Arc<dyn TransferStore>,
    hint: Arc<Notify>,
    committed: Arc<Notify>,
    payouts: Arc<Notify>,
}

impl HintingStore {
    /// The same store, with the hints for callbacks, for every commit and for payouts.
    pub fn new(
        store: Arc<dyn TransferStore>,
        hint: &Arc<Notify>,
        committed: &Arc<Notify>,
        payouts: &Arc<Notify>,
    ) -> Self {
        Self {
            store,
            hint: Arc::clone(hint),
            committed: Arc::clone(committed),
            payouts: Arc::clone(payouts),
        }
    }
}

#[async_trait]
impl TransferStore for HintingStore {
    async fn find(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.store.find(id).await
    }

    async fn find_proven(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.store.find_proven(id).await
    }

    async fn find_many(&self, ids: Vec<TransferId>) -> Result<Vec<Transfer>, StoreError> {
        self.store.find_many(ids).await
    }

    async fn find_key(
        &self,
        scope: KeyScope,
        key: IdempotencyKey,
    ) -> Result<Option<StoredClaim>, StoreError> {
        self.store.find_key(scope, key).await
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        let may_call = batch
            .iter()
            .any(|commit| !commit.change.callbacks.is_empty());
        let outcomes = self.store.commit(batch).await?;
        self.committed.notify_one();
        if may_call {
            self.hint.notify_one();
        }
        if outcomes.iter().any(pays_out) {
            self.payouts.notify_one();
        }
        Ok(outcomes)
    }

    async fn rehearse(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        self.store.rehearse(batch).await
    }

    async fn commit_bulk(&self, bulk: Bulk) -> Result<BulkOutcome, StoreError> {
        let may_call = bulk
            .changes
            .iter()
            .any(|change| !change.callbacks.is_empty());
        let outcome = self.store.commit_bulk(bulk).await?;
        self.committed.notify_one();
        if may_call {
            self.hint.notify_one();
        }
        Ok(outcome)
    }

    async fn list_unsettled(
        &self,
        older_than_ms: i64,
        limit: i64,
    ) -> Result<Vec<Transfer>, StoreError> {
        self.store.list_unsettled(older_than_ms, limit).await
    }

    async fn list_expired(&self, limit: i64) -> Result<Vec<Transfer>, StoreError> {
        self.store.list_expired(limit).await
    }

    fn leave_alone(&self, id: TransferId) {
        self.store.leave_alone(id);
    }

    async fn list_reversals(&self, of: TransferId) -> Result<Vec<Transfer>, StoreError> {
        self.store.list_reversals(of).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }
}

fn pays_out(outcome: &CommitOutcome) -> bool {
    match outcome {
        CommitOutcome::Committed(transfer) => transfer.stage() == Some(Stage::Payout),
        CommitOutcome::Replayed { .. }
        | CommitOutcome::RefusalReplayed { .. }
        | CommitOutcome::KeyReused { .. }
        | CommitOutcome::Stale { .. }
        | CommitOutcome::Refused { .. }
        | CommitOutcome::OverLimit { .. }
        | CommitOutcome::ReadOnly => false,
    }
}

#[cfg(test)]
mod tests {
    use bursar_domain::{
        ActorId, CallbackDraft, Command, Operation, PayoutRoute, Status, Subscriber, Timestamp,
        UserId,
    };
    use bursar_ports::MockTransferStore;
    use bursar_testkit::build;
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn commit() -> Commit {
        let asset = build::asset("btc", 8);
        let new = build::new_transfer(build::transfer_id(1), &asset, 1, Timestamp::EPOCH);
        Commit::new(build::deposit(new, UserId::new(Uuid::from_u128(7))))
    }

    fn with_callback() -> Commit {
        let mut commit = commit();
        commit.change.callbacks.push(CallbackDraft {
            operation: Operation::Create,
            url: "https://example.com/".to_owned(),
            subscriber: Subscriber::Client(ActorId::new("creator")),
            status: Status::Pending,
            error: None,
        });
        commit
    }

    /// Whether committing this batch gave a hint.
    async fn hinted(batch: Vec<Commit>, answer: Result<(), StoreError>) -> bool {
        let mut store = MockTransferStore::new();
        let answer = answer.map(|()| vec![]);
        store.expect_commit().times(1).return_once(move |_| answer);
        let hint = Arc::new(Notify::new());
        let committed = Arc::new(Notify::new());
        let hinting = HintingStore::new(Arc::new(store), &hint, &committed, &Arc::default());
        let failed = hinting.commit(batch).await.is_err();
        let given = hint.notified().now_or_never().is_some();
        let told = committed.notified().now_or_never().is_some();
        assert!(!(failed && given));
        assert_ne!(failed, told, "every commit is told of");
        given
    }

    #[tokio::test]
    async fn only_a_commit_that_may_have_made_callbacks_due_gives_a_hint() {
        assert!(hinted(vec![commit(), with_callback()], Ok(())).await);
        assert!(!hinted(vec![commit()], Ok(())).await);
        assert!(!hinted(vec![with_callback()], Err(StoreError::Overloaded)).await);
    }

    #[tokio::test]
    async fn only_a_payout_that_began_gives_its_hint() {
        let asset = build::asset("btc", 8);
        let new = build::new_transfer(build::transfer_id(1), &asset, 1, Timestamp::EPOCH);
        let open = build::withdrawal(new, UserId::new(Uuid::from_u128(7))).next;
        for (route, expected) in [(PayoutRoute::Manual, false), (PayoutRoute::Gateway, true)] {
            let confirm = Command::Confirm {
                by: ActorId::new("operator"),
                callback_url: None,
                route,
                approval_expires_at: None,
            };
            let change = build::step(&open, &confirm, Timestamp::EPOCH);
            let made = CommitOutcome::Committed(Box::new(change.next.clone()));
            let mut store = MockTransferStore::new();
            store
                .expect_commit()
                .times(1)
                .return_once(move |_| Ok(vec![made]));
            let payouts = Arc::new(Notify::new());
            let unheard = Arc::new(Notify::new());
            let hinting = HintingStore::new(Arc::new(store), &unheard, &unheard, &payouts);
            let outcomes = hinting.commit(vec![Commit::new(change)]).await.unwrap();
            assert_eq!(outcomes.len(), 1);
            assert_eq!(payouts.notified().now_or_never().is_some(), expected);
        }
    }
}
