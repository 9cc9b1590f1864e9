//! `POST /payout-results`: what the payout gateway says, believed for its signature alone.

use bursar_domain::{Reason, Status};
use serde_json::json;

use crate::{
    fakes::GENUINE,
    world::{ALICE, Answer, CANCEL, OPERATOR, Sent, World},
};

const PATH: &str = "/payout-results";

async fn world() -> (World, i64) {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let id = world.payout(ALICE, "btc", "1").await;
    (world, id)
}

fn signed(body: &str) -> Sent {
    Sent::post(PATH, body)
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", "1617965440")
        .header("webhook-signature", GENUINE)
}

async fn tell(world: &World, id: i64, status: &str) -> Answer {
    let body = json!({"id": id, "status": status});
    world.send(signed(&body.to_string())).await
}

#[actix_web::test]
async fn paid_completes_and_refused_fails() {
    for (status, ended, reason, balance) in [
        ("paid", Status::Completed, None, (200_000_000, 0)),
        (
            "refused",
            Status::Failed,
            Some(Reason::PayoutRefused),
            (300_000_000, 0),
        ),
    ] {
        let (world, id) = world().await;
        assert_eq!(world.balance(ALICE, "btc"), (200_000_000, 100_000_000));
        let expected = format!(r#"{{"id":{id},"status":"{status}"}}"#);
        for _ in 0..3 {
            assert_eq!(tell(&world, id, status).await.ok().body, expected);
            let transfer = world.transfer(id).await.unwrap();
            assert_eq!(transfer.status(), ended);
            assert_eq!(transfer.reason(), reason);
            assert_eq!(world.balance(ALICE, "btc"), balance);
        }
        let (other, code) = match status {
            "paid" => ("refused", "transfer.already_completed"),
            _ => ("paid", "transfer.already_failed"),
        };
        let answer = tell(&world, id, other).await;
        assert_eq!(answer.refusal(), (409, code.into()));
        assert_eq!(world.balance(ALICE, "btc"), balance);
    }
}

#[actix_web::test]
async fn an_id_may_be_a_text_and_a_detail_is_no_secret() {
    let (world, id) = world().await;
    let body = json!({"id": id.to_string(), "status": "refused", "detail": "no such address\n"});
    let answer = world.send(signed(&body.to_string())).await.ok();
    assert_eq!(answer.body, format!(r#"{{"id":{id},"status":"refused"}}"#));
}

#[actix_web::test]
async fn what_is_not_being_paid_out_cannot_end_this_way() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let id = world.withdrawal(ALICE, "btc", "1").await;
    for status in ["paid", "refused"] {
        let answer = tell(&world, id, status).await;
        let code = "transfer.payout_not_under_way";
        assert_eq!(answer.refusal(), (409, code.into()));
    }
    assert_eq!(world.balance(ALICE, "btc"), (200_000_000, 100_000_000));
    let cancel = json!({"userId": ALICE.to_string(), "transferId": id}).to_string();
    let canceled = Sent::post(CANCEL, &cancel).bearer(OPERATOR);
    world.send(canceled).await.ok();
    let answer = tell(&world, id, "paid").await;
    assert_eq!(answer.refusal(), (409, "transfer.already_canceled".into()));
}

#[actix_web::test]
async fn without_a_good_signature_nothing_is_read() {
    let (world, id) = world().await;
    let body = json!({"id": id, "status": "paid"}).to_string();
    for sent in [
        Sent::post(PATH, &body),
        Sent::post(PATH, &body).bearer(OPERATOR),
        signed(&body).header("webhook-signature", "v1,other"),
        signed(&body).header("webhook-id", ""),
        signed(&body).header("webhook-timestamp", ""),
        Sent::post(PATH, "{"),
    ] {
        let answer = world.send(sent).await;
        assert_eq!(answer.refusal(), (401, "signature.invalid".into()));
    }
    let transfer = world.transfer(id).await.unwrap();
    assert_eq!(transfer.status(), Status::AwaitingConfirmation);
}

#[actix_web::test]
async fn what_is_wrong_is_named() {
    let (world, _) = world().await;
    for (body, code) in [
        (json!({"status": "paid"}), "id.missed"),
        (json!({"id": "x", "status": "paid"}), "id.invalid"),
        (json!({"id": 1}), "status.missed"),
        (json!({"id": 1, "status": "pending"}), "status.invalid"),
        (
            json!({"id": 1, "status": "refused", "detail": "x".repeat(1_001)}),
            "detail.too_long",
        ),
    ] {
        let answer = world.send(signed(&body.to_string())).await;
        assert_eq!(answer.refusal(), (400, code.into()), "{body}");
    }
    for id in [json!(999), json!("99999999999999999999")] {
        let body = json!({"id": id, "status": "paid"});
        let answer = world.send(signed(&body.to_string())).await;
        assert_eq!(answer.refusal(), (404, "transfer.unknown".into()), "{body}");
    }
}
