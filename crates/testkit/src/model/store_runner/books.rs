//! What a store's books hold after a history.

use std::collections::{BTreeMap, HashMap};

use bursar_domain::{AccountKey, Kind, Transfer, TransferId, UsageKey};

use super::{StoreRunner, at};
use crate::{
    contract::audit_account,
    model::{Exchange, Holder, View},
};

impl StoreRunner<'_> {
    pub(super) async fn all_views(&mut self) -> Vec<View> {
        let found = self.store.find_many(self.transfers.clone()).await;
        let found = found.expect("the store is healthy");
        let found: HashMap<TransferId, Transfer> = found
            .into_iter()
            .map(|transfer| (transfer.id(), transfer))
            .collect();
        let ids = self.transfers.clone();
        ids.iter()
            .filter_map(|id| found.get(id))
            .map(|transfer| self.view(transfer))
            .collect()
    }

    pub(super) async fn all_balances(&self) -> BTreeMap<(Holder, usize), (i128, i128)> {
        let mut balances = BTreeMap::new();
        for (holder, asset, account) in self.accounts() {
            let view = self.harness.balance(account).await;
            let balance = (view.available, view.held);
            if balance != (0, 0) {
                balances.insert((holder, asset), balance);
            }
        }
        balances
    }

    /// What is left of every rolling limit to every user.
    pub(super) async fn limits_against(&self, model: &Exchange) -> Result<(), String> {
        let now = self.now();
        let kinds = [Kind::Withdrawal, Kind::Internal];
        let rules = self.rules.limits.iter();
        let rolling = rules.filter(|((kind, _), rule)| kinds.contains(kind) && rule.is_rolling());
        for ((kind, asset), limits) in rolling {
            let key = |user| UsageKey {
                user,
                kind: *kind,
                asset: *asset,
            };
            let keys = self.users.iter().copied().map(key).collect();
            let number = self.assets.iter().position(|one| Some(one.id) == *asset);
            for (user, usage) in self.harness.usage(keys).await.into_iter().enumerate() {
                let headroom = limits.headroom(&usage, now);
                let units = |amount: Option<bursar_domain::Amount>| {
                    amount.map(bursar_domain::Amount::units)
                };
                let got = (units(headroom.daily), units(headroom.monthly));
                let expected = model.left(user, *kind, number);
                if got != expected {
                    return Err(format!(
                        "user {user} ought to have {expected:?} left of {kind:?} of asset \
                         {number:?}, but has {got:?}: {usage:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Every account is the fold of its entries, every asset sums to zero.
    pub(super) async fn audit_books(&self) -> Result<(), String> {
        let mut sums = vec![0; self.assets.len()];
        for (_, asset, account) in self.accounts() {
            let view = self.harness.balance(account).await;
            let ledgers = self.harness.ledgers(account).await;
            audit_account(account, view, &ledgers);
            if let Some(sum) = sums.get_mut(asset) {
                *sum += view.available + view.held;
            }
        }
        if sums.iter().all(|sum| *sum == 0) {
            Ok(())
        } else {
            Err(format!("assets sum to {sums:?}"))
        }
    }

    fn accounts(&self) -> Vec<(Holder, usize, AccountKey)> {
        let users = (0..self.users.len()).map(Holder::User);
        let holders: Vec<Holder> = users.chain([Holder::World, Holder::Fees]).collect();
        let of_asset = |asset: usize| {
            let id = at(&self.assets, asset).id;
            holders.iter().map(move |holder| match holder {
                Holder::User(user) => (
                    *holder,
                    asset,
                    AccountKey::user(*at(&self.users, *user), id),
                ),
                Holder::World => (*holder, asset, AccountKey::world(id)),
                Holder::Fees => (*holder, asset, AccountKey::fees(id)),
            })
        };
        (0..self.assets.len()).flat_map(of_asset).collect()
    }
}
