//! Many new transfers with one key.

use std::sync::Arc;

use bursar_domain::{
    Bulk, BulkClaim, BulkMode, Change, ItemRefusal, ItemResult, Reason, Recipient, RefusedField,
    Status, Transfer, TransferId, UserId, UserStatus,
};
use bursar_ports::{BulkOutcome, StoreError};
use tokio::task::JoinSet;

use super::{Harness, scene::Scene};
use crate::build;

/// The most items that a request may have.
const ITEMS_MAX: i128 = 1_000;

const fn independent(changes: Vec<Change>) -> Bulk {
    Bulk {
        changes,
        mode: BulkMode::Independent,
        unable_max: None,
        idempotency: None,
    }
}

const fn atomic(changes: Vec<Change>) -> Bulk {
    Bulk {
        changes,
        mode: BulkMode::Atomic,
        unable_max: None,
        idempotency: None,
    }
}

/// The same with a claim on a key; requests with other amounts have other fields.
fn keyed(bulk: Bulk, amount: &str) -> Bulk {
    let claim = build::claim("op", "bulk", "bulk-1", &[("transfers[0].amount", amount)]);
    let made = bulk.changes.iter().map(|change| change.next.id());
    let results = made.map(ItemResult::Made).collect();
    Bulk {
        idempotency: Some(BulkClaim { claim, results }),
        ..bulk
    }
}

async fn commit(scene: &Scene<'_>, bulk: Bulk) -> BulkOutcome {
    let outcome = scene.store.commit_bulk(bulk).await;
    outcome.expect("the store is healthy")
}

fn made(outcome: &BulkOutcome) -> Vec<Transfer> {
    let BulkOutcome::Committed(transfers) = outcome else {
        panic!("expected a commit, got {outcome:?}");
    };
    transfers.clone()
}

fn ids_of(bulk: &Bulk) -> Vec<TransferId> {
    bulk.changes.iter().map(|change| change.next.id()).collect()
}

fn results_of(bulk: &Bulk) -> Vec<ItemResult> {
    ids_of(bulk).into_iter().map(ItemResult::Made).collect()
}

fn refused(reasons: &[Option<Reason>], recipients_unable: usize) -> BulkOutcome {
    BulkOutcome::Refused {
        reasons: reasons.to_vec(),
        recipients_unable,
    }
}

async fn assert_none_exists(scene: &Scene<'_>, ids: &[TransferId]) {
    let found = scene.store.find_many(ids.to_vec()).await;
    assert_eq!(found.expect("the store is healthy"), []);
}

/// What one brings in the next may spend; one that is refused is recorded and disturbs nobody.
pub async fn an_independent_bulk_behaves_as_if_its_items_came_in_order(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (a, b, c) = (
        scene.rich_user(70).await,
        scene.user().await,
        scene.user().await,
    );
    let bulk = independent(vec![
        scene.payment(b, c, 70),
        scene.payment(a, b, 70),
        scene.payment(b, c, 70),
        scene.payment(c, a, 30),
    ]);
    let ids = ids_of(&bulk);
    let transfers = made(&commit(&scene, bulk).await);
    let seen: Vec<(TransferId, Status)> = transfers.iter().map(|t| (t.id(), t.status())).collect();
    let (yes, no) = (Status::Success, Status::Rejected);
    let expected: Vec<_> = ids.iter().copied().zip([no, yes, yes, yes]).collect();
    assert_eq!(seen, expected);
    for transfer in &transfers {
        assert_eq!(scene.reload(transfer.id()).await, *transfer);
    }
    assert_eq!(scene.balance(a).await, (30, 0));
    assert_eq!(scene.balance(c).await, (40, 0));
    scene.audit().await;
}

/// An atomic bulk moves all of it.
pub async fn an_atomic_bulk_that_is_covered_is_made_whole(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (a, b, c) = (
        scene.rich_user(100).await,
        scene.user().await,
        scene.user().await,
    );
    let bulk = atomic(vec![scene.payment(a, b, 60), scene.payment(b, c, 60)]);
    let transfers = made(&commit(&scene, bulk).await);
    assert!(transfers.iter().all(|t| t.status() == Status::Success));
    assert_eq!(scene.balance(a).await, (40, 0));
    assert_eq!(scene.balance(c).await, (60, 0));
    scene.audit().await;
}

/// One refusal undoes all of it: balances, numbers of entries, transfers; and each refusal is told.
pub async fn an_atomic_bulk_with_a_refusal_leaves_nothing(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (a, b, c) = (
        scene.rich_user(100).await,
        scene.user().await,
        scene.user().await,
    );
    let frozen = scene.user().await;
    harness.put_user(frozen, UserStatus::Frozen).await;
    let bulk = atomic(vec![
        scene.payment(a, b, 60),
        scene.payment(b, c, 61),
        scene.payment(b, c, 60),
        scene.payment(a, frozen, 1),
    ]);
    let ids = ids_of(&bulk);
    let before = harness.balance(scene.account(a)).await;
    // Not whose recipient it is: no money moved.
    let reasons = [None, Some(Reason::BalanceInsufficient), None, None];
    assert_eq!(commit(&scene, bulk).await, refused(&reasons, 0));
    assert_none_exists(&scene, &ids).await;
    assert_eq!(harness.balance(scene.account(a)).await, before);
    // The next one goes on where the last one before it ended.
    let payment = bursar_domain::Commit::new(scene.payment(a, b, 1));
    assert_eq!(scene.commit_one(payment).await.status(), Status::Success);
    scene.audit().await;
}

/// Where no money moves nobody learns who can be paid: neither from the item nor from the others,
/// nor by an account that is left behind.
pub async fn an_atomic_bulk_does_not_tell_who_can_be_paid(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let frozen = scene.rich_user(1).await;
    harness.put_user(frozen, UserStatus::Frozen).await;
    // These have no account.
    let (carol, barred) = (scene.user().await, scene.user().await);
    harness.put_user(barred, UserStatus::Terminated).await;
    let nobody = || Recipient::Unknown {
        typed: "nobody".to_owned(),
    };
    let to = |recipient: Recipient, units: i128| {
        let new = scene.new_transfer(units);
        build::internal_to(new, alice, recipient).settled_at_once()
    };
    let [bob, carol, frozen, barred] = [bob, carol, frozen, barred].map(Recipient::Id);
    let probed = [bob.clone(), carol, frozen, barred, nobody()];
    for (unable, recipient) in [1, 1, 2, 2, 2].into_iter().zip(probed.clone()) {
        let bulk = atomic(vec![to(recipient, 60), to(nobody(), 1)]);
        assert_eq!(commit(&scene, bulk).await, refused(&[None, None], unable));
    }
    let short = Some(Reason::BalanceInsufficient);
    for recipient in probed {
        let bulk = atomic(vec![to(recipient, 60), to(bob.clone(), 60)]);
        assert_eq!(commit(&scene, bulk).await, refused(&[None, short], 0));
    }
    let bulk = atomic(vec![to(bob.clone(), 60), to(bob, 40)]);
    assert_eq!(made(&commit(&scene, bulk).await).len(), 2);
    scene.audit().await;
}

/// As many as a request may have, from one account: numbered without a gap.
pub async fn a_bulk_may_pay_a_thousand_times_from_one_account(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(ITEMS_MAX - 1).await, scene.user().await);
    let payments = |mode: fn(Vec<Change>) -> Bulk| {
        mode(
            (0..ITEMS_MAX)
                .map(|_| scene.payment(alice, bob, 1))
                .collect(),
        )
    };
    let BulkOutcome::Refused { reasons, .. } = commit(&scene, payments(atomic)).await else {
        panic!("one too many");
    };
    let last = reasons.iter().rposition(Option::is_none);
    assert_eq!(
        last,
        reasons.len().checked_sub(2),
        "only the last is refused"
    );
    let transfers = made(&commit(&scene, payments(independent)).await);
    let paid = transfers.iter().filter(|t| t.status() == Status::Success);
    assert_eq!((transfers.len(), paid.count()), (1_000, 999));
    assert_eq!(scene.balance(bob).await, (ITEMS_MAX - 1, 0));
    scene.audit().await;
}

/// One in which more recipients cannot be paid than it may have leaves nothing, not even its key;
/// how many cannot is counted only where their senders could pay.
pub async fn a_bulk_with_too_many_recipients_who_cannot_be_paid_leaves_nothing(
    harness: &dyn Harness,
) {
    let scene = Scene::new(harness).await;
    let (rich, poor) = (scene.rich_user(100).await, scene.user().await);
    // Neither has an account yet.
    let (bob, carol) = (scene.user().await, scene.user().await);
    let to = |sender: UserId, user: Option<UserId>| {
        let typed = "nobody".to_owned();
        let recipient = user.map_or(Recipient::Unknown { typed }, Recipient::Id);
        build::internal_to(scene.new_transfer(1), sender, recipient).settled_at_once()
    };
    let four = |sender: UserId| {
        let recipients = [Some(bob), None, Some(carol), None];
        recipients.map(|user| to(sender, user)).to_vec()
    };
    let counted = |changes: Vec<Change>, max: usize| Bulk {
        unable_max: Some(max),
        ..keyed(independent(changes), "1")
    };
    let before = harness.balance(scene.account(rich)).await;

    let refused = counted(four(rich), 1);
    let ids = ids_of(&refused);
    assert_eq!(commit(&scene, refused).await, BulkOutcome::TooManyUnable);
    assert_none_exists(&scene, &ids).await;
    assert_eq!(harness.balance(scene.account(rich)).await, before);

    let made_now = made(&commit(&scene, counted(four(rich), 2)).await);
    let paid = made_now.iter().filter(|t| t.status() == Status::Success);
    assert_eq!(paid.count(), 2, "{made_now:?}");
    assert_eq!(scene.balance(rich).await, (98, 0));

    let without_money = Bulk {
        unable_max: Some(0),
        ..independent(four(poor))
    };
    let told = made(&commit(&scene, without_money).await);
    let reason = Some(Reason::BalanceInsufficient);
    assert!(told.iter().all(|t| t.reason() == reason), "{told:?}");
    scene.audit().await;
}

/// As many as a request may have, to as many users who have no account yet.
pub async fn a_bulk_may_pay_a_thousand_users(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let alice = scene.rich_user(ITEMS_MAX).await;
    let mut changes = Vec::new();
    for _ in 0..ITEMS_MAX {
        let recipient = scene.harness.ids().user();
        let pending = build::internal(scene.new_transfer(1), alice, recipient);
        changes.push(pending);
    }
    let transfers = made(&commit(&scene, independent(changes)).await);
    assert!(transfers.iter().all(|t| t.status() == Status::Pending));
    let ids: Vec<TransferId> = transfers.iter().map(Transfer::id).collect();
    let mut found = scene.store.find_many(ids).await.expect("a healthy store");
    found.sort_by_key(Transfer::id);
    assert_eq!(found, transfers);
    assert_eq!(scene.balance(alice).await, (ITEMS_MAX, 0));
    scene.audit().await;
}

/// The second request has no effect and learns what came of the first, item by item, also of items
/// that never were a transfer.
pub async fn a_bulk_is_replayed(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let refused = |code: &str| {
        let detail = "nul \0, a quote \" and \u{2028}".to_owned();
        let field = RefusedField {
            field: "amount".to_owned(),
            code: "amount.zero".to_owned(),
            detail,
        };
        ItemResult::Refused(ItemRefusal {
            code: code.to_owned(),
            errors: vec![field],
        })
    };
    let bulk = || {
        let payments = vec![scene.payment(alice, bob, 60), scene.payment(alice, bob, 60)];
        let mut bulk = keyed(independent(payments), "60");
        if let Some(claim) = &mut bulk.idempotency {
            claim.results.insert(1, refused("request.invalid"));
        }
        bulk
    };
    let first = bulk();
    let results = first.idempotency.clone().map(|claim| claim.results);
    let results = results.expect("it has a key");
    let transfers = made(&commit(&scene, first).await);
    let statuses: Vec<Status> = transfers.iter().map(Transfer::status).collect();
    assert_eq!(statuses, [Status::Success, Status::Rejected]);
    let again = bulk();
    let ids = ids_of(&again);
    let replayed = BulkOutcome::Replayed {
        results: results.clone(),
    };
    assert_eq!(commit(&scene, again).await, replayed);
    assert_none_exists(&scene, &ids).await;
    let claim = bulk().idempotency.expect("it has a key").claim;
    let bound = scene.store.find_key(claim.scope, claim.key).await;
    let bound = bound.expect("a healthy store").expect("the key is bound");
    assert_eq!(bound.results, Some(results));
    assert_eq!(scene.balance(bob).await, (60, 0));
    scene.audit().await;
}

/// A refused atomic bulk is refused again, although it could be made now.
pub async fn the_refusal_of_an_atomic_bulk_is_kept(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(10).await, scene.user().await);
    let bulk = || {
        let payments = vec![scene.payment(alice, bob, 10), scene.payment(alice, bob, 1)];
        keyed(atomic(payments), "10")
    };
    let reason = Reason::BalanceInsufficient;
    let first = commit(&scene, bulk()).await;
    assert_eq!(first, refused(&[None, Some(reason)], 0));
    let deposit = build::deposit(scene.new_transfer(100), alice).settled_at_once();
    scene.commit_one(bursar_domain::Commit::new(deposit)).await;
    let results = [None, Some(reason)]
        .map(|reason| ItemResult::Refused(ItemRefusal::in_atomic(reason)))
        .to_vec();
    let again = commit(&scene, bulk()).await;
    assert_eq!(again, BulkOutcome::Replayed { results });
    assert_eq!(scene.balance(bob).await, (0, 0));
    scene.audit().await;
}

/// A key that belongs to another bulk names its transfers and what differs.
pub async fn another_bulk_with_the_key_is_told_so(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let bulk = |units: i128| {
        let payments = vec![
            scene.payment(alice, bob, units),
            scene.payment(alice, bob, 1),
        ];
        keyed(independent(payments), &units.to_string())
    };
    let first = bulk(5);
    let originals = ids_of(&first);
    assert_eq!(made(&commit(&scene, first).await).len(), 2);
    let fields = vec!["transfers[0].amount".to_owned()];
    let reused = BulkOutcome::KeyReused { originals, fields };
    assert_eq!(commit(&scene, bulk(6)).await, reused);
    assert_eq!(scene.balance(bob).await, (6, 0));
    scene.audit().await;
}

/// A bulk whose answer was lost is sent again unchanged: what landed is told, and happens once.
pub async fn a_bulk_that_landed_is_told_as_made(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let payments = || vec![scene.payment(alice, bob, 1), scene.payment(alice, bob, 2)];
    let uncovered = vec![
        scene.payment(alice, bob, 1_000),
        scene.payment(alice, bob, 1),
    ];
    let bulks = [
        independent(payments()),
        atomic(payments()),
        keyed(independent(payments()), "1"),
        atomic(uncovered),
    ];
    for bulk in bulks {
        let first = commit(&scene, bulk.clone()).await;
        harness.clock().advance_ms(1_000);
        assert_eq!(commit(&scene, bulk).await, first);
    }
    assert_eq!(scene.balance(bob).await, (9, 0));
    scene.audit().await;
}

/// Thirty-two times the same bulk at once, from accounts that only the key brings together.
pub async fn a_bulk_racing_itself_has_one_effect(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let mut bulks = Vec::new();
    for _ in 0..32 {
        let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
        let payments = (0..8).map(|_| scene.payment(alice, bob, 1)).collect();
        bulks.push(keyed(atomic(payments), "1"));
    }
    let outcomes = race(&scene, &bulks).await;
    let winners: Vec<&Bulk> = bulks
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| matches!(outcome, BulkOutcome::Committed(_)))
        .map(|(bulk, _)| bulk)
        .collect();
    let [winner] = winners.as_slice() else {
        panic!("one key has one effect: {outcomes:?}");
    };
    let replayed = BulkOutcome::Replayed {
        results: results_of(winner),
    };
    for (bulk, outcome) in bulks.iter().zip(&outcomes) {
        if bulk == *winner {
            continue;
        }
        assert_eq!(*outcome, replayed);
        assert_none_exists(&scene, &ids_of(bulk)).await;
    }
    scene.audit().await;
}

/// Bulks and single payments over the same accounts: each atomic one happens whole or not at all.
pub async fn bulks_racing_payments_are_covered_or_undone(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let users: Vec<UserId> = [scene.rich_user(60).await, scene.rich_user(60).await].to_vec();
    let [a, b] = users.as_slice() else {
        panic!("two users");
    };
    let bulks: Vec<Bulk> = (0..24)
        .map(|place| {
            let (from, to) = if place % 2 == 0 { (*a, *b) } else { (*b, *a) };
            atomic((0..10).map(|_| scene.payment(from, to, 4)).collect())
        })
        .collect();
    let singles: Vec<Vec<bursar_domain::Commit>> = (0..24)
        .map(|_| vec![bursar_domain::Commit::new(scene.payment(*a, *b, 7))])
        .collect();
    let (outcomes, _) = tokio::join!(
        race(&scene, &bulks),
        super::scene::race_calls(&scene.store, singles)
    );
    for (bulk, outcome) in bulks.iter().zip(&outcomes) {
        match outcome {
            BulkOutcome::Committed(transfers) => {
                assert!(transfers.iter().all(|t| t.status() == Status::Success));
            }
            BulkOutcome::Refused { .. } => assert_none_exists(&scene, &ids_of(bulk)).await,
            BulkOutcome::TooManyUnable
            | BulkOutcome::Replayed { .. }
            | BulkOutcome::KeyReused { .. }
            | BulkOutcome::ReadOnly => {
                panic!("there is neither a limit nor a key: {outcome:?}")
            }
        }
    }
    scene.audit().await;
}

async fn race(scene: &Scene<'_>, bulks: &[Bulk]) -> Vec<BulkOutcome> {
    let mut calls = JoinSet::new();
    for (place, bulk) in bulks.iter().cloned().enumerate() {
        let store = Arc::clone(&scene.store);
        calls.spawn(async move { (place, store.commit_bulk(bulk).await) });
    }
    let mut answers = calls.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    let answers = answers.into_iter().map(|(_, answer)| answer);
    answers.map(|a| a.expect("the store is healthy")).collect()
}

/// A bulk with an item that the store cannot write fails whole.
pub async fn a_poisoned_bulk_leaves_nothing(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let mut poison = scene.new_transfer(1);
    poison.note = Some("nul \0 character".to_owned());
    let poison = build::internal(poison, alice, bob).settled_at_once();
    let bulk = keyed(independent(vec![scene.payment(alice, bob, 1), poison]), "1");
    let ids = ids_of(&bulk);
    let claim = bulk.idempotency.clone().expect("it has a key").claim;
    let error = scene.store.commit_bulk(bulk).await.expect_err("poison");
    assert!(!matches!(error, StoreError::OutcomeUnknown(_)), "{error:?}");
    assert_none_exists(&scene, &ids).await;
    let bound = scene.store.find_key(claim.scope, claim.key).await;
    assert_eq!(bound.expect("a healthy store"), None);
    scene.audit().await;
}
