//! Accounts of recipients come into being with the first payment that nothing else stops.

use std::sync::Arc;

use bursar_domain::{Commit, Reason, Status, UserId};
use bursar_ports::{CommitOutcome, TransferStore};
use bursar_postgres::{EngineConfig, PgStore};
use bursar_testkit::{FixedClock, SequentialIds, build};
use futures_util::future::join_all;

use crate::support::{Fixture, patient, patient_engine};

struct Scene {
    fixture: Fixture,
    store: PgStore,
    ids: SequentialIds,
    rich: UserId,
    poor: UserId,
}

impl Scene {
    async fn set() -> Self {
        Self::set_with(patient_engine()).await
    }

    async fn set_with(config: EngineConfig) -> Self {
        let fixture = Fixture::with_usd().await;
        let pool = patient(fixture.url());
        let clock = Arc::new(FixedClock::default());
        let (store, _tasks) = PgStore::start(&pool, fixture.database.clone(), &config, clock);
        let ids = SequentialIds::default();
        let (rich, poor) = (ids.user(), ids.user());
        let scene = Self {
            fixture,
            store,
            ids,
            rich,
            poor,
        };
        for (user, units) in [(rich, 1_000), (poor, 1)] {
            let deposit = build::deposit(scene.new_transfer(units), user).settled_at_once();
            let outcome = scene
                .store
                .commit(vec![Commit::new(deposit)])
                .await
                .unwrap();
            assert_eq!(told(&outcome), [(Status::Completed, None)]);
        }
        scene
    }

    fn new_transfer(&self, units: i128) -> bursar_domain::NewTransfer {
        let usd = build::asset("usd", 2);
        build::new_transfer(self.ids.transfer(), &usd, units, FixedClock::START)
    }

    fn payment(&self, sender: UserId, recipient: UserId, units: i128) -> Commit {
        let new = self.new_transfer(units);
        Commit::new(build::internal(new, sender, recipient).settled_at_once())
    }

    async fn available(&mut self, user: UserId) -> String {
        let balance =
            format!("SELECT available::text FROM book_main.accounts WHERE owner = '{user}'");
        self.fixture.text(&balance).await
    }
}

fn told(outcomes: &[CommitOutcome]) -> Vec<(Status, Option<Reason>)> {
    let of = |outcome: &CommitOutcome| {
        let CommitOutcome::Committed(transfer) = outcome else {
            panic!("{outcome:?}");
        };
        (transfer.status(), transfer.reason())
    };
    outcomes.iter().map(of).collect()
}

const PAID: (Status, Option<Reason>) = (Status::Success, None);

#[tokio::test]
async fn a_payment_that_its_sender_cannot_make_makes_no_account() {
    let mut scene = Scene::set().await;
    let recipient = scene.ids.user();
    let pending = build::internal(scene.new_transfer(1), scene.rich, recipient);
    let unpaid = scene.payment(scene.poor, recipient, 2);
    for (commit, expected) in [
        (Commit::new(pending), (Status::Pending, None)),
        (
            unpaid,
            (Status::Rejected, Some(Reason::BalanceInsufficient)),
        ),
    ] {
        let outcome = scene.store.commit(vec![commit]).await.unwrap();
        assert_eq!(told(&outcome), [expected]);
        let made = format!("SELECT id::text FROM book_main.owners WHERE id = '{recipient}'");
        assert_eq!(scene.fixture.text(&made).await, "");
        assert_eq!(scene.available(recipient).await, "");
    }
    let paid = scene.payment(scene.rich, recipient, 2);
    let outcome = scene.store.commit(vec![paid]).await.unwrap();
    assert_eq!(told(&outcome), [PAID]);
    assert_eq!(scene.available(recipient).await, "2");
}

#[tokio::test]
async fn a_batch_that_lacks_accounts_is_tried_again_as_a_whole() {
    let mut scene = Scene::set().await;
    let (first, second) = (scene.ids.user(), scene.ids.user());
    let batch = vec![
        scene.payment(scene.rich, first, 10),
        scene.payment(scene.poor, second, 5),
        // Can be made only because the first one was.
        scene.payment(first, second, 4),
        scene.payment(second, scene.poor, 3),
        scene.payment(scene.poor, scene.rich, 4),
    ];
    let outcome = scene.store.commit(batch).await.unwrap();
    let unpaid = (Status::Rejected, Some(Reason::BalanceInsufficient));
    assert_eq!(told(&outcome), [PAID, unpaid, PAID, PAID, PAID]);
    for (user, available) in [
        (scene.rich, "994"),
        (scene.poor, "0"),
        (first, "6"),
        (second, "1"),
    ] {
        assert_eq!(scene.available(user).await, available);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_payments_to_one_user_at_once_make_one_account() {
    let mut scene = Scene::set().await;
    let recipient = scene.ids.user();
    let payments = (0..32).map(|_| {
        let payment = scene.payment(scene.rich, recipient, 1);
        scene.store.commit(vec![payment])
    });
    for outcome in join_all(payments).await {
        assert_eq!(told(&outcome.unwrap()), [PAID]);
    }
    assert_eq!(scene.available(recipient).await, "32");
    assert_eq!(scene.available(scene.rich).await, "968");
}

#[tokio::test]
async fn a_recipient_who_is_stopped_before_the_first_payment_is_not_paid() {
    let mut scene = Scene::set().await;
    let recipient = scene.ids.user();
    let stop = format!("INSERT INTO book_main.owners VALUES ('{recipient}', 'Frozen', 1)");
    scene.fixture.run(&stop).await;
    let unpaid = scene.payment(scene.rich, recipient, 1);
    let outcome = scene.store.commit(vec![unpaid]).await.unwrap();
    let expected = (Status::Rejected, Some(Reason::RecipientUnavailable));
    assert_eq!(told(&outcome), [expected]);
    assert_eq!(scene.available(recipient).await, "0");
}

/// What is remembered of accounts is as full as it may be, and takes nothing in.
#[tokio::test]
async fn a_recipient_is_paid_however_little_is_remembered() {
    let config = EngineConfig {
        accounts_remembered_max: 0,
        ..patient_engine()
    };
    let mut scene = Scene::set_with(config).await;
    let recipients = [scene.poor, scene.ids.user()];
    for recipient in recipients {
        let payment = scene.payment(scene.rich, recipient, 2);
        let outcome = scene.store.commit(vec![payment]).await.unwrap();
        assert_eq!(told(&outcome), [PAID]);
    }
    let payments = recipients.map(|recipient| scene.payment(scene.rich, recipient, 3));
    let outcome = scene.store.commit(payments.to_vec()).await.unwrap();
    assert_eq!(told(&outcome), [PAID, PAID]);
    assert_eq!(scene.available(scene.poor).await, "6");
}
