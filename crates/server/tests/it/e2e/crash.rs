//! `kill -9` of the service in the middle of load: nothing that was answered is lost, nothing
//! happens twice, and what was pending settles.

use bursar_postgres::testing::TestDatabase;

use super::{
    books::Books,
    exchange::Exchange,
    load::{Load, assert_kept, assert_told},
    receiver::Receiver,
    service::Service,
    verify::{SEALED, verified},
};

const ROUNDS: usize = 5;
const TRADERS: usize = 6;

#[tokio::test]
async fn what_was_answered_survives_kill_9_and_what_was_not_happens_once() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start().await;
    let mut service = Service::start(database.url()).await;
    let exchange = Exchange::open(database.url(), &service.client(), TRADERS).await;
    for trader in &exchange.traders {
        exchange.fund(&service.client(), trader, "btc", "1").await;
    }
    let mut unanswered = 0;
    for round in 0..ROUNDS {
        let load = Load::start(
            &service.client(),
            &exchange,
            &receiver,
            &format!("round{round}"),
        );
        load.answered(rand::random_range(20..150)).await;
        service.killed().await;
        let history = load.broken_off().await;
        let lost = history.iter().filter(|told| told.answer.is_none());
        unanswered += lost.count();

        service = Service::start(database.url()).await;
        books.settled().await;
        books.audit().await;
        assert_kept(&history, &service.client(), &books).await;
        books.settled().await;
        books.audit().await;
        books.let_leases_run_out().await;
        assert_told(&receiver, &books).await;
    }
    assert!(
        unanswered > 0,
        "no request was under way when the service was killed"
    );
    verified(database.url(), &SEALED, 0).await;
    service.stopped().await;
}
