//! What every queue of work must do, each in a case.

use std::{cmp::Reverse, collections::BTreeSet, slice::from_ref, sync::Arc};

use bursar_domain::{
    ActorId, AssetId, BigDecimal, Change, Commit, Kind, Limits, NewTransfer, RootRate, Rules,
    Timestamp, Transfer, TransferId, UserStatus,
};
use bursar_ports::{
    Clock, CommitOutcome, LetGo, OpenWork, QueueOrder, QueuePlace, QueueScan, Take, Taking,
    WorkQueue, sort_value,
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{build, contract::Harness};

const MINUTE_US: i64 = 60_000_000;

async fn commit(harness: &dyn Harness, change: Change) -> Transfer {
    let store = harness.store().await;
    let outcomes = store.commit(vec![Commit::new(change)]).await;
    match outcomes.expect("the store is healthy").pop() {
        Some(CommitOutcome::Committed(transfer)) => *transfer,
        other => panic!("expected a commit, got {other:?}"),
    }
}

/// A new transfer that was worth so much in the root asset, if anybody said.
fn worth(harness: &dyn Harness, asset: &str, units: i128, rate: Option<&str>) -> NewTransfer {
    let (id, now) = (harness.ids().transfer(), harness.clock().now());
    NewTransfer {
        root_rate: rate.map(|rate| RootRate {
            asset: build::asset_id("usd"),
            scale: build::asset("usd", 2).scale,
            rate: rate.parse::<BigDecimal>().expect("it is a decimal"),
            source: None,
            rated_at: None,
        }),
        ..build::new_transfer(id, &asset_of(asset), units, now)
    }
}

fn asset_of(id: &str) -> bursar_domain::Asset {
    build::asset(id, if id == "btc" { 8 } else { 3 })
}

/// Withdrawals that wait for a first and a second operator, others that wait for nobody, and a deposit
/// that waits for a second one.
async fn open_work(harness: &dyn Harness) -> Vec<Transfer> {
    for asset in ["btc", "eth"] {
        harness.put_asset(asset_of(asset)).await;
    }
    let user = harness.ids().user();
    harness.put_user(user, UserStatus::Active).await;
    for asset in ["btc", "eth"] {
        let deposit = build::deposit(worth(harness, asset, 100_000, None), user);
        commit(harness, deposit.settled_at_once()).await;
    }
    let limits = Limits {
        approval_above: Some(build::amount(500)),
        ..Limits::default()
    };
    let mut rules = Rules::default();
    for kind in [Kind::Withdrawal, Kind::Deposit] {
        for asset in ["btc", "eth"] {
            let asset = Some(build::asset_id(asset));
            rules.limits.insert((kind, asset), limits);
        }
    }
    harness.put_rules(rules).await;
    let rates = [
        Some("2.5"),
        None,
        Some("0.333333333333333333"),
        Some("100000"),
        Some("2.5"),
    ];
    let mut made = vec![];
    for (number, rate) in (0_i128..25).zip(rates.into_iter().cycle()) {
        harness.clock().advance_ms(60_000);
        let asset = if number % 4 == 0 { "eth" } else { "btc" };
        // Every third is confirmed, and the large ones then wait for a second operator.
        let units = 490 + number;
        let opened = build::withdrawal(worth(harness, asset, units, rate), user);
        let mut transfer = commit(harness, opened).await;
        if number % 3 == 0 {
            let confirm = build::step(&transfer, &build::confirm(), harness.clock().now());
            transfer = commit(harness, confirm).await;
        }
        made.push(transfer);
    }
    let deposit = build::deposit(worth(harness, "btc", 501, Some("3")), user);
    made.push(commit(harness, deposit).await);
    made
}

fn waits(transfer: &Transfer, which: OpenWork) -> bool {
    let is_open = !transfer.status().is_final() && transfer.stage().is_none();
    match which {
        OpenWork::Withdrawals => is_open && transfer.kind() == Kind::Withdrawal,
        OpenWork::Approvals => transfer.stage().is_some(),
    }
}

/// Both queues come in both orders, of one asset or of all, in pages of any length that neither miss
/// nor double anything.
pub async fn queues_come_in_their_order_page_by_page(
    harness: &dyn Harness,
    queue: Arc<dyn WorkQueue>,
) {
    let made = open_work(harness).await;
    for which in OpenWork::ALL {
        for order in QueueOrder::ALL {
            for asset in [None, Some("btc"), Some("eth"), Some("doge")] {
                let asset = asset.map(build::asset_id);
                let wanted = expected(&made, which, order, asset);
                if asset.is_none() {
                    assert!(wanted.len() > 4, "{which:?}: {wanted:?}");
                }
                for limit in [1, 3, 100] {
                    let found = all_of(&*queue, which, order, asset, limit).await;
                    assert_eq!(found, wanted, "{which:?} {order:?} {asset:?} {limit}");
                }
            }
        }
    }
}

fn expected(
    made: &[Transfer],
    which: OpenWork,
    order: QueueOrder,
    asset: Option<AssetId>,
) -> Vec<TransferId> {
    let open = made.iter().filter(|transfer| waits(transfer, which));
    let of_asset = open.filter(|one| asset.is_none_or(|asset| asset == one.parts().asset));
    let mut open: Vec<&Transfer> = of_asset.collect();
    match order {
        QueueOrder::Age => open.sort_by_key(|one| (one.parts().created_at, one.id())),
        QueueOrder::Value => open.sort_by_key(|one| Reverse((sort_value(one), one.id()))),
    }
    open.into_iter().map(Transfer::id).collect()
}

async fn all_of(
    queue: &dyn WorkQueue,
    which: OpenWork,
    order: QueueOrder,
    asset: Option<AssetId>,
    limit: u32,
) -> Vec<TransferId> {
    let mut found = vec![];
    let mut after = None;
    loop {
        let scan = QueueScan {
            which,
            order,
            asset,
            after,
            limit,
        };
        let slice = queue.list_open(scan).await.expect("the store answers");
        assert!(slice.transfers.len() <= usize::try_from(limit).expect("it is small"));
        if let Some(place) = &slice.next {
            let last = slice.transfers.last().expect("a part with more has rows");
            assert_eq!(*place, QueuePlace::of(last, order));
        }
        found.extend(slice.transfers.iter().map(Transfer::id));
        after = slice.next;
        if after.is_none() {
            return found;
        }
    }
}

/// A withdrawal that waits, and what taking it now would be.
async fn waiting(harness: &dyn Harness) -> (Transfer, Taking) {
    harness.put_asset(asset_of("btc")).await;
    let user = harness.ids().user();
    harness.put_user(user, UserStatus::Active).await;
    let deposit = build::deposit(worth(harness, "btc", 1_000, None), user);
    commit(harness, deposit.settled_at_once()).await;
    let opened = build::withdrawal(worth(harness, "btc", 10, None), user);
    let transfer = commit(harness, opened).await;
    let taking = taking(&transfer, "alice", harness.clock().now());
    (transfer, taking)
}

/// What taking this for five minutes is.
fn taking(transfer: &Transfer, by: &str, now: Timestamp) -> Taking {
    Taking {
        transfer: transfer.id(),
        version: transfer.version(),
        by: ActorId::new(by),
        taken_at: now,
        until: now.plus_micros(5 * MINUTE_US),
    }
}

async fn take(queue: &dyn WorkQueue, taking: &Taking) -> Take {
    let audit = build::audit("transfer.take", &format!("transfer:{}", taking.transfer));
    let taken = queue.take(taking.clone(), audit).await;
    taken.expect("the store answers")
}

async fn told(queue: &dyn WorkQueue, transfer: &Transfer, now: Timestamp) -> Vec<Taking> {
    let takings = queue.list_takings(vec![transfer.id()], now).await;
    takings.expect("the store answers")
}

/// Whoever has it has it for longer when taking it again, and nobody else gets it meanwhile.
pub async fn what_is_taken_is_told_to_others_and_prolonged_for_its_own(
    harness: &dyn Harness,
    queue: Arc<dyn WorkQueue>,
) {
    let (transfer, first) = waiting(harness).await;
    let now = first.taken_at;
    assert_eq!(told(&*queue, &transfer, now).await, []);
    assert_eq!(take(&*queue, &first).await, Take::Taken(first.clone()));
    assert_eq!(told(&*queue, &transfer, now).await, from_ref(&first));
    let other = taking(&transfer, "bob", now.plus_micros(MINUTE_US));
    assert_eq!(take(&*queue, &other).await, Take::Held(first.clone()));
    let later = taking(&transfer, "alice", now.plus_micros(4 * MINUTE_US));
    let longer = Taking {
        taken_at: first.taken_at,
        ..later.clone()
    };
    assert_eq!(take(&*queue, &later).await, Take::Taken(longer.clone()));
    let other = taking(&transfer, "bob", now.plus_micros(8 * MINUTE_US));
    assert_eq!(take(&*queue, &other).await, Take::Held(longer));
}

/// A taking is over at its end, and as soon as somebody has acted on the transfer.
pub async fn a_taking_ends_with_its_time_or_with_the_version(
    harness: &dyn Harness,
    queue: Arc<dyn WorkQueue>,
) {
    let (transfer, first) = waiting(harness).await;
    assert_eq!(take(&*queue, &first).await, Take::Taken(first.clone()));
    let end = first.until;
    assert_eq!(told(&*queue, &transfer, end.plus_micros(-1)).await, [first]);
    assert_eq!(told(&*queue, &transfer, end).await, []);
    let second = taking(&transfer, "bob", end);
    assert_eq!(take(&*queue, &second).await, Take::Taken(second.clone()));
    // Carol acts on it without having it.
    let confirm = build::step(&transfer, &build::confirm(), harness.clock().now());
    let confirmed = commit(harness, confirm).await;
    assert!(confirmed.version() > second.version);
    let third = taking(&confirmed, "dave", end);
    assert_eq!(take(&*queue, &third).await, Take::Taken(third.clone()));
    // Bob looked before that.
    assert_eq!(take(&*queue, &second).await, Take::Stale);
    assert_eq!(told(&*queue, &transfer, end).await, [third]);
}

/// What somebody lets go is free at once; what another has stays with that one.
pub async fn letting_go_frees_ones_own_and_nobody_elses(
    harness: &dyn Harness,
    queue: Arc<dyn WorkQueue>,
) {
    let (transfer, first) = waiting(harness).await;
    let now = first.taken_at;
    let let_go = async |by: &str, now| {
        let (id, version) = (transfer.id(), transfer.version());
        let audit = build::audit("transfer.let_go", &format!("transfer:{id}"));
        let let_go = queue.let_go(id, version, ActorId::new(by), now, audit);
        let_go.await.expect("the store answers")
    };
    assert_eq!(let_go("alice", now).await, LetGo::Free);
    assert_eq!(take(&*queue, &first).await, Take::Taken(first.clone()));
    assert_eq!(let_go("bob", now).await, LetGo::Held(first.clone()));
    assert_eq!(told(&*queue, &transfer, now).await, from_ref(&first));
    assert_eq!(let_go("alice", now).await, LetGo::Free);
    assert_eq!(told(&*queue, &transfer, now).await, []);
    let other = taking(&transfer, "bob", now);
    assert_eq!(take(&*queue, &other).await, Take::Taken(other.clone()));
    assert_eq!(let_go("alice", other.until).await, LetGo::Free);
}

/// What was refused has no row, and neither has what had ended by itself.
pub async fn takings_are_in_the_audit_log_when_they_change_something(
    harness: &dyn Harness,
    queue: Arc<dyn WorkQueue>,
) {
    let (transfer, first) = waiting(harness).await;
    let (id, version, now) = (transfer.id(), transfer.version(), first.taken_at);
    let target = format!("transfer:{id}");
    let let_go = async |by: &str, now| {
        let audit = build::audit("transfer.let_go", &target);
        let let_go = queue.let_go(id, version, ActorId::new(by), now, audit);
        let _free = let_go.await.expect("the store answers");
    };
    let [later, last, others] = [1, 2, 3].map(|minutes| now.plus_micros(minutes * MINUTE_US));
    let _taken = take(&*queue, &first).await;
    let _held = take(&*queue, &taking(&transfer, "bob", now)).await;
    let_go("bob", now).await;
    let _longer = take(&*queue, &taking(&transfer, "alice", later)).await;
    let_go("alice", last).await;
    let_go("alice", last).await;
    let other = taking(&transfer, "bob", others);
    let _taken = take(&*queue, &other).await;
    let_go("bob", other.until).await;
    let rows = harness.audit_of(target.clone()).await;
    let told: Vec<(&str, Timestamp, bool, bool)> = rows
        .iter()
        .map(|row| {
            let (before, after) = (row.before.is_some(), row.after.is_some());
            (row.action.as_str(), row.at, before, after)
        })
        .collect();
    let expected = [
        ("transfer.take", now, false, true),
        ("transfer.take", later, false, true),
        ("transfer.let_go", last, true, false),
        ("transfer.take", others, false, true),
    ];
    assert_eq!(told, expected, "{rows:?}");
    let until = first.until.to_micros_text();
    let after = rows.first().and_then(|row| row.after.clone());
    assert!(after.is_some_and(|after| after.contains(&until)));
}

/// However many take it at once, one has it, and all others are told that one.
pub async fn of_many_who_take_at_once_one_has_it(harness: &dyn Harness, queue: Arc<dyn WorkQueue>) {
    let (transfer, first) = waiting(harness).await;
    for round in 0..20 {
        let now = first.until.plus_micros(round * 10 * MINUTE_US);
        let start = Arc::new(Barrier::new(8));
        let mut racers = JoinSet::new();
        for number in 0..8 {
            let (queue, start) = (Arc::clone(&queue), Arc::clone(&start));
            let wanted = taking(&transfer, &format!("operator-{number}"), now);
            racers.spawn(async move {
                start.wait().await;
                take(&*queue, &wanted).await
            });
        }
        let mut winners = vec![];
        let mut holders = BTreeSet::new();
        for taken in racers.join_all().await {
            let (Take::Taken(taking) | Take::Held(taking)) = &taken else {
                panic!("nobody acted on it: {taken:?}");
            };
            holders.insert(taking.by.as_str().to_owned());
            if matches!(taken, Take::Taken(_)) {
                winners.push(taking.clone());
            }
        }
        assert_eq!(holders.len(), 1, "{holders:?}");
        assert_eq!(told(&*queue, &transfer, now).await, winners);
    }
}
