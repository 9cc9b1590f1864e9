//! What every directory and rule book must do with a change that expects something of what it replaces,
//! each in a case.

use std::{slice::from_ref, sync::Arc};

use bursar_domain::{
    ActorId, Asset, BigDecimal, FeeSchedule, Kind, Limits, Rules, User, UserStatus,
};
use bursar_ports::{
    Directory, Expected, Lift, PutAsset, PutRate, PutRule, PutUser, RuleBook, SetStatus, Stop,
    StopScope,
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{FixedClock, build};

/// Two replicas of one exchange.
pub struct Replicas {
    /// One replica's directory.
    pub here: Arc<dyn Directory>,
    /// Another one's, which does not hear at once of what the first one writes.
    pub elsewhere: Arc<dyn Directory>,
    /// The rules of both.
    pub rule_book: Arc<dyn RuleBook>,
}

fn named(name: &str, can_withdraw: bool) -> Asset {
    Asset {
        name: name.to_owned(),
        can_withdraw,
        ..build::asset("btc", 8)
    }
}

/// What another replica has written since this one looked stands, and is seen afterwards.
pub async fn an_asset_is_replaced_only_as_it_was_expected(replicas: &Replicas) {
    let (here, elsewhere) = (&replicas.here, &replicas.elsewhere);
    let put = async |directory: &Arc<dyn Directory>, asset: &Asset, was| {
        let audit = build::audit("asset.put", "asset:btc");
        let put = directory.put_asset(asset.clone(), was, audit).await;
        put.expect("the directory answers")
    };
    let (open, closed, renamed) = (
        named("Bitcoin", true),
        named("Bitcoin", false),
        named("BTC", true),
    );
    let some = Expected::Exactly(Some(open.clone()));
    let none = Expected::Exactly(None);
    assert_eq!(put(here, &open, some.clone()).await, PutAsset::Overtaken);
    assert_eq!(put(here, &open, none.clone()).await, PutAsset::Written);
    assert_eq!(put(here, &renamed, none).await, PutAsset::Overtaken);
    let seen = elsewhere.find_asset(open.id).await.expect("it answers");
    assert_eq!(seen, Some(open));
    assert_eq!(put(here, &closed, some.clone()).await, PutAsset::Written);
    assert_eq!(put(elsewhere, &renamed, some).await, PutAsset::Overtaken);
    let seen = elsewhere.find_asset(closed.id).await.expect("it answers");
    assert_eq!(seen, Some(closed));
    let anyhow = put(elsewhere, &renamed, Expected::Anything).await;
    assert_eq!(anyhow, PutAsset::Written);
}

/// The same of what an asset is worth.
pub async fn a_rate_is_replaced_only_as_it_was_expected(replicas: &Replicas) {
    let btc = build::asset_id("btc");
    let rate = |rate: u32| BigDecimal::from(rate);
    let put = async |directory: &Arc<dyn Directory>, to: u32, was: Option<u32>| {
        let was = Expected::Exactly(was.map(rate));
        let audit = build::audit("rate.put", "rate:btc");
        let put = directory.put_rate(btc, rate(to), "a test".to_owned(), was, audit);
        match put.await.expect("the directory answers") {
            PutRate::Written(written) => {
                assert_eq!(written.rate, rate(to));
                true
            }
            PutRate::Overtaken => false,
        }
    };
    let (here, elsewhere) = (&replicas.here, &replicas.elsewhere);
    assert!(!put(here, 1, Some(2)).await, "there is none");
    assert!(put(here, 1, None).await);
    assert!(!put(here, 2, None).await, "there is one");
    let seen = elsewhere.find_rate(btc).await.expect("it answers");
    assert_eq!(seen.map(|seen| seen.rate), Some(rate(1)));
    assert!(put(here, 2, Some(1)).await);
    assert!(!put(elsewhere, 3, Some(1)).await);
    let seen = elsewhere.find_rate(btc).await.expect("it answers");
    assert_eq!(seen.map(|seen| seen.rate), Some(rate(2)));
}

/// Where nobody said anything, nothing is expected.
pub async fn fees_and_limits_are_replaced_only_as_they_were_expected(replicas: &Replicas) {
    let book = &replicas.rule_book;
    let (kind, btc) = (Kind::Withdrawal, build::asset("btc", 8).unit());
    let fees = |units| FeeSchedule {
        absolute: build::amount(units),
        ..FeeSchedule::default()
    };
    let limits = |units| Limits {
        daily: Some(build::amount(units)),
        ..Limits::default()
    };
    let put_fees = async |new, was| {
        let audit = build::audit("fees.put", "fees:withdrawal:btc");
        let put = book.put_fees(kind, btc, new, Expected::Exactly(was), audit);
        put.await.expect("the rule book answers")
    };
    let usd = build::asset("usd", 2).unit();
    let put_limits = async |new, was| {
        let audit = build::audit("limits.put", "limits:withdrawal");
        let put = book.put_limits(kind, None, new, usd, Expected::Exactly(was), audit);
        put.await.expect("the rule book answers")
    };
    assert_eq!(put_fees(fees(1), fees(2)).await, PutRule::Overtaken);
    let none = FeeSchedule::default();
    assert_eq!(put_fees(fees(1), none).await, PutRule::Written);
    assert_eq!(put_fees(fees(3), none).await, PutRule::Overtaken);
    assert_eq!(put_fees(fees(2), fees(1)).await, PutRule::Written);
    assert_eq!(put_limits(limits(1), limits(2)).await, PutRule::Overtaken);
    let none = Limits::default();
    assert_eq!(put_limits(limits(1), none).await, PutRule::Written);
    assert_eq!(put_limits(limits(3), none).await, PutRule::Overtaken);
    assert_eq!(put_limits(limits(2), limits(1)).await, PutRule::Written);
    let rules: Arc<Rules> = book.rules().await.expect("the rule book answers");
    assert_eq!(rules.fees.get(&(kind, btc.asset)), Some(&fees(2)));
    assert_eq!(rules.limits.get(&(kind, None)), Some(&limits(2)));
    assert_eq!(rules.root_units.get(&kind), Some(&usd));
}

/// A stop that was lifted elsewhere and placed anew is another one.
pub async fn only_the_stop_that_is_expected_is_lifted(replicas: &Replicas) {
    let book = &replicas.rule_book;
    let scope = StopScope::Outgoing(build::asset_id("btc"));
    let stop = |by: &str, second: i64| Stop {
        scope,
        reason: format!("by {by}"),
        stopped_by: ActorId::new(by),
        stopped_at: FixedClock::START.plus_micros(second * 1_000_000),
    };
    let place = async |stop: Stop| {
        let audit = build::audit("stop.put", "stop:outgoing:btc");
        book.stop(stop, audit).await.expect("it answers");
    };
    let lift = async |was| {
        let audit = build::audit("stop.lift", "stop:outgoing:btc");
        book.lift(scope, was, audit).await.expect("it answers")
    };
    let stands = async || book.list_stops().await.expect("it answers");
    let (first, second, third) = (stop("olga", 1), stop("otto", 2), stop("olga", 3));
    let exactly = |stop: &Stop| Expected::Exactly(stop.mark());
    assert_eq!(lift(exactly(&first)).await, Lift::NotStopped);
    place(first.clone()).await;
    place(second.clone()).await;
    let standing = stands().await;
    assert_eq!(standing, from_ref(&first), "the first one stays");
    assert_eq!(lift(exactly(&second)).await, Lift::Overtaken);
    assert_eq!(lift(exactly(&first)).await, Lift::Lifted);
    place(third.clone()).await;
    assert_eq!(lift(exactly(&first)).await, Lift::Overtaken);
    assert_eq!(stands().await, [third]);
    assert_eq!(lift(Expected::Anything).await, Lift::Lifted);
    assert_eq!(lift(Expected::Anything).await, Lift::NotStopped);
    assert_eq!(stands().await, []);
}

/// What another replica has written of the user meanwhile stands, its status included.
pub async fn a_status_is_set_over_the_expected_one_and_nothing_else_changes(replicas: &Replicas) {
    const ACTIVE: UserStatus = UserStatus::Active;
    const FROZEN: UserStatus = UserStatus::Frozen;
    let (here, elsewhere) = (&replicas.here, &replicas.elsewhere);
    let alice = build::user(build::user_id(1));
    let put = async |user: &User| {
        let audit = build::audit("user.put", "user:1");
        let put = here.put_user(user.clone(), audit).await;
        assert_eq!(put.expect("it answers"), PutUser::Written);
    };
    let set_over = async |directory: &Arc<dyn Directory>, was, status, shown| {
        let audit = build::audit("user.put", "user:1");
        let set = directory.set_status(alice.id, was, status, shown, audit);
        set.await.expect("the directory answers")
    };
    let set = async |directory: &Arc<dyn Directory>, was, status| {
        set_over(directory, was, status, Expected::Anything).await
    };
    let shown = async || {
        let revision = elsewhere.status_revision(alice.id).await;
        Expected::Exactly(revision.expect("it answers").expect("there is such a user"))
    };
    assert_eq!(set(here, ACTIVE, FROZEN).await, SetStatus::Unknown);
    put(&alice).await;
    let seen = elsewhere.find_user(alice.id).await.expect("it answers");
    assert_eq!(seen, Some(alice.clone()));
    let renamed = User {
        username: "another name".to_owned(),
        email: "another@example.com".to_owned(),
        roles: vec!["vip".to_owned()],
        ..alice.clone()
    };
    put(&renamed).await;
    let with = |status| User {
        status,
        ..renamed.clone()
    };
    let frozen = SetStatus::Written(with(FROZEN));
    assert_eq!(set(elsewhere, ACTIVE, FROZEN).await, frozen);
    let seen = elsewhere.find_user(alice.id).await.expect("it answers");
    assert_eq!(seen, Some(with(FROZEN)));
    assert_eq!(set(here, ACTIVE, FROZEN).await, SetStatus::Overtaken);
    let active = SetStatus::Written(with(ACTIVE));
    let first = shown().await;
    assert_eq!(set_over(here, FROZEN, ACTIVE, first).await, active);
    // Stopped again, it looks the same.
    assert_eq!(set(here, ACTIVE, FROZEN).await, frozen);
    let late = set_over(here, FROZEN, ACTIVE, first).await;
    assert_eq!(late, SetStatus::Overtaken);
    let second = shown().await;
    assert_eq!(set_over(here, FROZEN, ACTIVE, second).await, active);
    put(&with(UserStatus::Terminated)).await;
    assert_eq!(set(elsewhere, FROZEN, ACTIVE).await, SetStatus::Overtaken);
    assert_eq!(set(elsewhere, ACTIVE, FROZEN).await, SetStatus::Overtaken);
    let seen = elsewhere.find_user(alice.id).await.expect("it answers");
    assert_eq!(seen, Some(with(UserStatus::Terminated)));
}

/// Of many who saw the same and change it at once, one does.
pub async fn of_many_who_expect_the_same_one_writes(replicas: &Replicas) {
    const MANY: usize = 8;
    for round in 0..5 {
        let expected = named(&format!("round {round}"), true);
        let audit = build::audit("asset.put", "asset:btc");
        let put = replicas
            .here
            .put_asset(expected.clone(), Expected::Anything, audit);
        assert_eq!(put.await.expect("it answers"), PutAsset::Written);
        let together = Arc::new(Barrier::new(MANY));
        let mut tasks = JoinSet::new();
        for number in 0..MANY {
            let directory = Arc::clone(&replicas.here);
            let (was, together) = (expected.clone(), Arc::clone(&together));
            tasks.spawn(async move {
                together.wait().await;
                let new = named(&format!("by {number}"), true);
                let audit = build::audit("asset.put", "asset:btc");
                let put = directory.put_asset(new, Expected::Exactly(Some(was)), audit);
                put.await.expect("it answers")
            });
        }
        let outcomes = tasks.join_all().await;
        let written = outcomes.iter().filter(|put| **put == PutAsset::Written);
        assert_eq!(written.count(), 1, "{outcomes:?}");
    }
}

/// Stamps one test per case; the argument makes fresh [`Replicas`] and what must outlive them, and may
/// await.
#[macro_export]
macro_rules! expectations_contract {
    ($scene:expr) => {
        $crate::expectations_contract! { @stamp ($scene)
            an_asset_is_replaced_only_as_it_was_expected
            a_rate_is_replaced_only_as_it_was_expected
            fees_and_limits_are_replaced_only_as_they_were_expected
            only_the_stop_that_is_expected_is_lifted
            a_status_is_set_over_the_expected_one_and_nothing_else_changes
            of_many_who_expect_the_same_one_writes
        }
    };
    (@stamp ($scene:expr) $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let (replicas, _alive) = $scene;
                $crate::expectations::$case(&replicas).await;
            }
        )+
    };
}
