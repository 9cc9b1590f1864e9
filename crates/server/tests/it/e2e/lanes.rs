//! Receivers that hang hold nobody else up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bursar_postgres::testing::TestDatabase;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    books::Books,
    client::Client,
    eventually,
    exchange::{DEPOSIT, Exchange},
    receiver::Receiver,
    service::Service,
};

const WAITING: i64 = 5_000;
const REPLICAS: usize = 2;
/// How long an attempt at a receiver that hangs takes.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Who waits for such an attempt waits for longer.
const SOON: Duration = Duration::from_secs(5);
/// So many are late only because the machine stood still; behind one that hangs nearly all are.
const LATE_MAX: usize = 2;
const DELIVERED_MIN: usize = 10;

/// Takes connections and says nothing.
struct Hanging {
    url: String,
    host: String,
    taken: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Hanging {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let listening = tokio::spawn(async move {
            let mut held = vec![];
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                held.push(stream);
            }
        });
        Self {
            url: format!("http://{host}"),
            host,
            taken,
            listening,
        }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A number that a replica's metrics show.
async fn metric(client: &Client, name: &str) -> Option<f64> {
    let text = client.get("/metrics").await.text;
    let mut lines = text.lines();
    let line = lines.find(|line| line.split([' ', '{']).next() == Some(name))?;
    line.rsplit(' ').next().unwrap().parse().ok()
}

/// The metrics of a replica show what waits and what is being done.
async fn assert_measured(client: &Client) {
    eventually("the metrics show what waits", async || {
        let due = metric(client, "bursar_callbacks_due").await?;
        let oldest = metric(client, "bursar_callbacks_oldest_due_seconds").await?;
        (due >= 4_900.0 && oldest > 1.0).then_some(())
    })
    .await;
    for (name, least) in [
        ("bursar_callbacks_in_flight", 1.0),
        ("bursar_callback_breakers_open", 0.0),
        ("bursar_callback_attempts_total", 1.0),
        ("bursar_callbacks_dead_total", 0.0),
        ("bursar_callback_lag_seconds_count", 1.0),
    ] {
        eventually(name, async || {
            let shown = metric(client, name).await?;
            (shown >= least).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_with_thousands_waiting_delays_nobody_else() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let mut services = vec![];
    for _ in 0..REPLICAS {
        services.push(Service::start(database.url()).await);
    }
    let exchange = Exchange::open(database.url(), &services[0].client(), 1).await;
    let (receiver, hanging) = (Receiver::start().await, Hanging::start().await);
    let deposit = async |number: usize, url: String| {
        let body = json!({
            "userId": exchange.traders[0].id, "assetId": "btc", "amount": "0.01",
            "callbackUrl": url,
        });
        let client = services[number % REPLICAS].client();
        let client = client.with(&exchange.backoffice);
        client.post(DEPOSIT, body.to_string()).await.ok()
    };
    let opened = Instant::now();
    deposit(0, format!("{}/0", hanging.url)).await;
    // All of one client, as the others that follow: they share nothing but the receiver.
    let waiting = format!(
        "INSERT INTO book_main.callbacks (id, transfer_id, operation, url, url_digest, subscriber,
            host, status, state, attempts, created_at, next_attempt_at)
         SELECT gen_random_uuid(), t.id, 'settle', u.url, sha256(u.url::bytea),
            'client:backoffice', '{}', 'Completed', 'pending', 0, now(), now()
         FROM book_main.transfers AS t, generate_series(1, {WAITING}) AS n,
            LATERAL (SELECT '{}/' || n AS url) AS u",
        hanging.host, hanging.url
    );
    books.rows(&waiting).await;
    eventually("the hanging receiver is tried", async || {
        (hanging.taken.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;

    let begun = Instant::now();
    let (mut number, mut late) = (0, vec![]);
    // For longer than one attempt at the receiver that hangs.
    while begun.elapsed() < ATTEMPT + Duration::from_secs(2) || number < DELIVERED_MIN {
        let path = format!("/{number}");
        let sent = Instant::now();
        deposit(number, receiver.url(&path)).await;
        let received = receiver.expect(&path, 1).await;
        let waited = received[0].at - sent;
        if waited >= SOON {
            late.push(waited);
        }
        assert!(late.len() <= LATE_MAX, "of {number}: {late:?}");
        number += 1;
    }
    // Nobody has proved that anybody is there, so each replica tries one at a time.
    let tried = hanging.taken.load(Ordering::SeqCst);
    let attempts = usize::try_from(opened.elapsed().as_secs() / ATTEMPT.as_secs()).unwrap() + 1;
    assert!((2..=REPLICAS * attempts).contains(&tried), "{tried}");

    assert_measured(&services[0].client()).await;
    let dead = "SELECT count(*) FROM book_main.callbacks WHERE state <> 'pending'";
    let delivered = i64::try_from(number).unwrap();
    eventually("what was delivered is recorded", async || {
        (books.number(dead).await == delivered).then_some(())
    })
    .await;
    for service in services {
        service.stopped().await;
    }
    // Nothing is left leased by who stopped in good order.
    let leased = "SELECT count(*) FROM book_main.callbacks WHERE lease IS NOT NULL";
    assert_eq!(books.number(leased).await, 0);
}
