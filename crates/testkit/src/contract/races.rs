//! Many requests for the same money at once.

use std::sync::Arc;

use bursar_domain::{Change, Commit, Reason, Status, UserId, UserStatus};
use bursar_ports::{CommitOutcome, TransferStore};
use tokio::{sync::watch, task::JoinSet};

use super::{
    Harness,
    scene::{Scene, committed, refused},
};
use crate::build;

/// How many requests race.
const RACERS: i128 = 64;
/// How many of them are covered, in one run each.
const COVERED: [i128; 6] = [0, 1, 7, 32, 63, 64];

/// A balance that covers exactly k payments pays exactly k.
pub async fn parallel_payments_succeed_as_often_as_covered(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    for covered in COVERED {
        let bob = scene.user().await;
        let alice = scene.rich_user(covered * 10 + 9).await;
        let items = (0..RACERS)
            .map(|_| Commit::new(scene.payment(alice, bob, 10)))
            .collect();
        let outcomes = scene.race(items).await;
        let paid: i128 = outcomes
            .iter()
            .map(|outcome| i128::from(committed(outcome).status() == Status::Success))
            .sum();
        assert_eq!(paid, covered);
        let uncovered = Some(Reason::BalanceInsufficient);
        assert!(outcomes.iter().map(committed).all(|transfer| {
            transfer.status() == Status::Success || transfer.reason() == uncovered
        }));
        assert_eq!(scene.balance(alice).await, (9, 0));
        assert_eq!(scene.balance(bob).await, (covered * 10, 0));
    }
    scene.audit().await;
}

/// A balance that covers exactly k withdrawals with their fees holds exactly k.
pub async fn parallel_withdrawals_succeed_as_often_as_covered(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    for covered in COVERED {
        let user = scene.rich_user(covered * 10 + 9).await;
        let items = (0..RACERS)
            .map(|_| Commit::new(build::withdrawal(scene.new_with_fee(8, 2), user)))
            .collect();
        let outcomes = scene.race(items).await;
        let uncovered = refused(Reason::BalanceInsufficient);
        let refusals: i128 = outcomes
            .iter()
            .map(|outcome| i128::from(*outcome == uncovered))
            .sum();
        assert_eq!(refusals, RACERS - covered, "{outcomes:?}");
        assert_eq!(scene.balance(user).await, (9, covered * 10));
    }
    scene.audit().await;
}

/// Payments round a ring of users lock each other's accounts in every order; all of them succeed.
pub async fn crossing_payments_all_succeed(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let mut users = Vec::new();
    for _ in 0..4 {
        users.push(scene.rich_user(1_000).await);
    }
    let mut calls = Vec::new();
    for sender in &users {
        for recipient in users.iter().filter(|user| *user != sender) {
            for _ in 0..5 {
                let there = Commit::new(scene.payment(*sender, *recipient, 3));
                let back = Commit::new(scene.payment(*recipient, *sender, 3));
                calls.push(vec![there, back]);
            }
        }
    }
    for answer in super::scene::race_calls(&scene.store, calls).await {
        let outcomes = answer.expect("crossing payments are no trouble");
        assert!(
            outcomes
                .iter()
                .all(|o| committed(o).status() == Status::Success)
        );
    }
    for user in users {
        assert_eq!(scene.balance(user).await, (1_000, 0));
    }
    scene.audit().await;
}

/// One of the two wins; the other is told the version that the winner made.
pub async fn confirm_racing_cancel_has_one_winner(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    for _ in 0..16 {
        let user = scene.rich_user(100).await;
        let change = build::withdrawal(scene.new_with_fee(40, 2), user);
        let open = scene.commit_one(Commit::new(change)).await;
        let confirm = build::step(&open, &build::confirm(), scene.now());
        let cancel = build::step(&open, &build::cancel(), scene.now());
        let winner = assert_one_winner(&scene, vec![confirm, cancel]).await;
        let expected = if winner == Status::Completed { 58 } else { 100 };
        assert_eq!(scene.balance(user).await, (expected, 0));
        assert_eq!(scene.reload(open.id()).await.status(), winner);
    }
    scene.audit().await;
}

/// Two confirms pay out once.
pub async fn confirm_racing_itself_has_one_winner(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    for _ in 0..16 {
        let user = scene.rich_user(100).await;
        let change = build::withdrawal(scene.new_with_fee(40, 2), user);
        let open = scene.commit_one(Commit::new(change)).await;
        let confirm = build::step(&open, &build::confirm(), scene.now());
        let winner = assert_one_winner(&scene, vec![confirm.clone(), confirm]).await;
        assert_eq!(winner, Status::Completed);
        assert_eq!(scene.balance(user).await, (58, 0));
    }
    scene.audit().await;
}

async fn assert_one_winner(scene: &Scene<'_>, changes: Vec<Change>) -> Status {
    let version = changes.first().map(|change| change.next.version());
    let stale = CommitOutcome::Stale { current: version };
    let outcomes = scene
        .race(changes.into_iter().map(Commit::new).collect())
        .await;
    let (losers, winners): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|outcome| **outcome == stale);
    assert_eq!((winners.len(), losers.len()), (1, 1), "{outcomes:?}");
    committed(winners.first().expect("one winner")).status()
}

/// How many payments each spender of the freezing race sends, and how many of them only once the
/// freeze has returned.
const PAYMENTS: usize = 100;
const PAYMENTS_AFTER: usize = 4;

/// Once a freeze has returned, no payment from or to the user succeeds that is sent after it, and
/// none that was under way slips through later.
pub async fn a_freeze_binds_spending_in_flight(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (
        scene.rich_user(100_000).await,
        scene.rich_user(100_000).await,
    );
    let (freeze, frozen) = watch::channel(false);
    let (progress, mut answered) = watch::channel(0);
    let mut spenders = JoinSet::new();
    for place in 0..8 {
        let (sender, recipient) = if place % 2 == 0 {
            (alice, bob)
        } else {
            (bob, alice)
        };
        let payments = (0..PAYMENTS)
            .map(|_| scene.payment(sender, recipient, 1))
            .collect();
        let store = Arc::clone(&scene.store);
        spenders.spawn(spend(store, payments, frozen.clone(), progress.clone()));
    }
    let under_way = answered.wait_for(|answered| *answered > 40).await;
    drop(under_way.expect("the spenders are there"));
    harness.put_user(alice, UserStatus::Frozen).await;
    freeze.send_replace(true);
    let seen = (scene.balance(alice).await, scene.balance(bob).await);
    spenders.join_all().await;
    let after = (scene.balance(alice).await, scene.balance(bob).await);
    assert_eq!(after, seen, "nothing moved after the freeze had returned");

    assert_frozen_then_thawed(&scene, alice, bob).await;
    scene.audit().await;
}

/// Sends one payment after the other, the last ones only once the freeze has returned.
async fn spend(
    store: Arc<dyn TransferStore>,
    payments: Vec<Change>,
    mut frozen: watch::Receiver<bool>,
    progress: watch::Sender<i32>,
) {
    for (place, payment) in payments.into_iter().enumerate() {
        if place + PAYMENTS_AFTER >= PAYMENTS {
            let fallen = frozen.wait_for(|frozen| *frozen).await;
            drop(fallen.expect("the freeze comes"));
        }
        let sent_after = *frozen.borrow();
        let batch = vec![Commit::new(payment)];
        let outcomes = store.commit(batch).await.expect("the store is healthy");
        let paid = outcomes
            .iter()
            .any(|outcome| committed(outcome).status() == Status::Success);
        assert!(!(sent_after && paid), "paid after the freeze: {outcomes:?}");
        progress.send_modify(|answered| *answered += 1);
    }
}

async fn assert_frozen_then_thawed(scene: &Scene<'_>, frozen: UserId, other: UserId) {
    let out = scene
        .commit_one(Commit::new(scene.payment(frozen, other, 1)))
        .await;
    assert_eq!(out.reason(), Some(Reason::AccountFrozen));
    let back = scene
        .commit_one(Commit::new(scene.payment(other, frozen, 1)))
        .await;
    assert_eq!(back.reason(), Some(Reason::RecipientUnavailable));
    scene.harness.put_user(frozen, UserStatus::Active).await;
    let thawed = scene
        .commit_one(Commit::new(scene.payment(frozen, other, 1)))
        .await;
    assert_eq!(thawed.status(), Status::Success);
}
