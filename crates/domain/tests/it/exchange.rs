//! A whole exchange on the ledger, and what must be true of it at any time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bursar_domain::{
    AccountKey, Amount, AssetId, Balance, Body, Commit, Entry, IdempotencyKey, Kind, Limits,
    Linked, Rules, Status, Timestamp, Transfer, TransferId, Usage, UsageKey, UserId, UserStatus,
    ledger::{self, Applied, Books, Verdict},
};

use crate::{
    sample::{ALICE, BOB, CAROL, NOW, asset, asset_id},
    watch::{self, Watch},
};

pub(crate) const USERS: [UserId; 3] = [ALICE, BOB, CAROL];

pub(crate) fn assets() -> [AssetId; 2] {
    [asset_id("btc"), asset_id("usd")]
}

/// What a limit may be about: an asset, or all of them in the root asset.
pub(crate) fn scopes() -> [Option<AssetId>; 3] {
    let [btc, usd] = assets();
    [Some(btc), Some(usd), None]
}

/// Something that happens to an exchange.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Somebody wants this to become true.
    Commit(Box<Commit>),
    /// A user is frozen, thawed or terminated.
    Status(UserId, UserStatus),
    /// Operators now want these rules.
    Rules(Arc<Rules>),
    /// The clock now shows another time.
    Clock(Timestamp),
}

/// Everything a store would have recorded.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) books: Books,
    pub(crate) transfers: BTreeMap<TransferId, Transfer>,
    pub(crate) entries: HashMap<AccountKey, Vec<Entry>>,
    pub(crate) now: Timestamp,
    effects: HashMap<IdempotencyKey, usize>,
    watch: Watch,
}

impl Exchange {
    pub(crate) fn new() -> Self {
        let owners = |asset: AssetId| {
            USERS
                .map(|user| AccountKey::user(user, asset))
                .into_iter()
                .chain([AccountKey::world(asset), AccountKey::fees(asset)])
        };
        Self {
            books: Books {
                accounts: assets()
                    .into_iter()
                    .flat_map(owners)
                    .map(|account| (account, Balance::empty(UserStatus::Active)))
                    .collect(),
                assets: assets().map(|id| (id, asset(id))).into(),
                ..Books::default()
            },
            transfers: BTreeMap::new(),
            entries: HashMap::new(),
            effects: HashMap::new(),
            watch: Watch::default(),
            now: NOW,
        }
    }

    /// An exchange that counts from the first moment on what its users withdraw and send, though
    /// nothing keeps them from it yet: what was not counted cannot be held against anybody.
    pub(crate) fn counting() -> Self {
        let mut exchange = Self::new();
        let limits = Limits {
            daily: Some(Amount::MAX),
            monthly: Some(Amount::MAX),
            ..Limits::default()
        };
        let mut rules = Rules::default();
        for kind in [Kind::Withdrawal, Kind::Internal] {
            for scope in scopes() {
                rules.limits.insert((kind, scope), limits);
                for user in USERS {
                    let asset = scope;
                    let key = UsageKey { user, kind, asset };
                    exchange.books.usage.insert(key, Usage::default());
                }
            }
        }
        exchange.books.rules = Arc::new(rules);
        exchange
    }

    /// Lets the events happen; commits that follow each other make batches of at most
    /// `batch_size` (which may vary). The verdicts of all commits in order.
    pub(crate) fn run(&mut self, events: &[Event], batch_sizes: &[usize]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut batch = Vec::new();
        let mut sizes = batch_sizes.iter().copied().cycle();
        let mut size = sizes.next().unwrap_or(1);
        for event in events {
            let Event::Commit(commit) = event else {
                verdicts.extend(self.settle(&std::mem::take(&mut batch)));
                self.happen(event);
                continue;
            };
            batch.push((**commit).clone());
            if batch.len() >= size {
                verdicts.extend(self.settle(&std::mem::take(&mut batch)));
                size = sizes.next().unwrap_or(1);
            }
        }
        verdicts.extend(self.settle(&batch));
        verdicts
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Commit(_) => {}
            Event::Clock(now) => self.now = *now,
            Event::Rules(rules) => self.books.rules = Arc::clone(rules),
            Event::Status(user, status) => {
                for (account, balance) in &mut self.books.accounts {
                    if account.owner.user() == Some(*user) {
                        balance.status = *status;
                    }
                }
            }
        }
    }

    /// Settles a batch, records what is applied and checks everything.
    fn settle(&mut self, batch: &[Commit]) -> Vec<Verdict> {
        let verdicts = ledger::settle(&mut self.books, batch, self.now);
        assert_eq!(verdicts.len(), batch.len());
        for (commit, verdict) in batch.iter().zip(&verdicts) {
            if let Some(claim) = &commit.idempotency {
                let effects = self.effects.entry(claim.key.clone()).or_default();
                *effects += usize::from(matches!(verdict, Verdict::Applied(_)));
                assert!(*effects <= 1, "{:?} has two effects", claim.key);
            }
            if let Verdict::Applied(applied) = verdict {
                self.write(commit, applied);
            }
        }
        self.check();
        verdicts
    }

    fn write(&mut self, commit: &Commit, applied: &Applied) {
        for entry in &applied.entries {
            self.entries.entry(entry.account).or_default().push(*entry);
        }
        let next = &applied.next;
        let had = self.transfers.insert(next.id(), next.clone());
        if let Some(had) = &had {
            let absorbed = !had.status().is_final() || had == next;
            assert!(absorbed, "{had:?} was final and became {next:?}");
        }
        let rules = Arc::clone(&self.books.rules);
        self.watch.applied(&rules, commit, applied, had.as_ref());
        if let Some(linked) = &applied.linked {
            self.write_linked(linked);
        }
    }

    /// Of what was final nothing changes but how much of it was taken back.
    fn write_linked(&mut self, linked: &Linked) {
        let next = linked.next.clone();
        let had = self.transfers.insert(next.id(), next.clone());
        let had = had.expect("what is taken back exists");
        assert_eq!(linked.expected, had.version());
        let mut parts = had.into_parts();
        parts.version = next.version();
        parts.reversed = next.parts().reversed;
        assert_eq!(Transfer::from_parts(parts), next);
    }

    fn check(&self) {
        watch::check(&self.transfers);
        let due = self.balances_due();
        for asset in assets() {
            let accounts = self.books.accounts.iter();
            let own = accounts.filter(|(account, _)| account.asset == asset);
            let sum: i128 = own
                .map(|(_, balance)| balance.available + balance.held)
                .sum();
            assert_eq!(sum, 0, "{asset} sums to zero");
        }
        for (account, balance) in &self.books.accounts {
            let is = (balance.available, balance.held);
            let should = due.get(account).copied().unwrap_or_default();
            assert_eq!(
                is, should,
                "{account:?} against the states of its transfers"
            );
            let is_world = account.owner == bursar_domain::Owner::World;
            assert!(
                is_world || balance.available >= 0,
                "{account:?} is overdrawn"
            );
            assert!(balance.held >= 0, "{account:?} holds less than nothing");
            self.check_entries(*account, balance);
        }
    }

    fn check_entries(&self, account: AccountKey, balance: &Balance) {
        let (mut available, mut held, mut seq) = (0, 0, 0);
        for entry in self.entries.get(&account).into_iter().flatten() {
            available += entry.available_delta;
            held += entry.held_delta;
            seq += 1;
            let after = (entry.available_after, entry.held_after, entry.seq);
            assert_eq!(after, (available, held, seq), "{account:?} folds");
        }
        assert_eq!(
            (balance.available, balance.held, balance.seq),
            (available, held, seq)
        );
    }

    /// What every account must hold, from nothing but the states of the transfers. What is held
    /// are the amounts and fees of open withdrawals; whatever else ended took its hold with it.
    fn balances_due(&self) -> HashMap<AccountKey, (i128, i128)> {
        let mut due: HashMap<AccountKey, (i128, i128)> = HashMap::new();
        for transfer in self.transfers.values() {
            for (account, available, held) in effect(transfer) {
                let balance = due.entry(account).or_default();
                balance.0 += available;
                balance.1 += held;
            }
        }
        due
    }
}

/// What a transfer in its state has done to each account.
fn effect(transfer: &Transfer) -> Vec<(AccountKey, i128, i128)> {
    let parts = transfer.parts();
    let (amount, fee) = (parts.amount.units(), parts.fee.units());
    let own = AccountKey::user(transfer.owner(), parts.asset);
    let (world, fees) = (
        AccountKey::world(parts.asset),
        AccountKey::fees(parts.asset),
    );
    // What a reversal gives back of the fee goes to whoever paid it.
    let returned = parts
        .reversal
        .map_or(0, |reversal| reversal.fee_returned.units());
    let fee_line = (fees, fee - returned, 0);
    match (&parts.body, transfer.status()) {
        (Body::Deposit { .. }, Status::Completed) => {
            let credited = amount - fee + returned;
            vec![(world, -amount, 0), (own, credited, 0), fee_line]
        }
        (Body::Withdrawal { .. }, Status::AwaitingConfirmation) => {
            vec![(own, -amount - fee, amount + fee)]
        }
        (Body::Withdrawal { .. }, Status::Completed) => {
            let debited = amount + fee - returned;
            vec![(own, -debited, 0), (world, amount, 0), fee_line]
        }
        (Body::Internal { recipient, .. }, Status::Success) => {
            let paid = recipient.user().expect("success has a recipient");
            let paid = AccountKey::user(paid, parts.asset);
            let received = amount + returned;
            vec![(own, -amount - fee, 0), (paid, received, 0), fee_line]
        }
        (Body::Deposit { .. } | Body::Withdrawal { .. } | Body::Internal { .. }, _) => vec![],
    }
}
