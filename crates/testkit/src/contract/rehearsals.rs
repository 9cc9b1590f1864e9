//! What would come of a call, without making it.

use std::sync::Arc;

use bursar_domain::{Commit, Reason, Status, UserId};
use bursar_ports::CommitOutcome;
use tokio::task::JoinSet;

use super::{
    Harness,
    scene::{Scene, committed, refused},
};
use crate::build;

/// A deposit of 50, a withdrawal of 120 that it covers, and one of 40 that is not covered any more;
/// each with its key, its callback and its row of the audit log.
fn day(scene: &Scene<'_>, user: UserId) -> Vec<Commit> {
    let changes = [
        build::deposit(scene.new_transfer(50), user).settled_at_once(),
        build::withdrawal(scene.new_transfer(120), user),
        build::withdrawal(scene.new_transfer(40), user),
    ];
    let commits = changes.into_iter().enumerate().map(|(place, change)| {
        let id = change.next.id();
        let key = format!("row-{place}");
        let audit = build::audit("withdrawal.create", &format!("transfer:{id}"));
        Commit {
            audit: Some(audit),
            ..build::keyed(change, build::claim("op", "import", &key, &[]))
        }
    });
    commits.collect()
}

/// It says item by item what the call then comes to, and leaves no trace.
pub async fn a_rehearsal_tells_what_would_come_and_leaves_nothing(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let batch = day(&scene, user);
    let before = scene.lines(scene.account(user)).await;
    let events = harness.events().await;
    let told = scene.store.rehearse(batch.clone()).await;
    let told = told.expect("the store is healthy");
    let [deposit, hold, uncovered] = told.as_slice() else {
        panic!("one outcome per item");
    };
    assert_eq!(committed(deposit).status(), Status::Completed);
    assert_eq!(committed(hold).status(), Status::AwaitingConfirmation);
    assert_eq!(*uncovered, refused(Reason::BalanceInsufficient));

    assert_eq!(scene.balance(user).await, (100, 0));
    assert_eq!(scene.lines(scene.account(user)).await, before);
    assert_eq!(harness.events().await, events);
    for commit in &batch {
        let id = commit.change.next.id();
        assert_eq!(scene.find(id).await, None);
        assert_eq!(scene.callbacks(id).await, []);
        assert_eq!(harness.audit_of(format!("transfer:{id}")).await, []);
        let claim = commit.idempotency.clone().expect("every item has a key");
        let bound = scene.store.find_key(claim.scope, claim.key).await;
        assert_eq!(bound.expect("the store is healthy"), None);
    }
    assert_eq!(scene.commit(batch).await, told);
    assert_eq!(scene.balance(user).await, (30, 120));
    scene.audit().await;
}

/// What was done before is known to it: a key that is bound is replayed, and money that is gone is
/// gone.
pub async fn a_rehearsal_knows_what_was_done(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let batch = day(&scene, user);
    let [deposit, hold, _] = batch.as_slice() else {
        panic!("three items");
    };
    let first = scene.commit(vec![deposit.clone(), hold.clone()]).await;
    // The same requests, which would be other transfers.
    let told = scene.store.rehearse(day(&scene, user)).await;
    let replayed = |outcome| CommitOutcome::Replayed {
        original: committed(outcome).id(),
    };
    let mut expected: Vec<CommitOutcome> = first.iter().map(replayed).collect();
    expected.push(refused(Reason::BalanceInsufficient));
    assert_eq!(told.expect("the store is healthy"), expected);
    assert_eq!(scene.balance(user).await, (30, 120));
    let nothing = scene.store.rehearse(vec![]).await;
    assert_eq!(nothing.expect("the store is healthy"), []);
    scene.audit().await;
}

/// However many rehearse it meanwhile, a call comes to what it comes to, once.
pub async fn rehearsals_racing_the_call_change_nothing(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let batch = day(&scene, user);
    let mut rehearsals = JoinSet::new();
    for _ in 0..16 {
        let (store, batch) = (Arc::clone(&scene.store), day(&scene, user));
        rehearsals.spawn(async move { store.rehearse(batch).await });
    }
    let made = scene.commit(batch).await;
    let made = made.get(1).expect("one outcome per item");
    assert_eq!(committed(made).status(), Status::AwaitingConfirmation);
    // Before the call it is told what comes of it, afterwards what came of it.
    let original = committed(made).id();
    for told in rehearsals.join_all().await {
        let told = told.expect("the store is healthy");
        let told = told.get(1).expect("one outcome per item");
        if let CommitOutcome::Committed(would) = told {
            assert_ne!(would.id(), original);
        } else {
            assert_eq!(*told, CommitOutcome::Replayed { original });
        }
    }
    assert_eq!(scene.balance(user).await, (30, 120));
    scene.audit().await;
}
