//! The database: books that are applied whole or not at all, and what else lives through the death of
//! every replica.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bursar_domain::{
    Amount, Bulk, Commit, Expected, IdempotencyKey, KeyScope, Kind, Premise, Reason, Status,
    Timestamp, Transfer, TransferId, ledger::StoredClaim,
};
use bursar_ports::{BulkOutcome, CommitOutcome, TransferStore};
use bursar_testkit::InMemoryStore;

use crate::{bug::Bug, outbox::Callbacks, scheduler::at_once, world::World};

/// The database.
pub(crate) struct Bank {
    pub(crate) world: Arc<World>,
    pub(crate) books: InMemoryStore,
    pub(crate) callbacks: Callbacks,
    /// When each state of a transfer became true.
    committed: Mutex<BTreeMap<(TransferId, Status), u64>>,
    /// Until when each withdrawal could be confirmed. One that has ended does not tell.
    confirmable_until: Mutex<BTreeMap<TransferId, Timestamp>>,
    /// How many steps of transfers there were.
    steps: AtomicUsize,
    is_away: AtomicBool,
    /// Held by every transaction that is under way.
    under_way: Arc<()>,
}

impl Bank {
    pub(crate) fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            books: InMemoryStore::new(world.clock.clone()),
            callbacks: Callbacks::new(Arc::clone(&world)),
            committed: Mutex::default(),
            confirmable_until: Mutex::default(),
            steps: AtomicUsize::new(0),
            is_away: AtomicBool::new(false),
            under_way: Arc::default(),
            world,
        })
    }

    /// Whether nobody can reach it.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::SeqCst)
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// Begins a transaction, which lasts as long as what it gets.
    pub(crate) fn begin(&self) -> Arc<()> {
        Arc::clone(&self.under_way)
    }

    /// Whether no transaction is under way.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.under_way) == 1
    }

    /// What a batch would come to.
    pub(crate) fn rehearse(&self, batch: &[Commit]) -> Vec<CommitOutcome> {
        at_once(self.books.rehearse(batch.to_vec())).unwrap()
    }

    /// Commits a batch.
    pub(crate) fn apply(&self, batch: &[Commit]) -> Vec<CommitOutcome> {
        let spoilt: Vec<Commit> = batch.iter().map(|commit| self.spoil(commit)).collect();
        let outcomes = at_once(self.books.commit(spoilt)).unwrap();
        for (commit, outcome) in batch.iter().zip(&outcomes) {
            self.world.note(format_args!(
                "commit {} {:?}: {}",
                commit.change.next.id(),
                commit.change.next.status(),
                in_a_word(outcome)
            ));
            if let CommitOutcome::Committed(transfer) = outcome {
                self.release_again(commit, transfer);
            }
        }
        self.take_in(batch.iter().map(|commit| commit.change.next.id()));
        outcomes
    }

    /// Commits a bulk.
    pub(crate) fn apply_bulk(&self, bulk: &Bulk) -> BulkOutcome {
        let mut spoilt = bulk.clone();
        if bulk.idempotency.is_some() && self.world.has(Bug::KeyForgotten, 300) {
            spoilt.idempotency = None;
        }
        let outcome = at_once(self.books.commit_bulk(spoilt)).unwrap();
        self.world.note(format_args!(
            "bulk of {}: {}",
            bulk.changes.len(),
            matches!(outcome, BulkOutcome::Committed(_))
        ));
        self.take_in(bulk.changes.iter().map(|change| change.next.id()));
        outcome
    }

    /// Remembers when each state became true, and makes its callbacks due.
    fn take_in(&self, ids: impl Iterator<Item = TransferId>) {
        let stamp = self.world.stamp();
        let mut committed = self.committed.lock().unwrap();
        let steps = self.books.steps();
        let known = self.steps.swap(steps.len(), Ordering::SeqCst);
        for (id, _, status) in steps.into_iter().skip(known) {
            committed.entry((id, status)).or_insert(stamp);
        }
        drop(committed);
        let mut confirmable_until = self.confirmable_until.lock().unwrap();
        for transfer in ids.filter_map(|id| self.transfer(id)) {
            let (id, at) = (transfer.id(), transfer.parts().updated_at);
            if let Some(until) = transfer.parts().expires_at {
                confirmable_until.insert(id, until);
            }
            let drafts = self.books.callbacks(id);
            self.callbacks.take_in(id, at, &drafts);
        }
    }

    /// Whether a transfer has been in a state.
    pub(crate) fn was(&self, id: TransferId, status: Status) -> bool {
        let committed = self.committed.lock().unwrap();
        committed.contains_key(&(id, status))
    }

    /// Whether a withdrawal ended because nobody had confirmed it in time, when its time was up.
    pub(crate) fn has_expired(&self, transfer: &Transfer) -> bool {
        let until = self.confirmable_until.lock().unwrap();
        let until = until.get(&transfer.id());
        transfer.reason() == Some(Reason::TransferExpired)
            && until.is_some_and(|until| *until <= transfer.parts().updated_at)
    }

    /// How many steps of transfers there were.
    pub(crate) fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }

    pub(crate) fn transfer(&self, id: TransferId) -> Option<Transfer> {
        at_once(self.books.find(id)).unwrap()
    }

    /// Every transfer.
    pub(crate) fn transfers(&self) -> Vec<Transfer> {
        let steps = self.books.steps().into_iter();
        let mut ids: Vec<TransferId> = steps.map(|(id, _, _)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        at_once(self.books.find_many(ids)).unwrap()
    }

    pub(crate) fn key(&self, scope: KeyScope, key: IdempotencyKey) -> Option<StoredClaim> {
        at_once(self.books.find_key(scope, key)).unwrap()
    }

    /// The commit with the faults that were planted.
    fn spoil(&self, commit: &Commit) -> Commit {
        let mut spoilt = commit.clone();
        if commit.idempotency.is_some() && self.world.has(Bug::KeyForgotten, 300) {
            spoilt.idempotency = None;
        }
        let change = &mut spoilt.change;
        let current = self.transfer(change.next.id()).map(|one| one.version());
        if let (Expected::At(expected), Some(current)) = (change.expected, current)
            && change.writes_transfer()
            && expected != current
            && self.world.has(Bug::VersionUnchecked, 500)
        {
            change.expected = Expected::At(current);
            let mut parts = change.next.clone().into_parts();
            parts.version = current.next();
            change.next = Transfer::from_parts(parts);
        }
        for premise in &mut change.premises {
            if let Premise::Funds { needed, .. } = premise
                && self.world.has(Bug::RefusedForNothing, 300)
            {
                *needed = Amount::MAX;
            }
        }
        spoilt
    }

    /// Gives a hold back once more, if that was planted.
    fn release_again(&self, commit: &Commit, made: &Transfer) {
        let releases = made.kind() == Kind::Withdrawal
            && matches!(made.status(), Status::Canceled | Status::Failed)
            && commit.change.writes_transfer();
        if !releases || !self.world.has(Bug::HoldReleasedTwice, 500) {
            return;
        }
        let mut again = Commit::new(commit.change.clone());
        again.change.expected = Expected::At(made.version());
        let mut parts = made.clone().into_parts();
        parts.version = made.version().next();
        again.change.next = Transfer::from_parts(parts);
        let outcome = at_once(self.books.commit(vec![again])).unwrap();
        self.world
            .note(format_args!("released again: {:?}", outcome.len()));
    }
}

pub(crate) const fn in_a_word(outcome: &CommitOutcome) -> &'static str {
    match outcome {
        CommitOutcome::Committed(_) => "committed",
        CommitOutcome::Replayed { .. } => "replayed",
        CommitOutcome::RefusalReplayed { .. } => "refusal replayed",
        CommitOutcome::KeyReused { .. } => "key reused",
        CommitOutcome::Stale { .. } => "stale",
        CommitOutcome::Refused { .. } => "refused",
        CommitOutcome::OverLimit { .. } => "over limit",
        CommitOutcome::ReadOnly => "read only",
    }
}
