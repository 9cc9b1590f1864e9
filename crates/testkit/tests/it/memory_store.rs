use std::sync::Arc;

use async_trait::async_trait;
use bursar_domain::{
    AccountKey, Asset, CallbackDraft, Entry, Rules, Status, TransferId, UserId, UserStatus, Version,
};
use bursar_ports::{AuditRecord, TransferStore};
use bursar_testkit::{
    AccountView, FixedClock, InMemoryStore, SequentialIds, contract::Harness,
    transfer_store_contract,
};

pub(crate) struct MemoryHarness {
    clock: Arc<FixedClock>,
    ids: SequentialIds,
    pub(crate) store: Arc<InMemoryStore>,
}

impl MemoryHarness {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(FixedClock::default());
        Self {
            clock: Arc::clone(&clock),
            ids: SequentialIds::default(),
            store: Arc::new(InMemoryStore::new(clock)),
        }
    }
}

#[async_trait]
impl Harness for MemoryHarness {
    async fn store(&self) -> Arc<dyn TransferStore> {
        self.store.clone()
    }

    fn clock(&self) -> &FixedClock {
        &self.clock
    }

    fn ids(&self) -> &SequentialIds {
        &self.ids
    }

    async fn put_asset(&self, asset: Asset) {
        self.store.put_asset(asset);
    }

    async fn put_user(&self, user: UserId, status: UserStatus) {
        self.store.put_user(user, status);
    }

    async fn balance(&self, account: AccountKey) -> AccountView {
        self.store.balance(account)
    }

    async fn ledgers(&self, account: AccountKey) -> Vec<Vec<Entry>> {
        vec![self.store.entries(account)]
    }

    async fn put_rules(&self, rules: Rules) {
        self.store.put_rules(rules);
    }

    async fn callbacks(&self, transfer: TransferId) -> Vec<CallbackDraft> {
        self.store.callbacks(transfer)
    }

    async fn audit_of(&self, target: String) -> Vec<AuditRecord> {
        let mut about = self.store.audit();
        about.retain(|record| record.target == target);
        about
    }

    async fn events(&self) -> Vec<(TransferId, Version, Status)> {
        self.store.steps()
    }

    async fn sabotage(&self) -> bool {
        // There are no connections to cut, but what a cut does to answers can be had.
        self.store.lose_answers(10);
        true
    }
}

transfer_store_contract!(MemoryHarness::new());
