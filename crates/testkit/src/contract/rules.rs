//! Fees, limits, approvals, expiry, stops and reversals, decided where the money moves.

use bursar_domain::{
    AccountKey, ActorId, Command, Commit, FeeSchedule, Kind, Limits, NewTransfer, PayoutRoute,
    Percent, Reason, ReversalTerms, RootRate, Rules, Stage, Status, Terms, Transfer, Unit, UserId,
};
use bursar_domain::{Change, CodeSalt};
use bursar_ports::CommitOutcome;

use super::{
    Harness,
    scene::{Scene, committed, refused},
};
use crate::build;

const DAY: i64 = 24 * 3_600 * 1_000_000;

/// Rules with this fee and these limits for one kind of the scene's asset.
fn rules(scene: &Scene<'_>, kind: Kind, fee: Option<FeeSchedule>, limits: Limits) -> Rules {
    let asset = scene.asset.id;
    Rules {
        fees: fee.into_iter().map(|fee| ((kind, asset), fee)).collect(),
        limits: [((kind, Some(asset)), limits)].into(),
        ..Rules::default()
    }
}

/// One percent, and three units.
fn fee() -> FeeSchedule {
    FeeSchedule {
        percent: Percent::try_from_parts(100_000_000).expect("one percent"),
        absolute: build::amount(3),
        ..FeeSchedule::default()
    }
}

fn daily(units: i128) -> Limits {
    Limits {
        daily: Some(build::amount(units)),
        ..Limits::default()
    }
}

fn above(units: i128) -> Limits {
    Limits {
        approval_above: Some(build::amount(units)),
        ..Limits::default()
    }
}

/// A new transfer that costs what the schedule says.
fn paying(scene: &Scene<'_>, units: i128) -> NewTransfer {
    NewTransfer {
        terms: Terms {
            pays_fee: true,
            ..Terms::default()
        },
        ..scene.new_transfer(units)
    }
}

fn approve(by: &str) -> Command {
    Command::Approve {
        by: ActorId::new(by),
        digest: [7; 32],
        route: PayoutRoute::Manual,
    }
}

/// Each kind costs what its schedule says when it is made, whatever the schedule says later, and
/// those who pay none pay none.
pub async fn fees_are_those_of_the_schedule_in_force(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(10_000).await, scene.user().await);
    let asset = scene.asset.id;
    let fees = Kind::ALL.map(|kind| ((kind, asset), fee()));
    harness
        .put_rules(Rules {
            fees: fees.into(),
            ..Rules::default()
        })
        .await;
    let deposit = Commit::new(build::deposit(paying(&scene, 1_000), alice).settled_at_once());
    assert_eq!(scene.commit_one(deposit).await.parts().fee.units(), 13);
    assert_eq!(scene.balance(alice).await, (10_987, 0));
    let open = Commit::new(build::withdrawal(paying(&scene, 500), alice));
    let open = scene.commit_one(open).await;
    assert_eq!(scene.balance(alice).await, (10_479, 508));
    let pending = Commit::new(build::internal(paying(&scene, 150), alice, bob));
    let pending = scene.commit_one(pending).await;
    assert_eq!(pending.parts().fee.units(), 5, "half a unit goes up");
    harness.put_rules(Rules::default()).await;
    scene.step(&pending, &Command::Settle).await;
    scene.step(&open, &build::confirm()).await;
    assert_eq!(scene.balance(alice).await, (10_324, 0));
    assert_eq!(scene.system().await, (-10_500, 13 + 8 + 5));
    let free = Commit::new(scene.payment(alice, bob, 100));
    assert!(scene.commit_one(free).await.parts().fee.is_zero());
    scene.audit().await;
}

/// A fee that leaves nothing of a deposit refuses it; one that the sender cannot pay too.
pub async fn a_fee_must_be_covered(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(100).await, scene.user().await);
    let asset = scene.asset.id;
    let schedule = FeeSchedule {
        absolute: build::amount(3),
        ..FeeSchedule::default()
    };
    harness
        .put_rules(Rules {
            fees: Kind::ALL.map(|kind| ((kind, asset), schedule)).into(),
            ..Rules::default()
        })
        .await;
    let deposit = Commit::new(build::deposit(paying(&scene, 3), alice));
    assert_eq!(
        scene.outcome(deposit).await,
        refused(Reason::FeeExceedsAmount)
    );
    let withdrawal = Commit::new(build::withdrawal(paying(&scene, 98), alice));
    assert_eq!(
        scene.outcome(withdrawal).await,
        refused(Reason::BalanceInsufficient)
    );
    let payment = build::internal(paying(&scene, 98), alice, bob).settled_at_once();
    let rejected = scene.commit_one(Commit::new(payment)).await;
    assert_eq!(rejected.reason(), Some(Reason::BalanceInsufficient));
    let payment = build::internal(paying(&scene, 97), alice, bob).settled_at_once();
    let paid = scene.commit_one(Commit::new(payment)).await;
    assert_eq!(paid.status(), Status::Success);
    assert_eq!(scene.balance(alice).await, (0, 0));
    scene.audit().await;
}

/// However many ask at once, a limit lets through what it says, and what is given back makes room.
pub async fn parallel_withdrawals_never_pass_a_limit(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    for limit in [Kind::Withdrawal, Kind::Internal] {
        let (alice, bob) = (scene.rich_user(10_000).await, scene.user().await);
        harness
            .put_rules(rules(&scene, limit, None, daily(205)))
            .await;
        let item = |_| {
            let new = scene.new_transfer(10);
            Commit::new(match limit {
                Kind::Internal => build::internal(new, alice, bob).settled_at_once(),
                Kind::Deposit | Kind::Withdrawal => build::withdrawal(new, alice),
            })
        };
        let outcomes = scene.race((0..64).map(item).collect()).await;
        let made: Vec<&CommitOutcome> = outcomes
            .iter()
            .filter(|outcome| match outcome {
                CommitOutcome::Committed(made) => made.reason().is_none(),
                CommitOutcome::OverLimit { reason, room } => {
                    assert_eq!(*reason, Reason::LimitDaily);
                    assert!(room.over.left < build::amount(206));
                    false
                }
                CommitOutcome::Replayed { .. }
                | CommitOutcome::RefusalReplayed { .. }
                | CommitOutcome::KeyReused { .. }
                | CommitOutcome::Stale { .. }
                | CommitOutcome::Refused { .. }
                | CommitOutcome::ReadOnly => panic!("{outcome:?}"),
            })
            .collect();
        assert_eq!(made.len(), 20, "{limit:?}");
        if limit == Kind::Withdrawal {
            let open = committed(made.first().expect("some are made"));
            scene.step(&open, &build::cancel()).await;
            let again = scene.commit_one(item(0)).await;
            assert_eq!(again.status(), Status::AwaitingConfirmation);
            let over = scene.outcome(item(0)).await;
            assert!(matches!(over, CommitOutcome::OverLimit { .. }), "{over:?}");
        }
    }
    scene.audit().await;
}

/// A limit counts what was moved before it was set, also when it was set before and taken away.
pub async fn a_new_limit_counts_what_was_moved_before(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(10_000).await, scene.user().await);
    let withdraw = |units| Commit::new(build::withdrawal(scene.new_transfer(units), alice));
    scene.commit_one(withdraw(60)).await;
    let cancelled = scene.commit_one(withdraw(1_000)).await;
    scene.step(&cancelled, &build::cancel()).await;
    scene
        .commit_one(Commit::new(scene.payment(alice, bob, 70)))
        .await;
    let limited = || rules(&scene, Kind::Withdrawal, None, daily(100));
    harness.put_rules(limited()).await;
    let over = scene.outcome(withdraw(41)).await;
    assert!(matches!(over, CommitOutcome::OverLimit { room, .. } if room.over.left.units() == 40));
    scene.commit_one(withdraw(20)).await;
    harness.put_rules(Rules::default()).await;
    scene.commit_one(withdraw(15)).await;
    harness.put_rules(limited()).await;
    let over = scene.outcome(withdraw(6)).await;
    assert!(matches!(over, CommitOutcome::OverLimit { room, .. } if room.over.left.units() == 5));
    scene.commit_one(withdraw(5)).await;
    // A day later there is room again.
    harness.clock().advance_ms(DAY / 1_000 + 1);
    scene.commit_one(withdraw(100)).await;
    let limited = rules(&scene, Kind::Internal, None, daily(100));
    harness.put_rules(limited).await;
    let paid = scene
        .commit_one(Commit::new(scene.payment(alice, bob, 100)))
        .await;
    assert_eq!(paid.status(), Status::Success);
    let rejected = scene
        .commit_one(Commit::new(scene.payment(alice, bob, 1)))
        .await;
    assert_eq!(rejected.reason(), Some(Reason::LimitDaily));
    scene.audit().await;
}

/// What is worth something in another unit is refused, and neither counts nor gives room back; when the
/// unit changes, what is in the new one counts, and nothing else.
pub async fn a_limit_over_all_assets_counts_in_its_unit_alone(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let alice = scene.rich_user(10_000).await;
    let [usd, eur] = ["usd", "eur"].map(|root| build::asset(root, 8).unit());
    let withdraw = |units, unit: Unit| {
        let new = NewTransfer {
            root_rate: Some(RootRate {
                asset: unit.asset,
                scale: unit.scale,
                rate: 1.into(),
                source: None,
                rated_at: None,
            }),
            ..scene.new_transfer(units)
        };
        Commit::new(build::withdrawal(new, alice))
    };
    let kind = Kind::Withdrawal;
    let limited = |unit| Rules {
        limits: [((kind, None), daily(100))].into(),
        root_units: [(kind, unit)].into(),
        ..Rules::default()
    };
    harness.put_rules(limited(usd)).await;
    let in_usd = scene.commit_one(withdraw(60, usd)).await;
    let unknown = refused(Reason::RateUnknown);
    assert_eq!(scene.outcome(withdraw(1, eur)).await, unknown);
    harness.put_rules(limited(eur)).await;
    scene.commit_one(withdraw(90, eur)).await;
    assert_eq!(scene.outcome(withdraw(1, usd)).await, unknown);
    scene.step(&in_usd, &build::cancel()).await;
    let over = scene.outcome(withdraw(11, eur)).await;
    assert!(matches!(over, CommitOutcome::OverLimit { room, .. } if room.over.left.units() == 10));
    // The one in dollars was cancelled.
    harness.put_rules(limited(usd)).await;
    scene.commit_one(withdraw(100, usd)).await;
    scene.audit().await;
}

/// Above the threshold nothing moves before a second operator says so.
pub async fn what_needs_approval_waits_for_a_second_operator(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let alice = scene.rich_user(1_000).await;
    harness
        .put_rules(rules(&scene, Kind::Withdrawal, None, above(100)))
        .await;
    let small = Commit::new(build::withdrawal(scene.new_transfer(100), alice));
    let small = scene.commit_one(small).await;
    let paid = scene.step(&small, &build::confirm()).await;
    assert_eq!(paid.status(), Status::Completed);
    let open = Commit::new(build::withdrawal(scene.new_transfer(101), alice));
    let open = scene.commit_one(open).await;
    let url = "https://example.com/confirm";
    let held = scene.step(&open, &build::confirm_telling(url)).await;
    assert_eq!(held.status(), Status::AwaitingConfirmation);
    assert_eq!(held.stage(), Some(Stage::Approval));
    assert_eq!(scene.balance(alice).await, (799, 101));
    assert_eq!(scene.callbacks(held.id()).await, []);
    assert_eq!(scene.reload(held.id()).await, held);
    let by_confirmer = held.decide(&approve("confirmer"), scene.now());
    assert!(by_confirmer.is_err(), "{by_confirmer:?}");
    let paid = scene.step(&held, &approve("second")).await;
    assert_eq!(paid.status(), Status::Completed);
    assert_eq!(scene.reload(paid.id()).await, paid);
    assert_eq!(scene.callbacks(paid.id()).await.len(), 1);
    assert_eq!(scene.balance(alice).await, (799, 0));

    harness
        .put_rules(rules(&scene, Kind::Deposit, None, above(100)))
        .await;
    for at_once in [false, true] {
        let deposit = build::deposit(scene.new_transfer(101), alice);
        let deposit = if at_once {
            deposit.settled_at_once()
        } else {
            deposit
        };
        let held = scene.commit_one(Commit::new(deposit)).await;
        assert_eq!(
            (held.status(), held.stage()),
            (Status::Pending, Some(Stage::Approval))
        );
        let unsettled = scene.store.list_unsettled(-1_000_000, 10).await;
        assert_eq!(unsettled.expect("it can be listed"), []);
        let rejected = Command::Reject {
            by: ActorId::new("second"),
            digest: [1; 32],
        };
        let ended = if at_once {
            &approve("second")
        } else {
            &rejected
        };
        let ended = scene.step(&held, ended).await;
        assert_eq!(scene.reload(ended.id()).await, ended);
        assert_eq!(ended.reason().is_none(), at_once);
    }
    assert_eq!(scene.balance(alice).await, (900, 0));
    scene.audit().await;
}

/// What nobody confirmed or approved in time is listed, longest first, and ends with its hold
/// returned.
pub async fn what_has_expired_is_listed_and_ends(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let alice = scene.rich_user(1_000).await;
    let now = scene.now();
    let expiring = |micros: i64| {
        let new = scene.new_transfer(10);
        let terms = Terms {
            expires_at: Some(now.plus_micros(micros)),
            ..Terms::default()
        };
        Commit::new(build::withdrawal(NewTransfer { terms, ..new }, alice))
    };
    let second = scene.commit_one(expiring(-5)).await;
    let first = scene.commit_one(expiring(-6)).await;
    // Whatever clock the store goes by, that one is not over.
    let later = scene.commit_one(expiring(400 * 365 * DAY)).await;
    let confirmed = scene.commit_one(expiring(-7)).await;
    scene.step(&confirmed, &build::confirm()).await;
    let ids = |transfers: Vec<Transfer>| -> Vec<_> { transfers.iter().map(Transfer::id).collect() };
    let expired = scene
        .store
        .list_expired(10)
        .await
        .expect("it can be listed");
    assert_eq!(ids(expired), [first.id(), second.id()]);
    let failed = scene.step(&first, &Command::Expire).await;
    assert_eq!(failed.reason(), Some(Reason::TransferExpired));
    let expired = scene
        .store
        .list_expired(10)
        .await
        .expect("it can be listed");
    assert_eq!(ids(expired), [second.id()]);
    scene.store.leave_alone(second.id());
    let expired = scene.store.list_expired(10).await;
    assert_eq!(ids(expired.expect("it can be listed")), []);
    assert_eq!(scene.reload(later.id()).await, later);
    assert_eq!(scene.balance(alice).await, (970, 20));
    scene.audit().await;
}

/// A stop binds at once, and leaves keys free; what leaves accounts can be stopped for one asset.
pub async fn stops_hold_at_once(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    let (alice, bob) = (scene.rich_user(1_000).await, scene.user().await);
    let open = Commit::new(build::withdrawal(scene.new_transfer(10), alice));
    let open = scene.commit_one(open).await;
    let claim = || build::claim("op", "withdraw", "stop-key", &[("amount", "5")]);
    let keyed = build::keyed(build::withdrawal(scene.new_transfer(5), alice), claim());
    let mut rules = Rules::default();
    rules.stops.read_only = true;
    harness.put_rules(rules).await;
    assert_eq!(scene.outcome(keyed.clone()).await, CommitOutcome::ReadOnly);
    let cancel = build::step(&open, &build::cancel(), scene.now());
    assert_eq!(
        scene.outcome(Commit::new(cancel)).await,
        CommitOutcome::ReadOnly
    );
    let mut rules = Rules::default();
    rules.stops.outgoing.insert(scene.asset.id);
    harness.put_rules(rules).await;
    let stopped = refused(Reason::OutgoingStopped);
    let withdrawal = Commit::new(build::withdrawal(scene.new_transfer(5), alice));
    assert_eq!(scene.outcome(withdrawal).await, stopped);
    let confirm = build::step(&open, &build::confirm(), scene.now());
    assert_eq!(scene.outcome(Commit::new(confirm.clone())).await, stopped);
    let rejected = scene
        .commit_one(Commit::new(scene.payment(alice, bob, 1)))
        .await;
    assert_eq!(rejected.reason(), Some(Reason::OutgoingStopped));
    scene.rich_user(5).await;
    harness.put_rules(Rules::default()).await;
    assert_eq!(
        scene.commit_one(keyed).await.status(),
        Status::AwaitingConfirmation
    );
    scene.commit_one(Commit::new(confirm)).await;
    assert_eq!(scene.balance(alice).await, (985, 5));
    scene.audit().await;
}

fn reverse(
    scene: &Scene<'_>,
    original: &Transfer,
    units: Option<i128>,
    returns_fee: bool,
) -> Change {
    let terms = ReversalTerms {
        covers: units.map(build::amount),
        returns_fee,
        salt: CodeSalt::new([3; 10]),
    };
    original
        .reversal(scene.new_transfer(1), terms)
        .expect("so much is left of it")
}

async fn settled(scene: &Scene<'_>, user: UserId, other: UserId, kind: Kind) -> Transfer {
    let new = scene.new_with_fee(100, 10);
    match kind {
        Kind::Deposit => {
            let deposit = build::deposit(new, user).settled_at_once();
            scene.commit_one(Commit::new(deposit)).await
        }
        Kind::Withdrawal => {
            let open = scene
                .commit_one(Commit::new(build::withdrawal(new, user)))
                .await;
            scene.step(&open, &build::confirm()).await
        }
        Kind::Internal => {
            let payment = build::internal(new, user, other).settled_at_once();
            scene.commit_one(Commit::new(payment)).await
        }
    }
}

/// What went through goes back, in full or in part, and never more of it than there was, however
/// many try at once.
pub async fn reversals_never_come_to_more_than_the_original(harness: &dyn Harness) {
    let scene = Scene::new(harness).await;
    for (kind, returns_fee) in Kind::ALL
        .into_iter()
        .flat_map(|kind| [(kind, false), (kind, true)])
    {
        let (alice, bob) = (scene.rich_user(1_000).await, scene.user().await);
        let original = settled(&scene, alice, bob, kind).await;
        let part = reverse(&scene, &original, Some(33), returns_fee);
        let reversal = scene.commit_one(Commit::new(part)).await;
        assert_eq!(scene.reload(reversal.id()).await, reversal);
        let after = scene.reload(original.id()).await;
        assert_eq!(after.parts().reversed.units(), 33);
        assert_eq!(after.status(), original.status());
        assert_eq!(after.parts().updated_at, original.parts().updated_at);
        let racing = (0..8).map(|_| Commit::new(reverse(&scene, &after, None, returns_fee)));
        let outcomes = scene.race(racing.collect()).await;
        let stale = |outcome: &&CommitOutcome| matches!(outcome, CommitOutcome::Stale { .. });
        assert_eq!(outcomes.iter().filter(stale).count(), 7, "{outcomes:?}");
        let whole = scene.reload(original.id()).await;
        assert_eq!(whole.parts().reversed.units(), 100);
        let reversals = scene.store.list_reversals(original.id()).await;
        assert_eq!(reversals.expect("they can be listed").len(), 2);
        let kept = match (kind, returns_fee) {
            (_, true) | (Kind::Deposit, false) => 0,
            (Kind::Withdrawal | Kind::Internal, false) => 10,
        };
        assert_eq!(
            scene.balance(alice).await,
            (1_000 - kept, 0),
            "{kind:?} {returns_fee}"
        );
        assert_eq!(scene.balance(bob).await, (0, 0));
    }
    let (alice, bob) = (scene.rich_user(1_000).await, scene.user().await);
    let original = settled(&scene, alice, bob, Kind::Internal).await;
    scene
        .commit_one(Commit::new(scene.payment(bob, alice, 1)))
        .await;
    let uncovered = reverse(&scene, &original, None, true);
    assert_eq!(
        scene.outcome(Commit::new(uncovered)).await,
        refused(Reason::BalanceInsufficient)
    );
    let fees = scene
        .harness
        .balance(AccountKey::fees(scene.asset.id))
        .await;
    assert_eq!(fees.available, 3 * 10 + 10);
    scene.audit().await;
}
