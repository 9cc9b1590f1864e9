//! Idempotency keys, many requests at once.

use bursar_domain::{Commit, IdempotencyClaim, Reason, Transfer, TransferId};
use bursar_ports::CommitOutcome;

use super::{
    Harness,
    scene::{Scene, committed, refused},
};
use crate::build;

/// How many requests race.
const RACERS: i64 = 64;

fn claim(amount: &str) -> IdempotencyClaim {
    build::claim("op", "create", "raced", &[("amount", amount)])
}

/// The only transfer that a race committed.
fn only_winner(outcomes: &[CommitOutcome]) -> Transfer {
    let mut winners = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, CommitOutcome::Committed(_)));
    let winner = winners.next().expect("somebody wins the key");
    assert_eq!(winners.next(), None, "one key has one effect");
    committed(winner)
}

/// All but the winner replay it, and only the winner's transfer exists.
async fn assert_one_effect(
    scene: &Scene<'_>,
    ids: &[TransferId],
    outcomes: &[CommitOutcome],
) -> Transfer {
    let winner = only_winner(outcomes);
    let replayed = CommitOutcome::Replayed {
        original: winner.id(),
    };
    let replays = outcomes.iter().filter(|outcome| **outcome == replayed);
    assert_eq!(replays.count() + 1, outcomes.len());
    for id in ids {
        let exists = scene.find(*id).await.is_some();
        assert_eq!(
            exists,
            *id == winner.id(),
            "only the winner exists, not {id}"
        );
    }
    winner
}

fn ids_of(items: &[Commit]) -> Vec<TransferId> {
    items.iter().map(|item| item.change.next.id()).collect()
}

/// Sixty-four requests that are the same: one pays, the others replay it.
pub async fn a_key_racing_itself_has_one_effect(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(1_000).await, scene.user().await);
    let items: Vec<Commit> = (0..RACERS)
        .map(|_| build::keyed(scene.payment(alice, bob, 5), claim("5")))
        .collect();
    let ids = ids_of(&items);
    let outcomes = scene.race(items).await;
    assert_one_effect(&scene, &ids, &outcomes).await;
    assert_eq!(scene.balance(bob).await, (5, 0));
    scene.audit().await;
}

/// No account lock brings these together: only the key can.
pub async fn a_key_racing_itself_from_other_accounts_has_one_effect(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let mut items = Vec::new();
    for _ in 0..RACERS {
        let user = scene.rich_user(10).await;
        let hold = build::withdrawal(scene.new_transfer(5), user);
        items.push(build::keyed(hold, claim("5")));
    }
    let ids = ids_of(&items);
    let outcomes = scene.race(items).await;
    let winner = assert_one_effect(&scene, &ids, &outcomes).await;
    assert_eq!(scene.balance(winner.owner()).await, (5, 5));
    scene.audit().await;
}

/// A pending transfer posts nothing, so nothing but the key is in the way.
pub async fn a_key_racing_itself_on_pending_transfers_has_one_effect(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let mut items = Vec::new();
    for _ in 0..RACERS {
        let (sender, recipient) = (scene.user().await, scene.user().await);
        let pending = build::internal(scene.new_transfer(5), sender, recipient);
        items.push(build::keyed(pending, claim("5")));
    }
    let ids = ids_of(&items);
    let outcomes = scene.race(items).await;
    assert_one_effect(&scene, &ids, &outcomes).await;
    scene.audit().await;
}

/// Two different requests race for one key: the loser's kind is told that the key is reused.
pub async fn a_key_racing_other_fields_has_one_effect(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(1_000).await, scene.user().await);
    let items: Vec<Commit> = (0..RACERS)
        .map(|place| {
            let (units, text) = if place % 2 == 0 { (5, "5") } else { (6, "6") };
            build::keyed(scene.payment(alice, bob, units), claim(text))
        })
        .collect();
    let claims: Vec<_> = items.iter().map(|item| item.idempotency.clone()).collect();
    let outcomes = scene.race(items).await;
    let winner = only_winner(&outcomes);
    let units = winner.parts().amount.units();
    let winning = Some(claim(&units.to_string()));
    for (claim, outcome) in claims.iter().zip(&outcomes) {
        let original = winner.id();
        let loses = if *claim == winning {
            CommitOutcome::Replayed { original }
        } else {
            CommitOutcome::KeyReused {
                original: Some(original),
                fields: vec!["amount".to_owned()],
            }
        };
        let won = matches!(outcome, CommitOutcome::Committed(_));
        assert!(won || *outcome == loses, "{outcome:?} against {loses:?}");
    }
    assert_eq!(scene.balance(bob).await, (units, 0));
    scene.audit().await;
}

/// A repeated confirm that races itself replays; its key does not make it look stale.
pub async fn a_key_racing_itself_on_a_confirm_has_one_effect(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let change = build::withdrawal(scene.new_transfer(40), user);
    let open = scene.commit_one(Commit::new(change)).await;
    let confirm = build::step(&open, &build::confirm(), scene.now());
    let items = (0..RACERS)
        .map(|_| build::keyed(confirm.clone(), claim("40")))
        .collect();
    let outcomes = scene.race(items).await;
    let winner = only_winner(&outcomes);
    let original = winner.id();
    let replayed = CommitOutcome::Replayed { original };
    let replays = outcomes.iter().filter(|outcome| **outcome == replayed);
    assert_eq!(replays.count() + 1, outcomes.len(), "{outcomes:?}");
    assert_eq!(scene.balance(user).await, (60, 0));
    scene.audit().await;
}

/// The refusal is the one effect that the key has.
pub async fn a_refused_key_racing_itself_is_refused_once(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(4).await;
    let items = (0..RACERS)
        .map(|_| build::keyed(build::withdrawal(scene.new_transfer(5), user), claim("5")))
        .collect();
    let outcomes = scene.race(items).await;
    let reason = Reason::BalanceInsufficient;
    let count = |wanted: CommitOutcome| outcomes.iter().filter(|o| **o == wanted).count();
    assert_eq!(count(refused(reason)), 1, "{outcomes:?}");
    let replays = count(CommitOutcome::RefusalReplayed { reason });
    assert_eq!(replays + 1, outcomes.len(), "{outcomes:?}");
    scene.audit().await;
}

/// Whoever holds a key for a moment and turns out stale gives it back to those who wait for it.
pub async fn stale_holders_of_a_key_leave_it_to_the_others(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let user = scene.rich_user(100).await;
    let change = build::withdrawal(scene.new_transfer(40), user);
    let open = scene.commit_one(Commit::new(change)).await;
    let current = Some(scene.step(&open, &build::cancel()).await.version());
    let late = build::step(&open, &build::confirm(), scene.now());
    let items: Vec<Commit> = (0..RACERS)
        .map(|place| {
            let change = if place % 4 == 0 {
                build::withdrawal(scene.new_transfer(5), user)
            } else {
                late.clone()
            };
            build::keyed(change, claim("5"))
        })
        .collect();
    let outcomes = scene.race(items).await;
    let original = only_winner(&outcomes).id();
    for (place, outcome) in (0..).zip(&outcomes) {
        let may_be_stale = place % 4 != 0;
        let fits = matches!(outcome, CommitOutcome::Committed(_))
            || *outcome == CommitOutcome::Replayed { original }
            || may_be_stale && *outcome == CommitOutcome::Stale { current };
        assert!(fits, "item {place}: {outcome:?}");
    }
    assert_eq!(scene.balance(user).await, (95, 5));
    scene.audit().await;
}
