//! `bursar after-restore`, as whoever restores a database runs it.

use bursar_postgres::testing::TestDatabase;
use serde_json::json;

use super::{
    client::Client,
    eventually,
    exchange::{DEPOSIT, Exchange, WAIT},
    process::{Ended, run},
    service::{Service, environment},
};

async fn after_restore(database_url: &str) -> Ended {
    run(&["after-restore"], &environment(database_url)).await
}

/// Moves numbers on once no session of a process that has ended is left; says what comes next now.
async fn moved_on(database_url: &str) -> Vec<(String, i64, i64)> {
    let ended = eventually("the numbers to be moved on", async || {
        let ended = after_restore(database_url).await;
        (ended.code == Some(0)).then_some(ended)
    });
    let ended = ended.await;
    let line = |line: &str| {
        let (what, rest) = line.split_once(": next was ").unwrap();
        let (from, to) = rest.split_once(", is ").unwrap();
        (what.to_owned(), from.parse().unwrap(), to.parse().unwrap())
    };
    ended.stdout.lines().map(line).collect()
}

/// Makes a deposit; says its id.
async fn deposit(client: &Client, exchange: &Exchange) -> i64 {
    let body = json!({"userId": exchange.traders[0].id, "assetId": "btc", "amount": "1"});
    let client = client.with(&exchange.backoffice);
    let answer = client.post_with(DEPOSIT, body.to_string(), &[WAIT]).await;
    answer.ok().json()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn numbers_go_on_beyond_whatever_was_given_before() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let service = Service::start(url).await;
    let exchange = Exchange::open(url, &service.client(), 1).await;
    deposit(&service.client(), &exchange).await;
    let refused = after_restore(url).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(
        refused.stderr.contains("stop every replica"),
        "{}",
        refused.stderr
    );
    service.stopped().await;

    let first = moved_on(url).await;
    let second = moved_on(url).await;
    let whats: Vec<&str> = second.iter().map(|(what, ..)| what.as_str()).collect();
    assert_eq!(
        whats,
        [
            "transfers",
            "user_accounts",
            "system_accounts",
            "events",
            "writer_epoch"
        ]
    );
    for ((_, was, before), (_, from, to)) in first.iter().zip(&second) {
        assert!(was < before && before == from && from < to);
    }

    let service = Service::start(url).await;
    let client = service.client();
    let ((_, _, id), (_, _, event)) = (&second[0], &second[3]);
    assert_eq!(deposit(&client, &exchange).await, *id);
    let reader = client.with(&exchange.admin);
    let after = |number: i64| format!("/admin/v1/events?after={number}");
    // The deposit of before was event 1; whoever has it is told that something is missing.
    let behind = reader.get(&after(1)).await.refused(410, "events.pruned");
    assert!(behind.text_of("detail").contains(&event.to_string()));
    let told = eventually("the event", async || {
        let page = reader.get(&after(event - 1)).await.ok().json();
        page["data"].get(0).cloned()
    });
    let told = told.await;
    assert_eq!(
        (&told["number"], &told["transfer"]["id"]),
        (&json!(event), &json!(id))
    );
    reader
        .get(&after(event + 9))
        .await
        .refused(410, "events.ahead");
    let rows = reader.get("/admin/v1/audit?action=numbers.move_on").await;
    let rows = rows.ok().json();
    assert_eq!(rows["data"].as_array().unwrap().len(), 2);
    assert_eq!(rows["data"][0]["after"]["transfers"], *id);
    assert_eq!(rows["data"][0]["actor"], "local operator");
}
