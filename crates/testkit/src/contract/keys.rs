//! Idempotency keys, one request after the other.

use bursar_domain::{Commit, IdempotencyClaim, Reason, Status, Transfer, UserId, Version};
use bursar_ports::CommitOutcome;

use super::{
    Harness,
    scene::{Scene, committed, refused},
};
use crate::build;

fn claim(amount: &str) -> IdempotencyClaim {
    build::claim(
        "op",
        "withdraw",
        "key-1",
        &[("amount", amount), ("assetId", "btc")],
    )
}

fn hold(scene: &Scene<'_>, user: UserId, units: i128, claim: IdempotencyClaim) -> Commit {
    build::keyed(build::withdrawal(scene.new_transfer(units), user), claim)
}

const fn replayed(original: &Transfer) -> CommitOutcome {
    CommitOutcome::Replayed {
        original: original.id(),
    }
}

/// The second request has no effect and names the first one's transfer, however far that got.
pub async fn the_same_request_is_replayed(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let first = scene.commit_one(hold(&scene, user, 40, claim("40"))).await;
    let again = scene.outcome(hold(&scene, user, 40, claim("40"))).await;
    assert_eq!(again, replayed(&first));
    scene.step(&first, &build::cancel()).await;
    let later = scene.outcome(hold(&scene, user, 40, claim("40"))).await;
    assert_eq!(later, replayed(&first));
    assert_eq!(scene.balance(user).await, (100, 0));

    let claim = claim("40");
    let bound = scene.store.find_key(claim.scope, claim.key).await;
    let bound = bound
        .expect("the store is healthy")
        .expect("the key is bound");
    assert_eq!(bound.fingerprint, claim.fingerprint);
    assert_eq!(bound.fields, claim.fields);
    assert_eq!((bound.transfer, bound.refusal), (first.id(), None));
    scene.audit().await;
}

/// A key that belongs to another request names its transfer and what differs.
pub async fn another_request_with_the_key_is_told_so(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let first = scene.commit_one(hold(&scene, user, 40, claim("40"))).await;
    let other = scene.outcome(hold(&scene, user, 41, claim("41"))).await;
    let expected = CommitOutcome::KeyReused {
        original: Some(first.id()),
        fields: vec!["amount".to_owned()],
    };
    assert_eq!(other, expected);
    assert_eq!(scene.balance(user).await, (60, 40));
    scene.audit().await;
}

/// A key remembers that its request was refused, although it could be served now.
pub async fn a_refusal_is_kept_and_replayed(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.user().await;
    let reason = Reason::BalanceInsufficient;
    let first = scene.outcome(hold(&scene, user, 40, claim("40"))).await;
    assert_eq!(first, refused(reason));
    let deposit = build::deposit(scene.new_transfer(100), user).settled_at_once();
    scene.commit_one(Commit::new(deposit)).await;

    let again = scene.outcome(hold(&scene, user, 40, claim("40"))).await;
    assert_eq!(again, CommitOutcome::RefusalReplayed { reason });
    let other = scene.outcome(hold(&scene, user, 41, claim("41"))).await;
    let expected = CommitOutcome::KeyReused {
        original: None,
        fields: vec!["amount".to_owned()],
    };
    assert_eq!(other, expected);
    let claim = claim("40");
    let bound = scene.store.find_key(claim.scope, claim.key).await;
    let bound = bound
        .expect("the store is healthy")
        .expect("the key is bound");
    assert_eq!(bound.refusal, Some(reason));
    assert_eq!(scene.balance(user).await, (100, 0));
    scene.audit().await;
}

/// An item that came too late says nothing about its request, so its key stays free.
pub async fn a_stale_item_leaves_its_key_free(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let open = scene.commit_one(hold(&scene, user, 40, claim("40"))).await;
    let canceled = scene.step(&open, &build::cancel()).await;
    let key = build::claim("op", "withdraw-confirm", "key-2", &[]);
    let confirm = build::step(&open, &build::confirm(), scene.now());
    let outcome = scene.outcome(build::keyed(confirm, key.clone())).await;
    let current = Some(canceled.version());
    assert_eq!(outcome, CommitOutcome::Stale { current });
    let bound = scene
        .store
        .find_key(key.scope.clone(), key.key.clone())
        .await;
    assert_eq!(bound.expect("the store is healthy"), None);

    let deposit = build::deposit(scene.new_transfer(1), user).settled_at_once();
    scene.commit_one(build::keyed(deposit, key)).await;
    assert_eq!(scene.balance(user).await, (101, 0));
    scene.audit().await;
}

/// Inside one batch the first request with a key wins it, and what it wins can be a refusal.
pub async fn a_key_counts_once_inside_one_batch(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let refusal = build::claim("op", "withdraw", "key-2", &[("amount", "500")]);
    let batch = vec![
        hold(&scene, user, 40, claim("40")),
        hold(&scene, user, 40, claim("40")),
        hold(&scene, user, 41, claim("41")),
        hold(&scene, user, 500, refusal.clone()),
        hold(&scene, user, 500, refusal),
    ];
    let outcomes = scene.commit(batch).await;
    let [first, second, third, fourth, fifth] = outcomes.as_slice() else {
        panic!("five outcomes, not {outcomes:?}");
    };
    let winner = committed(first);
    assert_eq!(*second, replayed(&winner));
    let reused = CommitOutcome::KeyReused {
        original: Some(winner.id()),
        fields: vec!["amount".to_owned()],
    };
    assert_eq!(*third, reused);
    let reason = Reason::BalanceInsufficient;
    assert_eq!(*fourth, refused(reason));
    assert_eq!(*fifth, CommitOutcome::RefusalReplayed { reason });
    assert_eq!(scene.balance(user).await, (60, 40));
    scene.audit().await;
}

/// The key of a stale item is there for the next item of the same batch.
pub async fn a_stale_item_leaves_its_key_to_the_next_in_the_batch(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let change = build::withdrawal(scene.new_transfer(40), user);
    let open = scene.commit_one(Commit::new(change)).await;
    scene.step(&open, &build::cancel()).await;
    let confirm = build::step(&open, &build::confirm(), scene.now());
    let batch = vec![
        build::keyed(confirm, claim("10")),
        hold(&scene, user, 10, claim("10")),
    ];
    let outcomes = scene.commit(batch).await;
    let [stale, held] = outcomes.as_slice() else {
        panic!("two outcomes, not {outcomes:?}");
    };
    let current = Some(Version::FIRST.next());
    assert_eq!(*stale, CommitOutcome::Stale { current });
    let held = committed(held);
    let again = scene.outcome(hold(&scene, user, 10, claim("10"))).await;
    assert_eq!(again, replayed(&held));
    assert_eq!(scene.balance(user).await, (90, 10));
    scene.audit().await;
}

/// The same text is another key for somebody else, and for another operation.
pub async fn another_principal_or_operation_has_other_keys(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    for (principal, operation) in [
        ("op", "withdraw"),
        ("op", "deposit"),
        ("other", "withdraw"),
        ("OP", "withdraw"),
    ] {
        let claim = build::claim(principal, operation, "key-1", &[("amount", "10")]);
        let held = scene.commit_one(hold(&scene, user, 10, claim)).await;
        assert_eq!(held.status(), Status::AwaitingConfirmation);
    }
    assert_eq!(scene.balance(user).await, (60, 40));
    scene.audit().await;
}

/// Repeating a confirm moves nothing, but its key is bound to the transfer all the same.
pub async fn a_repetition_without_change_binds_its_key(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let change = build::withdrawal(scene.new_transfer(40), user);
    let open = scene.commit_one(Commit::new(change)).await;
    let done = scene.step(&open, &build::confirm()).await;
    let key = build::claim("op", "withdraw-confirm", "key-3", &[("transferId", "1")]);
    let repeat = done.acknowledge(&build::confirm(), None);
    let bound = scene
        .commit_one(build::keyed(repeat.clone(), key.clone()))
        .await;
    assert_eq!(bound, done);
    let again = scene.outcome(build::keyed(repeat, key)).await;
    assert_eq!(again, replayed(&done));
    assert_eq!(scene.reload(done.id()).await, done);
    scene.audit().await;
}
