//! Exports over the wire: what they add up to, and what becomes of them when somebody goes.

use std::collections::BTreeMap;

use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use super::{
    client::Client,
    console::browser::{Browser, Operator},
    eventually,
    exchange::{CONFIRM, DEPOSIT, Exchange, INTERNAL, Trader, WAIT, WITHDRAW},
    service::{Service, create_token},
    units,
};

const TRANSFERS: &str = "/admin/v1/transfers.jsonl";
const ENTRIES: &str = "/admin/v1/entries.jsonl";
const AUDIT: &str = "/admin/v1/audit";
/// More than lies between a server and a client that does not read.
const MANY: u32 = 60_000;

/// The lines of an export that is complete, without the last one.
async fn export(client: &Client, path: &str) -> Vec<Value> {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let lines = answer.text.lines();
    let mut lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.pop().unwrap()["record"], "end");
    lines
}

/// What these totals are, by some of their members.
fn totals(lines: &[Value], by: [&str; 2], of: &str) -> BTreeMap<String, i128> {
    let of_record = |line: &&Value| line["record"] == "total";
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let total = |line: &Value| {
        let key = format!("{} {}", text(line, by[0]), text(line, by[1]));
        (key, units(&text(line, of)))
    };
    lines.iter().filter(of_record).map(total).collect()
}

/// Opens a deposit or a withdrawal of btc for a user, and answers its id.
async fn open(backoffice: &Client, path: &str, trader: &Trader, amount: &str) -> String {
    let body = json!({"userId": trader.id, "assetId": "btc", "amount": amount});
    let answer = backoffice.post_with(path, body.to_string(), &[WAIT]).await;
    answer.ok().name()
}

/// Takes so much of a transfer back, with its share of the fee.
async fn take_back(admin: &Client, id: &str, amount: &str) {
    let path = format!("/admin/v1/transfers/{id}/reverse");
    let body = json!({"amount": amount, "return_fee": true, "comment": "A mistake."});
    admin.post(&path, body.to_string()).await.ok();
}

/// Every kind of transfer at a fee, each of which is taken back in part or in full. Of withdrawals more
/// of the fees is given back than was taken: those that take deposits back are withdrawals too.
async fn trade(client: &Client, exchange: &Exchange) {
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    let backoffice = client.with(&exchange.backoffice);
    let admin = client.with(&exchange.admin);
    open(&backoffice, DEPOSIT, alice, "5.5").await;
    for _ in 0..2 {
        let deposit = open(&backoffice, DEPOSIT, bob, "1").await;
        take_back(&admin, &deposit, "1").await;
    }
    let paid_out = open(&backoffice, WITHDRAW, alice, "2").await;
    open(&backoffice, WITHDRAW, alice, "0.25").await;
    let body = json!({"userId": alice.id, "transferId": paid_out});
    backoffice.post(CONFIRM, body.to_string()).await.ok();
    take_back(&admin, &paid_out, "1").await;
    let body = json!({"currency_code": "btc", "amount": "0.5", "recipient": bob.id});
    let paying = client.with(&alice.token);
    let sent = paying.post_with(INTERNAL, body.to_string(), &[WAIT]).await;
    let path = format!("/admin/v1/transfers?code={}", sent.ok().name());
    let found = admin.get(&path).await.ok().json();
    take_back(&admin, &found["data"][0]["id"].to_string(), "0.25").await;
}

#[tokio::test]
async fn the_totals_of_exports_tie_to_each_other_and_to_the_balances() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = service.client();
    let mut exchange = Exchange::open(database.url(), &client, 2).await;
    exchange.charge(&client).await;
    trade(&client, &exchange).await;

    let reader = client.with(&exchange.backoffice);
    let transfers = export(&reader, TRANSFERS).await;
    let amounts = totals(&transfers, ["kind", "status"], "amount");
    let fees = totals(&transfers, ["kind", "status"], "fee");
    let entries = export(&reader, ENTRIES).await;
    let moved = totals(&entries, ["owner", "kind"], "available_delta");
    let held = totals(&entries, ["owner", "kind"], "held_delta");
    assert_eq!(moved["world deposit"], -amounts["deposit Completed"]);
    let credited = amounts["deposit Completed"] - fees["deposit Completed"];
    assert_eq!(moved["user deposit"], credited);
    assert_eq!(moved["world withdrawal"], amounts["withdrawal Completed"]);
    let waiting = "withdrawal AwaitingConfirmation";
    assert_eq!(held["user withdrawal"], amounts[waiting] + fees[waiting]);
    assert_eq!(moved["user internal"], -fees["internal success"]);
    for kind in [
        "deposit Completed",
        "withdrawal Completed",
        "internal success",
    ] {
        let (name, _status) = kind.split_once(' ').unwrap();
        let earned = moved[&format!("fees {name}")];
        assert_ne!(earned, 0, "{kind}");
        assert_eq!(earned, fees[kind], "{kind}");
    }
    let sum: i128 = moved.values().chain(held.values()).sum();
    assert_eq!(sum, 0, "{entries:?}");
    let path = "/admin/v1/balances?owner=system&as_of=2999-01-01";
    let system = reader.get(path).await.ok().json();
    let world = system["data"].as_array().unwrap().iter();
    let world: Vec<i128> = world
        .filter(|row| row["owner"] == "world")
        .map(|row| units(row["available"].as_str().unwrap()))
        .collect();
    let expected = amounts["withdrawal Completed"] - amounts["deposit Completed"];
    assert_eq!(world, [expected]);
    // A sum below zero is a number in a spreadsheet too.
    let sheet = "/admin/v1/transfers.csv?kind=withdrawal&status=Completed";
    let sheet = reader.get(sheet).await.text;
    let total = sheet.lines().find(|line| line.starts_with("total,"));
    let total = total.unwrap();
    assert!(total.contains(",btc,4,-0.0000001,"), "{total}");
    service.stopped().await;
}

/// An exchange with one user, who has made one deposit.
async fn one_trader() -> (TestDatabase, Service, Client, Exchange) {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    exchange
        .fund(&client, &exchange.traders[0], "btc", "5")
        .await;
    (database, service, client, exchange)
}

/// What operators did, in the directory and in the book, is in the export as it is in the list.
#[tokio::test]
async fn an_export_of_the_audit_log_has_the_rows_of_the_list() {
    let (_database, service, client, exchange) = one_trader().await;
    let reader = client.with(&exchange.backoffice);
    for (filter, least) in [("", 3), ("action=deposit.create", 1), ("actor=nobody", 0)] {
        let list = reader.get(&format!("{AUDIT}?limit=200&{filter}")).await;
        let list = list.ok().json();
        assert_eq!(list["next_cursor"], Value::Null);
        let listed = list["data"].as_array().unwrap();
        assert!(listed.len() >= least, "{filter}: {listed:?}");
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for row in listed {
            *counts.entry(row["action"].as_str().unwrap()).or_default() += 1;
        }
        let mut expected = listed.clone();
        for row in &mut expected {
            row["record"] = json!("audit");
        }
        let total = |(action, count)| json!({"record": "total", "action": action, "count": count});
        expected.extend(counts.into_iter().map(total));
        let exported = export(&reader, &format!("{AUDIT}.jsonl?{filter}")).await;
        assert_eq!(exported, expected, "{filter}");
    }
    service.stopped().await;
}

/// A service with many transfers, and a reader's client.
async fn crowd(
    settings: &[(&str, &str)],
) -> (TestDatabase, tokio_postgres::Client, Service, Client) {
    let database = TestDatabase::create().await;
    let (books, connection) = tokio_postgres::connect(database.url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let statement = format!(
        "INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
           user_id, note, created_by, created_at, updated_at, entry_refs) \
         SELECT n, 1, 'deposit', 'Completed', 'usd', 2, 1, 0, gen_random_uuid(), \
           repeat('paid ', 40), 'x', timestamptz '2026-01-01Z' + n * interval '1 second', \
           timestamptz '2026-01-01Z' + n * interval '1 second', '{{}}' \
         FROM generate_series(1, {MANY}) AS n"
    );
    books.batch_execute(&statement).await.unwrap();
    books
        .batch_execute("ANALYZE book_main.transfers")
        .await
        .unwrap();
    let service = Service::start_with(database.url(), settings).await;
    let token = create_token(database.url(), "reader", "backoffice_read").await;
    let client = service.client().with(&token);
    (database, books, service, client)
}

/// How many exports wait for their readers; with `cut` their transactions are ended.
async fn waiting(books: &tokio_postgres::Client, cut: bool) -> usize {
    let what = if cut {
        "pg_terminate_backend(pid)"
    } else {
        "true"
    };
    let waiting = format!(
        "SELECT {what} FROM pg_stat_activity \
         WHERE datname = current_database() AND state = 'idle in transaction' \
         AND state_change < clock_timestamp() - interval '50 ms'"
    );
    books.query(&waiting, &[]).await.unwrap().len()
}

#[tokio::test]
async fn an_export_that_is_cut_off_is_seen_to_be() {
    let (_database, books, service, client) = crowd(&[]).await;
    let mut answer = client.open(TRANSFERS).await;
    assert_eq!(answer.status(), 200);
    let mut text = answer.chunk().await.unwrap().unwrap().to_vec();
    eventually("the export waits for its reader", async || {
        (waiting(&books, true).await == 1).then_some(())
    })
    .await;
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    let text = String::from_utf8_lossy(&text);
    assert!(broken, "it looks complete");
    let lines = u32::try_from(text.lines().count()).unwrap();
    assert!((1_000..MANY).contains(&lines), "{lines}");
    assert!(!text.contains(r#""record":"total""#));
    eventually("it is counted and logged", async || {
        let metrics = client.get("/metrics").await.text;
        let counted = r#"bursar_exports_total{export="transfers",outcome="broken"} 1"#;
        let is_logged = service.log().contains("an export broke off");
        (is_logged && metrics.contains(counted)).then_some(())
    })
    .await;
    service.stopped().await;
}

/// What operators download in the console counts as what programs do.
#[tokio::test]
async fn the_console_s_csv_is_counted_with_the_exports() {
    let (database, service, client, _exchange) = one_trader().await;
    let anna = Operator::create(database.url(), "anna", "backoffice_read").await;
    let mut browser = Browser::of(&service);
    browser.sign_in(&anna).await;
    let sheet = browser.get("/console/transfers.csv").await.is(200);
    assert_eq!(sheet.text.lines().count(), 2, "{}", sheet.text);
    eventually("it is counted", async || {
        let metrics = client.get("/metrics").await.text;
        let counted = r#"bursar_exports_total{export="transfers",outcome="complete"} 1"#;
        metrics.contains(counted).then_some(())
    })
    .await;
    service.stopped().await;
}

#[tokio::test]
async fn a_client_that_goes_gives_its_place_back() {
    let only_one = [("BURSAR_DATABASE_EXPORTS_AT_ONCE", "1")];
    let (_database, books, service, client) = crowd(&only_one).await;
    let mut first = client.open(TRANSFERS).await;
    assert!(first.chunk().await.unwrap().is_some());
    eventually("the export waits for its reader", async || {
        (waiting(&books, false).await == 1).then_some(())
    })
    .await;
    let refused = client.get(ENTRIES).await.refused(429, "rate_limit.exports");
    assert_eq!(refused.header("retry-after"), Some("10"));
    drop(first);
    eventually("its place is free", async || {
        (client.get(ENTRIES).await.status == 200).then_some(())
    })
    .await;
    eventually("the transaction ends", async || {
        (waiting(&books, false).await == 0).then_some(())
    })
    .await;
    assert!(export(&client, ENTRIES).await.is_empty());
    service.stopped().await;
}
