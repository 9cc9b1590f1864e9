//! What nobody confirms or approves in time.

use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};

use super::{
    books::Books,
    callbacks::told,
    client::Client,
    eventually,
    exchange::{CANCEL, CONFIRM, DEPOSIT, Exchange, WITHDRAW},
    receiver::Receiver,
    service::Service,
};

/// The story of a transfer, once it has failed.
async fn failed(exchange: &Exchange, client: &Client, id: &str) -> Value {
    eventually("a transfer expires", async || {
        let story = exchange.story(client, id).await;
        (story["status"] == "Failed").then_some(story)
    })
    .await
}

#[tokio::test]
async fn what_nobody_confirms_or_approves_in_time_fails_and_gives_its_hold_back() {
    let database = TestDatabase::create().await;
    let settings = [
        ("BURSAR_TRANSFERS_CONFIRM_WITHIN_S", "1"),
        ("BURSAR_TRANSFERS_APPROVE_WITHIN_S", "1"),
    ];
    let service = Service::start_with(database.url(), &settings).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    let alice = &exchange.traders[0];
    exchange.fund(&client, alice, "btc", "10").await;
    let receiver = Receiver::start().await;
    let backoffice = client.with(&exchange.backoffice);
    let body = json!({
        "userId": alice.id, "assetId": "btc", "amount": "2",
        "callbackUrl": receiver.url("/held"),
    });
    let held = backoffice.post(WITHDRAW, body.to_string()).await.ok();
    let story = failed(&exchange, &client, &held.name()).await;
    assert_eq!(story["reason_code"], "transfer.expired");
    let [created, ended] = [&story["created_at"], &story["updated_at"]];
    assert!(created.as_str() < ended.as_str(), "{story}");
    let (available, frozen) = Exchange::balance(&client, alice, "BTC").await;
    assert_eq!(
        (available.as_str(), frozen.as_str()),
        ("10.00000000", "0.00000000")
    );
    let named = json!({"userId": alice.id, "transferId": held.name()}).to_string();
    for path in [CONFIRM, CANCEL] {
        let late = backoffice.post(path, named.clone()).await;
        late.refused(409, "transfer.expired");
    }
    let books = Books::of(database.url());
    books.delivered().await;
    let error = "Nobody confirmed the withdrawal in time.";
    let expected = told(&held, "2.0", "Failed", Some(error));
    assert_eq!(receiver.bodies("/held").last(), Some(&expected));

    let rule = json!({"approval_above": "1"});
    exchange.rule(&client, "/limits/deposit/btc", &rule).await;
    let deposit = backoffice.post(DEPOSIT, body.to_string()).await.ok();
    assert_eq!(deposit.text_of("status"), "Pending");
    let story = failed(&exchange, &client, &deposit.name()).await;
    assert_eq!(story["reason_code"], "approval.expired");
    let (available, _) = Exchange::balance(&client, alice, "BTC").await;
    assert_eq!(available, "10.00000000");
    books.audit().await;
    service.stopped().await;
}
