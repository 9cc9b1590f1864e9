//! Limits over all assets are set in one unit, and count nothing that is worth something in another one.

use std::sync::Arc;

use bursar_domain::{
    Change, Commit, FeeSchedule, Kind, Limits, Reason, RootRate, Stage, Transfer, Unit, UsageKey,
    UserId,
};
use bursar_ports::{CommitOutcome, Expected, PutRule, RuleBook, TransferStore};
use bursar_postgres::{PgRuleBook, PgStore};
use bursar_testkit::{FixedClock, SequentialIds, build};

use crate::support::{Fixture, draft, patient, patient_engine, run, until_ready};

fn usd() -> Unit {
    build::asset("usd", 2).unit()
}

/// As dollars were counted once.
fn finer() -> Unit {
    build::asset("usd", 6).unit()
}

/// Another root asset, of which the database need not know.
fn eur() -> Unit {
    build::asset("eur", 2).unit()
}

fn daily(units: i128) -> Limits {
    Limits {
        daily: Some(build::amount(units)),
        ..Limits::default()
    }
}

/// A user with dollars.
struct Scene {
    fixture: Fixture,
    store: PgStore,
    book: PgRuleBook,
    ids: SequentialIds,
    user: UserId,
}

impl Scene {
    async fn start() -> Self {
        let fixture = Fixture::with_usd().await;
        let clock = Arc::new(FixedClock::default());
        let database = fixture.database.clone();
        let book = PgRuleBook::new(database.clone(), clock.clone());
        let pool = patient(fixture.url());
        let (store, _tasks) = PgStore::start(&pool, database, &patient_engine(), clock);
        until_ready(&store).await;
        let ids = SequentialIds::default();
        let user = ids.user();
        let scene = Self {
            fixture,
            store,
            book,
            ids,
            user,
        };
        let new = build::new_transfer(
            scene.ids.transfer(),
            &build::asset("usd", 2),
            10_000,
            FixedClock::START,
        );
        scene
            .make(build::deposit(new, user).settled_at_once())
            .await;
        scene
    }

    /// A withdrawal of so many cents, a dollar being worth one of this unit's asset.
    fn withdrawal(&self, cents: i128, unit: Unit) -> Change {
        let usd = build::asset("usd", 2);
        let mut new = build::new_transfer(self.ids.transfer(), &usd, cents, FixedClock::START);
        new.root_rate = Some(RootRate {
            asset: unit.asset,
            scale: unit.scale,
            rate: 1.into(),
            source: None,
            rated_at: None,
        });
        build::withdrawal(new, self.user)
    }

    async fn commit(&self, change: Change) -> CommitOutcome {
        let outcomes = self.store.commit(vec![Commit::new(change)]).await;
        outcomes.unwrap().pop().unwrap()
    }

    async fn make(&self, change: Change) -> Transfer {
        let outcome = self.commit(change).await;
        let CommitOutcome::Committed(transfer) = outcome else {
            panic!("{outcome:?}");
        };
        *transfer
    }

    async fn cancel(&self, open: &Transfer) {
        let change = build::step(open, &build::cancel(), FixedClock::START);
        self.make(change).await;
    }

    /// Limits withdrawals of all assets together.
    async fn put(&self, limits: Limits, unit: Unit) {
        let kind = Kind::Withdrawal;
        let put = self
            .book
            .put_limits(kind, None, limits, unit, Expected::Anything, draft());
        assert_eq!(put.await.unwrap(), PutRule::Written);
    }

    async fn used(&self) -> i128 {
        let key = UsageKey {
            user: self.user,
            kind: Kind::Withdrawal,
            asset: None,
        };
        let usage = self.book.usage(vec![key]).await.unwrap().remove(0);
        usage.uses().iter().map(|(_, amount)| amount.units()).sum()
    }

    async fn epoch(&mut self) -> String {
        let epoch = "SELECT epoch::text FROM book_main.limits";
        self.fixture.text(epoch).await
    }

    /// As a release left them that did not know of units.
    async fn forget_units(&mut self) {
        let forget = "UPDATE book_main.limits SET root_asset = NULL, root_scale = NULL; \
                      UPDATE book_main.rule_sets SET revision = revision + 1";
        self.fixture.run(forget).await;
    }
}

/// What was worth something in another root asset, or in the root asset when that had another scale.
#[tokio::test]
async fn a_value_in_another_unit_is_refused_and_asks_a_second_operator() {
    let scene = Scene::start().await;
    let units = [usd(), finer(), eur()];
    let mut open = vec![];
    for unit in units {
        open.push(scene.make(scene.withdrawal(100, unit)).await);
    }
    let limits = Limits {
        approval_above: Some(build::amount(10_000_000)),
        ..Limits::default()
    };
    scene.put(limits, usd()).await;
    for (unit, open) in units.into_iter().zip(open) {
        let confirm = build::step(&open, &build::confirm(), FixedClock::START);
        let waits = scene.make(confirm).await.stage() == Some(Stage::Approval);
        assert_eq!(waits, unit != usd(), "{unit:?}");
        let next = scene.commit(scene.withdrawal(1, unit)).await;
        let reason = Reason::RateUnknown;
        let is_refused = next == CommitOutcome::Refused { reason };
        assert_eq!(is_refused, unit != usd(), "{unit:?}: {next:?}");
    }
}

/// Whether the unit was another one or nobody knows it.
#[tokio::test]
async fn limits_that_are_set_in_another_unit_are_counted_anew_in_it() {
    let mut scene = Scene::start().await;
    scene.put(daily(1_000), usd()).await;
    scene.forget_units().await;
    let dollars = scene.make(scene.withdrawal(100, usd())).await;
    let euros = scene.make(scene.withdrawal(30, eur())).await;
    assert_eq!(scene.used().await, 130);
    scene.put(daily(1_000), eur()).await;
    assert_eq!(scene.used().await, 30);
    scene.make(scene.withdrawal(70, eur())).await;
    assert_eq!(scene.used().await, 100);
    // What does not count gives nothing back, and what counts does.
    scene.cancel(&dollars).await;
    assert_eq!(scene.used().await, 100);
    scene.cancel(&euros).await;
    assert_eq!(scene.used().await, 70);

    let epoch = scene.epoch().await;
    scene.put(daily(2_000), eur()).await;
    assert_eq!(scene.epoch().await, epoch, "it goes on");
    scene.put(daily(2_000), usd()).await;
    assert_ne!(scene.epoch().await, epoch);
    assert_eq!(scene.used().await, 0);
    scene.make(scene.withdrawal(7, usd())).await;
    scene.put(daily(2_000), eur()).await;
    assert_eq!(scene.used().await, 70);
}

/// The same figures, which would look like no change without their units.
#[tokio::test]
async fn the_audit_log_tells_in_which_unit_limits_over_all_assets_were_set() {
    let mut scene = Scene::start().await;
    for unit in [usd(), eur(), build::asset("eur", 3).unit()] {
        scene.put(daily(1_000), unit).await;
    }
    scene.forget_units().await;
    scene.put(daily(1_000), usd()).await;
    let (kind, asset) = (Kind::Withdrawal, Some(usd().asset));
    let of_one = scene.book.put_limits(
        kind,
        asset,
        daily(1_000),
        usd(),
        Expected::Anything,
        draft(),
    );
    assert_eq!(of_one.await.unwrap(), PutRule::Written);
    let rows = "SELECT concat_ws(' ', before->>'root_asset', before->>'root_scale', '>', \
                       after->>'root_asset', after->>'root_scale') \
                FROM book_main.audit_log WHERE after->>'daily' = '1000'";
    let mut told = scene.fixture.texts(rows).await;
    told.sort();
    let expected = [">", "> usd 2", "> usd 2", "eur 2 > eur 3", "usd 2 > eur 2"];
    assert_eq!(told, expected);
}

/// What was read in a scale that the asset has no more would mean something else.
#[tokio::test]
async fn amounts_are_not_written_beside_a_change_of_the_scale() {
    let mut scene = Scene::start().await;
    let mut admin = scene.fixture.connect().await;
    let change = "BEGIN; UPDATE book_main.assets SET scale = 6 WHERE id = 'usd'";
    run(&mut admin, change).await;
    let (kind, most) = (Kind::Deposit, Limits::default());
    let mut puts = vec![];
    for asset in [Some(usd().asset), None] {
        let book = scene.book.clone();
        puts.push(tokio::spawn(async move {
            let put = book.put_limits(kind, asset, most, usd(), Expected::Anything, draft());
            put.await.unwrap()
        }));
    }
    let book = scene.book.clone();
    puts.push(tokio::spawn(async move {
        let fees = FeeSchedule::default();
        let put = book.put_fees(kind, usd(), fees, Expected::Anything, draft());
        put.await.unwrap()
    }));
    scene.fixture.until_so_many_wait(3).await;
    run(&mut admin, "COMMIT").await;
    for put in puts {
        assert_eq!(put.await.unwrap(), PutRule::OtherScale);
    }
    let rules = scene.book.rules().await.unwrap();
    assert!(rules.fees.is_empty() && rules.limits.is_empty());
}
