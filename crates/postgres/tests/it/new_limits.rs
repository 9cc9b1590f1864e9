//! A limit that is new counts what was moved before it.

use std::{sync::Arc, time::Duration};

use bursar_domain::{
    Amount, AssetId, Command, Commit, Kind, Limits, Reason, RootRate, Status, Usage, UsageKey,
    UserId,
};
use bursar_ports::{Clock as _, CommitOutcome, Expected, PutRule, RuleBook, TransferStore};
use bursar_postgres::{EngineConfig, PgRuleBook, PgStore, PoolConfig};
use bursar_testkit::{FixedClock, SequentialIds, build};

use futures_util::future::join_all;

use crate::support::{Fixture, PATIENCE, draft, patient, patient_engine, run};

/// More than is counted within [`STATEMENT_MS`].
const TRANSFERS: i64 = 200_000;
const STATEMENT_MS: u32 = 30;

/// A month of an exchange's biggest user.
async fn pay_for_a_month(fixture: &mut Fixture, user: UserId) {
    let statements = format!(
        "INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
           user_id, recipient_id, code_salt, created_by, created_at, updated_at, entry_refs) \
         SELECT 1000 + n, 1, 'internal', 'Success', 'usd', 2, 1, 0, '{user}', gen_random_uuid(), \
           decode('00112233445566778899', 'hex'), 'x', t.at, t.at, '{{}}' \
         FROM generate_series(1, {TRANSFERS}) AS n, \
           LATERAL (SELECT timestamptz '{now}' - n * interval '10 seconds' AS at) AS t; \
         ANALYZE book_main.transfers",
        now = FixedClock::START,
    );
    fixture.run(&statements).await;
}

/// However long it takes, it is counted once, and not tried anew with every payment.
#[tokio::test]
async fn a_month_of_a_big_user_is_counted_however_long_that_takes() {
    let mut fixture = Fixture::with_usd().await;
    let clock = Arc::new(FixedClock::default());
    let pool = PoolConfig {
        statement_timeout_ms: STATEMENT_MS,
        ..patient(fixture.url())
    };
    let config = patient_engine();
    let database = fixture.database.clone();
    let (store, _tasks) = PgStore::start(&pool, database.clone(), &config, clock.clone());
    let ids = SequentialIds::default();
    let (rich, other) = (ids.user(), ids.user());
    let usd = build::asset("usd", 2);
    let new = |units| build::new_transfer(ids.transfer(), &usd, units, FixedClock::START);
    // On a machine that stands still now and then a statement takes longer than it may.
    let commit = async |make: &dyn Fn() -> Commit| {
        let committing = async {
            loop {
                if let Ok(mut outcomes) = store.commit(vec![make()]).await {
                    return outcomes.pop().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let committed = tokio::time::timeout(PATIENCE, committing).await;
        committed.expect("it is refused again and again")
    };
    for user in [rich, other] {
        let funded =
            commit(&|| Commit::new(build::deposit(new(1_000), user).settled_at_once())).await;
        assert!(matches!(funded, CommitOutcome::Committed(_)), "{funded:?}");
    }
    pay_for_a_month(&mut fixture, rich).await;
    let daily = Limits {
        daily: Some(Amount::try_from_units(9_000).unwrap()),
        ..Limits::default()
    };
    let book = PgRuleBook::new(database, clock);
    let asset = Some(AssetId::parse("usd").unwrap());
    let put = book.put_limits(
        Kind::Internal,
        asset,
        daily,
        usd.unit(),
        Expected::Anything,
        draft(),
    );
    assert_eq!(put.await.unwrap(), PutRule::Written);
    // Some 8,640 of its payments were within the last 24 hours. Whoever pays at the same time is paid.
    let pay = async |units| {
        let payment = || Commit::new(build::internal(new(units), rich, other).settled_at_once());
        commit(&payment).await
    };
    let others = async || {
        commit(&|| Commit::new(build::internal(new(1), other, rich).settled_at_once())).await
    };
    let (paid, others) = tokio::join!(pay(100), join_all((0..8).map(|_| others())));
    let is_paid = |outcome: &CommitOutcome| matches!(outcome, CommitOutcome::Committed(_));
    assert!(others.iter().all(is_paid), "{others:?}");
    let CommitOutcome::Committed(paid) = paid else {
        panic!("there is room for it");
    };
    assert_eq!(paid.reason(), None);
    let CommitOutcome::Committed(refused) = pay(300).await else {
        panic!("what is refused when it settles is recorded");
    };
    assert_eq!(refused.reason(), Some(Reason::LimitDaily));
}

/// A payment that money stood still before counts from when it was settled, however long ago it was
/// made.
#[tokio::test]
async fn what_was_settled_late_counts_from_then_on() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let fixture = Fixture::with_usd().await;
    let clock = Arc::new(FixedClock::default());
    let database = fixture.database.clone();
    let pool = patient(fixture.url());
    let config = patient_engine();
    let (store, _tasks) = PgStore::start(&pool, database.clone(), &config, clock.clone());
    let ids = SequentialIds::default();
    let (alice, bob) = (ids.user(), ids.user());
    let usd = build::asset("usd", 2);
    let new = |units| build::new_transfer(ids.transfer(), &usd, units, FixedClock::START);
    let commit = async |change| {
        let mut outcomes = store.commit(vec![Commit::new(change)]).await.unwrap();
        let outcome = outcomes.pop().unwrap();
        let CommitOutcome::Committed(transfer) = outcome else {
            panic!("{outcome:?}");
        };
        *transfer
    };
    commit(build::deposit(new(1_000), alice).settled_at_once()).await;
    let open = commit(build::internal(new(700), alice, bob)).await;
    clock.advance_ms(40 * DAY_MS);
    let settled = build::step(&open, &Command::Settle, clock.now());
    assert_eq!(commit(settled).await.status(), Status::Success);
    clock.advance_ms(20 * DAY_MS);

    let monthly = Limits {
        monthly: Some(Amount::try_from_units(900).unwrap()),
        ..Limits::default()
    };
    let book = PgRuleBook::new(database, clock.clone());
    let (kind, asset) = (Kind::Internal, Some(AssetId::parse("usd").unwrap()));
    let unit = usd.unit();
    let put = book.put_limits(kind, asset, monthly, unit, Expected::Anything, draft());
    assert_eq!(put.await.unwrap(), PutRule::Written);
    let paid = async |units| {
        let payment = build::internal(new(units), alice, bob).settled_at_once();
        commit(payment).await.reason()
    };
    assert_eq!(paid(201).await, Some(Reason::LimitMonthly));
    assert_eq!(paid(200).await, None);
}

/// What is on its way when the first payment under a limit over all assets is judged, in whatever
/// asset, has been let through without the limit, and counts.
#[tokio::test]
async fn a_limit_over_all_assets_counts_what_is_being_committed() {
    const EUR: &str = "INSERT INTO book_main.assets VALUES ('eur', 'eur', 2, true, true, true)";
    let mut fixture = Fixture::with_usd().await;
    fixture.run(EUR).await;
    let clock = Arc::new(FixedClock::default());
    let pool = patient(fixture.url());
    let config = EngineConfig {
        batchers: 1,
        ..patient_engine()
    };
    let [store, replica] = [(), ()].map(|()| {
        let database = fixture.database.clone();
        PgStore::start(&pool, database, &config, clock.clone()).0
    });
    let ids = SequentialIds::default();
    let (user, other) = (ids.user(), ids.user());
    let root = build::asset_id("usd");
    let new = |asset: &str, units| {
        let asset = build::asset(asset, 2);
        let mut new = build::new_transfer(ids.transfer(), &asset, units, FixedClock::START);
        new.root_rate = Some(RootRate {
            asset: root,
            scale: asset.scale,
            rate: 1.into(),
            source: None,
            rated_at: None,
        });
        new
    };
    let fund = |asset| Commit::new(build::deposit(new(asset, 1_000), user).settled_at_once());
    // Each is connected then, and has prepared what it writes.
    store.commit(vec![fund("usd")]).await.unwrap();
    replica.commit(vec![fund("eur")]).await.unwrap();
    let pay = |asset| {
        vec![Commit::new(
            build::internal(new(asset, 100), user, other).settled_at_once(),
        )]
    };

    let mut admin = fixture.connect().await;
    run(
        &mut admin,
        "BEGIN; LOCK TABLE book_main.entries IN SHARE MODE",
    )
    .await;
    let (on_its_way, second) = (pay("usd"), pay("eur"));
    let on_its_way = tokio::spawn(async move { store.commit(on_its_way).await });
    fixture.until_somebody_waits().await;
    let daily = Limits {
        daily: Some(Amount::try_from_units(150).unwrap()),
        ..Limits::default()
    };
    let book = PgRuleBook::new(fixture.database.clone(), clock.clone());
    let unit = build::asset("usd", 2).unit();
    let put = book.put_limits(
        Kind::Internal,
        None,
        daily,
        unit,
        Expected::Anything,
        draft(),
    );
    assert_eq!(put.await.unwrap(), PutRule::Written);
    let second = tokio::spawn(async move { replica.commit(second).await });
    fixture.until_so_many_wait(2).await;
    run(&mut admin, "COMMIT").await;

    let outcome = |told: Result<Vec<CommitOutcome>, _>| match told.unwrap().pop() {
        Some(CommitOutcome::Committed(transfer)) => transfer.reason(),
        other => panic!("{other:?}"),
    };
    assert_eq!(outcome(on_its_way.await.unwrap()), None);
    assert_eq!(outcome(second.await.unwrap()), Some(Reason::LimitDaily));
}

/// Whoever looks at a limit that does not roll has nothing counted.
#[tokio::test]
async fn what_does_not_roll_is_not_counted() {
    let mut fixture = Fixture::with_usd().await;
    let user = SequentialIds::default().user();
    let payment = format!(
        "INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
           user_id, recipient_id, code_salt, created_by, created_at, updated_at, entry_refs) \
         VALUES (1, 1, 'internal', 'Success', 'usd', 2, 7, 0, '{user}', gen_random_uuid(), \
           decode('00112233445566778899', 'hex'), 'x', '{now}', '{now}', '{{}}')",
        now = FixedClock::START,
    );
    fixture.run(&payment).await;
    let clock = Arc::new(FixedClock::default());
    let book = PgRuleBook::new(fixture.database.clone(), clock);
    let unit = build::asset("usd", 2).unit();
    let asset = Some(unit.asset);
    let (kind, most) = (Kind::Internal, Amount::try_from_units(10_000).ok());
    let key = UsageKey { user, kind, asset };
    let limits = Limits {
        max_amount: most,
        ..Limits::default()
    };
    let put = book.put_limits(kind, asset, limits, unit, Expected::Anything, draft());
    assert_eq!(put.await.unwrap(), PutRule::Written);
    assert_eq!(book.usage(vec![key]).await.unwrap(), [Usage::default()]);
    let limits = Limits {
        daily: most,
        ..limits
    };
    let put = book.put_limits(kind, asset, limits, unit, Expected::Anything, draft());
    assert_eq!(put.await.unwrap(), PutRule::Written);
    assert_ne!(book.usage(vec![key]).await.unwrap(), [Usage::default()]);
}
