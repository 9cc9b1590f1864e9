//! What operators stop by hand, to the byte.

use crate::world::{
    ALICE, ALICES, Answer, BOB, CANCEL, CONFIRM, DEPOSIT, INTERNAL, OPERATOR, Sent, WITHDRAW, World,
};

async fn list(world: &World) -> String {
    let sent = Sent::get("/admin/v1/stops").bearer(OPERATOR);
    world.send(sent).await.ok().body
}

async fn put(world: &World, stop: &str, body: &str) -> Answer {
    let path = format!("/admin/v1/stops/{stop}");
    world.send(Sent::put(&path, body).bearer(OPERATOR)).await
}

async fn lift(world: &World, stop: &str) -> Answer {
    let path = format!("/admin/v1/stops/{stop}");
    world.send(Sent::delete(&path).bearer(OPERATOR)).await
}

async fn keyed(world: &World, path: &str, body: &str) -> Answer {
    let sent = Sent::post(path, body).bearer(OPERATOR);
    world.send(sent.header("Idempotency-Key", "a")).await
}

#[actix_web::test]
async fn stops_are_put_listed_and_lifted() {
    let world = World::new();
    assert_eq!(list(&world).await, r#"{"data":[],"next_cursor":null}"#);
    let first = put(&world, "outgoing/BTC", r#"{"reason":"A check."}"#).await;
    assert_eq!((first.status, first.body.as_str()), (204, ""));
    // What is stopped already stays so, for the reason it was stopped for.
    let again = put(&world, "outgoing/btc", r#"{"reason":"Another."}"#).await;
    assert_eq!(again.status, 204);
    let everything = put(&world, "read-only", r#"{"reason":"Moving."}"#).await;
    assert_eq!(everything.status, 204);
    let at = "2021-04-09T10:50:40.116485Z";
    let expected = format!(
        r#"{{"data":[{{"stop":"read_only","asset":null,"reason":"Moving.","stopped_by":"operator","stopped_at":"{at}"}},{{"stop":"outgoing","asset":"btc","reason":"A check.","stopped_by":"operator","stopped_at":"{at}"}}],"next_cursor":null}}"#
    );
    assert_eq!(list(&world).await, expected);
    assert_eq!(lift(&world, "outgoing/btc").await.status, 204);
    assert_eq!(lift(&world, "read-only").await.status, 204);
    assert_eq!(list(&world).await, r#"{"data":[],"next_cursor":null}"#);
    for stop in ["outgoing/btc", "read-only"] {
        let none = lift(&world, stop).await;
        assert_eq!(none.refusal(), (404, "stop.unknown".into()));
    }
}

#[actix_web::test]
async fn everything_wrong_with_a_stop_is_told() {
    let world = World::new();
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(1_001));
    for (stop, body, code) in [
        ("read-only", "{}", "reason.missed"),
        ("read-only", r#"{"reason":""}"#, "reason.missed"),
        ("read-only", r#"{"reason":1}"#, "reason.invalid"),
        ("read-only", long.as_str(), "reason.too_long"),
        ("read-only", r#"{"reason":"x","until":1}"#, "field.unknown"),
        ("outgoing/b%20c", r#"{"reason":"x"}"#, "asset.invalid"),
    ] {
        let answer = put(&world, stop, body).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{stop} {body}");
    }
    let malformed = lift(&world, "outgoing/b%20c").await;
    assert_eq!(malformed.refusal(), (400, "asset.invalid".into()));
    let unknown = put(&world, "outgoing/doge", r#"{"reason":"x"}"#).await;
    assert_eq!(unknown.refusal(), (404, "asset.unknown".into()));
}

#[actix_web::test]
async fn nothing_moves_while_everything_is_stopped_and_keys_stay_free() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let id = world.withdrawal(ALICE, "btc", "1").await;
    put(&world, "read-only", r#"{"reason":"Moving."}"#).await;
    let money = format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":"1"}}"#);
    let named = format!(r#"{{"userId":"{ALICE}","transferId":{id}}}"#);
    let back = r#"{"return_fee":false,"comment":"x"}"#;
    let cases = [
        (DEPOSIT, &money),
        (WITHDRAW, &money),
        (CONFIRM, &named),
        ("/admin/v1/transfers/1/reverse", &back.to_owned()),
    ];
    for (path, body) in cases {
        let stopped = keyed(&world, path, body).await;
        assert_eq!(
            stopped.refusal(),
            (503, "service.read_only".into()),
            "{path}"
        );
        assert_eq!(stopped.text("outcome"), "not_executed");
        assert!(stopped.header("retry-after").is_some(), "{path}");
    }
    let body = format!(r#"{{"currency_code":"btc","amount":"1","recipient":"{BOB}"}}"#);
    let bulk = format!(r#"{{"transfers":[{body}]}}"#);
    for (path, body) in [(INTERNAL, &body), ("/internal-transfer/bulk", &bulk)] {
        let sent = Sent::post(path, body).bearer(ALICES);
        let stopped = world.send(sent).await;
        assert_eq!(
            stopped.refusal(),
            (503, "service.read_only".into()),
            "{path}"
        );
    }
    assert_eq!(world.balance(ALICE, "btc"), (200_000_000, 100_000_000));
    lift(&world, "read-only").await;
    for (path, body) in &cases[..3] {
        let answer = keyed(&world, path, body).await.ok();
        assert_eq!(answer.header("idempotent-replayed"), None, "{path}");
    }
}

#[actix_web::test]
async fn an_asset_that_may_not_leave_still_comes_in_and_back() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    world.fund(ALICE, "eth", "3").await;
    let id = world.withdrawal(ALICE, "btc", "1").await;
    put(&world, "outgoing/btc", r#"{"reason":"A check."}"#).await;
    let money = format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":"1"}}"#);
    let named = format!(r#"{{"userId":"{ALICE}","transferId":{id}}}"#);
    for (path, body) in [(WITHDRAW, &money), (CONFIRM, &named)] {
        let answer = world.send(Sent::post(path, body).bearer(OPERATOR)).await;
        assert_eq!(
            answer.refusal(),
            (422, "asset.outgoing_stopped".into()),
            "{path}"
        );
    }
    let body = format!(r#"{{"currency_code":"btc","amount":"1","recipient":"{BOB}"}}"#);
    let sent = Sent::post(INTERNAL, &body).bearer(ALICES);
    let rejected = world.send(sent.header("Prefer", "wait")).await.ok();
    assert_eq!(rejected.text("reason_code"), "asset.outgoing_stopped");
    world.fund(ALICE, "btc", "1").await;
    let canceled = world
        .send(Sent::post(CANCEL, &named).bearer(OPERATOR))
        .await;
    assert_eq!(canceled.ok().text("status"), "Canceled");
    // Other assets are not concerned.
    world.withdrawal(ALICE, "eth", "1").await;
}
