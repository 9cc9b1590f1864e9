//! What must be true of the books after every case.
//!
//! The balances are proved twice over: from the entries, and from nothing but the states of the
//! transfers. Money that moved twice, or not at all, cannot hide from the second.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bursar_domain::{
    AccountKey, Body, CallbackDraft, Entry, Status, Transfer, TransferId, Version,
};

use super::scene::Scene;
use crate::AccountView;

impl Scene<'_> {
    /// Compares balances, entries, transfers and callbacks of everything the case made.
    pub(super) async fn audit(&self) {
        let made = self.made();
        let mut transfers = Vec::new();
        let mut lives: BTreeMap<TransferId, Vec<(Version, Status)>> = BTreeMap::new();
        for (id, version, status) in self.harness.events().await {
            lives.entry(id).or_default().push((version, status));
        }
        for id in &made.transfers {
            let found = self.find(*id).await;
            let life = lives.remove(id).unwrap_or_default();
            let callbacks = self.audit_callbacks(*id).await;
            match &found {
                None => assert_eq!(life, [], "{id} is told of and does not exist"),
                Some(transfer) => audit_life(transfer, &life, &callbacks),
            }
            transfers.extend(found);
        }
        assert_eq!(
            lives.len(),
            0,
            "events of transfers that nobody made: {lives:?}"
        );
        let known: BTreeSet<TransferId> = transfers.iter().map(Transfer::id).collect();
        let due = balances_due(&transfers);
        let mut per_transfer: BTreeMap<TransferId, i128> = BTreeMap::new();
        for asset in &made.assets {
            let users = made
                .users
                .iter()
                .map(|user| AccountKey::user(*user, *asset));
            let system = [AccountKey::world(*asset), AccountKey::fees(*asset)];
            let mut sum = 0;
            for account in users.chain(system) {
                let view = self.harness.balance(account).await;
                let ledgers = self.harness.ledgers(account).await;
                audit_account(account, view, &ledgers);
                let is = (view.available, view.held);
                let should = due.get(&account).copied().unwrap_or_default();
                assert_eq!(
                    is, should,
                    "{account:?} against the states of its transfers"
                );
                sum += view.available + view.held;
                for entry in ledgers.into_iter().flatten() {
                    assert!(known.contains(&entry.transfer), "{entry:?} has a transfer");
                    *per_transfer.entry(entry.transfer).or_default() +=
                        entry.available_delta + entry.held_delta;
                }
            }
            assert_eq!(sum, 0, "all accounts of {asset} sum to zero");
        }
        for (transfer, sum) in per_transfer {
            assert_eq!(sum, 0, "the entries of transfer {transfer} sum to zero");
        }
    }

    async fn audit_callbacks(&self, id: TransferId) -> Vec<CallbackDraft> {
        let mut seen = HashSet::new();
        let callbacks = self.harness.callbacks(id).await;
        for callback in &callbacks {
            let key = (callback.operation, &callback.url);
            assert!(seen.insert(key), "{id} calls {key:?} back twice");
        }
        callbacks
    }
}

/// The feed tells every version of a transfer once and in order, and agrees with the callbacks.
fn audit_life(transfer: &Transfer, life: &[(Version, Status)], callbacks: &[CallbackDraft]) {
    let id = transfer.id();
    let versions: Vec<i32> = life.iter().map(|(version, _)| version.get()).collect();
    let all: Vec<i32> = (1..=transfer.version().get()).collect();
    assert_eq!(versions, all, "the events of {id}");
    let last = life.last().map(|(_, status)| *status);
    assert_eq!(last, Some(transfer.status()), "the last event of {id}");
    let is_told = |wanted: Status| life.iter().any(|(_, status)| *status == wanted);
    for callback in callbacks {
        // What was asked for and refused is no step; only a callback tells of it.
        let refused = callback.error.is_some();
        assert!(refused || is_told(callback.status), "{id}: {callback:?}");
    }
    if let Some(url) = &transfer.parts().callback_url
        && transfer.status().is_final()
    {
        let is_called = callbacks
            .iter()
            .any(|callback| callback.url == *url && callback.status == transfer.status());
        assert!(is_called, "nobody is called about the end of {id}");
    }
}

/// Every row of an account is the fold of its entries, which are numbered without a gap and never go
/// back in time for a user; the account is the sum of its rows.
pub(crate) fn audit_account(account: AccountKey, view: AccountView, ledgers: &[Vec<Entry>]) {
    let mut sum = AccountView::default();
    for entries in ledgers {
        let mut fold = AccountView::default();
        for entry in entries {
            fold.available += entry.available_delta;
            fold.held += entry.held_delta;
            fold.seq += 1;
            let after = AccountView {
                available: entry.available_after,
                held: entry.held_after,
                seq: entry.seq,
            };
            assert_eq!(after, fold, "{account:?} is the fold of its entries");
            assert_eq!(entry.account, account);
            assert!(after.held >= 0, "{entry:?} holds less than nothing");
            let is_user = account.owner.user().is_some();
            assert!(!is_user || after.available >= 0, "{entry:?} overdraws");
        }
        if account.owner.user().is_some() {
            let in_order = entries.is_sorted_by_key(|entry| entry.at);
            assert!(in_order, "the times of {account:?} never go back");
        }
        sum.available += fold.available;
        sum.held += fold.held;
        sum.seq += fold.seq;
    }
    assert_eq!(view, sum, "{account:?} is what its last entries say");
}

/// What every account must hold, from the states of the transfers alone.
fn balances_due(transfers: &[Transfer]) -> BTreeMap<AccountKey, (i128, i128)> {
    let mut due: BTreeMap<AccountKey, (i128, i128)> = BTreeMap::new();
    let mut add = |account: AccountKey, available: i128, held: i128| {
        let balance = due.entry(account).or_default();
        balance.0 += available;
        balance.1 += held;
    };
    for transfer in transfers {
        let parts = transfer.parts();
        let (amount, fee) = (parts.amount.units(), parts.fee.units());
        let (world, fees) = (
            AccountKey::world(parts.asset),
            AccountKey::fees(parts.asset),
        );
        let own = AccountKey::user(transfer.owner(), parts.asset);
        let returned = match &parts.reversal {
            Some(reversal) => reversal.fee_returned.units(),
            None => 0,
        };
        add(fees, -returned, 0);
        match (&parts.body, transfer.status()) {
            (Body::Deposit { .. }, Status::Completed) => {
                add(world, -amount, 0);
                add(own, amount - fee + returned, 0);
                add(fees, fee, 0);
            }
            (Body::Withdrawal { .. }, Status::AwaitingConfirmation) => {
                add(own, -(amount + fee), amount + fee);
            }
            (Body::Withdrawal { .. }, Status::Completed) => {
                add(own, -(amount + fee) + returned, 0);
                add(world, amount, 0);
                add(fees, fee, 0);
            }
            (Body::Internal { recipient, .. }, Status::Success) => {
                let paid = recipient.user().expect("success has a recipient");
                add(own, -(amount + fee), 0);
                add(AccountKey::user(paid, parts.asset), amount + returned, 0);
                add(fees, fee, 0);
            }
            (Body::Deposit { .. } | Body::Withdrawal { .. } | Body::Internal { .. }, _) => {}
        }
    }
    due
}
