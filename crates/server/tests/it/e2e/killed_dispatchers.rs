//! `kill -9` of who delivers, again and again under load: every final state arrives, nothing is
//! told that was not committed, and no more arrives twice than was under way.
//!
//! `BURSAR_KILLS=200 cargo test -p bursar-server --all-features --test it killed_dispatchers` kills
//! often as one likes.

use std::{collections::HashMap, time::Duration};

use bursar_postgres::testing::TestDatabase;

use super::{
    books::Books,
    exchange::Exchange,
    load::{Load, assert_told},
    receiver::Receiver,
    service::Service,
};

const KILLS: usize = 8;
/// How many times as often it may be killed, until something was under way.
const LUCK: usize = 5;
const TRADERS: usize = 6;
/// How long the receiver takes: whoever delivers to it is caught in the middle.
const TAKES: Duration = Duration::from_millis(20);
/// How many one replica has claimed at most.
const CLAIMED_MAX: usize = 256;

fn kills() -> usize {
    std::env::var("BURSAR_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

#[tokio::test]
async fn killed_dispatchers_lose_nothing_invent_nothing_and_double_little() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start_slow(TAKES).await;
    let mut service = Service::start(database.url()).await;
    let exchange = Exchange::open(database.url(), &service.client(), TRADERS).await;
    exchange.fund_all(&service.client(), "1").await;
    let mut under_way = 0;
    for round in 0..kills() * LUCK {
        // Whether anything is under way at the moment of a kill is chance: some more, until it was.
        if round >= kills() && under_way > 0 {
            break;
        }
        let client = service.client();
        let load = Load::start(&client, &exchange, &receiver, &format!("kill{round}"));
        load.answered(rand::random_range(5..60)).await;
        service.killed().await;
        load.broken_off().await;
        let leased = "SELECT count(*) FROM book_main.callbacks
                      WHERE lease IS NOT NULL AND next_attempt_at > now()";
        let leased = usize::try_from(books.number(leased).await).unwrap();
        assert!(leased <= CLAIMED_MAX, "{leased}");
        under_way += leased;
        books.let_leases_run_out().await;
        service = Service::start(database.url()).await;
    }
    books.settled().await;
    books.audit().await;
    assert_told(&receiver, &books).await;

    let rows = books
        .rows("SELECT id, status, state FROM book_main.callbacks")
        .await;
    let committed: HashMap<&str, (&str, &str)> = rows
        .iter()
        .map(|row| (row[0].as_str(), (row[1].as_str(), row[2].as_str())))
        .collect();
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for received in receiver.all() {
        let id = &received.headers["webhook-id"];
        let (status, _) = committed.get(id.as_str()).unwrap_or_else(|| {
            panic!("{id} was never committed: {}", received.body);
        });
        let body: serde_json::Value = serde_json::from_str(&received.body).unwrap();
        let told = [&body["Status"], &body["status"]];
        let told = told.into_iter().find_map(|status| status.as_str()).unwrap();
        assert!(told.eq_ignore_ascii_case(status), "{id}: {}", received.body);
        *arrived.entry(id.clone()).or_default() += 1;
    }
    for (id, (status, state)) in &committed {
        match *state {
            "succeeded" => assert!(arrived.contains_key(*id), "{id} {status} never arrived"),
            "skipped" => assert_eq!(*status, "AwaitingConfirmation", "{id}"),
            other => panic!("{id} is {other}"),
        }
    }
    let twice: usize = arrived.values().map(|times| times - 1).sum();
    assert!(
        twice <= under_way,
        "{twice} came twice, {under_way} were under way"
    );
    assert!(under_way > 0, "nothing was under way when it was killed");
    println!(
        "{} kills, {} callbacks committed, {} arrived, {under_way} under way when killed, \
         {twice} arrived twice",
        kills(),
        committed.len(),
        arrived.len()
    );
    service.stopped().await;
}
