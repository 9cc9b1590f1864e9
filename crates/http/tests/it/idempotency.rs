//! `Idempotency-Key`, as far as headers and bodies show it.

use crate::world::{
    ALICE, ALICES, Answer, BOB, BOBS, CONFIRM, DEPOSIT, INTERNAL, OPERATOR, Sent, WITHDRAW, World,
};

fn deposit(amount: &str) -> String {
    format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":{amount}}}"#)
}

async fn keyed(world: &World, path: &str, body: &str, token: &str, key: &str) -> Answer {
    let sent = Sent::post(path, body).bearer(token);
    world.send(sent.header("Idempotency-Key", key)).await
}

#[actix_web::test]
async fn a_repeated_request_is_answered_with_the_same_transfer_as_it_now_is() {
    let world = World::new();
    let first = keyed(&world, DEPOSIT, &deposit("1"), OPERATOR, "k")
        .await
        .ok();
    assert_eq!(first.header("idempotent-replayed"), None);
    world.tasks.run().await;
    // The same key in quotes, and the same amount in another spelling.
    let again = keyed(&world, DEPOSIT, &deposit("\"1.0\""), OPERATOR, "\"k\"").await;
    let again = again.ok();
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!(again.json()["status"], "Completed");
    assert_eq!(world.balance(ALICE, "btc"), (100_000_000, 0));
}

#[actix_web::test]
async fn a_refusal_is_replayed_too() {
    let world = World::new();
    let refused = keyed(&world, WITHDRAW, &deposit("1"), OPERATOR, "k").await;
    assert_eq!(refused.refusal(), (422, "balance.insufficient".into()));
    assert_eq!(refused.header("idempotent-replayed"), None);
    world.fund(ALICE, "btc", "1").await;
    let again = keyed(&world, WITHDRAW, &deposit("1"), OPERATOR, "k").await;
    assert_eq!(again.refusal(), (422, "balance.insufficient".into()));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = keyed(&world, WITHDRAW, &deposit("2"), OPERATOR, "k").await;
    assert_eq!(
        other.body,
        r#"{"type":"urn:bursar:problem:idempotency.key_reused","title":"Refused","status":422,"detail":"The idempotency key belongs to another request.","instance":"req-1","code":"idempotency.key_reused","original":null,"fields":["amount"]}"#
    );
}

#[actix_web::test]
async fn another_request_with_the_key_learns_the_first_and_the_difference() {
    let world = World::new();
    keyed(&world, DEPOSIT, &deposit("1"), OPERATOR, "k")
        .await
        .ok();
    let other = deposit("2").replace("btc", "eth");
    let answer = keyed(&world, DEPOSIT, &other, OPERATOR, "k").await;
    assert_eq!(answer.refusal(), (422, "idempotency.key_reused".into()));
    let problem = answer.json();
    assert_eq!(problem["original"], serde_json::json!({"id": 1}));
    assert_eq!(problem["fields"], serde_json::json!(["assetId", "amount"]));
}

#[actix_web::test]
async fn an_internal_transfer_is_named_by_its_code() {
    let world = World::new();
    let body = |amount: &str| {
        format!(r#"{{"currency_code":"btc","amount":"{amount}","recipient":"{BOB}"}}"#)
    };
    let first = keyed(&world, INTERNAL, &body("1"), ALICES, "k").await.ok();
    let other = keyed(&world, INTERNAL, &body("2"), ALICES, "k").await;
    assert_eq!(other.refusal(), (422, "idempotency.key_reused".into()));
    assert_eq!(other.json()["original"]["code"], first.json()["code"]);
    // Another user's key of the same text is another key.
    let body = body("1").replace(&BOB.to_string(), "alice");
    let bobs = keyed(&world, INTERNAL, &body, BOBS, "k").await.ok();
    assert_eq!(bobs.header("idempotent-replayed"), None);
}

#[actix_web::test]
async fn a_key_belongs_to_an_operation_and_not_to_a_path() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    keyed(&world, DEPOSIT, &deposit("1"), OPERATOR, "k")
        .await
        .ok();
    let withdrawal = keyed(&world, WITHDRAW, &deposit("1"), OPERATOR, "k")
        .await
        .ok();
    assert_eq!(withdrawal.header("idempotent-replayed"), None);
    let id = &withdrawal.json()["id"];
    let body = format!(r#"{{"userId":"{ALICE}","transferId":{id}}}"#);
    for replayed in [None, Some("true")] {
        let answer = keyed(&world, CONFIRM, &body, OPERATOR, "k").await.ok();
        assert_eq!(answer.header("idempotent-replayed"), replayed);
        assert_eq!(answer.json()["status"], "Completed");
    }
}

#[actix_web::test]
async fn what_is_decided_before_the_money_leaves_the_key_free() {
    let world = World::new();
    let unknown = deposit("1").replace("btc", "doge");
    let answer = keyed(&world, DEPOSIT, &unknown, OPERATOR, "k").await;
    assert_eq!(answer.status, 404);
    let answer = keyed(&world, DEPOSIT, &deposit("0"), OPERATOR, "k").await;
    assert_eq!(answer.status, 400);
    let answer = keyed(&world, DEPOSIT, &deposit("1"), OPERATOR, "k")
        .await
        .ok();
    assert_eq!(answer.header("idempotent-replayed"), None);
}

#[actix_web::test]
async fn a_key_is_given_once_and_in_visible_characters() {
    let world = World::new();
    let two = Sent::post(DEPOSIT, &deposit("1"))
        .bearer(OPERATOR)
        .also("Idempotency-Key", "a")
        .also("Idempotency-Key", "b");
    let answer = world.send(two).await;
    assert_eq!(answer.refusal(), (400, "idempotency_key.invalid".into()));
    let long = "k".repeat(256);
    for key in ["", "a b", long.as_str()] {
        let answer = keyed(&world, DEPOSIT, &deposit("1"), OPERATOR, key).await;
        assert_eq!(answer.refusal(), (400, "idempotency_key.invalid".into()));
    }
    assert!(world.transfer(1).await.is_none());
}
