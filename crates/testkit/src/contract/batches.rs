//! Several items in one call.

use std::sync::Arc;

use bursar_domain::{Command, Commit, Reason, Status, TransferId, Version};
use bursar_ports::{CommitOutcome, StoreError};

use super::{
    Harness,
    scene::{Scene, committed, race_calls, refused},
};
use crate::build;

/// What an item earlier in the batch brings in can be spent by a later one, and only so.
pub async fn a_chain_inside_one_batch_behaves_as_if_in_order(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (a, b, c) = (
        scene.rich_user(70).await,
        scene.user().await,
        scene.user().await,
    );
    let batch = [
        scene.payment(b, c, 70),
        scene.payment(a, b, 70),
        scene.payment(b, c, 70),
        scene.payment(c, a, 30),
        scene.payment(a, b, 31),
    ];
    let outcomes = scene.commit(batch.map(Commit::new).to_vec()).await;
    let statuses: Vec<Status> = outcomes.iter().map(|o| committed(o).status()).collect();
    let (yes, no) = (Status::Success, Status::Rejected);
    assert_eq!(statuses, [no, yes, yes, yes, no]);
    let balances = (
        scene.balance(a).await,
        scene.balance(b).await,
        scene.balance(c).await,
    );
    assert_eq!(balances, ((30, 0), (0, 0), (40, 0)));
    scene.audit().await;
}

/// Each item has its own outcome in its own place; refusals and stale ones disturb nobody.
pub async fn outcomes_are_positional(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let open = scene
        .commit_one(Commit::new(build::withdrawal(
            scene.new_transfer(10),
            alice,
        )))
        .await;
    let canceled = scene.step(&open, &build::cancel()).await;
    let batch = [
        scene.payment(alice, bob, 1),
        build::withdrawal(scene.new_transfer(1_000), alice),
        build::step(&open, &build::confirm(), scene.now()),
        scene.payment(alice, bob, 2),
    ];
    let outcomes = scene.commit(batch.map(Commit::new).to_vec()).await;
    let [first, second, third, fourth] = outcomes.as_slice() else {
        panic!("four outcomes, not {outcomes:?}");
    };
    assert_eq!(committed(first).status(), Status::Success);
    assert_eq!(*second, refused(Reason::BalanceInsufficient));
    let current = Some(canceled.version());
    assert_eq!(*third, CommitOutcome::Stale { current });
    assert_eq!(committed(fourth).status(), Status::Success);
    assert_eq!(scene.balance(bob).await, (3, 0));
    scene.audit().await;
}

/// A later item may build on what an earlier one makes, also of the same transfer.
pub async fn one_batch_may_create_and_settle_the_same_transfer(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.user().await;
    let created = build::deposit(scene.new_transfer(50), user);
    let settled = build::step(&created.next, &Command::Settle, scene.now());
    let id = created.next.id();
    let outcomes = scene
        .commit(vec![Commit::new(created), Commit::new(settled)])
        .await;
    let statuses: Vec<Status> = outcomes.iter().map(|o| committed(o).status()).collect();
    assert_eq!(statuses, [Status::Pending, Status::Completed]);
    assert_eq!(scene.reload(id).await.version(), Version::FIRST.next());
    assert_eq!(scene.balance(user).await, (50, 0));
    scene.audit().await;
}

/// An asset that the store does not know is a refusal like a disabled one.
pub async fn an_unknown_asset_is_refused_alone(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let mut new = scene.new_transfer(1);
    new.asset = build::asset_id("nowhere");
    let unknown = build::deposit(new, alice).settled_at_once();
    let id = unknown.next.id();
    let batch = [
        scene.payment(alice, bob, 1),
        unknown,
        scene.payment(alice, bob, 1),
    ];
    let outcomes = scene.commit(batch.map(Commit::new).to_vec()).await;
    assert_eq!(outcomes.get(1), Some(&refused(Reason::AssetDisabled)));
    assert_eq!(scene.find(id).await, None);
    assert_eq!(scene.balance(bob).await, (2, 0));
    scene.audit().await;
}

/// A call with an item that the store cannot write fails whole, and does no harm to the calls
/// that happen to be under way with it.
pub async fn a_poison_item_leaves_concurrent_calls_alone(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(1_000).await, scene.user().await);
    let mut calls = Vec::new();
    let mut poisoned: Vec<Vec<TransferId>> = Vec::new();
    for place in 0..48 {
        let call = if place % 12 == 0 {
            vec![poison_note(&scene, bob)]
        } else if place % 12 == 6 {
            vec![
                Commit::new(scene.payment(alice, bob, 1)),
                poison_url(&scene, bob),
                Commit::new(scene.payment(alice, bob, 1)),
            ]
        } else {
            vec![Commit::new(scene.payment(alice, bob, 1))]
        };
        poisoned.push(call.iter().map(|item| item.change.next.id()).collect());
        calls.push(call);
    }
    let answers = race_calls(&scene.store, calls).await;
    let mut paid = 0;
    for ((place, ids), answer) in (0..).zip(poisoned).zip(answers) {
        if place % 6 == 0 {
            assert_nothing_happened(&scene, &ids, answer).await;
        } else {
            let outcomes = answer.expect("a neighbour's poison does no harm");
            assert!(
                outcomes
                    .iter()
                    .all(|o| committed(o).status() == Status::Success)
            );
            paid += 1;
        }
    }
    assert_eq!(scene.balance(bob).await, (paid, 0));
    scene.audit().await;
}

/// PostgreSQL takes no text with a NUL character.
fn poison_note(scene: &Scene<'_>, user: bursar_domain::UserId) -> Commit {
    let mut new = scene.new_transfer(1);
    new.note = Some("nul \0 character".to_owned());
    let claim = build::claim("op", "deposit", "poison", &[]);
    build::keyed(build::deposit(new, user).settled_at_once(), claim)
}

fn poison_url(scene: &Scene<'_>, user: bursar_domain::UserId) -> Commit {
    let mut new = scene.new_transfer(1);
    new.callback_url = Some("https://example.com/\0".to_owned());
    Commit::new(build::deposit(new, user).settled_at_once())
}

async fn assert_nothing_happened(
    scene: &Scene<'_>,
    ids: &[TransferId],
    answer: super::scene::Answer,
) {
    let error = answer.expect_err("poison cannot be written");
    assert!(
        !matches!(error, StoreError::OutcomeUnknown(_)),
        "the statement failed, so the outcome is known: {error:?}"
    );
    for id in ids {
        assert_eq!(
            scene.find(*id).await,
            None,
            "nothing of a failed call is there"
        );
    }
    let claim = build::claim("op", "deposit", "poison", &[]);
    let bound = scene.store.find_key(claim.scope, claim.key).await;
    assert_eq!(bound.expect("the store is healthy"), None);
}

/// Nothing in, nothing out.
pub async fn an_empty_batch_has_no_outcomes(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let store = Arc::clone(&scene.store);
    assert_eq!(
        store.commit(vec![]).await.expect("the store is healthy"),
        []
    );
    scene.audit().await;
}
