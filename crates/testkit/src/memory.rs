//! A transfer store in memory.

mod texts;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bursar_domain::{
    AccountKey, Amount, Asset, AuditDraft, Balance, Bulk, CallbackDraft, Change, Commit, Entry,
    IdempotencyKey, KeyScope, Kind, Owner, Rules, Status, Timestamp, Transfer, TransferId, Unit,
    Usage, UsageKey, UserId, UserStatus, Version,
    ledger::{self, Applied, Books, BulkVerdict, StoredClaim, Verdict},
};
use bursar_ports::{AuditRecord, BulkOutcome, Clock, CommitOutcome, StoreError, TransferStore};
use uuid::Uuid;

use self::texts::check_texts;

/// For how long a transfer that is left alone is passed over.
const LEFT_ALONE_US: i64 = 60_000_000;

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

#[derive(Clone, Default)]
struct State {
    books: Books,
    users: HashMap<UserId, UserStatus>,
    transfers: BTreeMap<TransferId, Transfer>,
    entries: HashMap<AccountKey, Vec<Entry>>,
    callbacks: HashMap<TransferId, Vec<CallbackDraft>>,
    audit: Vec<AuditRecord>,
    steps: Vec<(TransferId, Version, Status)>,
    /// How many commits will yet be answered as unknown.
    lost_answers: u32,
    /// Until when lists pass them over.
    aside: HashMap<TransferId, Timestamp>,
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

    /// Puts other rules in force. What was moved before them counts too.
    pub fn put_rules(&self, rules: Rules) {
        let mut state = self.state();
        state.books.rules = Arc::new(rules);
        state.books.usage.clear();
    }

    /// What was used of a limit until now.
    pub fn usage(&self, key: UsageKey) -> Usage {
        let state = self.state();
        let counted = state.books.usage.get(&key).cloned();
        counted.unwrap_or_else(|| state.count_anew(key))
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

    /// Keeps in the audit log what was done beside transfers.
    pub fn note(
        &self,
        draft: AuditDraft,
        at: Timestamp,
        before: Option<String>,
        after: Option<String>,
    ) {
        self.state().note(draft, at, before, after);
    }

    /// The audit log, oldest first.
    pub fn audit(&self) -> Vec<AuditRecord> {
        self.state().audit.clone()
    }

    /// Every transfer, in order of ids.
    pub fn transfers(&self) -> Vec<Transfer> {
        self.state().transfers.values().cloned().collect()
    }

    /// Every step of every transfer, in order.
    pub fn steps(&self) -> Vec<(TransferId, Version, Status)> {
        self.state().steps.clone()
    }

    /// Loses the answers of the next commits: they are made and answered with
    /// [`StoreError::OutcomeUnknown`], as when a connection dies round a COMMIT.
    pub fn lose_answers(&self, commits: u32) {
        self.state().lost_answers = commits;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }

    /// So many of these, without those that are left alone.
    fn first_of(&self, mut due: Vec<Transfer>, limit: i64) -> Vec<Transfer> {
        let now = self.clock.now();
        let aside = &mut self.state().aside;
        aside.retain(|_, until| *until > now);
        due.retain(|transfer| !aside.contains_key(&transfer.id()));
        due.truncate(usize::try_from(limit).unwrap_or_default());
        due
    }
}

impl State {
    /// Sees to it that what the changes need is in the books.
    fn open_books<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) {
        let rules = Arc::clone(&self.books.rules);
        for change in changes {
            let priced = change.priced(&rules).unwrap_or(Cow::Borrowed(change));
            self.open_accounts(priced.accounts());
            for key in priced.usage_keys(&rules) {
                if !self.books.usage.contains_key(&key) {
                    let counted = self.count_anew(key);
                    self.books.usage.insert(key, counted);
                }
            }
        }
    }

    /// What a user has moved, from the transfers themselves.
    fn count_anew(&self, key: UsageKey) -> Usage {
        let set_in = self.books.rules.root_units.get(&key.kind);
        let mut uses: Vec<(Timestamp, Amount)> = self
            .transfers
            .values()
            .filter(|transfer| transfer.kind() == key.kind && transfer.owner() == key.user)
            .filter_map(|transfer| Some((transfer, use_of(transfer, key, set_in)?)))
            .map(|(transfer, amount)| match key.kind {
                Kind::Internal => (transfer.parts().updated_at, amount),
                Kind::Deposit | Kind::Withdrawal => (transfer.parts().created_at, amount),
            })
            .collect();
        uses.sort_unstable();
        let mut usage = Usage::default();
        for (at, amount) in uses {
            usage.reserve(at, amount);
        }
        usage
    }

    /// An account begins to exist when a change names it, unless nobody knows its asset or owner.
    fn open_accounts(&mut self, accounts: Vec<AccountKey>) {
        for account in accounts {
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
        let (version, status) = (applied.next.version(), applied.next.status());
        let before = self.transfers.insert(id, applied.next.clone());
        if before.is_none_or(|before| before.version() != version) {
            self.steps.push((id, version, status));
        }
        if let Some(linked) = applied.linked {
            let other = linked.next.id();
            self.callbacks
                .entry(other)
                .or_default()
                .extend(linked.callbacks);
            self.steps
                .push((other, linked.next.version(), linked.next.status()));
            self.transfers.insert(other, linked.next);
        }
        applied.next
    }

    /// Keeps who changed a transfer. Of what is there now it tells no more than tests compare.
    fn note_transfer(&mut self, draft: AuditDraft, transfer: &Transfer) {
        let after = format!(
            r#"{{"status":"{}","version":{}}}"#,
            transfer.status().as_str(),
            transfer.version().get()
        );
        let (at, before) = (transfer.parts().updated_at, draft.before.clone());
        self.note(draft, at, before, Some(after));
    }

    fn note(
        &mut self,
        draft: AuditDraft,
        at: Timestamp,
        before: Option<String>,
        after: Option<String>,
    ) {
        let number = self.audit.len().saturating_add(1);
        self.audit.push(AuditRecord {
            id: Uuid::from_u128(u128::try_from(number).expect("it fits")),
            at,
            actor: draft.actor.as_str().to_owned(),
            credential: draft.credential,
            request_id: draft.request_id,
            address: draft.address,
            action: draft.action.to_owned(),
            target: draft.target,
            before,
            after,
        });
    }

    fn commit(&mut self, batch: &[Commit], now: Timestamp) -> Vec<CommitOutcome> {
        self.open_books(batch.iter().map(|commit| &commit.change));
        let verdicts = ledger::settle(&mut self.books, batch, now);
        let outcomes = batch.iter().zip(verdicts);
        outcomes
            .map(|(commit, verdict)| self.outcome(commit, verdict))
            .collect()
    }

    fn outcome(&mut self, commit: &Commit, verdict: Verdict) -> CommitOutcome {
        match verdict {
            Verdict::Applied(applied) => {
                let transfer = self.write(*applied);
                if let Some(draft) = commit.audited() {
                    self.note_transfer(draft.clone(), &transfer);
                }
                CommitOutcome::Committed(Box::new(transfer))
            }
            Verdict::Landed => CommitOutcome::Committed(Box::new(self.landed(&commit.change))),
            Verdict::Replayed { original } => CommitOutcome::Replayed { original },
            Verdict::RefusalReplayed { reason } => CommitOutcome::RefusalReplayed { reason },
            Verdict::KeyReused { original, fields } => {
                CommitOutcome::KeyReused { original, fields }
            }
            Verdict::Stale { current } => CommitOutcome::Stale { current },
            Verdict::Refused { reason } => CommitOutcome::Refused { reason },
            Verdict::OverLimit { reason, room } => CommitOutcome::OverLimit { reason, room },
            Verdict::ReadOnly => CommitOutcome::ReadOnly,
        }
    }

    fn bulk_outcome(&mut self, bulk: &Bulk, verdict: BulkVerdict) -> BulkOutcome {
        let recipients_unable = verdict.recipients_unable();
        match verdict {
            BulkVerdict::Applied(applied) => {
                let written = applied.into_iter().map(|applied| self.write(applied));
                BulkOutcome::Committed(written.collect())
            }
            BulkVerdict::Landed => {
                let landed = bulk.changes.iter().map(|change| self.landed(change));
                BulkOutcome::Committed(landed.collect())
            }
            BulkVerdict::Refused { reasons, .. } => BulkOutcome::Refused {
                reasons,
                recipients_unable,
            },
            BulkVerdict::TooManyUnable { .. } => BulkOutcome::TooManyUnable,
            BulkVerdict::Replayed { results } => BulkOutcome::Replayed { results },
            BulkVerdict::KeyReused { originals, fields } => {
                BulkOutcome::KeyReused { originals, fields }
            }
            BulkVerdict::ReadOnly => BulkOutcome::ReadOnly,
        }
    }

    /// The transfer that an earlier try of this very change has left.
    fn landed(&self, change: &Change) -> Transfer {
        let landed = self.transfers.get(&change.next.id());
        let landed = landed.expect("what landed is here");
        assert!(
            landed.is_same_request(&change.next),
            "an id was given to two transfers"
        );
        landed.clone()
    }

    /// Whether the answer to this commit gets lost.
    fn loses_answer(&mut self) -> Result<(), StoreError> {
        if self.lost_answers == 0 {
            return Ok(());
        }
        self.lost_answers -= 1;
        Err(StoreError::OutcomeUnknown("the answer was lost".into()))
    }
}

#[async_trait]
impl TransferStore for InMemoryStore {
    async fn find(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        Ok(self.state().transfers.get(&id).cloned())
    }

    async fn find_proven(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.find(id).await
    }

    async fn find_many(&self, ids: Vec<TransferId>) -> Result<Vec<Transfer>, StoreError> {
        let state = self.state();
        let found = ids.iter().filter_map(|id| state.transfers.get(id).cloned());
        Ok(found.collect())
    }

    async fn find_key(
        &self,
        scope: KeyScope,
        key: IdempotencyKey,
    ) -> Result<Option<StoredClaim>, StoreError> {
        Ok(self.state().books.keys.get(&(scope, key)).cloned())
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        check_texts(batch.iter().map(|commit| &commit.change))?;
        let mut state = self.state();
        let outcomes = state.commit(&batch, self.clock.now());
        state.loses_answer()?;
        Ok(outcomes)
    }

    async fn rehearse(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        check_texts(batch.iter().map(|commit| &commit.change))?;
        let mut copy = self.state().clone();
        Ok(copy.commit(&batch, self.clock.now()))
    }

    async fn commit_bulk(&self, bulk: Bulk) -> Result<BulkOutcome, StoreError> {
        check_texts(bulk.changes.iter())?;
        let mut state = self.state();
        state.open_books(bulk.changes.iter());
        let verdict = ledger::settle_bulk(&mut state.books, &bulk, self.clock.now());
        let outcome = state.bulk_outcome(&bulk, verdict);
        state.loses_answer()?;
        Ok(outcome)
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
            .filter(|transfer| transfer.stage().is_none())
            .filter(|transfer| transfer.parts().created_at <= until)
            .cloned()
            .collect();
        due.sort_by_key(|transfer| (transfer.parts().created_at, transfer.id()));
        Ok(self.first_of(due, limit))
    }

    async fn list_expired(&self, limit: i64) -> Result<Vec<Transfer>, StoreError> {
        let now = self.clock.now();
        let mut due: Vec<Transfer> = self
            .state()
            .transfers
            .values()
            .filter(|transfer| !transfer.status().is_final())
            .filter(|transfer| transfer.parts().expires_at.is_some_and(|at| at <= now))
            .cloned()
            .collect();
        due.sort_by_key(|transfer| (transfer.parts().expires_at, transfer.id()));
        Ok(self.first_of(due, limit))
    }

    fn leave_alone(&self, id: TransferId) {
        let until = self.clock.now().plus_micros(LEFT_ALONE_US);
        self.state().aside.insert(id, until);
    }

    async fn list_reversals(&self, of: TransferId) -> Result<Vec<Transfer>, StoreError> {
        let takes_back = |transfer: &&Transfer| {
            let reversal = transfer.parts().reversal;
            reversal.is_some_and(|reversal| reversal.of == of)
        };
        let state = self.state();
        Ok(state
            .transfers
            .values()
            .filter(takes_back)
            .cloned()
            .collect())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// How much a transfer counts for a limit; none when it does not count. A limit over all assets may be
/// set in a unit, and then counts in no other one.
fn use_of(transfer: &Transfer, key: UsageKey, set_in: Option<&Unit>) -> Option<Amount> {
    let parts = transfer.parts();
    let counts = match transfer.status() {
        Status::AwaitingConfirmation | Status::Completed | Status::Success => true,
        Status::Pending | Status::Failed | Status::Canceled | Status::Rejected => false,
    };
    if !counts || parts.reversal.is_some() {
        return None;
    }
    match key.asset {
        Some(asset) => (asset == parts.asset).then_some(parts.amount),
        None => parts
            .root_rate
            .as_ref()
            .filter(|rate| set_in.is_none_or(|set_in| *set_in == rate.unit()))?
            .value_of(parts.amount, parts.scale),
    }
}
