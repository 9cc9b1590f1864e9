//! Payouts are scheduled by the transaction that begins them, and claimed by one at a time.

use std::{collections::BTreeSet, sync::Arc};

use bursar_domain::{
    ActorId, Change, Command, Commit, PayoutRoute, Stage, Transfer, User, UserId, UserStatus,
};
use bursar_ports::{
    ClaimedPayout, CommitOutcome, Directory, Expected, LeaseToken, Lift, PayoutClearance,
    PayoutSchedule, PostponedPayout, PutUser, RuleBook, Stop, StopScope, StoreError, TransferStore,
};
use bursar_postgres::{PgDirectory, PgPayouts, PgRuleBook, PgStore, SealKeys};
use bursar_testkit::{FixedClock, SequentialIds, build};
use uuid::Uuid;

use crate::support::{Fixture, draft, patient, patient_engine, user};

const LEASE_MS: i64 = 60_000;
const SCHEDULED: &str = "SELECT transfer_id || ' ' || attempts || ' ' || (lease IS NULL) || ' ' || \
                         coalesce(outcome, '-') FROM book_main.payouts ORDER BY transfer_id";

struct Scene {
    fixture: Fixture,
    store: PgStore,
    schedule: PgPayouts,
    ids: SequentialIds,
}

impl Scene {
    async fn start() -> Self {
        let mut fixture = Fixture::new().await;
        fixture
            .run(
                "INSERT INTO book_main.assets (id, name, scale, can_deposit, can_withdraw, \
                 can_transfer) VALUES ('usd', 'Dollar', 2, true, true, true)",
            )
            .await;
        let clock = Arc::new(FixedClock::default());
        let (store, _tasks) = PgStore::start(
            &patient(fixture.url()),
            fixture.database.clone(),
            &patient_engine(),
            clock,
        );
        let schedule = PgPayouts::new(fixture.database.clone(), SealKeys::default());
        Self {
            fixture,
            store,
            schedule,
            ids: SequentialIds::default(),
        }
    }

    async fn commit(&self, changes: Vec<Change>) -> Vec<Transfer> {
        let batch = changes.into_iter().map(Commit::new).collect();
        let outcomes = self.store.commit(batch).await.unwrap();
        let made = outcomes.into_iter().map(|outcome| {
            let CommitOutcome::Committed(transfer) = outcome else {
                panic!("it was not committed");
            };
            *transfer
        });
        made.collect()
    }

    /// So many withdrawals that are being paid out, begun in one batch.
    async fn under_way(&self, count: usize) -> Vec<Transfer> {
        let user = self.ids.user();
        let asset = build::asset("usd", 2);
        let new =
            |units| build::new_transfer(self.ids.transfer(), &asset, units, FixedClock::START);
        let deposit = build::deposit(new(1_000_000), user).settled_at_once();
        self.commit(vec![deposit]).await;
        let opened = (0..count).map(|_| build::withdrawal(new(100), user));
        let opened = self.commit(opened.collect()).await;
        let confirmed = opened.iter().map(|open| begun(open, PayoutRoute::Gateway));
        self.commit(confirmed.collect()).await
    }

    async fn claim(&self, limit: u32) -> Vec<ClaimedPayout> {
        self.schedule.claim_due(LEASE_MS, limit).await.unwrap()
    }

    /// What stands against an order of somebody's dollars.
    async fn clearance(&self, owner: UserId) -> Result<PayoutClearance, StoreError> {
        self.schedule.clearance(owner, build::asset_id("usd")).await
    }
}

fn begun(open: &Transfer, route: PayoutRoute) -> Change {
    let confirm = Command::Confirm {
        by: ActorId::new("operator"),
        callback_url: Some("https://example.com/hook".to_owned()),
        route,
        approval_expires_at: None,
    };
    build::step(open, &confirm, FixedClock::START)
}

fn postponed(claimed: &ClaimedPayout, wait_ms: i64) -> PostponedPayout {
    PostponedPayout {
        id: claimed.transfer.id(),
        lease: claimed.lease,
        wait_ms,
        outcome: "timeout",
        was_tried: true,
    }
}

fn ids(claimed: &[ClaimedPayout]) -> BTreeSet<i64> {
    let ids = claimed.iter().map(|claimed| claimed.transfer.id().get());
    ids.collect()
}

#[tokio::test]
async fn a_payout_is_due_from_the_transaction_that_begins_it() {
    let mut scene = Scene::start().await;
    let transfers = scene.under_way(3).await;
    let claimed = scene.claim(2).await;
    assert_eq!(claimed.len(), 2);
    let rest = scene.claim(10).await;
    assert_eq!(rest.len(), 1);
    for claim in claimed.iter().chain(&rest) {
        assert!(transfers.contains(&claim.transfer));
        assert_eq!(claim.transfer.stage(), Some(Stage::Payout));
        assert_eq!(claim.attempts, 0);
    }
    assert_eq!(scene.claim(10).await, []);
    let lines = scene.fixture.texts(SCHEDULED).await;
    let expected: Vec<String> = transfers
        .iter()
        .map(|transfer| format!("{} 0 false -", transfer.id()))
        .collect();
    assert_eq!(lines, expected);
}

/// Whoever confirms has seen to it, and hearing of a payout once more begins none.
#[tokio::test]
async fn nothing_else_is_scheduled() {
    let mut scene = Scene::start().await;
    let under_way = scene.under_way(1).await.pop().unwrap();
    scene.schedule.end(under_way.id()).await.unwrap();
    let told = under_way.acknowledge(&build::cancel_telling("https://example.com/"), None);
    scene.commit(vec![told]).await;
    let paid = build::step(&under_way, &Command::PaidOut, FixedClock::START);
    scene.commit(vec![paid]).await;
    let asset = build::asset("usd", 2);
    let user = under_way.owner();
    let new = build::new_transfer(scene.ids.transfer(), &asset, 100, FixedClock::START);
    let open = scene.commit(vec![build::withdrawal(new, user)]).await;
    let manual = begun(&open[0], PayoutRoute::Manual);
    scene.commit(vec![manual]).await;
    let lines = scene.fixture.texts(SCHEDULED).await;
    assert_eq!(lines, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_postponed_comes_back_in_its_time_with_its_history() {
    let mut scene = Scene::start().await;
    scene.under_way(1).await;
    let first = scene.claim(1).await.pop().unwrap();
    let late = postponed(&first, LEASE_MS);
    assert!(scene.schedule.postpone(late).await.unwrap());
    assert!(!scene.schedule.postpone(late).await.unwrap(), "only once");
    assert_eq!(scene.claim(1).await, []);
    let lines = scene.fixture.texts(SCHEDULED).await;
    assert_eq!(lines, [format!("{} 1 true timeout", first.transfer.id())]);

    let now = "UPDATE book_main.payouts SET next_attempt_at = now()";
    scene.fixture.run(now).await;
    let second = scene.claim(1).await.pop().unwrap();
    assert_eq!(second.attempts, 1);
    assert_ne!(second.lease, first.lease);
    let uncounted = PostponedPayout {
        was_tried: false,
        ..postponed(&second, 0)
    };
    assert!(scene.schedule.postpone(uncounted).await.unwrap());
    assert_eq!(scene.claim(1).await[0].attempts, 1);
}

/// Its holder died, and another one takes it; the dead one's word no longer counts.
#[tokio::test]
async fn a_lease_that_has_run_out_is_worth_nothing() {
    let mut scene = Scene::start().await;
    scene.under_way(1).await;
    let first = scene.claim(1).await.pop().unwrap();
    let now = "UPDATE book_main.payouts SET next_attempt_at = now()";
    scene.fixture.run(now).await;
    let second = scene.claim(1).await.pop().unwrap();
    assert!(!scene.schedule.postpone(postponed(&first, 0)).await.unwrap());
    let made_up = PostponedPayout {
        lease: LeaseToken(Uuid::nil()),
        ..postponed(&second, 0)
    };
    assert!(!scene.schedule.postpone(made_up).await.unwrap());
    assert_eq!(scene.claim(1).await, []);
    assert!(
        scene
            .schedule
            .postpone(postponed(&second, 0))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn claimers_never_hold_the_same_payout() {
    let scene = Scene::start().await;
    let transfers = scene.under_way(60).await;
    let claimers = (0..8).map(|_| {
        let schedule = scene.schedule.clone();
        tokio::spawn(async move {
            let mut mine = vec![];
            loop {
                let claimed = schedule.claim_due(LEASE_MS, 3).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed);
            }
        })
    });
    let mut all = vec![];
    for claimer in claimers.collect::<Vec<_>>() {
        all.extend(claimer.await.unwrap());
    }
    assert!(ids(&all).len() == all.len(), "one was claimed twice");
    // What one claimer skips because another one is at it, that one has.
    assert_eq!(all.len(), transfers.len());
}

/// Whoever asks when a freeze has returned hears of it, and of a release too: nothing is remembered.
#[tokio::test]
async fn an_owners_status_is_what_the_book_says_right_now() {
    let scene = Scene::start().await;
    let owner = scene.under_way(1).await[0].owner();
    let clock = Arc::new(FixedClock::default());
    let directory = PgDirectory::new(scene.fixture.database.clone(), clock);
    let named = User {
        id: owner,
        ..user(1, "anna")
    };
    for status in [
        UserStatus::Active,
        UserStatus::Frozen,
        UserStatus::Terminated,
        UserStatus::Active,
        UserStatus::Frozen,
    ] {
        let changed = User {
            status,
            ..named.clone()
        };
        let put = directory.put_user(changed, draft()).await.unwrap();
        assert_eq!(put, PutUser::Written);
        let found = scene.clearance(owner).await.unwrap();
        assert_eq!(found.owner, status);
    }
}

/// Whoever asks when a stop has returned hears of it, and when it is lifted too: nothing is remembered.
#[tokio::test]
async fn what_is_stopped_is_what_the_rules_say_right_now() {
    let scene = Scene::start().await;
    let owner = scene.under_way(1).await[0].owner();
    let clock = Arc::new(FixedClock::default());
    let rule_book = PgRuleBook::new(scene.fixture.database.clone(), clock);
    for (scope, is_stopped) in [
        (StopScope::ReadOnly, true),
        (StopScope::Outgoing(build::asset_id("usd")), true),
        (StopScope::Outgoing(build::asset_id("btc")), false),
    ] {
        let stop = Stop {
            scope,
            reason: "a leak".to_owned(),
            stopped_by: ActorId::new("operator"),
            stopped_at: FixedClock::START,
        };
        rule_book.stop(stop, draft()).await.unwrap();
        let mut expected = PayoutClearance {
            owner: UserStatus::Active,
            is_stopped,
        };
        let found = scene.clearance(owner).await.unwrap();
        assert_eq!(found, expected, "{scope:?}");
        let lift = rule_book.lift(scope, Expected::Anything, draft());
        assert_eq!(lift.await.unwrap(), Lift::Lifted);
        expected.is_stopped = false;
        let found = scene.clearance(owner).await.unwrap();
        assert_eq!(found, expected, "{scope:?}");
    }
}

/// The book binds, and is written first: a freeze that was cut off before people could see it holds.
#[tokio::test]
async fn a_freeze_that_is_in_the_book_alone_is_a_freeze() {
    let mut scene = Scene::start().await;
    let owner = scene.under_way(1).await[0].owner();
    let freeze = format!("UPDATE book_main.owners SET status = 'Frozen' WHERE id = '{owner}'");
    scene.fixture.run(&freeze).await;
    let found = scene.clearance(owner).await.unwrap();
    assert_eq!(found.owner, UserStatus::Frozen);
}

#[tokio::test]
async fn nobody_is_active_of_whom_the_book_knows_nothing() {
    let scene = Scene::start().await;
    let found = scene.clearance(scene.ids.user()).await;
    assert!(
        matches!(
            found,
            Err(StoreError::Inconsistent {
                table: "owners",
                ..
            })
        ),
        "{found:?}"
    );
}

#[tokio::test]
async fn figures_tell_how_many_and_since_when() {
    let mut scene = Scene::start().await;
    let figures = scene.schedule.figures().await.unwrap();
    assert_eq!((figures.under_way, figures.oldest_ms), (0, 0));
    let transfers = scene.under_way(2).await;
    let hour = "UPDATE book_main.payouts SET began_at = now() - interval '1 hour' \
                WHERE transfer_id = (SELECT min(transfer_id) FROM book_main.payouts)";
    scene.fixture.run(hour).await;
    let younger = "UPDATE book_main.payouts SET began_at = now() \
                   WHERE transfer_id = (SELECT max(transfer_id) FROM book_main.payouts)";
    scene.fixture.run(younger).await;
    let figures = scene.schedule.figures().await.unwrap();
    assert_eq!(figures.under_way, 2);
    assert!((3_600_000..3_700_000).contains(&figures.oldest_ms));
    scene.schedule.end(transfers[0].id()).await.unwrap();
    scene.schedule.end(transfers[0].id()).await.unwrap();
    let figures = scene.schedule.figures().await.unwrap();
    assert_eq!(figures.under_way, 1);
    assert!(figures.oldest_ms < 600_000);
}
