//! `/admin/v1/transfers/{id}`, to the byte.

use bursar_domain::{AccountKey, Entry, Kind, Operation, Status};
use bursar_ports::{CallbackAttempt, CallbackRecord, CallbackState};
use bursar_testkit::build;
use uuid::Uuid;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, Answer, BOB, CONFIRM, INTERNAL, NOW, OPERATOR, Sent, World},
};

const STAMP: &str = "2021-04-09T10:50:40.116485Z";

async fn story(world: &World, id: &str) -> Answer {
    let path = format!("/admin/v1/transfers/{id}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

#[actix_web::test]
async fn a_deposit_tells_everything_about_itself() {
    let world = World::new();
    world.fund(ALICE, "btc", "1.5").await;
    let line = |account, delta, after| Entry {
        account,
        seq: 1,
        transfer: build::transfer_id(1),
        available_delta: delta,
        held_delta: 0,
        available_after: after,
        held_after: 0,
        at: NOW,
    };
    let btc = build::asset_id("btc");
    *locked(&world.query.entries) = vec![
        line(AccountKey::user(ALICE, btc), 150_000_000, 150_000_000),
        line(AccountKey::world(btc), -150_000_000, -150_000_000),
    ];
    *locked(&world.callback_log.callbacks) = vec![CallbackRecord {
        id: Uuid::from_u128(5),
        transfer: build::transfer_id(1),
        kind: Kind::Deposit,
        operation: Operation::Settle,
        url: "https://example.com/".to_owned(),
        status: Status::Completed,
        state: CallbackState::Pending,
        created_at: NOW,
        next_attempt_at: Some(NOW),
        attempts: vec![CallbackAttempt {
            at: NOW,
            duration_ms: 12,
            http_status: Some(500),
            outcome: "answered".to_owned(),
        }],
    }];
    let expected = format!(
        r#"{{"id":1,"code":null,"kind":"deposit","status":"Completed","reason_code":null,"reason_message":null,"user_id":"{ALICE}","recipient_id":null,"recipient":null,"asset":"btc","amount":"1.5","fee":"0","comment":null,"custom_id":null,"callback_url":null,"created_by":"operator","confirmed_by":null,"stage":null,"approval_digest":null,"reviewed_by":null,"expires_at":null,"reverses":null,"reversed":"0","root_rate":{{"asset":"usd","rate":"50000","source":"a feed","rated_at":"2024-01-01T00:00:00.000000Z"}},"created_at":"{STAMP}","updated_at":"{STAMP}","timeline":[{{"status":"Pending","at":"{STAMP}","by":"operator"}},{{"status":"Completed","at":"{STAMP}","by":"bursar"}}],"reversals":[],"entries":[{{"owner":"user","user_id":"{ALICE}","asset":"btc","seq":1,"available":"1.5","held":"0","available_after":"1.5","held_after":"0","at":"{STAMP}"}},{{"owner":"world","user_id":null,"asset":"btc","seq":1,"available":"-1.5","held":"0","available_after":"-1.5","held_after":"0","at":"{STAMP}"}}],"callbacks":[{{"id":"00000000-0000-0000-0000-000000000005","transfer_id":1,"operation":"settle","url":"https://example.com/","status":"Completed","state":"pending","created_at":"{STAMP}","next_attempt_at":"{STAMP}","attempts":[{{"at":"{STAMP}","duration_ms":12,"http_status":500,"outcome":"answered"}}]}}]}}"#
    );
    assert_eq!(story(&world, "1").await.ok().body, expected);
}

#[actix_web::test]
async fn a_withdrawal_tells_who_confirmed_it() {
    let world = World::new();
    world.fund(ALICE, "btc", "1").await;
    let id = world.withdrawal(ALICE, "btc", "1").await;
    let open = story(&world, &id.to_string()).await.ok().json();
    assert_eq!(open["timeline"].as_array().map(Vec::len), Some(1));
    assert_eq!(open["timeline"][0]["status"], "AwaitingConfirmation");
    let confirmer = [bursar_ports::Permission::BackofficeConfirm];
    world.put_token("bur_confirmer", "confirmer", None, &confirmer);
    let body = format!(r#"{{"userId":"{ALICE}","transferId":{id}}}"#);
    let sent = Sent::post(CONFIRM, &body).bearer("bur_confirmer");
    world.send(sent).await.ok();
    let closed = story(&world, &id.to_string()).await.ok().json();
    assert_eq!(closed["timeline"][0]["by"], "operator");
    assert_eq!(closed["timeline"][1]["by"], "confirmer");
    assert_eq!(closed["timeline"][1]["status"], "Completed");
}

#[actix_web::test]
async fn an_internal_transfer_tells_its_code_and_both_sides() {
    let world = World::new();
    let body =
        r#"{"currency_code":"btc","amount":"1","recipient":"bob","custom_id":"c","note":"n"}"#;
    let sent = Sent::post(INTERNAL, body).bearer(ALICES);
    let made = world.send(sent.header("Prefer", "wait")).await.ok().json();
    let json = story(&world, "1").await.ok().json();
    assert_eq!(json["code"], made["code"]);
    assert_eq!(json["kind"], "internal");
    assert_eq!(json["status"], "rejected");
    assert_eq!(json["reason_code"], "balance.insufficient");
    assert_eq!(json["user_id"], ALICE.to_string());
    assert_eq!(json["recipient_id"], BOB.to_string());
    assert_eq!(json["recipient"], "bob");
    assert_eq!(json["custom_id"], "c");
    assert_eq!(json["comment"], "n");
    assert_eq!(json["created_by"], "alice-token");
    assert_eq!(json["timeline"][0]["status"], "pending");
    assert_eq!(json["timeline"][1]["status"], "rejected");
}

#[actix_web::test]
async fn what_names_no_transfer_has_no_story() {
    let world = World::new();
    for id in ["1", "9007199254740993", "99999999999999999999999"] {
        assert_eq!(
            story(&world, id).await.refusal(),
            (404, "transfer.unknown".into())
        );
    }
    for id in ["0", "-1", "x", "01", "1.0"] {
        assert_eq!(
            story(&world, id).await.refusal(),
            (400, "id.invalid".into())
        );
    }
}
