//! `kill -9` of the service in the middle of load: nothing that was answered is lost, nothing
//! happens twice, and what was pending settles.

use bursar_postgres::testing::TestDatabase;

use super::{
    books::Books,
    call::Told,
    eventually,
    exchange::Exchange,
    history::{Before, Look, Watch, assert_serializable},
    load::{Load, assert_kept, assert_told},
    receiver::Receiver,
    service::{SINGLE_WRITER, Service},
    verify::{SEALED, verified},
};

const ROUNDS: usize = 5;
const TRADERS: usize = 6;

#[tokio::test]
async fn what_was_answered_survives_kill_9_and_what_was_not_happens_once() {
    survives_kill_9(&[]).await;
}

#[tokio::test]
async fn what_a_single_writer_answered_survives_kill_9() {
    survives_kill_9(SINGLE_WRITER).await;
}

async fn survives_kill_9(settings: &[(&str, &str)]) {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start().await;
    let mut service = Service::start_with(database.url(), settings).await;
    let exchange = Exchange::open(database.url(), &service.client(), TRADERS).await;
    exchange.fund_all(&service.client(), "1").await;
    let mut unanswered = 0;
    for round in 0..ROUNDS {
        let before = Before::of(&books).await;
        let load = Load::start(
            &service.client(),
            &exchange,
            &receiver,
            &format!("round{round}"),
        );
        let watch = Watch::start(&service.client(), &exchange);
        load.answered(rand::random_range(20..150)).await;
        watch.looked().await;
        service.killed().await;
        let history = load.broken_off().await;
        let looks = watch.ended().await;
        let lost = history.iter().filter(|told| told.answer.is_none());
        unanswered += lost.count();

        service = Service::start_with(database.url(), settings).await;
        assert_all_is_well(&history, &looks, &before, &service, &books).await;
        assert_told(&receiver, &books).await;
    }
    assert!(
        unanswered > 0,
        "no request was under way when the service was killed"
    );
    verified(database.url(), &SEALED, 0).await;
    service.stopped().await;
}

/// The books are right, also when everything is asked for again, and nobody was told or saw what could
/// not be. What was being delivered is due again afterwards.
async fn assert_all_is_well(
    history: &[Told],
    looks: &[Look],
    before: &Before,
    service: &Service,
    books: &Books,
) {
    books.settled().await;
    books.audit().await;
    assert_serializable(history, looks, before, books).await;
    assert_kept(history, &service.client(), books).await;
    books.settled().await;
    books.audit().await;
    books.let_leases_run_out().await;
}

/// Another replica stands by and takes over: what clients got no answer to they repeat there.
#[tokio::test]
async fn a_standby_takes_over_when_the_single_writer_is_killed() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start().await;
    let holder = Service::start_with(database.url(), SINGLE_WRITER).await;
    let exchange = Exchange::open(database.url(), &holder.client(), TRADERS).await;
    exchange.fund_all(&holder.client(), "1").await;
    let standby = Service::start_with(database.url(), SINGLE_WRITER).await;
    let ready = async |service: &Service| service.client().get("/health/ready").await;
    assert_eq!(ready(&holder).await.status, 200);
    ready(&standby).await.refused(503, "service.standby");

    let before = Before::of(&books).await;
    let load = Load::start(&holder.client(), &exchange, &receiver, "handover");
    let watch = Watch::start(&holder.client(), &exchange);
    load.answered(rand::random_range(20..150)).await;
    watch.looked().await;
    holder.killed().await;
    let history = load.broken_off().await;
    let looks = watch.ended().await;
    eventually("the standby takes over", async || {
        (ready(&standby).await.status == 200).then_some(())
    })
    .await;
    assert_all_is_well(&history, &looks, &before, &standby, &books).await;
    assert_told(&receiver, &books).await;
    verified(database.url(), &SEALED, 0).await;
    // It said nothing to the log of what is no trouble.
    assert!(!standby.log().contains("ERROR"), "{}", standby.log());
    standby.stopped().await;
}
