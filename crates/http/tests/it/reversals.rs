//! Transfers taken back, to the byte.

use crate::world::{ALICE, ALICES, Answer, BOB, CONFIRM, INTERNAL, OPERATOR, Sent, World};

async fn reverse(world: &World, id: &str, body: &str) -> Answer {
    let path = format!("/admin/v1/transfers/{id}/reverse");
    world.send(Sent::post(&path, body).bearer(OPERATOR)).await
}

#[actix_web::test]
async fn a_deposit_is_taken_back_part_by_part_and_never_more_than_it_was() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let body = r#"{"amount":"1","return_fee":false,"comment":"Credited twice."}"#;
    let expected = format!(
        r#"{{"id":3,"code":null,"kind":"withdrawal","status":"Completed","reason_code":null,"reason_message":null,"user_id":"{ALICE}","recipient_id":null,"recipient":null,"asset":"btc","amount":"1","fee":"0","comment":"Credited twice.","custom_id":null,"callback_url":null,"created_by":"operator","confirmed_by":null,"stage":null,"approval_digest":null,"reviewed_by":null,"expires_at":null,"reverses":1,"reversed":"0","root_rate":{{"asset":"usd","rate":"50000","source":"a feed","rated_at":"2024-01-01T00:00:00.000000Z"}},"created_at":"2021-04-09T10:50:40.116486Z","updated_at":"2021-04-09T10:50:40.116486Z"}}"#
    );
    assert_eq!(reverse(&world, "1", body).await.ok().body, expected);
    assert_eq!(world.balance(ALICE, "btc"), (200_000_000, 0));
    let story = Sent::get("/admin/v1/transfers/1").bearer(OPERATOR);
    let story = world.send(story).await.ok().json();
    assert_eq!(story["reversed"], "1");
    assert_eq!(story["reversals"], serde_json::json!([3]));
    assert_eq!(story["status"], "Completed");
    let more = r#"{"amount":"2.1","return_fee":false,"comment":"x"}"#;
    let refused = reverse(&world, "1", more).await;
    assert_eq!(refused.refusal(), (422, "reversal.exceeds_original".into()));
    let rest = r#"{"return_fee":false,"comment":"The rest."}"#;
    let rest = reverse(&world, "1", rest).await.ok();
    assert_eq!(rest.text("amount"), "2");
    assert_eq!(world.balance(ALICE, "btc"), (0, 0));
    // Nothing is left, and a reversal is not taken back itself.
    for id in ["1", "3"] {
        let body = r#"{"return_fee":false,"comment":"x"}"#;
        let refused = reverse(&world, id, body).await;
        assert_eq!(refused.refusal(), (422, "reversal.exceeds_original".into()));
    }
}

#[actix_web::test]
async fn a_withdrawal_comes_back_with_its_share_of_the_fee() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let fees = Sent::put("/admin/v1/fees/withdrawal/btc", r#"{"percent":"10"}"#);
    world.send(fees.bearer(OPERATOR)).await.ok();
    let id = world.withdrawal(ALICE, "btc", "2").await;
    let open = r#"{"return_fee":true,"comment":"x"}"#;
    let early = reverse(&world, &id.to_string(), open).await;
    assert_eq!(early.refusal(), (422, "reversal.exceeds_original".into()));
    let body = format!(r#"{{"userId":"{ALICE}","transferId":{id}}}"#);
    world
        .send(Sent::post(CONFIRM, &body).bearer(OPERATOR))
        .await
        .ok();
    assert_eq!(world.balance(ALICE, "btc"), (80_000_000, 0));
    let half = r#"{"amount":"1","return_fee":true,"comment":"x"}"#;
    let back = reverse(&world, &id.to_string(), half).await.ok();
    assert_eq!(back.text("kind"), "deposit");
    assert_eq!(world.balance(ALICE, "btc"), (190_000_000, 0));
    let story = format!("/admin/v1/transfers/{}", back.member("id"));
    let story = world.send(Sent::get(&story).bearer(OPERATOR)).await;
    assert_eq!(story.json()["timeline"][1]["by"], "operator");
}

#[actix_web::test]
async fn an_internal_transfer_goes_back_to_its_sender() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let body = format!(r#"{{"currency_code":"btc","amount":"2","recipient":"{BOB}"}}"#);
    let sent = Sent::post(INTERNAL, &body).bearer(ALICES);
    world.send(sent.header("Prefer", "wait")).await.ok();
    let body = r#"{"amount":"0.5","return_fee":false,"comment":"x"}"#;
    let back = reverse(&world, "2", body).await.ok();
    assert_eq!(back.text("kind"), "internal");
    assert_eq!(back.text("status"), "success");
    assert_eq!(back.text("user_id"), BOB.to_string());
    assert_eq!(back.text("recipient_id"), ALICE.to_string());
    assert!(back.text("code").starts_with("TRF"), "{}", back.body);
    assert_eq!(world.balance(ALICE, "btc"), (150_000_000, 0));
    // Whoever was paid must still have it.
    let body = format!(r#"{{"currency_code":"btc","amount":"1","recipient":"{ALICE}"}}"#);
    let sent = Sent::post(INTERNAL, &body).bearer(crate::world::BOBS);
    world.send(sent.header("Prefer", "wait")).await.ok();
    let body = r#"{"return_fee":false,"comment":"x"}"#;
    let refused = reverse(&world, "2", body).await;
    assert_eq!(refused.refusal(), (422, "balance.insufficient".into()));
}

#[actix_web::test]
async fn a_key_of_one_reversal_makes_no_other() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let send = |body| {
        let sent = Sent::post("/admin/v1/transfers/1/reverse", body);
        world.send(sent.bearer(OPERATOR).header("Idempotency-Key", "a"))
    };
    let body = r#"{"amount":"1","return_fee":false,"comment":"x"}"#;
    send(body).await.ok();
    let other = send(r#"{"amount":"2","return_fee":true,"comment":"x"}"#).await;
    assert_eq!(other.refusal(), (422, "idempotency.key_reused".into()));
    assert_eq!(
        other.member("fields"),
        serde_json::json!(["amount", "return_fee"])
    );
    assert_eq!(world.balance(ALICE, "btc"), (200_000_000, 0));
}

#[actix_web::test]
async fn a_key_makes_one_reversal() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    for (body, part) in [
        (r#"{"amount":"1","return_fee":false,"comment":"x"}"#, "a"),
        (r#"{"return_fee":false,"comment":"x"}"#, "b"),
    ] {
        let send = || {
            let sent = Sent::post("/admin/v1/transfers/1/reverse", body);
            world.send(sent.bearer(OPERATOR).header("Idempotency-Key", part))
        };
        let first = send().await.ok();
        assert_eq!(first.header("idempotent-replayed"), None);
        // Also when nothing is left of it, because of this very one.
        let again = send().await.ok();
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.body, first.body);
    }
    assert_eq!(world.balance(ALICE, "btc"), (0, 0));
}

#[actix_web::test]
async fn everything_wrong_with_a_reversal_is_told() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let long = format!(r#"{{"return_fee":true,"comment":"{}"}}"#, "x".repeat(1_001));
    for (id, body, code) in [
        ("x", r#"{"return_fee":true,"comment":"x"}"#, "id.invalid"),
        ("1", r#"{"comment":"x"}"#, "return_fee.missed"),
        (
            "1",
            r#"{"return_fee":1,"comment":"x"}"#,
            "return_fee.invalid",
        ),
        ("1", r#"{"return_fee":true}"#, "comment.missed"),
        ("1", r#"{"return_fee":true,"comment":""}"#, "comment.missed"),
        ("1", r#"{"return_fee":true,"comment":1}"#, "comment.invalid"),
        ("1", long.as_str(), "comment.too_long"),
        (
            "1",
            r#"{"return_fee":true,"comment":"x","amount":"0"}"#,
            "amount.zero",
        ),
        (
            "1",
            r#"{"return_fee":true,"comment":"x","amount":"a"}"#,
            "amount.invalid",
        ),
        (
            "1",
            r#"{"return_fee":true,"comment":"x","amount":"0.000000001"}"#,
            "amount.too_precise",
        ),
        (
            "1",
            r#"{"return_fee":true,"comment":"x","fee":1}"#,
            "field.unknown",
        ),
    ] {
        let answer = reverse(&world, id, body).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{body}");
    }
    for id in ["7", "9007199254740993"] {
        let unknown = reverse(&world, id, r#"{"return_fee":true,"comment":"x"}"#).await;
        assert_eq!(unknown.refusal(), (404, "transfer.unknown".into()));
    }
}
