//! What the ledger refuses, and what a refusal leaves behind.

use bursar_domain::{
    Asset, Change, Command, Commit, Operation, Reason, Recipient, Status, UserStatus, Version,
};

use super::{
    Harness,
    scene::{Scene, refused},
};
use crate::build;

const HOOK: &str = "https://example.com/hook";

/// A payment that is not covered becomes a rejected transfer, whose callback says why.
pub async fn an_uncovered_payment_is_recorded_as_rejected(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(99).await, scene.user().await);
    let mut new = scene.new_with_fee(99, 1);
    new.callback_url = Some(HOOK.to_owned());
    let change = build::internal(new, alice, bob).settled_at_once();
    let rejected = scene.commit_one(Commit::new(change)).await;
    assert_eq!(rejected.status(), Status::Rejected);
    assert_eq!(rejected.reason(), Some(Reason::BalanceInsufficient));
    assert_eq!(rejected.version(), Version::FIRST);
    assert_eq!(rejected.done_at(), Some(rejected.parts().created_at));
    assert_eq!(scene.reload(rejected.id()).await, rejected);
    let callbacks = scene.callbacks(rejected.id()).await;
    assert_eq!(callbacks.len(), 1);
    for callback in callbacks {
        assert_eq!(callback.operation, Operation::Settle);
        assert_eq!(callback.status, Status::Rejected);
        let message = Reason::BalanceInsufficient.message();
        assert_eq!(callback.error.as_deref(), Some(message));
    }
    assert_eq!(scene.balance(alice).await, (99, 0));
    scene.audit().await;
}

/// A payment that was accepted while it was covered is rejected when it no longer is.
pub async fn a_pending_payment_is_rejected_at_settlement(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let change = build::internal(scene.new_transfer(100), alice, bob);
    let pending = scene.commit_one(Commit::new(change)).await;
    scene
        .commit_one(Commit::new(scene.payment(alice, bob, 1)))
        .await;
    let rejected = scene.step(&pending, &Command::Settle).await;
    assert_eq!(rejected.status(), Status::Rejected);
    assert_eq!(rejected.version(), Version::FIRST.next());
    assert_eq!(scene.reload(pending.id()).await, rejected);
    assert_eq!(scene.balance(alice).await, (99, 0));
    scene.audit().await;
}

/// A withdrawal that is not covered does not come to exist.
pub async fn an_uncovered_withdrawal_leaves_only_the_refusal(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let change = build::withdrawal(scene.new_with_fee(100, 1), user);
    let id = change.next.id();
    let outcome = scene.outcome(Commit::new(change)).await;
    assert_eq!(outcome, refused(Reason::BalanceInsufficient));
    assert_eq!(scene.find(id).await, None);
    assert_eq!(scene.balance(user).await, (100, 0));
    scene.audit().await;
}

/// A deposit that was accepted before its user was frozen fails, credits nothing and says why.
pub async fn a_frozen_users_deposit_fails_at_settlement(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.user().await;
    let mut new = scene.new_transfer(100);
    new.callback_url = Some(HOOK.to_owned());
    let pending = scene
        .commit_one(Commit::new(build::deposit(new, user)))
        .await;
    harness.put_user(user, UserStatus::Frozen).await;
    let failed = scene.step(&pending, &Command::Settle).await;
    assert_eq!(failed.status(), Status::Failed);
    assert_eq!(failed.reason(), Some(Reason::AccountFrozen));
    assert_eq!(scene.reload(failed.id()).await, failed);
    for callback in scene.callbacks(failed.id()).await {
        assert_eq!(callback.status, Status::Failed);
        assert_eq!(
            callback.error.as_deref(),
            Some(Reason::AccountFrozen.message())
        );
    }
    let at_once = build::deposit(scene.new_transfer(100), user).settled_at_once();
    let outcome = scene.outcome(Commit::new(at_once)).await;
    assert_eq!(outcome, refused(Reason::AccountFrozen));
    scene.audit().await;
}

/// Nobody is paid out while frozen or terminated, but a hold can always be given back.
pub async fn a_frozen_users_withdrawal_stays_open(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let change = build::withdrawal(scene.new_transfer(60), user);
    let open = scene.commit_one(Commit::new(change)).await;
    for (status, reason) in [
        (UserStatus::Frozen, Reason::AccountFrozen),
        (UserStatus::Terminated, Reason::AccountTerminated),
    ] {
        harness.put_user(user, status).await;
        let confirm = build::step(&open, &build::confirm(), scene.now());
        let outcome = scene.outcome(Commit::new(confirm)).await;
        assert_eq!(outcome, refused(reason));
        assert_eq!(scene.reload(open.id()).await, open);
    }
    scene.step(&open, &build::cancel()).await;
    assert_eq!(scene.balance(user).await, (100, 0));
    scene.audit().await;
}

/// Whoever may not send learns so first, whoever the recipient is.
pub async fn the_senders_reasons_come_before_the_recipients(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let alice = scene.rich_user(10).await;
    let nobody = Recipient::Unknown {
        typed: "nobody".to_owned(),
    };
    let to_nobody = |units| {
        build::internal_to(scene.new_transfer(units), alice, nobody.clone()).settled_at_once()
    };
    assert_rejected(&scene, to_nobody(11), Reason::BalanceInsufficient).await;
    assert_rejected(&scene, to_nobody(10), Reason::RecipientUnavailable).await;
    let closed = Asset {
        can_transfer: false,
        ..scene.asset.clone()
    };
    scene.put_asset(closed).await;
    assert_rejected(&scene, to_nobody(11), Reason::AssetDisabled).await;
    harness.put_user(alice, UserStatus::Frozen).await;
    assert_rejected(&scene, to_nobody(11), Reason::AccountFrozen).await;
    scene.audit().await;
}

/// Unknown, frozen and terminated recipients cannot be told apart.
pub async fn a_recipient_that_cannot_be_paid_is_one_and_the_same_answer(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(10).await, scene.user().await);
    let unknown = Recipient::Unknown {
        typed: "nobody@example.com".to_owned(),
    };
    let change = build::internal_to(scene.new_transfer(1), alice, unknown).settled_at_once();
    assert_rejected(&scene, change, Reason::RecipientUnavailable).await;
    for status in [UserStatus::Frozen, UserStatus::Terminated] {
        harness.put_user(bob, status).await;
        let payment = scene.payment(alice, bob, 1);
        assert_rejected(&scene, payment, Reason::RecipientUnavailable).await;
    }
    harness.put_user(bob, UserStatus::Active).await;
    let paid = scene
        .commit_one(Commit::new(scene.payment(alice, bob, 1)))
        .await;
    assert_eq!(paid.status(), Status::Success);
    scene.audit().await;
}

async fn assert_rejected(scene: &Scene<'_>, change: Change, reason: Reason) {
    let rejected = scene.commit_one(Commit::new(change)).await;
    assert_eq!(rejected.status(), Status::Rejected);
    assert_eq!(rejected.reason(), Some(reason));
}

/// Each switch of an asset closes one kind of transfer; what is open goes on.
pub async fn a_disabled_asset_refuses_its_kind_only(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let hold = build::withdrawal(scene.new_transfer(10), alice);
    let open = scene.commit_one(Commit::new(hold)).await;
    let only_transfers = Asset {
        can_deposit: false,
        can_withdraw: false,
        ..scene.asset.clone()
    };
    scene.put_asset(only_transfers).await;
    let deposit = build::deposit(scene.new_transfer(1), alice);
    let withdrawal = build::withdrawal(scene.new_transfer(1), alice);
    for change in [deposit.settled_at_once(), withdrawal] {
        let outcome = scene.outcome(Commit::new(change)).await;
        assert_eq!(outcome, refused(Reason::AssetDisabled));
    }
    let paid = scene
        .commit_one(Commit::new(scene.payment(alice, bob, 1)))
        .await;
    assert_eq!(paid.status(), Status::Success);
    let confirmed = scene.step(&open, &build::confirm()).await;
    assert_eq!(confirmed.status(), Status::Completed);
    scene.audit().await;
}
