//! Deposits and withdrawals, to the byte.

use bursar_domain::UserStatus;

use crate::world::{ALICE, BOB, CANCEL, CONFIRM, DEPOSIT, OPERATOR, Sent, WITHDRAW, World};

fn open_body(asset: &str, amount: &str) -> String {
    format!(
        r#"{{"userId":"{ALICE}","assetId":"{asset}","amount":{amount},"comment":"1","callbackUrl":""}}"#
    )
}

fn finish_body(id: i64) -> String {
    format!(r#"{{"userId":"{ALICE}","transferId":"{id}","callbackUrl":""}}"#)
}

async fn post(world: &World, path: &str, body: &str) -> crate::world::Answer {
    world.send(Sent::post(path, body).bearer(OPERATOR)).await
}

#[actix_web::test]
async fn a_deposit_is_pending_and_then_completed() {
    let world = World::new();
    let answer = post(&world, DEPOSIT, &open_body("btc", "1")).await.ok();
    assert_eq!(
        answer.body,
        r#"{"id":1,"asset":"btc","type":"Deposit","status":"Pending","amount":"1","fee":"0","createdAt":"2021-04-09T10:50:40.116485Z","updatedAt":"2021-04-09T10:50:40.116485Z"}"#
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("preference-applied"), None);
    assert_eq!(world.balance(ALICE, "btc"), (0, 0));
    world.tasks.run().await;
    assert_eq!(world.balance(ALICE, "btc"), (100_000_000, 0));
}

#[actix_web::test]
async fn whoever_prefers_to_wait_gets_the_settled_deposit() {
    let world = World::new();
    let sent = Sent::post(DEPOSIT, &open_body("btc", "1")).bearer(OPERATOR);
    let answer = world.send(sent.header("Prefer", "wait=5")).await.ok();
    assert_eq!(answer.json()["status"], "Completed");
    assert_eq!(answer.header("preference-applied"), Some("wait"));
    assert_eq!(world.balance(ALICE, "btc"), (100_000_000, 0));
}

#[actix_web::test]
async fn a_withdrawal_awaits_confirmation_whoever_waits() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let sent = Sent::post(WITHDRAW, &open_body("BTC", "\"1.50\"")).bearer(OPERATOR);
    let answer = world.send(sent.header("Prefer", "wait")).await.ok();
    let stamp = "2021-04-09T10:50:40.116486Z";
    assert_eq!(
        answer.body,
        format!(
            r#"{{"id":2,"asset":"btc","type":"Withdrawal","status":"AwaitingConfirmation","amount":"1.5","fee":"0","createdAt":"{stamp}","updatedAt":"{stamp}"}}"#
        )
    );
    assert_eq!(answer.header("preference-applied"), None);
    assert_eq!(world.balance(ALICE, "btc"), (150_000_000, 150_000_000));
}

#[actix_web::test]
async fn confirming_pays_out_once() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.4").await;
    let first = post(&world, CONFIRM, &finish_body(id)).await.ok();
    assert_eq!(
        first.body,
        format!(
            r#"{{"id":{id},"asset":"btc","type":"Withdrawal","status":"Completed","amount":"0.4","fee":"0","createdAt":"2021-04-09T10:50:40.116486Z","updatedAt":"2021-04-09T10:50:40.116487Z"}}"#
        )
    );
    let again = post(&world, CONFIRM, &finish_body(id)).await.ok();
    assert_eq!(again.body, first.body);
    assert_eq!(world.balance(ALICE, "btc"), (60_000_000, 0));
    let cancel = post(&world, CANCEL, &finish_body(id)).await;
    assert_eq!(cancel.refusal(), (409, "transfer.already_completed".into()));
}

#[actix_web::test]
async fn cancelling_gives_the_hold_back() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "0.4").await;
    // The id may come as a number, and names in any case.
    let body = format!(r#"{{"USERID":"{ALICE}","transferID":{id}}}"#);
    let answer = post(&world, CANCEL, &body).await.ok();
    assert_eq!(answer.json()["status"], "Canceled");
    assert_eq!(world.balance(ALICE, "btc"), (100_000_000, 0));
    let confirm = post(&world, CONFIRM, &finish_body(id)).await;
    assert_eq!(confirm.refusal(), (409, "transfer.already_canceled".into()));
}

#[actix_web::test]
async fn a_transfer_of_somebody_else_is_none() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "1").await;
    let of_bob = format!(r#"{{"userId":"{BOB}","transferId":{id}}}"#);
    let unknown = format!(r#"{{"userId":"{ALICE}","transferId":"99"}}"#);
    let beyond = format!(r#"{{"userId":"{ALICE}","transferId":"9007199254740992"}}"#);
    let deposit = format!(r#"{{"userId":"{ALICE}","transferId":"1"}}"#);
    let mut bodies = vec![];
    for path in [CONFIRM, CANCEL] {
        for body in [&of_bob, &unknown, &beyond, &deposit] {
            let answer = post(&world, path, body).await;
            assert_eq!(answer.refusal(), (404, "transfer.unknown".into()), "{body}");
            bodies.push(answer.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the answers tell the cases apart");
    assert_eq!(world.balance(ALICE, "btc"), (0, 100_000_000));
}

#[actix_web::test]
async fn what_cannot_name_a_transfer_is_invalid() {
    let world = World::new();
    let body = format!(r#"{{"userId":"{ALICE}","transferId":"abc"}}"#);
    let answer = post(&world, CONFIRM, &body).await;
    assert_eq!(answer.refusal(), (400, "transferId.invalid".into()));
}

#[actix_web::test]
async fn too_little_money_makes_no_withdrawal() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let answer = post(&world, WITHDRAW, &open_body("btc", "1.00000001")).await;
    assert_eq!(
        answer.body,
        r#"{"type":"urn:bursar:problem:balance.insufficient","title":"Refused","status":422,"detail":"The available balance does not cover the transfer.","instance":"req-1","code":"balance.insufficient"}"#
    );
    assert_eq!(answer.refusal(), (422, "balance.insufficient".into()));
    assert!(world.transfer(2).await.is_none());
}

#[actix_web::test]
async fn business_rules_refuse_with_their_codes() {
    let world = World::new();
    world.put_user(ALICE, "alice", UserStatus::Frozen);
    let frozen = post(&world, DEPOSIT, &open_body("btc", "1")).await;
    assert_eq!(frozen.refusal(), (422, "account.frozen".into()));
    world.put_user(ALICE, "alice", UserStatus::Terminated);
    let terminated = post(&world, DEPOSIT, &open_body("btc", "1")).await;
    assert_eq!(terminated.refusal(), (422, "account.terminated".into()));
    world.put_user(ALICE, "alice", UserStatus::Active);
    let closed = bursar_domain::Asset {
        can_deposit: false,
        ..bursar_testkit::build::asset("btc", 8)
    };
    world.store.put_asset(closed);
    let disabled = post(&world, DEPOSIT, &open_body("btc", "1")).await;
    assert_eq!(disabled.refusal(), (422, "asset.disabled".into()));
}

#[actix_web::test]
async fn unknown_users_and_assets_are_not_found() {
    let world = World::new();
    let nobody = open_body("btc", "1").replace("942fe02b", "00000000");
    for path in [DEPOSIT, WITHDRAW] {
        let answer = post(&world, path, &nobody).await;
        assert_eq!(answer.refusal(), (404, "user.unknown".into()));
        let answer = post(&world, path, &open_body("doge", "1")).await;
        assert_eq!(answer.refusal(), (404, "asset.unknown".into()));
    }
}

#[actix_web::test]
async fn every_wrong_field_is_named_at_once() {
    let world = World::new();
    let body = r#"{"userId":"x","assetId":"b t c","comment":5,"callbackUrl":"ftp://x","other":1}"#;
    let sent = Sent::post(DEPOSIT, body).bearer(OPERATOR);
    let answer = world.send(sent.header("Idempotency-Key", "a b")).await;
    assert_eq!(answer.refusal(), (400, "request.invalid".into()));
    let expected = [
        ("userId", "userId.invalid"),
        ("assetId", "assetId.invalid"),
        ("amount", "amount.missed"),
        ("comment", "comment.invalid"),
        ("callbackUrl", "callback_url.invalid"),
        ("Idempotency-Key", "idempotency_key.invalid"),
    ]
    .map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!(answer.wrong_fields(), expected);
    assert!(world.transfer(1).await.is_none());
}

#[actix_web::test]
async fn one_wrong_field_lends_its_code_to_the_whole() {
    let world = World::new();
    let answer = post(
        &world,
        DEPOSIT,
        &format!(r#"{{"userId":"{ALICE}","assetId":"btc"}}"#),
    )
    .await;
    assert_eq!(
        answer.body,
        r#"{"type":"urn:bursar:problem:amount.missed","title":"Invalid request","status":400,"detail":"amount: is required.","instance":"req-1","code":"amount.missed","errors":[{"field":"amount","code":"amount.missed","detail":"is required"}]}"#
    );
}

#[actix_web::test]
async fn comments_have_a_thousand_characters_and_no_null() {
    let world = World::new();
    let with = |comment: &str| {
        format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":1,"comment":"{comment}"}}"#)
    };
    post(&world, DEPOSIT, &with(&"ä".repeat(1_000))).await.ok();
    let long = post(&world, DEPOSIT, &with(&"ä".repeat(1_001))).await;
    assert_eq!(long.refusal(), (400, "comment.too_long".into()));
    let null = post(&world, DEPOSIT, &with("a\\u0000b")).await;
    assert_eq!(null.refusal(), (400, "comment.invalid".into()));
}

#[actix_web::test]
async fn names_that_differ_only_in_case_are_one_name_given_twice() {
    let world = World::new();
    let body = open_body("btc", "1").replace("\"comment\"", "\"ASSETID\"");
    let answer = post(&world, DEPOSIT, &body).await;
    assert_eq!(answer.refusal(), (400, "json.duplicate_key".into()));
    assert_eq!(answer.wrong_fields()[0].0, "ASSETID");
}
