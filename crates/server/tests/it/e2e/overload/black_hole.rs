//! The database is there and says nothing, and no connection ends.

use std::time::{Duration, Instant};

use bursar_postgres::testing::TestDatabase;
use nix::sys::signal::Signal;

use crate::e2e::{
    books::Books,
    call::Told,
    client::Client,
    eventually,
    exchange::Exchange,
    hole::Hole,
    load::{Load, assert_kept, assert_told},
    receiver::Receiver,
    service::{SINGLE_WRITER, Service},
};

/// How many loads, of eight clients each, there are meanwhile.
const LOADS: usize = 4;
/// Shorter than a client waits; requests that a batch had taken wait for longest.
const REFUSED_WITHIN: Duration = Duration::from_secs(28);
/// A balancer must not be kept waiting by a replica that cannot serve.
const UNREADY_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_database_that_is_silent_has_everything_refused_in_time() {
    is_refused_in_time(&[]).await;
}

#[tokio::test]
async fn a_database_that_is_silent_has_everything_refused_by_a_single_writer() {
    is_refused_in_time(SINGLE_WRITER).await;
}

async fn is_refused_in_time(settings: &[(&str, &str)]) {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start().await;
    let hole = Hole::before(database.url()).await;
    let impatient = [("BURSAR_DATABASE_QUEUE_WAIT_MS", "1000")];
    let settings = [settings, &impatient].concat();
    let service = Service::start_with(&hole.url(database.url()), &settings).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 6).await;
    exchange.fund_all(&client, "1").await;

    let load = |round: &str| Load::start_stubborn(&client, &exchange, &receiver, round);
    let before = load("before");
    before.answered(100).await;
    hole.open();
    let loads: Vec<Load> = (0..LOADS)
        .map(|place| load(&format!("silent{place}")))
        .collect();
    assert_unready(&client, &exchange).await;
    let known: usize = loads.iter().map(Load::count_answered).sum();
    let taken = before.count_answered();
    hole.close();
    let mended = Instant::now();
    before.answered(taken + 1).await;
    println!("a first answer {:?} after the silence", mended.elapsed());

    let mut histories = vec![before.ended().await];
    for load in loads {
        histories.push(load.ended().await);
    }
    println!(
        "{known} answers in all that silence, {}",
        longest(&histories)
    );
    books.settled().await;
    books.audit().await;
    for history in &histories {
        assert_answered(history);
        assert_kept(history, &client, &books).await;
    }
    books.settled().await;
    books.audit().await;
    // What was being told when it began is leased still.
    books.let_leases_run_out().await;
    assert_told(&receiver, &books).await;
    eventually("no transaction is left behind", async || {
        let left = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        (books.number(left).await == 0).then_some(())
    })
    .await;
    service.signal(Signal::SIGTERM);
    assert_eq!(service.ended().await.code, Some(0));
}

/// For as long as the silence lasts the service says that it cannot be used, and goes on saying so.
async fn assert_unready(client: &Client, exchange: &Exchange) {
    let seconds = std::env::var("BURSAR_SILENCE_SECONDS");
    let seconds = seconds.map_or(8, |text| text.parse().unwrap());
    let began = Instant::now();
    let reader = client.with(&exchange.backoffice);
    while began.elapsed() < Duration::from_secs(seconds) {
        let asked = Instant::now();
        let health = async {
            assert_eq!(client.get("/health/live").await.status, 200);
            assert_eq!(client.get("/health/ready").await.status, 503);
            assert!(asked.elapsed() < UNREADY_WITHIN, "{:?}", asked.elapsed());
        };
        let list = async {
            let list = reader.get("/back-api/api/v2/transfers?pageSize=10").await;
            assert_eq!(list.status, 503, "{}", list.text);
            assert!(asked.elapsed() < REFUSED_WITHIN, "{:?}", asked.elapsed());
        };
        tokio::join!(health, list);
    }
}

/// Everybody got an answer, in time.
fn assert_answered(history: &[Told]) {
    for told in history {
        let took = told.told - told.sent;
        assert!(
            told.answer.is_some(),
            "{}: {:?}",
            told.call.key(),
            told.error
        );
        assert!(took < REFUSED_WITHIN, "{}: {took:?}", told.call.key());
    }
}

/// How long the last of what was refused took.
fn longest(histories: &[Vec<Told>]) -> String {
    let refused = histories.iter().flatten().filter(|told| !told.is_certain());
    let mut took: Vec<Duration> = refused.map(|told| told.told - told.sent).collect();
    took.sort_unstable();
    let place = |percent: usize| took.get(took.len() * percent / 100).or(took.last());
    format!(
        "{} refusals: half of them within {:?}, 95 % within {:?}, all within {:?}",
        took.len(),
        place(50),
        place(95),
        took.last()
    )
}
