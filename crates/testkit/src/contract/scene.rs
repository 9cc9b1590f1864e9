//! The stage of one case: users, assets and transfers that the audit knows of.

use std::sync::{Arc, Mutex};

use bursar_domain::{
    AccountKey, Asset, AssetId, CallbackDraft, Change, Command, Commit, NewTransfer, Reason,
    Timestamp, Transfer, TransferId, UserId, UserStatus,
};
use bursar_ports::{Clock, CommitOutcome, StoreError, TransferStore};
use tokio::{sync::Barrier, task::JoinSet};

use super::Harness;
use crate::build;

/// What a store answers to one call.
pub(super) type Answer = Result<Vec<CommitOutcome>, StoreError>;

/// What a case has made so far.
#[derive(Clone, Default)]
pub(super) struct Made {
    pub(super) assets: Vec<AssetId>,
    pub(super) users: Vec<UserId>,
    pub(super) transfers: Vec<TransferId>,
}

/// A harness with one asset, and a memory of what the case makes.
pub(super) struct Scene<'h> {
    pub(super) harness: &'h dyn Harness,
    pub(super) store: Arc<dyn TransferStore>,
    pub(super) asset: Asset,
    made: Mutex<Made>,
}

impl<'h> Scene<'h> {
    pub(super) async fn new(harness: &'h dyn Harness) -> Self {
        let asset = build::asset("btc", 8);
        let scene = Self {
            harness,
            store: harness.store().await,
            asset: asset.clone(),
            made: Mutex::default(),
        };
        scene.put_asset(asset).await;
        scene
    }

    pub(super) fn made(&self) -> Made {
        self.made.lock().expect("no holder panics").clone()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.harness.clock().now()
    }

    pub(super) async fn put_asset(&self, asset: Asset) {
        self.remember_asset(asset.id);
        self.harness.put_asset(asset).await;
    }

    fn remember_asset(&self, id: AssetId) {
        let mut made = self.made.lock().expect("no holder panics");
        if !made.assets.contains(&id) {
            made.assets.push(id);
        }
    }

    /// An active user without money.
    pub(super) async fn user(&self) -> UserId {
        let user = self.harness.ids().user();
        self.harness.put_user(user, UserStatus::Active).await;
        self.made.lock().expect("no holder panics").users.push(user);
        user
    }

    /// An active user who has this much of the scene's asset.
    pub(super) async fn rich_user(&self, units: i128) -> UserId {
        let user = self.user().await;
        let deposit = build::deposit(self.new_transfer(units), user).settled_at_once();
        self.commit_one(Commit::new(deposit)).await;
        user
    }

    /// A new transfer of the scene's asset.
    pub(super) fn new_transfer(&self, units: i128) -> NewTransfer {
        let id = self.harness.ids().transfer();
        self.made
            .lock()
            .expect("no holder panics")
            .transfers
            .push(id);
        build::new_transfer(id, &self.asset, units, self.now())
    }

    /// A new transfer with a fee.
    pub(super) fn new_with_fee(&self, units: i128, fee: i128) -> NewTransfer {
        NewTransfer {
            fee: build::amount(fee),
            ..self.new_transfer(units)
        }
    }

    /// An internal transfer without fee that is created and settled at once.
    pub(super) fn payment(&self, sender: UserId, recipient: UserId, units: i128) -> Change {
        build::internal(self.new_transfer(units), sender, recipient).settled_at_once()
    }

    /// Commits a batch; the store is healthy here.
    pub(super) async fn commit(&self, batch: Vec<Commit>) -> Vec<CommitOutcome> {
        let items = batch.len();
        let outcomes = self
            .store
            .commit(batch)
            .await
            .expect("the store is healthy");
        assert_eq!(outcomes.len(), items, "one outcome per item");
        outcomes
    }

    pub(super) async fn outcome(&self, commit: Commit) -> CommitOutcome {
        let mut outcomes = self.commit(vec![commit]).await;
        outcomes.remove(0)
    }

    /// Commits one item that nothing speaks against.
    pub(super) async fn commit_one(&self, commit: Commit) -> Transfer {
        committed(&self.outcome(commit).await)
    }

    /// Commits what a command makes of a transfer.
    pub(super) async fn step(&self, transfer: &Transfer, command: &Command) -> Transfer {
        let change = build::step(transfer, command, self.now());
        self.commit_one(Commit::new(change)).await
    }

    /// A read may meet connections that were cut a moment ago; a healthy store runs out of them.
    pub(super) async fn find(&self, id: TransferId) -> Option<Transfer> {
        for _ in 0..64 {
            match self.store.find(id).await {
                Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
                answer => return answer.expect("the store is healthy"),
            }
        }
        panic!("the store does not come back");
    }

    /// The transfer, which exists.
    pub(super) async fn reload(&self, id: TransferId) -> Transfer {
        self.find(id).await.expect("the transfer exists")
    }

    pub(super) const fn account(&self, user: UserId) -> AccountKey {
        AccountKey::user(user, self.asset.id)
    }

    /// Available and held of a user.
    pub(super) async fn balance(&self, user: UserId) -> (i128, i128) {
        let view = self.harness.balance(self.account(user)).await;
        (view.available, view.held)
    }

    /// Available outside and in fees.
    pub(super) async fn system(&self) -> (i128, i128) {
        let world = self.harness.balance(AccountKey::world(self.asset.id)).await;
        let fees = self.harness.balance(AccountKey::fees(self.asset.id)).await;
        (world.available, fees.available)
    }

    /// The changes an account has seen, as (available, held) in order.
    pub(super) async fn lines(&self, account: AccountKey) -> Vec<(i128, i128)> {
        self.harness
            .ledgers(account)
            .await
            .iter()
            .flatten()
            .map(|entry| (entry.available_delta, entry.held_delta))
            .collect()
    }

    /// The callbacks of a transfer in order of operation and URL.
    pub(super) async fn callbacks(&self, id: TransferId) -> Vec<CallbackDraft> {
        let mut callbacks = self.harness.callbacks(id).await;
        callbacks.sort_by(|a, b| (a.operation, &a.url).cmp(&(b.operation, &b.url)));
        callbacks
    }

    /// Sends every item in a call of its own, all at once; the answers in the order of the items.
    pub(super) async fn race(&self, items: Vec<Commit>) -> Vec<CommitOutcome> {
        let calls = items.into_iter().map(|item| vec![item]).collect();
        race_calls(&self.store, calls)
            .await
            .into_iter()
            .map(|answer| answer.expect("the store is healthy").remove(0))
            .collect()
    }
}

/// Makes every call in a task of its own, all released at the same moment; the answers in the
/// order of the calls.
pub(super) async fn race_calls(
    store: &Arc<dyn TransferStore>,
    calls: Vec<Vec<Commit>>,
) -> Vec<Answer> {
    let start = Arc::new(Barrier::new(calls.len()));
    let mut tasks = JoinSet::new();
    for (place, call) in calls.into_iter().enumerate() {
        let (store, start) = (Arc::clone(store), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            (place, store.commit(call).await)
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// The transfer that an outcome says is committed.
pub(super) fn committed(outcome: &CommitOutcome) -> Transfer {
    let CommitOutcome::Committed(transfer) = outcome else {
        panic!("expected a commit, got {outcome:?}");
    };
    (**transfer).clone()
}

/// A refusal that leaves no transfer.
pub(super) const fn refused(reason: Reason) -> CommitOutcome {
    CommitOutcome::Refused { reason }
}
