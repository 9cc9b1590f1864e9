//! Each kind of transfer on its plain way through.

use bursar_domain::{AccountKey, Commit, Operation, Reason, Status, Transfer, Version};

use super::{Harness, scene::Scene};
use crate::build;

/// A deposit credits nothing while it is pending, and the amount less the fee when it settles.
pub async fn a_deposit_is_pending_then_credited(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.user().await;
    let change = build::deposit(scene.new_with_fee(1_000, 10), user);
    let pending = scene.commit_one(Commit::new(change)).await;
    assert_eq!(pending.status(), Status::Pending);
    assert_eq!(scene.balance(user).await, (0, 0));
    assert_eq!(scene.lines(scene.account(user)).await, []);

    let completed = scene.step(&pending, &bursar_domain::Command::Settle).await;
    assert_eq!(completed.status(), Status::Completed);
    assert_eq!(completed.version(), Version::FIRST.next());
    assert_eq!(completed.parts().created_at, pending.parts().created_at);
    assert_eq!(scene.balance(user).await, (990, 0));
    assert_eq!(scene.system().await, (-1_000, 10));
    assert_eq!(scene.lines(scene.account(user)).await, [(990, 0)]);
    scene.audit().await;
}

/// A user with 1,000 and an open withdrawal of 300 with a fee of 7.
async fn open_withdrawal(scene: &Scene<'_>) -> Transfer {
    let user = scene.rich_user(1_000).await;
    let change = build::withdrawal(scene.new_with_fee(300, 7), user);
    let open = scene.commit_one(Commit::new(change)).await;
    assert_eq!(open.status(), Status::AwaitingConfirmation);
    assert_eq!(scene.balance(user).await, (693, 307));
    assert_eq!(scene.system().await, (-1_000, 0));
    open
}

/// Confirming pays the amount out of the hold and the fee to the exchange.
pub async fn a_confirmed_withdrawal_pays_its_hold_out(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let open = open_withdrawal(&scene).await;
    let completed = scene.step(&open, &build::confirm()).await;
    assert_eq!(completed.status(), Status::Completed);
    assert_eq!(scene.balance(open.owner()).await, (693, 0));
    assert_eq!(scene.system().await, (-700, 7));
    let account = scene.account(open.owner());
    assert_eq!(
        scene.lines(account).await,
        [(1_000, 0), (-307, 307), (0, -307)]
    );
    scene.audit().await;
}

/// Cancelling gives amount and fee back.
pub async fn a_cancelled_withdrawal_gives_its_hold_back(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let open = open_withdrawal(&scene).await;
    let canceled = scene.step(&open, &build::cancel()).await;
    assert_eq!(canceled.status(), Status::Canceled);
    assert_eq!(scene.balance(open.owner()).await, (1_000, 0));
    assert_eq!(scene.system().await, (-1_000, 0));
    let account = scene.account(open.owner());
    assert_eq!(
        scene.lines(account).await,
        [(1_000, 0), (-307, 307), (307, -307)]
    );
    scene.audit().await;
}

/// A payout that is refused gives amount and fee back and keeps the reason.
pub async fn a_failed_withdrawal_gives_its_hold_back(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let open = open_withdrawal(&scene).await;
    let failed = scene.step(&open, &build::fail(Reason::PayoutRefused)).await;
    assert_eq!(failed.status(), Status::Failed);
    assert_eq!(
        scene.reload(open.id()).await.reason(),
        Some(Reason::PayoutRefused)
    );
    assert_eq!(scene.balance(open.owner()).await, (1_000, 0));
    scene.audit().await;
}

/// The sender pays amount and fee, the recipient gets the amount; a pending one moves nothing.
pub async fn an_internal_transfer_moves_amount_and_fee(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(500).await, scene.user().await);
    let change = build::internal(scene.new_with_fee(200, 3), alice, bob);
    let pending = scene.commit_one(Commit::new(change)).await;
    assert_eq!(pending.status(), Status::Pending);
    assert_eq!(scene.balance(alice).await, (500, 0));

    let success = scene.step(&pending, &bursar_domain::Command::Settle).await;
    assert_eq!(success.status(), Status::Success);
    assert_eq!(scene.balance(alice).await, (297, 0));
    assert_eq!(scene.balance(bob).await, (200, 0));
    assert_eq!(scene.system().await, (-500, 3));
    let fees = AccountKey::fees(scene.asset.id);
    let entries = scene.harness.ledgers(fees).await.concat();
    assert_eq!(entries.len(), 1);
    assert!(entries.iter().all(|entry| entry.transfer == success.id()));
    scene.audit().await;
}

/// A caller that waits gets the final state from one commit, with one callback for it.
pub async fn creation_and_settlement_can_be_one_commit(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(500).await, scene.user().await);
    let mut new = scene.new_transfer(200);
    new.callback_url = Some("https://example.com/hook".to_owned());
    let change = build::internal(new, alice, bob).settled_at_once();
    let success = scene.commit_one(Commit::new(change)).await;
    assert_eq!(success.status(), Status::Success);
    assert_eq!(success.version(), Version::FIRST);
    assert_eq!(success.done_at(), Some(success.parts().created_at));
    let callbacks = scene.callbacks(success.id()).await;
    assert_eq!(callbacks.len(), 1);
    assert!(
        callbacks
            .iter()
            .all(|callback| callback.status == Status::Success
                && callback.operation == Operation::Settle
                && callback.error.is_none())
    );
    assert_eq!(scene.balance(bob).await, (200, 0));
    scene.audit().await;
}
