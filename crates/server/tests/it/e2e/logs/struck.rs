//! What is logged when something goes wrong, or panics, while a request is under way.

use bursar_postgres::{faults::Point, testing::TestDatabase};
use serde_json::json;

use super::{
    super::{
        books::Books,
        client::{Answer, Client},
        eventually,
        exchange::{DEPOSIT, Exchange, WAIT},
        receiver::Receiver,
        service::Service,
    },
    TRACE,
    planted::Planted,
};

/// In how many places something is planted.
const PLACES: usize = 24;

/// What passes by itself.
const PASSING: [(Point, &str); 3] = [
    (Point::Decided, "40001"),
    (Point::Written, "lost"),
    (Point::Committed, "lost"),
];

/// A deposit that has something of its own wherever there is room for it.
struct Deposit {
    key: String,
    body: String,
    callbacks: String,
}

impl Deposit {
    fn of(planted: &mut Planted, exchange: &Exchange, receiver: &Receiver, during: &str) -> Self {
        let callbacks = planted.callback_path(&format!("a deposit during {during}"));
        let body = json!({
            "userId": exchange.traders[0].id, "assetId": "btc", "amount": "1",
            "comment": planted.canary(&format!("the comment of a deposit during {during}")),
            "callbackUrl": receiver.url(&callbacks),
        });
        Self {
            key: planted.canary(&format!("the key of a deposit during {during}")),
            body: body.to_string(),
            callbacks,
        }
    }

    async fn send(&self, office: &Client) -> reqwest::Result<Answer> {
        let headers = [("idempotency-key", self.key.as_str()), WAIT];
        office.try_post(DEPOSIT, self.body.clone(), &headers).await
    }
}

/// Waits for something in the log.
async fn logged(service: &Service, words: &str) {
    eventually(words, async || service.log().contains(words).then_some(())).await;
}

async fn assert_metrics_tell_nothing(planted: &Planted, client: &Client) {
    let metrics = client.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    planted.assert_not_in("the metrics", &metrics.text);
}

#[tokio::test]
async fn nothing_of_a_request_is_logged_when_it_is_struck_or_something_panics_under_it() {
    let database = TestDatabase::create().await;
    let service = Service::start_with(database.url(), &[TRACE]).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    let office = client.with(&exchange.backoffice);
    let (receiver, books) = (Receiver::start().await, Books::of(database.url()));
    let mut planted = Planted::default();
    for (point, act) in PASSING {
        let during = format!("{act} when {}", point.name());
        let deposit = Deposit::of(&mut planted, &exchange, &receiver, &during);
        service.arm(point, &format!("1*return({act})")).await;
        deposit.send(&office).await.unwrap().ok();
        eventually(&during, async || {
            (service.strikes(point, act) > 0).then_some(())
        })
        .await;
        service.arm(point, "off").await;
        receiver.expect(&deposit.callbacks, 1).await;
    }
    be_refused(&service, &office, &mut planted, &exchange, &receiver).await;
    books.delivered().await;

    // A panic while a callback is delivered ends that delivery alone.
    let deposit = Deposit::of(
        &mut planted,
        &exchange,
        &receiver,
        "a panic of its callback",
    );
    service.arm(Point::CallbackTried, "1*return(panic)").await;
    deposit.send(&office).await.unwrap().ok();
    logged(&service, "a callback's delivery broke off").await;
    service.arm(Point::CallbackTried, "off").await;
    books.let_leases_run_out().await;
    books.delivered().await;
    receiver.expect(&deposit.callbacks, 1).await;
    assert_metrics_tell_nothing(&planted, &client).await;

    // One in the middle of a batch ends the process.
    let deposit = Deposit::of(&mut planted, &exchange, &receiver, "a panic");
    service.arm(Point::Decided, "1*return(panic)").await;
    let told = deposit.send(&office).await.ok();
    assert!(told.is_none_or(|answer| answer.status != 200));
    let ended = service.ended().await;
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    for said in ["panicked at", "TRACE"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    planted.assert_not_in("the log", &ended.stderr);

    let service = Service::start_with(database.url(), &[TRACE]).await;
    let office = service.client().with(&exchange.backoffice);
    deposit.send(&office).await.unwrap().ok();
    receiver.expect(&deposit.callbacks, 1).await;
    books.delivered().await;
    assert_metrics_tell_nothing(&planted, &service.client()).await;
    planted.assert_not_in("the log", &service.stopped().await.stderr);
    assert_eq!(planted.count(), PLACES);
}

/// A deposit that the database refuses every time, until it does not any more.
async fn be_refused(
    service: &Service,
    office: &Client,
    planted: &mut Planted,
    exchange: &Exchange,
    receiver: &Receiver,
) {
    let deposit = Deposit::of(planted, exchange, receiver, "a refusal");
    service.arm(Point::Decided, "return(refused)").await;
    let refused = deposit.send(office).await.unwrap();
    let refused = refused.refused(503, "service.unavailable");
    planted.assert_not_in("a refusal", &refused.text);
    logged(service, "the database keeps refusing a request").await;
    service.arm(Point::Decided, "off").await;
    deposit.send(office).await.unwrap().ok();
    receiver.expect(&deposit.callbacks, 1).await;
}
