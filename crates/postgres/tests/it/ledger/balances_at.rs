//! What accounts held at a time.

use std::collections::BTreeMap;

use bursar_domain::{AccountKey, AssetId, Timestamp};
use bursar_ports::{AccountBalance, Holding, LedgerOwner, TransferQuery};

use super::{Line, Scene, USERS, fold, goes_back};
use crate::support::user_id;

/// Whom a test asks for: every user, one that nobody knows, and the system.
fn everybody() -> Vec<LedgerOwner> {
    let users = (0..=USERS).map(|number| LedgerOwner::User(user_id(number)));
    users.chain([LedgerOwner::System]).collect()
}

async fn all_at(scene: &Scene, at: Timestamp) -> Vec<AccountBalance> {
    let mut all = vec![];
    for owner in everybody() {
        let balances = scene.query.list_balances_at(owner, at).await.unwrap();
        let key = |balance: &AccountBalance| (balance.account.asset, balance.account.owner);
        assert!(balances.is_sorted_by_key(key), "{balances:?}");
        all.extend(balances);
    }
    all
}

/// When each account last changed by these lines.
fn changed(lines: &[&Line]) -> BTreeMap<AccountKey, Timestamp> {
    let mut changed: BTreeMap<AccountKey, Timestamp> = BTreeMap::new();
    for line in lines {
        let at = changed.entry(line.account).or_insert(line.at);
        *at = line.at.max(*at);
    }
    changed
}

#[tokio::test]
async fn balances_at_any_time_are_the_lines_up_to_it_and_sum_to_zero() {
    let mut scene = Scene::lived_in().await;
    let lines = scene.lines().await;
    assert!(goes_back(&lines), "system accounts' times go back");
    let mut times: Vec<Timestamp> = lines.iter().map(|line| line.at).collect();
    times.sort_unstable();
    times.dedup();
    let first = times[0].plus_micros(-1);
    let last = times[times.len() - 1].plus_micros(1_000_000);
    let between = times.iter().step_by(7);
    let between = between.flat_map(|at| [at.plus_micros(-1), *at]);
    for at in between.chain([first, last]) {
        let until: Vec<&Line> = lines.iter().filter(|line| line.at <= at).collect();
        let mut held = BTreeMap::new();
        let mut when = BTreeMap::new();
        let mut sums: BTreeMap<AssetId, i128> = BTreeMap::new();
        for balance in all_at(&scene, at).await {
            let holding = Holding {
                available: balance.available,
                held: balance.held,
            };
            *sums.entry(balance.account.asset).or_default() += balance.available + balance.held;
            when.insert(balance.account, balance.updated_at);
            held.insert(balance.account, holding);
        }
        assert_eq!(held, fold(until.iter().copied()), "{at}");
        assert_eq!(when, changed(&until), "{at}");
        assert!(sums.values().all(|sum| *sum == 0), "{at}: {sums:?}");
    }
    assert_eq!(all_at(&scene, first).await, []);
}

#[tokio::test]
async fn balances_after_everything_are_those_of_now() {
    let scene = Scene::lived_in().await;
    let later = Timestamp::parse("2999-01-01").unwrap();
    for owner in everybody() {
        let now = match owner {
            LedgerOwner::User(user) => scene.query.list_user_balances(user).await,
            LedgerOwner::System => scene.query.list_system_balances().await,
        };
        // An account may have been made for a payment that was then refused.
        let mut now = now.unwrap();
        now.retain(|balance| balance.updated_at != Timestamp::EPOCH);
        let mut at = scene.query.list_balances_at(owner, later).await.unwrap();
        for balances in [&mut now, &mut at] {
            for balance in balances.iter_mut() {
                // The last line of a system account need not be the latest one.
                balance.updated_at = Timestamp::EPOCH;
            }
        }
        assert_eq!(at, now, "{owner:?}");
    }
}
