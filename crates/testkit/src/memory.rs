//! A transfer store in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bursar_domain::{
    AccountKey, Asset, Balance, CallbackDraft, Commit, Entry, IdempotencyKey, KeyScope, Owner,
    Status, Transfer, TransferId, UserId, UserStatus,
    ledger::{self, Applied, Books, StoredClaim, Verdict},
};
use bursar_ports::{Clock, CommitOutcome, StoreError, TransferStore};

/// What an account holds, as a test sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountView {
    /// Free to be spent.
    pub available: i128,
    /// Reserved for open withdrawals.
    pub held: i128,
    /// The number of the last entry; 0 before the first.
    pub seq: i64,
}

/// Keeps everything in memory and decides with [`ledger::settle`], one commit at a time.
///
/// Users and assets must be put before money moves. Like PostgreSQL it takes no text with a NUL
/// character, so that tests with such an item mean the same everywhere.
pub struct InMemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    books: Books,
    users: HashMap<UserId, UserStatus>,
    transfers: BTreeMap<TransferId, Transfer>,
    entries: HashMap<AccountKey, Vec<Entry>>,
    callbacks: HashMap<TransferId, Vec<CallbackDraft>>,
    /// How many commits will yet be answered as unknown.
    lost_answers: u32,
}

impl InMemoryStore {
    /// An empty store that stamps with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Creates or replaces an asset.
    pub fn put_asset(&self, asset: Asset) {
        self.state().books.assets.insert(asset.id, asset);
    }

    /// Creates a user or changes its status, on all its accounts at once.
    pub fn put_user(&self, user: UserId, status: UserStatus) {
        let mut state = self.state();
        state.users.insert(user, status);
        for (account, balance) in &mut state.books.accounts {
            if account.owner == Owner::User(user) {
                balance.status = status;
            }
        }
    }

    /// What an account holds; zeros when nothing ever touched it.
    pub fn balance(&self, account: AccountKey) -> AccountView {
        self.state()
            .books
            .accounts
            .get(&account)
            .map(|balance| AccountView {
                available: balance.available,
                held: balance.held,
                seq: balance.seq,
            })
            .unwrap_or_default()
    }

    /// The entries of an account in order.
    pub fn entries(&self, account: AccountKey) -> Vec<Entry> {
        self.state()
            .entries
            .get(&account)
            .cloned()
            .unwrap_or_default()
    }

    /// The callbacks of a transfer, oldest first.
    pub fn callbacks(&self, transfer: TransferId) -> Vec<CallbackDraft> {
        self.state()
            .callbacks
            .get(&transfer)
            .cloned()
            .unwrap_or_default()
    }

    /// Loses the answers of the next commits: they are made and answered with
    /// [`StoreError::OutcomeUnknown`], as when a connection dies round a COMMIT.
    pub fn lose_answers(&self, commits: u32) {
        self.state().lost_answers = commits;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }
}

impl State {
    /// An account begins to exist when a change names it, unless nobody knows its asset or owner.
    fn open_accounts(&mut self, batch: &[Commit]) {
        for account in batch.iter().flat_map(|commit| commit.change.accounts()) {
            let status = match account.owner {
                Owner::User(user) => self.users.get(&user).copied(),
                Owner::Fees | Owner::World => Some(UserStatus::Active),
            };
            let known = self.books.assets.contains_key(&account.asset);
            if let Some(status) = status.filter(|_| known) {
                self.books
                    .accounts
                    .entry(account)
                    .or_insert_with(|| Balance::empty(status));
            }
        }
    }

    fn write(&mut self, applied: Applied) -> Transfer {
        let id = applied.next.id();
        for entry in applied.entries {
            self.entries.entry(entry.account).or_default().push(entry);
        }
        let callbacks = self.callbacks.entry(id).or_default();
        for draft in applied.callbacks {
            let same =
                |had: &CallbackDraft| (had.operation, &had.url) == (draft.operation, &draft.url);
            if !callbacks.iter().any(same) {
                callbacks.push(draft);
            }
        }
        self.transfers.insert(id, applied.next.clone());
        applied.next
    }

    fn outcome(&mut self, commit: &Commit, verdict: Verdict) -> CommitOutcome {
        match verdict {
            Verdict::Applied(applied) => CommitOutcome::Committed(Box::new(self.write(*applied))),
            Verdict::Landed => {
                let landed = self.transfers.get(&commit.change.next.id());
                let landed = landed.expect("what landed is here");
                let wanted = &commit.change.next;
                assert!(
                    landed.is_same_request(wanted),
                    "an id was given to two transfers"
                );
                CommitOutcome::Committed(Box::new(landed.clone()))
            }
            Verdict::Replayed { original } => CommitOutcome::Replayed { original },
            Verdict::RefusalReplayed { reason } => CommitOutcome::RefusalReplayed { reason },
            Verdict::KeyReused { original, fields } => {
                CommitOutcome::KeyReused { original, fields }
            }
            Verdict::Stale { current } => CommitOutcome::Stale { current },
            Verdict::Refused { reason } => CommitOutcome::Refused { reason },
        }
    }
}

#[async_trait]
impl TransferStore for InMemoryStore {
    async fn find(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        Ok(self.state().transfers.get(&id).cloned())
    }

    async fn find_key(
        &self,
        scope: KeyScope,
        key: IdempotencyKey,
    ) -> Result<Option<StoredClaim>, StoreError> {
        Ok(self.state().books.keys.get(&(scope, key)).cloned())
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        if batch.iter().any(holds_nul) {
            return Err(StoreError::Unavailable("a text has a NUL character".into()));
        }
        let mut state = self.state();
        state.open_accounts(&batch);
        let verdicts = ledger::settle(&mut state.books, &batch, self.clock.now());
        let outcomes = batch
            .iter()
            .zip(verdicts)
            .map(|(commit, verdict)| state.outcome(commit, verdict))
            .collect();
        if state.lost_answers > 0 {
            state.lost_answers -= 1;
            return Err(StoreError::OutcomeUnknown("the answer was lost".into()));
        }
        Ok(outcomes)
    }

    async fn list_unsettled(
        &self,
        older_than_ms: i64,
        limit: i64,
    ) -> Result<Vec<Transfer>, StoreError> {
        let age = older_than_ms.saturating_mul(1_000);
        let until = self.clock.now().plus_micros(age.saturating_neg());
        let mut due: Vec<Transfer> = self
            .state()
            .transfers
            .values()
            .filter(|transfer| transfer.status() == Status::Pending)
            .filter(|transfer| transfer.parts().created_at <= until)
            .cloned()
            .collect();
        due.sort_by_key(|transfer| (transfer.parts().created_at, transfer.id()));
        due.truncate(usize::try_from(limit).unwrap_or_default());
        Ok(due)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn holds_nul(commit: &Commit) -> bool {
    let parts = commit.change.next.parts();
    let urls = commit.change.callbacks.iter().map(|draft| &draft.url);
    parts
        .note
        .iter()
        .chain(&parts.callback_url)
        .chain(urls)
        .any(|text| text.contains('\0'))
}
