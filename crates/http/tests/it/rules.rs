//! Fees, limits and what they leave, to the byte.

use crate::world::{
    ALICE, ALICES, Answer, BOB, DEPOSIT, INTERNAL, OPERATOR, Sent, WITHDRAW, World,
};

async fn get(world: &World, path: &str) -> Answer {
    let path = format!("/admin/v1{path}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

async fn put(world: &World, path: &str, body: &str) -> Answer {
    let path = format!("/admin/v1{path}");
    world.send(Sent::put(&path, body).bearer(OPERATOR)).await
}

async fn open(world: &World, path: &str, asset: &str, amount: &str) -> Answer {
    let body = format!(r#"{{"userId":"{ALICE}","assetId":"{asset}","amount":"{amount}"}}"#);
    world.send(Sent::post(path, &body).bearer(OPERATOR)).await
}

#[actix_web::test]
async fn fees_are_put_and_shown() {
    let world = World::new();
    let nothing =
        r#"{"kind":"internal","asset":"btc","percent":"0","min":"0","max":null,"absolute":"0"}"#;
    let before = get(&world, "/fees/internal/BTC").await.ok();
    assert_eq!(before.body, nothing);
    let body = r#"{"percent":"0.10","min":0.0001,"max":"1.0","absolute":0}"#;
    let expected = r#"{"kind":"internal","asset":"btc","percent":"0.1","min":"0.0001","max":"1","absolute":"0"}"#;
    for _ in 0..2 {
        let answer = put(&world, "/fees/internal/BTC", body).await.ok();
        assert_eq!(answer.body, expected);
    }
    let shown = get(&world, "/fees/internal/btc").await.ok();
    assert_eq!(shown.body, expected);
    // Another kind of the same asset is another schedule, and what is left out is nothing.
    let other = get(&world, "/fees/deposit/btc").await.ok();
    assert_eq!(other.body, nothing.replace("internal", "deposit"));
    let none = put(&world, "/fees/internal/btc", "{}").await.ok();
    assert_eq!(none.body, nothing);
}

#[actix_web::test]
async fn everything_wrong_with_fees_is_told() {
    let world = World::new();
    for (path, body, wrong) in [
        (
            "/fees/internal/btc",
            r#"{"percent":"100.1"}"#,
            "percent.invalid",
        ),
        (
            "/fees/internal/btc",
            r#"{"percent":"-1"}"#,
            "percent.invalid",
        ),
        (
            "/fees/internal/btc",
            r#"{"percent":"0.0000000000000000001"}"#,
            "percent.too_precise",
        ),
        (
            "/fees/internal/btc",
            r#"{"percent":"1000000000000000"}"#,
            "percent.too_large",
        ),
        ("/fees/internal/btc", r#"{"min":"x"}"#, "min.invalid"),
        (
            "/fees/internal/btc",
            r#"{"min":"0.000000001"}"#,
            "min.too_precise",
        ),
        ("/fees/internal/btc", r#"{"max":"1e99"}"#, "max.invalid"),
        (
            "/fees/internal/btc",
            r#"{"max":"0.000000001"}"#,
            "max.too_precise",
        ),
        (
            "/fees/internal/btc",
            r#"{"min":"2","max":"1"}"#,
            "max.below_min",
        ),
        (
            "/fees/internal/btc",
            r#"{"absolute":true}"#,
            "absolute.invalid",
        ),
        (
            "/fees/internal/btc",
            r#"{"absolute":"0.000000001"}"#,
            "absolute.too_precise",
        ),
        ("/fees/internal/btc", r#"{"Percent":"1"}"#, "field.unknown"),
        ("/fees/transfer/btc", "{}", "kind.invalid"),
        ("/fees/internal/b%20c", "{}", "asset.invalid"),
    ] {
        let answer = put(&world, path, body).await;
        assert_eq!(answer.refusal(), (400, wrong.to_owned()), "{path} {body}");
    }
    // Whether amounts fit the asset is judged once the asset is known to be there.
    for (body, wrong) in [
        (
            r#"{"percent":"101","min":"0.000000001","max":"0"}"#,
            "percent max",
        ),
        (
            r#"{"min":"0.000000001","max":"0.000000002","absolute":"0.000000001"}"#,
            "min max absolute",
        ),
    ] {
        let told = put(&world, "/fees/internal/btc", body).await.wrong_fields();
        let fields: Vec<&str> = told.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields.join(" "), wrong, "{body}");
    }
    let both = get(&world, "/fees/Internal/b%20c").await.wrong_fields();
    assert_eq!(both.len(), 2, "{both:?}");
    for answer in [
        get(&world, "/fees/internal/doge").await,
        put(&world, "/fees/internal/doge", "{}").await,
    ] {
        assert_eq!(answer.refusal(), (404, "asset.unknown".into()));
    }
}

#[actix_web::test]
async fn a_fee_shows_in_every_answer() {
    let world = World::new();
    let percent = r#"{"percent":"1","absolute":"0.001"}"#;
    for kind in ["deposit", "withdrawal", "internal"] {
        let path = format!("/fees/{kind}/btc");
        put(&world, &path, percent).await.ok();
    }
    let body = format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":"2"}}"#);
    let sent = Sent::post(DEPOSIT, &body).bearer(OPERATOR);
    let deposit = world.send(sent.header("Prefer", "wait")).await.ok();
    assert_eq!(deposit.text("fee"), "0.021");
    assert_eq!(world.balance(ALICE, "btc"), (197_900_000, 0));
    let withdrawal = open(&world, WITHDRAW, "btc", "1").await.ok();
    assert_eq!(withdrawal.text("fee"), "0.011");
    assert_eq!(world.balance(ALICE, "btc"), (96_800_000, 101_100_000));
    let body = format!(r#"{{"currency_code":"btc","amount":"0.5","recipient":"{BOB}"}}"#);
    let sent = Sent::post(INTERNAL, &body).bearer(ALICES);
    let paid = world.send(sent.header("Prefer", "wait")).await.ok();
    assert_eq!(paid.text("fee_amount"), "0.00600000");
    assert_eq!(world.balance(ALICE, "btc"), (46_200_000, 101_100_000));
    assert_eq!(world.balance(BOB, "btc"), (50_000_000, 0));
    let eaten = open(&world, DEPOSIT, "btc", "0.001").await;
    assert_eq!(eaten.refusal(), (422, "fee.exceeds_amount".into()));
}

#[actix_web::test]
async fn limits_are_put_and_shown() {
    let world = World::new();
    let body =
        r#"{"min_amount":"0.10","max_amount":5,"daily":"10","monthly":null,"approval_above":0}"#;
    let expected = r#"{"kind":"withdrawal","asset":"btc","counted_in":"btc","min_amount":"0.1","max_amount":"5","daily":"10","monthly":null,"approval_above":"0"}"#;
    for _ in 0..2 {
        let answer = put(&world, "/limits/withdrawal/BTC", body).await.ok();
        assert_eq!(answer.body, expected);
    }
    let shown = get(&world, "/limits/withdrawal/btc").await.ok();
    assert_eq!(shown.body, expected);
    let nothing = r#"{"kind":"withdrawal","asset":null,"counted_in":"usd","min_amount":null,"max_amount":null,"daily":null,"monthly":null,"approval_above":null}"#;
    let root = get(&world, "/limits/withdrawal").await.ok();
    assert_eq!(root.body, nothing);
    let root = put(&world, "/limits/withdrawal", r#"{"monthly":"100.5"}"#).await;
    let expected = nothing.replace(r#""monthly":null"#, r#""monthly":"100.5""#);
    assert_eq!(root.ok().body, expected);
}

#[actix_web::test]
async fn everything_wrong_with_limits_is_told() {
    let world = World::new();
    for (path, body, wrong) in [
        (
            "/limits/internal/btc",
            r#"{"min_amount":"x"}"#,
            "min_amount.invalid",
        ),
        (
            "/limits/internal/btc",
            r#"{"max_amount":-1}"#,
            "max_amount.invalid",
        ),
        (
            "/limits/internal/btc",
            r#"{"daily":"0.000000001"}"#,
            "daily.too_precise",
        ),
        (
            "/limits/internal",
            r#"{"monthly":"0.001"}"#,
            "monthly.too_precise",
        ),
        (
            "/limits/withdrawal/btc",
            r#"{"approval_above":"1000000000000000"}"#,
            "approval_above.too_large",
        ),
        (
            "/limits/withdrawal/btc",
            r#"{"min_amount":"2","max_amount":"1"}"#,
            "max_amount.below_min",
        ),
        (
            "/limits/deposit/btc",
            r#"{"daily":"1"}"#,
            "daily.not_for_deposits",
        ),
        (
            "/limits/deposit",
            r#"{"monthly":"1"}"#,
            "monthly.not_for_deposits",
        ),
        (
            "/limits/internal/btc",
            r#"{"approval_above":"1"}"#,
            "approval_above.not_for_internal",
        ),
        ("/limits/internal/btc", r#"{"weekly":"1"}"#, "field.unknown"),
        ("/limits/transfer", "{}", "kind.invalid"),
        ("/limits/internal/b%20c", "{}", "asset.invalid"),
    ] {
        let answer = put(&world, path, body).await;
        assert_eq!(answer.refusal(), (400, wrong.to_owned()), "{path} {body}");
    }
    let unknown = put(&world, "/limits/internal/doge", "{}").await;
    assert_eq!(unknown.refusal(), (404, "asset.unknown".into()));
    let unknown = get(&world, "/limits/internal/doge").await;
    assert_eq!(unknown.refusal(), (404, "asset.unknown".into()));
}

#[actix_web::test]
async fn a_refusal_by_a_limit_tells_what_it_leaves() {
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    let limits = r#"{"min_amount":"0.5","max_amount":"3","daily":"4"}"#;
    put(&world, "/limits/withdrawal/btc", limits).await.ok();
    for (amount, code, limit) in [
        (
            "0.4",
            "limit.min_amount",
            r#"{"left":"0.5","asset":"btc","returns_at":null}"#,
        ),
        (
            "3.1",
            "limit.max_amount",
            r#"{"left":"3","asset":"btc","returns_at":null}"#,
        ),
    ] {
        let answer = open(&world, WITHDRAW, "btc", amount).await;
        assert_eq!(answer.refusal(), (422, code.to_owned()));
        assert_eq!(answer.member("limit").to_string(), sorted(limit));
    }
    open(&world, WITHDRAW, "btc", "3").await.ok();
    let answer = open(&world, WITHDRAW, "btc", "1.5").await;
    assert_eq!(answer.refusal(), (422, "limit.daily".into()));
    let limit = answer.member("limit");
    assert_eq!(limit["left"], "1");
    // 24 hours after the withdrawal that is in the way.
    assert_eq!(limit["returns_at"], "2021-04-10T10:50:40.116486Z");
    assert_eq!(world.balance(ALICE, "btc"), (700_000_000, 300_000_000));
}

/// JSON as a parsed value writes it.
fn sorted(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).expect("the test writes JSON");
    value.to_string()
}

#[actix_web::test]
async fn a_refusal_by_a_limit_is_kept_by_its_key() {
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    put(&world, "/limits/withdrawal/btc", r#"{"max_amount":"3"}"#)
        .await
        .ok();
    let body = format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":"4"}}"#);
    let send = || {
        let sent = Sent::post(WITHDRAW, &body).bearer(OPERATOR);
        world.send(sent.header("Idempotency-Key", "a"))
    };
    assert_eq!(send().await.refusal(), (422, "limit.max_amount".into()));
    put(&world, "/limits/withdrawal/btc", "{}").await.ok();
    let again = send().await;
    assert_eq!(again.refusal(), (422, "limit.max_amount".into()));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert!(again.member("limit").is_null(), "{}", again.body);
}

#[actix_web::test]
async fn without_a_rate_nothing_passes_a_limit_in_the_root_asset() {
    let world = World::new();
    world.fund(ALICE, "eth", "1").await;
    world.fund(ALICE, "btc", "1").await;
    put(&world, "/limits/withdrawal", r#"{"daily":"50000"}"#)
        .await
        .ok();
    let unrated = open(&world, WITHDRAW, "eth", "1").await;
    assert_eq!(unrated.refusal(), (422, "rate.unknown".into()));
    let over = open(&world, WITHDRAW, "btc", "1.0000002").await;
    assert_eq!(over.refusal(), (422, "limit.daily".into()));
    let limit = over.member("limit");
    assert_eq!(
        (&limit["left"], &limit["asset"]),
        (&"50000".into(), &"usd".into())
    );
    open(&world, WITHDRAW, "btc", "1").await.ok();
}

#[actix_web::test]
async fn an_internal_transfer_over_a_limit_is_rejected_for_it() {
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    put(&world, "/limits/internal/btc", r#"{"daily":"1"}"#)
        .await
        .ok();
    let body = format!(r#"{{"currency_code":"btc","amount":"1.5","recipient":"{BOB}"}}"#);
    let sent = Sent::post(INTERNAL, &body).bearer(ALICES);
    let answer = world.send(sent.header("Prefer", "wait")).await.ok();
    assert_eq!(answer.text("status"), "rejected");
    assert_eq!(answer.text("reason_code"), "limit.daily");
    assert_eq!(world.balance(ALICE, "btc"), (1_000_000_000, 0));
}

#[actix_web::test]
async fn headroom_is_shown_to_operators_and_to_the_user() {
    let world = World::new();
    world.fund(ALICE, "btc", "10").await;
    open(&world, WITHDRAW, "btc", "1").await.ok();
    let path = format!("/users/{ALICE}/headroom");
    let nothing = get(&world, &path).await.ok();
    assert_eq!(nothing.body, r#"{"data":[],"next_cursor":null}"#);
    let own = world.send(Sent::get("/limits").bearer(ALICES)).await.ok();
    assert_eq!(own.body, r#"{"data":[]}"#);
    let limits = r#"{"max_amount":"5","daily":"4","approval_above":"2"}"#;
    put(&world, "/limits/withdrawal/btc", limits).await.ok();
    put(&world, "/limits/withdrawal", r#"{"monthly":"60000"}"#)
        .await
        .ok();
    put(&world, "/limits/deposit/btc", r#"{"approval_above":"2"}"#)
        .await
        .ok();
    let root = r#"{"kind":"withdrawal","asset":null,"counted_in":"usd","min_amount":null,"max_amount":null,"daily":null,"monthly":{"limit":"60000","left":"10000"}}"#;
    let btc = r#"{"kind":"withdrawal","asset":"btc","counted_in":"btc","min_amount":null,"max_amount":"5","daily":{"limit":"4","left":"3"},"monthly":null}"#;
    let approval = r#"{"kind":"deposit","asset":"btc","counted_in":"btc","min_amount":null,"max_amount":null,"daily":null,"monthly":null}"#;
    let shown = get(&world, &path).await.ok();
    assert_eq!(
        shown.body,
        format!(r#"{{"data":[{approval},{root},{btc}],"next_cursor":null}}"#)
    );
    // When a second operator looks is not the user's business.
    for path in ["/limits", "/api/v1/limits"] {
        let own = world.send(Sent::get(path).bearer(ALICES)).await.ok();
        assert_eq!(own.body, format!(r#"{{"data":[{root},{btc}]}}"#));
    }
    let stranger = format!("/users/{}/headroom", uuid::Uuid::nil());
    let stranger = get(&world, &stranger).await;
    assert_eq!(stranger.refusal(), (404, "user.unknown".into()));
    let malformed = get(&world, "/users/x/headroom").await;
    assert_eq!(malformed.refusal(), (400, "id.invalid".into()));
}
