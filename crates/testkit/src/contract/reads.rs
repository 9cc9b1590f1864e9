//! What is read back, times, and doing things twice.

use bursar_domain::{
    BigDecimal, Change, Command, Commit, NewTransfer, Operation, Reason, Recipient, RootRate,
    Scale, Status, Timestamp, Transfer, UserId,
};
use bursar_ports::CommitOutcome;

use super::{Harness, scene::Scene};
use crate::build;

/// Every field of every kind in every state reads back as it was committed.
pub async fn what_is_found_is_what_was_committed(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let eth = build::asset("eth", 18);
    scene.put_asset(eth.clone()).await;
    let (alice, bob) = (scene.user().await, scene.user().await);
    let full = |units: i128| NewTransfer {
        asset: eth.id,
        scale: eth.scale,
        fee: build::amount(7),
        note: Some("für Zoë 🎁\n\"quoted\" \\ 'n'".to_owned()),
        callback_url: Some("https://example.com/hook?a=1&b=%20".to_owned()),
        root_rate: Some(RootRate {
            asset: scene.asset.id,
            scale: Scale::MAX,
            rate: BigDecimal::new(123_456_789_012_345_678_901_i128.into(), 25),
            source: Some("an exchange".to_owned()),
            rated_at: Some(Timestamp::from_micros(1_699_999_999_123_456)),
        }),
        ..scene.new_transfer(units)
    };
    // The largest amount that the wire can carry.
    let largest = 10_i128.pow(33) - 1;
    let deposit = build::deposit(full(largest), alice).settled_at_once();
    assert_reads_back(&scene, &scene.commit_one(Commit::new(deposit)).await).await;

    let open = scene
        .commit_one(Commit::new(build::withdrawal(full(11), alice)))
        .await;
    assert_reads_back(&scene, &open).await;
    let paid = scene.step(&open, &build::confirm()).await;
    assert_reads_back(&scene, &paid).await;
    let open = scene
        .commit_one(Commit::new(build::withdrawal(full(12), alice)))
        .await;
    let failed = scene.step(&open, &build::fail(Reason::PayoutRefused)).await;
    assert_reads_back(&scene, &failed).await;

    for recipient in recipients(bob) {
        let change = internal(&scene, full(13), alice, recipient);
        let pending = scene.commit_one(Commit::new(change)).await;
        assert_reads_back(&scene, &pending).await;
        let settled = scene.step(&pending, &Command::Settle).await;
        assert_reads_back(&scene, &settled).await;
    }
    scene.audit().await;
}

fn recipients(user: UserId) -> [Recipient; 3] {
    let typed = "Böb@example.com".to_owned();
    [
        Recipient::Id(user),
        Recipient::Alias {
            typed: typed.clone(),
            user,
        },
        Recipient::Unknown { typed },
    ]
}

fn internal(scene: &Scene<'_>, new: NewTransfer, sender: UserId, recipient: Recipient) -> Change {
    let custom_id = Some("order № 7".to_owned());
    Transfer::internal(
        new,
        sender,
        recipient,
        scene.harness.ids().salt(),
        custom_id,
    )
    .expect("sender and recipient differ")
}

async fn assert_reads_back(scene: &Scene<'_>, transfer: &Transfer) {
    assert_eq!(scene.find(transfer.id()).await.as_ref(), Some(transfer));
}

/// What nobody made is no error.
pub async fn the_unknown_is_not_found(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    assert_eq!(scene.find(harness.ids().transfer()).await, None);
    let claim = build::claim("op", "deposit", "never-used", &[]);
    let bound = scene.store.find_key(claim.scope, claim.key).await;
    assert_eq!(bound.expect("the store is healthy"), None);
    let user = scene.user().await;
    let open = build::withdrawal(scene.new_transfer(1), user).next;
    let confirm = build::step(&open, &build::confirm(), scene.now());
    let outcome = scene.outcome(Commit::new(confirm)).await;
    assert_eq!(outcome, CommitOutcome::Stale { current: None });
    scene.store.ready().await.expect("the store is healthy");
    scene.audit().await;
}

/// The list holds what settles by itself and has not for a while, and nothing else.
pub async fn unsettled_transfers_are_listed_oldest_first(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let hold = build::withdrawal(scene.new_transfer(1), alice);
    scene.commit_one(Commit::new(hold)).await;
    let settled = build::deposit(scene.new_transfer(1), alice);
    let settled = scene.commit_one(Commit::new(settled)).await;
    scene.step(&settled, &Command::Settle).await;

    let changes = [
        build::deposit(scene.new_transfer(1), alice),
        build::internal(scene.new_transfer(1), alice, bob),
        build::deposit(scene.new_transfer(1), bob),
    ];
    let mut pending = Vec::new();
    // The order of ids is not the order of time.
    for change in changes.into_iter().rev() {
        pending.push(scene.commit_one(Commit::new(change)).await);
        harness.clock().advance_ms(1_000);
    }
    // Their ages are now 3, 2 and 1 seconds.
    for (older_than_ms, limit, expected) in [
        (0, 10, 3),
        (1_500, 10, 2),
        (2_500, 10, 1),
        (60_000, 10, 0),
        (0, 2, 2),
    ] {
        let listed = scene.store.list_unsettled(older_than_ms, limit).await;
        let listed = listed.expect("the store is healthy");
        let due: Vec<Transfer> = pending.iter().take(expected).cloned().collect();
        assert_eq!(
            listed, due,
            "older than {older_than_ms} ms, at most {limit}"
        );
    }
    scene.audit().await;
}

/// A clock that runs behind does not put a user's transfer before an older one, and a clock that
/// ran ahead drags nobody along but the users it touched.
pub async fn an_accounts_history_never_goes_back_in_time(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let start = scene.now();
    harness.clock().advance_ms(60_000);
    let ahead = scene.now();
    let change = build::internal(scene.new_transfer(1), alice, bob);
    let first = scene.commit_one(Commit::new(change)).await;
    assert_eq!(first.parts().created_at, ahead);

    harness.clock().set(start);
    let change = build::deposit(scene.new_transfer(1), bob).settled_at_once();
    let second = scene.commit_one(Commit::new(change)).await;
    assert_eq!(second.parts().created_at, start, "nothing has reached bob");
    let settled = scene.step(&first, &Command::Settle).await;
    assert_eq!(settled.parts().created_at, ahead);
    assert_eq!(settled.parts().updated_at, ahead.tick());
    let change = build::deposit(scene.new_transfer(1), bob).settled_at_once();
    let after = scene.commit_one(Commit::new(change)).await;
    assert_eq!(after.parts().created_at, ahead.tick().tick());

    let carol = scene.user().await;
    let change = build::deposit(scene.new_transfer(1), carol).settled_at_once();
    let third = scene.commit_one(Commit::new(change)).await;
    assert_eq!(third.parts().created_at, start);
    scene.audit().await;
}

/// The very same commit again, as after a lost answer, is answered as committed and moves nothing.
pub async fn landing_twice_has_one_effect(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let claim = build::claim("op", "pay", "landed", &[]);
    let plain = Commit::new(scene.payment(alice, bob, 5));
    let keyed = build::keyed(scene.payment(alice, bob, 6), claim);
    let rejected = Commit::new(scene.payment(alice, bob, 1_000));
    for item in [plain, keyed, rejected] {
        let first = scene.commit_one(item.clone()).await;
        harness.clock().advance_ms(1_000);
        assert_eq!(scene.commit_one(item.clone()).await, first);
        let twice = scene.commit(vec![item.clone(), item]).await;
        let landed = CommitOutcome::Committed(Box::new(first));
        assert_eq!(twice, [landed.clone(), landed]);
    }
    assert_eq!(scene.balance(bob).await, (11, 0));
    scene.audit().await;
}

/// Without a key, a step that is repeated unchanged is stale: the caller reloads and sees.
pub async fn a_step_that_was_taken_already_is_stale(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let change = build::withdrawal(scene.new_transfer(40), user);
    let open = scene.commit_one(Commit::new(change)).await;
    let confirm = Commit::new(build::step(&open, &build::confirm(), scene.now()));
    let done = scene.commit_one(confirm.clone()).await;
    let current = Some(done.version());
    let outcome = scene.outcome(confirm).await;
    assert_eq!(outcome, CommitOutcome::Stale { current });
    assert_eq!(scene.reload(open.id()).await, done);
    assert_eq!(scene.balance(user).await, (60, 0));
    scene.audit().await;
}

/// A URL hears of each operation once, however often that is repeated.
pub async fn a_callback_is_due_once_per_operation_and_url(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let (own, other) = ("https://example.com/a", "https://example.com/b");
    let mut new = scene.new_transfer(40);
    new.callback_url = Some(own.to_owned());
    let open = scene
        .commit_one(Commit::new(build::withdrawal(new, user)))
        .await;
    let done = scene.step(&open, &build::confirm()).await;
    for url in [own, other, own, other] {
        let change = done.acknowledge(&build::confirm_telling(url), None);
        assert_eq!(scene.commit_one(Commit::new(change)).await, done);
    }
    let error = Some("already completed".to_owned());
    let refused = done.acknowledge(&build::cancel_telling(other), error.clone());
    let batch = vec![Commit::new(refused.clone()), Commit::new(refused)];
    scene.commit(batch).await;

    let told: Vec<_> = scene
        .callbacks(done.id())
        .await
        .into_iter()
        .map(|callback| {
            (
                callback.operation,
                callback.url,
                callback.status,
                callback.error,
            )
        })
        .collect();
    let heard = |operation, url: &str, status| (operation, url.to_owned(), status, None);
    let mut expected = vec![
        heard(Operation::Create, own, Status::AwaitingConfirmation),
        heard(Operation::Confirm, own, Status::Completed),
        heard(Operation::Confirm, other, Status::Completed),
    ];
    expected.push((Operation::Cancel, other.to_owned(), Status::Failed, error));
    assert_eq!(told, expected);
    assert_eq!(scene.reload(done.id()).await, done);
    scene.audit().await;
}
