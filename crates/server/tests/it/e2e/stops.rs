//! What an operator stops by hand is stopped at once, on every replica.

use bursar_postgres::testing::TestDatabase;
use futures_util::future::join_all;
use serde_json::json;

use super::{
    books::Books,
    exchange::{CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, WAIT, WITHDRAW},
    service::Service,
};

#[tokio::test]
async fn read_only_holds_at_once_on_both_replicas_and_leaves_keys_free() {
    let database = TestDatabase::create().await;
    let services = Service::pair(database.url(), &[]).await;
    let [one, other] = [services[0].client(), services[1].client()];
    let exchange = Exchange::open(database.url(), &one, 2).await;
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    exchange.fund(&one, alice, "btc", "10").await;
    let admin = one.with(&exchange.admin);
    let reason = json!({"reason": "A drill."}).to_string();
    let operator = |replica: usize| services[replica].client().with(&exchange.backoffice);
    let body = json!({"userId": alice.id, "assetId": "btc", "amount": "1"}).to_string();
    let payment = json!({"currency_code": "btc", "amount": "1", "recipient": bob.id}).to_string();

    // Nothing happens, and the same keys work once it is lifted.
    let stop = "/admin/v1/stops/read-only";
    for round in 0..8 {
        let key = format!("key-{round}");
        let key = [("idempotency-key", key.as_str()), WAIT];
        assert_eq!(admin.put(stop, reason.clone()).await.status, 204);
        for service in &services {
            let backoffice = service.client().with(&exchange.backoffice);
            let answer = backoffice.post_with(DEPOSIT, body.clone(), &key).await;
            let answer = answer.refused(503, "service.read_only");
            assert_eq!(answer.text_of("outcome"), "not_executed");
            assert!(answer.header("retry-after").is_some());
            let paying = service.client().with(&alice.token);
            let answer = paying.post_with(INTERNAL, payment.clone(), &key).await;
            answer.refused(503, "service.read_only");
        }
        // Whatever moves no money goes on.
        let listed = other
            .with(&exchange.admin)
            .get("/admin/v1/stops")
            .await
            .ok();
        assert_eq!(listed.json()["data"][0]["stop"], "read_only");
        assert_eq!(other.with(&exchange.admin).delete(stop).await.status, 204);
        let answer = operator(0)
            .post_with(DEPOSIT, body.clone(), &key)
            .await
            .ok();
        assert!(!answer.is_replayed());
        let paying = services[1].client().with(&alice.token);
        let answer = paying.post_with(INTERNAL, payment.clone(), &key).await.ok();
        assert!(!answer.is_replayed());
        assert_eq!(answer.text_of("status"), "success");
    }

    Books::of(database.url()).audit().await;
    for service in services {
        service.stopped().await;
    }
}

#[tokio::test]
async fn a_stopped_asset_lets_nothing_out_on_either_replica() {
    let database = TestDatabase::create().await;
    let services = Service::pair(database.url(), &[]).await;
    let [one, other] = [services[0].client(), services[1].client()];
    let exchange = Exchange::open(database.url(), &one, 2).await;
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    exchange.fund(&one, alice, "btc", "10").await;
    exchange.fund(&one, alice, "eth", "10").await;
    let [admin, otherwise] = [one.with(&exchange.admin), other.with(&exchange.admin)];
    let operators = [
        one.with(&exchange.backoffice),
        other.with(&exchange.backoffice),
    ];
    let reason = json!({"reason": "A drill."}).to_string();
    let body = json!({"userId": alice.id, "assetId": "btc", "amount": "1"}).to_string();
    let payment = json!({"currency_code": "btc", "amount": "1", "recipient": bob.id}).to_string();
    let held = operators[1].post(WITHDRAW, body.clone()).await.ok().name();
    let named = json!({"userId": alice.id, "transferId": held}).to_string();

    let stop = "/admin/v1/stops/outgoing/btc";
    assert_eq!(admin.put(stop, reason).await.status, 204);
    for (service, backoffice) in services.iter().zip(&operators) {
        let refused = backoffice.post(WITHDRAW, body.clone()).await;
        refused.refused(422, "asset.outgoing_stopped");
        let refused = backoffice.post(CONFIRM, named.clone()).await;
        refused.refused(422, "asset.outgoing_stopped");
        let paying = service.client().with(&alice.token);
        let rejected = paying.post_with(INTERNAL, payment.clone(), &[WAIT]).await;
        let rejected = rejected.ok();
        assert_eq!(rejected.text_of("reason_code"), "asset.outgoing_stopped");
        let deposit = backoffice.post_with(DEPOSIT, body.clone(), &[WAIT]).await;
        assert_eq!(deposit.ok().text_of("status"), "Completed");
        let elsewhere = body.replace("btc", "eth");
        backoffice.post(WITHDRAW, elsewhere).await.ok();
    }
    // What it holds may still be given back, and all goes on when it is lifted.
    operators[1].post(CANCEL, named).await.ok();
    assert_eq!(otherwise.delete(stop).await.status, 204);
    operators[0].post(WITHDRAW, body).await.ok();
    Books::of(database.url()).audit().await;
    for service in services {
        service.stopped().await;
    }
}

#[tokio::test]
async fn what_was_accepted_before_a_stop_settles_after_it() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    let admin = client.with(&exchange.admin);
    let backoffice = client.with(&exchange.backoffice);
    let body = json!({"userId": exchange.traders[0].id, "assetId": "btc", "amount": "1"});
    let stop = "/admin/v1/stops/read-only";
    let opening = join_all((0..64).map(|_| backoffice.post(DEPOSIT, body.to_string())));
    let stopping = admin.put(stop, json!({"reason": "A drill."}).to_string());
    let (answers, stopped) = tokio::join!(opening, stopping);
    assert_eq!(stopped.status, 204);
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.into_iter().filter(|answer| answer.status != 200);
    for answer in refused {
        answer.refused(503, "service.read_only");
    }
    let last = backoffice
        .post_with(DEPOSIT, body.to_string(), &[WAIT])
        .await;
    last.refused(503, "service.read_only");
    assert_eq!(admin.delete(stop).await.status, 204);
    let last = backoffice
        .post_with(DEPOSIT, body.to_string(), &[WAIT])
        .await;
    assert_eq!(last.ok().text_of("status"), "Completed");
    let books = Books::of(database.url());
    books.settled().await;
    let completed = "SELECT count(*) FROM book_main.transfers WHERE state = 'Completed'";
    let completed = books.number(completed).await;
    assert_eq!(usize::try_from(completed).unwrap(), accepted + 1);
    books.audit().await;
    service.stopped().await;
}
