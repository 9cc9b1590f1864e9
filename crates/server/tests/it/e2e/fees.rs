//! Fees: in every answer, in the callbacks, and who pays none.

use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};

use super::{
    books::Books,
    callbacks::{Scene, told},
    exchange::{CONFIRM, DEPOSIT, Exchange, INTERNAL, WAIT, WITHDRAW},
    service::Service,
    units,
};

/// Each start draws one of the sixteen parts of fees to begin with: so many hardly ever draw the same.
const STARTS: usize = 8;

#[tokio::test]
async fn a_fee_shows_in_answers_and_callbacks_and_in_the_books() {
    let scene = Scene::set().await;
    let client = scene.service.client();
    let rule = json!({"percent": "1", "absolute": "0.001"});
    for kind in ["deposit", "withdrawal", "internal"] {
        let path = format!("/fees/{kind}/btc");
        scene.exchange.rule(&client, &path, &rule).await;
    }
    let with_fee = |body: String, fee: &str| body.replace("\"Fee\":0.0", &format!("\"Fee\":{fee}"));

    let deposit = scene.open(DEPOSIT, "1", "/deposit").await;
    assert_eq!(deposit.text_of("fee"), "0.011");
    let expected = told(&deposit, "1.0", "Completed", None);
    scene.receiver.expect("/deposit", 1).await;
    let expected = with_fee(expected, "0.011");
    scene.expect("/deposit", &[expected]).await;

    let held = scene.open(WITHDRAW, "2", "/held").await;
    assert_eq!(held.text_of("fee"), "0.021");
    let (available, frozen) = Exchange::balance(&client, &scene.exchange.traders[0], "BTC").await;
    assert_eq!(
        (available.as_str(), frozen.as_str()),
        ("8.96800000", "2.02100000")
    );
    scene.receiver.expect("/held", 1).await;
    let done = scene.finish(CONFIRM, &held.name(), "/held").await.ok();
    assert_eq!(done.text_of("fee"), "0.021");
    let begun = with_fee(told(&held, "2.0", "AwaitingConfirmation", None), "0.021");
    let ended = with_fee(told(&held, "2.0", "Completed", None), "0.021");
    scene.expect("/held", &[begun, ended]).await;

    let sent = scene.send("3", "/sent").await;
    assert_eq!(sent.text_of("fee_amount"), "0.03100000");
    scene.receiver.expect("/sent", 1).await;
    scene.books.delivered().await;
    let [body] = &scene.receiver.bodies("/sent")[..] else {
        panic!("one callback");
    };
    assert!(body.contains(r#""fee_amount":"0.03100000""#), "{body}");
    let (available, _) = Exchange::balance(&client, &scene.exchange.traders[0], "BTC").await;
    assert_eq!(available, "5.93700000");

    let earned = "SELECT sum(available) FROM book_main.accounts WHERE owner_kind = 'fees'";
    // 0.011 + 0.021 + 0.031 btc.
    assert_eq!(scene.books.number(earned).await, 6_300_000);
    scene.books.audit().await;
}

#[tokio::test]
async fn users_with_a_configured_role_pay_no_fees() {
    let database = TestDatabase::create().await;
    let settings = [("BURSAR_TRANSFERS_FEE_FREE_ROLES", "Partner, Staff")];
    let service = Service::start_with(database.url(), &settings).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 2).await;
    let [staff, trader] = &exchange.traders[..] else {
        panic!("two users");
    };
    let body = json!({
        "username": "trader0", "email": "", "roles": ["trader", "Staff"], "status": "Active",
    });
    let path = format!("/admin/v1/users/{}", staff.id);
    let admin = client.with(&exchange.admin);
    admin.put(&path, body.to_string()).await.ok();
    for kind in ["deposit", "withdrawal", "internal"] {
        let path = format!("/fees/{kind}/btc");
        exchange
            .rule(&client, &path, &json!({"percent": "1"}))
            .await;
    }
    let backoffice = client.with(&exchange.backoffice);
    for (user, other, fee, fee_amount) in [
        (staff, trader, "0", "0.00000000"),
        (trader, staff, "0.01", "0.01000000"),
    ] {
        let body = json!({"userId": user.id, "assetId": "btc", "amount": "1"}).to_string();
        for _ in 0..3 {
            let deposit = backoffice.post_with(DEPOSIT, body.clone(), &[WAIT]).await;
            assert_eq!(deposit.ok().text_of("fee"), fee);
        }
        let withdrawal = backoffice.post(WITHDRAW, body).await.ok();
        assert_eq!(withdrawal.text_of("fee"), fee);
        let body = json!({"currency_code": "btc", "amount": "1", "recipient": other.id});
        let paying = client.with(&user.token);
        let paid = paying.post_with(INTERNAL, body.to_string(), &[WAIT]).await;
        let paid = paid.ok();
        assert_eq!(paid.text_of("status"), "success");
        assert_eq!(paid.text_of("fee_amount"), fee_amount);
    }
    Books::of(database.url()).audit().await;
    service.stopped().await;
}

/// An exchange that was started again until it had earned fees of btc in more than one part.
async fn earned_in_parts(database: &TestDatabase) -> (Service, Exchange) {
    let mut service = Service::start(database.url()).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    let rule = json!({"percent": "1"});
    exchange.rule(&client, "/fees/deposit/btc", &rule).await;
    let books = Books::of(database.url());
    let used = "SELECT count(*) FROM book_main.accounts WHERE owner_kind = 'fees' AND seq > 1";
    for _ in 0..STARTS {
        let client = service.client();
        // Several batchers may take turns, and each part is to have more than one line.
        for _ in 0..9 {
            let trader = &exchange.traders[0];
            exchange.fund(&client, trader, "btc", "1").await;
        }
        if books.number(used).await > 1 {
            break;
        }
        service.stopped().await;
        service = Service::start(database.url()).await;
    }
    (service, exchange)
}

/// How many lines each part of the fees has and what they come to, read from an export as HTTP.md says.
fn parts_of(export: &str) -> Vec<(i64, i128)> {
    let mut parts: Vec<(i64, i128)> = vec![];
    for line in export.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["record"] != "entry" || line["owner"] != "fees" {
            continue;
        }
        let amount = |name: &str| units(line[name].as_str().unwrap());
        if line["seq"] == 1 {
            parts.push((0, 0));
        }
        let (lines, sum) = parts.last_mut().expect("a part begins with line 1");
        *lines += 1;
        *sum += amount("available_delta");
        assert_eq!(line["seq"], *lines, "{line}");
        assert_eq!(amount("available_after"), *sum, "{line}");
    }
    parts
}

#[tokio::test]
async fn lines_of_fees_are_those_of_parts_that_add_up_to_the_balance() {
    let database = TestDatabase::create().await;
    let (service, exchange) = earned_in_parts(&database).await;
    let reader = service.client().with(&exchange.backoffice);
    let path = "/admin/v1/entries.jsonl?owner=system&asset=btc";
    let export = reader.get(path).await;
    assert_eq!(export.status, 200, "{}", export.text);
    let parts = parts_of(&export.text);
    assert!(parts.len() > 1, "{parts:?}");
    let system = reader.get("/admin/v1/balances?owner=system").await.ok();
    let system = system.json();
    let rows = system["data"].as_array().unwrap().iter();
    let earned: Vec<i128> = rows
        .filter(|row| row["owner"] == "fees" && row["asset"] == "btc")
        .map(|row| units(row["available"].as_str().unwrap()))
        .collect();
    let sum: i128 = parts.iter().map(|(_, sum)| sum).sum();
    assert_eq!(earned, [sum]);
    service.stopped().await;
}
