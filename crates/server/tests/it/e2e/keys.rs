//! Idempotency keys on every POST that moves money: on two replicas at once, after a restart, after
//! a refusal.

use bursar_postgres::testing::TestDatabase;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    books::Books,
    client::{Answer, Client},
    exchange::{BULK, CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, WITHDRAW},
    service::Service,
};

const DUPLICATES: usize = 1_000;
const AT_ONCE: usize = 64;

/// A request that moves money, and another one with the same key.
struct Request {
    path: &'static str,
    token: String,
    body: Value,
    other: Value,
    /// In which fields the two differ.
    fields: Value,
}

impl Request {
    async fn send(&self, client: &Client, body: &Value) -> Answer {
        // The key is the same for all: it belongs to the operation.
        let headers = [("idempotency-key", "one-key")];
        let client = client.with(&self.token);
        client
            .post_with(self.path, body.to_string(), &headers)
            .await
    }
}

/// One request of every kind.
async fn requests(exchange: &Exchange, client: &Client) -> Vec<Request> {
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    let backoffice = client.with(&exchange.backoffice);
    let mut held = Vec::new();
    for _ in 0..4 {
        let body = json!({"userId": alice.id, "assetId": "btc", "amount": "0.5"});
        held.push(
            backoffice
                .post(WITHDRAW, body.to_string())
                .await
                .ok()
                .name(),
        );
    }
    let open = |amount: &str| json!({"userId": alice.id, "assetId": "btc", "amount": amount});
    let finish = |id: &str| json!({"userId": alice.id, "transferId": id});
    let pay = |amount: &str| json!({"currency_code": "btc", "amount": amount, "recipient": bob.id});
    let operator = |path, body, other, fields| Request {
        path,
        token: exchange.backoffice.clone(),
        body,
        other,
        fields,
    };
    let user = |path, body, other, fields| Request {
        token: alice.token.clone(),
        ..operator(path, body, other, fields)
    };
    vec![
        operator(DEPOSIT, open("1"), open("2"), json!(["amount"])),
        operator(WITHDRAW, open("1"), open("2"), json!(["amount"])),
        operator(
            CONFIRM,
            finish(&held[0]),
            finish(&held[1]),
            json!(["transferId"]),
        ),
        operator(
            CANCEL,
            finish(&held[2]),
            finish(&held[3]),
            json!(["transferId"]),
        ),
        user(INTERNAL, pay("0.1"), pay("0.2"), json!(["amount"])),
        user(
            BULK,
            json!({"transfers": [pay("0.1"), pay("0.2"), {"amount": 0}]}),
            json!({"transfers": [pay("0.1"), pay("0.3"), {"amount": 0}]}),
            json!(["transfers[1].amount"]),
        ),
    ]
}

/// What the answer's transfers are called.
fn names(answer: &Answer) -> Vec<String> {
    match answer.json()["results"].as_array() {
        Some(results) => results.iter().map(|one| one["code"].to_string()).collect(),
        None => vec![answer.name()],
    }
}

#[tokio::test]
async fn a_thousand_duplicates_on_two_replicas_have_one_effect_for_ever() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let replicas = [
        Service::start(database.url()).await,
        Service::start(database.url()).await,
    ];
    let client = replicas[0].client();
    let exchange = Exchange::open(database.url(), &client, 2).await;
    exchange
        .fund(&client, &exchange.traders[0], "btc", "10")
        .await;
    let requests = requests(&exchange, &client).await;
    let mut made = Vec::new();
    for request in &requests {
        let answers: Vec<Answer> = stream::iter(0..DUPLICATES)
            .map(|number| {
                let client = replicas[number % 2].client();
                async move { request.send(&client, &request.body).await.ok() }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let originals = answers.iter().filter(|answer| !answer.is_replayed());
        assert_eq!(originals.count(), 1, "{}", request.path);
        let first = names(&answers[0]);
        let same = answers.iter().all(|answer| names(answer) == first);
        assert!(same, "{}", request.path);
        made.push(first);
    }
    books.settled().await;
    let sizes = books.sizes().await;
    for replica in replicas {
        replica.stopped().await;
    }
    let service = Service::start(database.url()).await;
    for (request, made) in requests.iter().zip(made) {
        let again = request.send(&service.client(), &request.body).await.ok();
        assert!(again.is_replayed(), "{}", request.path);
        assert_eq!(names(&again), made);
        let other = request.send(&service.client(), &request.other).await;
        let other = other.refused(422, "idempotency.key_reused").json();
        assert_eq!(other["fields"], request.fields, "{}", request.path);
        assert_ne!(other["original"], Value::Null);
    }
    assert_eq!(books.sizes().await, sizes);
    books.audit().await;
    service.stopped().await;
}

/// The money that was missing has come, the user is free again: the answer stays the same.
#[tokio::test]
async fn a_refusal_is_replayed_after_a_restart_whatever_has_changed() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 2).await;
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    let pay = |amount: &str| json!({"currency_code": "btc", "amount": amount, "recipient": bob.id});
    let request = |path, token: &str, body| Request {
        path,
        token: token.to_owned(),
        body,
        other: Value::Null,
        fields: Value::Null,
    };
    let hold = json!({"userId": alice.id, "assetId": "btc", "amount": "1"});
    let refused = [
        (request(WITHDRAW, &exchange.backoffice, hold), 422),
        (request(INTERNAL, &alice.token, pay("1")), 200),
        (
            request(
                BULK,
                &alice.token,
                json!({"transfers": [pay("1"), pay("1")], "atomic": true}),
            ),
            422,
        ),
    ];
    let mut told = Vec::new();
    for (request, status) in &refused {
        let answer = request.send(&client, &request.body).await;
        assert_eq!(answer.status, *status, "{}", answer.text);
        assert!(!answer.is_replayed());
        told.push(answer.json()["code"].clone());
    }
    Books::of(database.url()).settled().await;
    exchange.fund(&client, alice, "btc", "10").await;
    service.stopped().await;
    let service = Service::start(database.url()).await;
    for ((request, status), told) in refused.iter().zip(told) {
        let answer = request.send(&service.client(), &request.body).await;
        assert_eq!(answer.status, *status, "{}", answer.text);
        assert!(answer.is_replayed(), "{}", answer.text);
        assert_eq!(answer.json()["code"], told);
        if request.path == INTERNAL {
            assert_eq!(answer.json()["reason_code"], "balance.insufficient");
        }
    }
    let (available, _) = Exchange::balance(&service.client(), alice, "BTC").await;
    assert_eq!(available, "10.00000000");
    service.stopped().await;
}
