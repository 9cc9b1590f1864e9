//! Amounts are exact from the request through the database to every place that shows them.

use bursar_postgres::testing::TestDatabase;
use serde_json::Value;

use super::{
    books::Books,
    exchange::{DEPOSIT, Exchange, INTERNAL, WAIT, WITHDRAW},
    receiver::Receiver,
    service::Service,
    units,
};

/// What is sent, and what the back office, the callback and the internal transfer show of it.
const AMOUNTS: [(&str, &str, &str, &str, &str); 8] = [
    ("btc", "1", "1", "1.0", "1.00000000"),
    ("btc", "\"1\"", "1", "1.0", "1.00000000"),
    ("btc", "1e-7", "0.0000001", "0.0000001", "0.00000010"),
    ("btc", "2.5E1", "25", "25.0", "25.00000000"),
    ("btc", "1.10", "1.1", "1.1", "1.10000000"),
    (
        "eth",
        "0.123456789012345678",
        "0.123456789012345678",
        "0.123456789012345678",
        "0.123456789012345678",
    ),
    (
        "eth",
        "\"0.000000000000000001\"",
        "0.000000000000000001",
        "0.000000000000000001",
        "0.000000000000000001",
    ),
    (
        "eth",
        "123456789012345.123456789012345678",
        "123456789012345.123456789012345678",
        "123456789012345.123456789012345678",
        "123456789012345.123456789012345678",
    ),
];

#[tokio::test]
async fn every_form_of_an_amount_is_exact_end_to_end() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 2).await;
    let receiver = Receiver::start().await;
    let books = Books::of(database.url());
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    let backoffice = client.with(&exchange.backoffice);
    let mut received = [("btc", 0), ("eth", 0)];
    for (number, (asset, sent, plain, json_number, fixed)) in AMOUNTS.into_iter().enumerate() {
        let path = format!("/{number}");
        let body = format!(
            r#"{{"userId":"{}","assetId":"{asset}","amount":{sent},"callbackUrl":"{}"}}"#,
            alice.id,
            receiver.url(&path)
        );
        let deposit = backoffice.post_with(DEPOSIT, body.clone(), &[WAIT]).await;
        assert_eq!(deposit.ok().text_of("amount"), plain, "{sent}");
        let (available, _) = Exchange::balance(&client, alice, &asset.to_uppercase()).await;
        assert_eq!(available, fixed, "{sent}");
        let callback = receiver.expect(&path, 1).await.remove(0);
        let begin = format!("{{\"Amount\":{json_number},");
        assert!(callback.body.starts_with(&begin), "{}", callback.body);

        // The hold takes all of it, the cancellation gives all of it back, and all of it is sent.
        let held = backoffice.post(WITHDRAW, body).await.ok();
        assert_eq!(held.text_of("amount"), plain, "{sent}");
        let (available, frozen) = Exchange::balance(&client, alice, &asset.to_uppercase()).await;
        assert_eq!((units(&available), frozen.as_str()), (0, fixed), "{sent}");
        let cancel = format!(
            r#"{{"userId":"{}","transferId":{}}}"#,
            alice.id,
            held.name()
        );
        let canceled = backoffice.post(super::exchange::CANCEL, cancel).await;
        assert_eq!(canceled.ok().text_of("amount"), plain, "{sent}");
        let body = format!(
            r#"{{"currency_code":"{asset}","amount":{sent},"recipient":"{}"}}"#,
            bob.id
        );
        let transfer = client.with(&alice.token);
        let transfer = transfer.post_with(INTERNAL, body, &[WAIT]).await.ok();
        assert_eq!(transfer.text_of("status"), "success", "{sent}");
        assert_eq!(transfer.text_of("amount"), fixed, "{sent}");
        let sum = received.iter_mut().find(|(of, _)| *of == asset).unwrap();
        sum.1 += units(fixed);
    }
    for (asset, sum) in received {
        let (available, _) = Exchange::balance(&client, bob, &asset.to_uppercase()).await;
        assert_eq!(units(&available), sum, "{asset}");
    }
    let list = backoffice
        .get("/back-api/api/v2/transfers?type=deposit")
        .await;
    let listed = list.ok().json();
    let listed = listed.as_array().unwrap().iter().rev();
    let listed: Vec<&str> = listed.map(|row| row["amount"].as_str().unwrap()).collect();
    let expected: Vec<&str> = AMOUNTS.iter().map(|amount| amount.2).collect();
    assert_eq!(listed, expected);
    books.audit().await;
    assert_eq!(
        serde_json::from_str::<Value>(&receiver.bodies("/7")[0]).unwrap()["Type"],
        "Deposit"
    );
    service.stopped().await;
}
