//! §4, what operators decide: fees, limits and stops.
//!
//! Each clause has an asset of its own, so that its rules stand in nobody's way. What would stand in
//! everybody's, limits in the root asset and the stop of everything, the service's own tests try.

use serde_json::{Value, json};

use crate::{
    answer::{MICROS, shape},
    clause::clauses,
    scene::{CANCEL, DEPOSIT, INTERNAL, Scene, WITHDRAW, and, finish, open, send},
};

clauses! { "4.4 Fees, limits and stops",
    "Decision: `{\"percent\",\"min\",\"max\",\"absolute\"}`": fees_are_none_until_somebody_sets_them
        = "`GET /fees/{kind}/{asset}` shows zeros until a `PUT`, and afterwards what was put, plain and trimmed.",
    "Documented: `fee`": a_fee_is_in_every_answer
        = "`fee` and `fee_amount` are the schedule's: a deposit is credited less, a withdrawal holds more, a sender pays more.",
    "Decision: fees are fixed at creation": a_transfer_keeps_the_fee_it_was_made_with
        = "A schedule that changes leaves open withdrawals as they are.",
    "Decision: a fee that eats the deposit": a_fee_that_eats_the_deposit_is_refused
        = "A deposit of no more than its fee is 422 `fee.exceeds_amount`.",
    "Decision: any null": limits_are_none_until_somebody_sets_them
        = "`GET /limits/{kind}/{asset}` shows nulls until a `PUT`, and afterwards what was put.",
    "Decision: `min_amount`, `max_amount`": one_transfer_keeps_within_its_limits
        = "Less than `min_amount` is 422 `limit.min_amount`, more than `max_amount` 422 `limit.max_amount`.",
    "Decision: rolling 24 hours": a_refusal_by_a_limit_tells_what_is_left
        = "A refusal by a rolling limit has `limit`: what is `left`, in which `asset`, and when there `returns` room.",
    "Decision: what ended is room again": a_cancelled_withdrawal_is_room_again
        = "What a cancelled withdrawal had of a limit can be used again.",
    "Decision: a refusal at settlement is `rejected`": an_internal_transfer_over_a_limit_is_rejected
        = "An internal transfer over a limit is `rejected` with `limit.…` as its `reason_code`, and nothing moves.",
    "Decision: users see their limits": users_and_operators_see_what_is_left
        = "`GET /limits` and `GET /admin/v1/users/{id}/headroom` show each limit with what is left of it.",
    "Decision: stop an asset": a_stopped_asset_does_not_leave
        = "While an asset is stopped, withdrawals are 422 `asset.outgoing_stopped` and payments are rejected for it; deposits and cancels go on.",
}

async fn rule(scene: &Scene, path: &str, rule: Value) {
    scene
        .admin()
        .put(&format!("/admin/v1{path}"), rule)
        .await
        .ok();
}

async fn fees_are_none_until_somebody_sets_them(scene: Scene) {
    scene.asset("cf-fees", 8, true, true).await;
    let path = "/admin/v1/fees/internal/cf-fees";
    let none = scene.reader().get("/admin/v1/fees/deposit/cf-fees").await;
    let nothing =
        r#"{"kind":"deposit","asset":"cf-fees","percent":"0","min":"0","max":null,"absolute":"0"}"#;
    assert_eq!(none.ok().text, nothing);
    let fees = json!({"percent": "0.50", "min": "0.001", "max": "2.0", "absolute": 0});
    let put = scene.admin().put(path, fees).await.ok();
    let expected = r#"{"kind":"internal","asset":"cf-fees","percent":"0.5","min":"0.001","max":"2","absolute":"0"}"#;
    assert_eq!(put.text, expected);
    assert_eq!(scene.reader().get(path).await.ok().text, expected);
}

async fn a_fee_is_in_every_answer(scene: Scene) {
    scene.asset("cf-fee", 8, true, true).await;
    for kind in ["deposit", "withdrawal", "internal"] {
        let path = format!("/fees/{kind}/cf-fee");
        rule(&scene, &path, json!({"percent": "10"})).await;
    }
    let user = scene.user().await;
    let deposit = scene.fund(&user, "cf-fee", "10").await;
    assert_eq!(deposit.text("fee"), "1");
    let held = scene.withdrawal(&user, "cf-fee", "2").await;
    assert_eq!(held.text("fee"), "0.2");
    let (available, frozen) = scene.balance(&user, "CF-FEE").await;
    assert_eq!(
        (available.as_str(), frozen.as_str()),
        ("6.80000000", "2.20000000")
    );
    let other = scene.user().await;
    let paid = scene.paid(&user, &other, "cf-fee", "3").await;
    assert_eq!(paid.text("fee_amount"), "0.30000000");
    assert_eq!(scene.balance(&user, "CF-FEE").await.0, "3.50000000");
    assert_eq!(scene.balance(&other, "CF-FEE").await.0, "3.00000000");
}

async fn a_transfer_keeps_the_fee_it_was_made_with(scene: Scene) {
    scene.asset("cf-old-fee", 8, true, true).await;
    let path = "/fees/withdrawal/cf-old-fee";
    rule(&scene, path, json!({"absolute": "1"})).await;
    let user = scene.rich("cf-old-fee", "10").await;
    let held = scene.withdrawal(&user, "cf-old-fee", "2").await;
    rule(&scene, path, json!({"absolute": "0"})).await;
    let body = finish(&user, held.id());
    let done = scene.office().post(CANCEL, body).await.ok();
    assert_eq!(done.text("fee"), "1");
    assert_eq!(scene.balance(&user, "CF-OLD-FEE").await.0, "10.00000000");
}

async fn a_fee_that_eats_the_deposit_is_refused(scene: Scene) {
    scene.asset("cf-eaten", 8, true, true).await;
    rule(&scene, "/fees/deposit/cf-eaten", json!({"absolute": "1"})).await;
    let user = scene.user().await;
    let body = open(&user, "cf-eaten", "1");
    let answer = scene.office().post(DEPOSIT, body).await;
    answer.refused(422, "fee.exceeds_amount");
    scene.fund(&user, "cf-eaten", "1.5").await;
    assert_eq!(scene.balance(&user, "CF-EATEN").await.0, "0.50000000");
}

async fn limits_are_none_until_somebody_sets_them(scene: Scene) {
    scene.asset("cf-limits", 8, true, true).await;
    let path = "/admin/v1/limits/withdrawal/cf-limits";
    let nothing = r#"{"kind":"withdrawal","asset":"cf-limits","counted_in":"cf-limits","min_amount":null,"max_amount":null,"daily":null,"monthly":null,"approval_above":null}"#;
    assert_eq!(scene.reader().get(path).await.ok().text, nothing);
    let limits = json!({"max_amount": "5.0", "monthly": 100});
    let put = scene.admin().put(path, limits).await.ok();
    let expected = nothing
        .replace(r#""max_amount":null"#, r#""max_amount":"5""#)
        .replace(r#""monthly":null"#, r#""monthly":"100""#);
    assert_eq!(put.text, expected);
    assert_eq!(scene.reader().get(path).await.ok().text, expected);
}

async fn one_transfer_keeps_within_its_limits(scene: Scene) {
    scene.asset("cf-one", 8, true, true).await;
    let user = scene.rich("cf-one", "10").await;
    let limits = json!({"min_amount": "1", "max_amount": "2"});
    rule(&scene, "/limits/withdrawal/cf-one", limits).await;
    for (amount, code) in [
        ("0.99999999", "limit.min_amount"),
        ("2.00000001", "limit.max_amount"),
    ] {
        let body = open(&user, "cf-one", amount);
        let answer = scene.office().post(WITHDRAW, body).await;
        answer.refused(422, code);
    }
    for amount in ["1", "2"] {
        scene.withdrawal(&user, "cf-one", amount).await;
    }
}

async fn a_refusal_by_a_limit_tells_what_is_left(scene: Scene) {
    scene.asset("cf-daily", 8, true, true).await;
    let user = scene.rich("cf-daily", "10").await;
    rule(&scene, "/limits/withdrawal/cf-daily", json!({"daily": "3"})).await;
    scene.withdrawal(&user, "cf-daily", "2").await;
    let body = open(&user, "cf-daily", "1.5");
    let answer = scene.office().post(WITHDRAW, body).await;
    let limit = answer.refused(422, "limit.daily").get("limit");
    assert_eq!(limit["left"], "1");
    assert_eq!(limit["asset"], "cf-daily");
    let returns = limit["returns_at"].as_str().expect("it returns");
    assert_eq!(shape(returns), MICROS);
    scene.withdrawal(&user, "cf-daily", "1").await;
}

async fn a_cancelled_withdrawal_is_room_again(scene: Scene) {
    scene.asset("cf-room", 8, true, true).await;
    let user = scene.rich("cf-room", "10").await;
    rule(&scene, "/limits/withdrawal/cf-room", json!({"daily": "3"})).await;
    let held = scene.withdrawal(&user, "cf-room", "3").await.id();
    let body = open(&user, "cf-room", "1");
    let full = scene.office().post(WITHDRAW, body).await;
    full.refused(422, "limit.daily");
    scene.office().post(CANCEL, finish(&user, held)).await.ok();
    scene.withdrawal(&user, "cf-room", "3").await;
}

async fn an_internal_transfer_over_a_limit_is_rejected(scene: Scene) {
    scene.asset("cf-paying", 8, true, true).await;
    let (user, other) = (scene.rich("cf-paying", "10").await, scene.user().await);
    rule(
        &scene,
        "/limits/internal/cf-paying",
        json!({"monthly": "3"}),
    )
    .await;
    scene.paid(&user, &other, "cf-paying", "2").await;
    let body = send("cf-paying", "2", &other.id);
    let answer = user.own.waiting().post(INTERNAL, body).await.ok();
    assert_eq!(answer.text("status"), "rejected");
    assert_eq!(answer.text("reason_code"), "limit.monthly");
    assert_eq!(scene.balance(&user, "CF-PAYING").await.0, "8.00000000");
}

async fn users_and_operators_see_what_is_left(scene: Scene) {
    scene.asset("cf-left", 8, true, true).await;
    let user = scene.rich("cf-left", "10").await;
    let limits = json!({"daily": "3", "approval_above": "1"});
    rule(&scene, "/limits/withdrawal/cf-left", limits).await;
    scene.withdrawal(&user, "cf-left", "2").await;
    let path = format!("/admin/v1/users/{}/headroom", user.id);
    for shown in [
        user.own.get("/limits").await,
        scene.reader().get(&path).await,
    ] {
        let data = shown.ok().get("data");
        let rows = data.as_array().expect("data is a list");
        let row = rows.iter().find(|row| row["asset"] == "cf-left");
        let row = row.expect("the limit is there");
        assert_eq!(row["daily"], json!({"limit": "3", "left": "1"}));
        // When a second operator looks is the exchange's own business.
        assert!(row.get("approval_above").is_none(), "{row}");
    }
}

async fn a_stopped_asset_does_not_leave(scene: Scene) {
    scene.asset("cf-stopped", 8, true, true).await;
    let (user, other) = (scene.rich("cf-stopped", "10").await, scene.user().await);
    let held = scene.withdrawal(&user, "cf-stopped", "1").await.id();
    let stop = "/admin/v1/stops/outgoing/cf-stopped";
    let answer = scene.admin().put(stop, json!({"reason": "A drill."})).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    let listed = scene.reader().get("/admin/v1/stops").await.ok().get("data");
    let mut stops = listed.as_array().expect("data is a list").iter();
    assert!(stops.any(|stop| stop["asset"] == "cf-stopped" && stop["reason"] == "A drill."));
    let body = open(&user, "cf-stopped", "1");
    let refused = scene.office().post(WITHDRAW, body).await;
    refused.refused(422, "asset.outgoing_stopped");
    let body = and(send("cf-stopped", "1", &other.id), "note", "stopped");
    let rejected = user.own.waiting().post(INTERNAL, body).await.ok();
    assert_eq!(rejected.text("reason_code"), "asset.outgoing_stopped");
    scene.fund(&user, "cf-stopped", "1").await;
    scene.office().post(CANCEL, finish(&user, held)).await.ok();
    assert_eq!(scene.admin().delete(stop).await.status, 204);
    let again = scene.admin().delete(stop).await;
    again.refused(404, "stop.unknown");
    scene.withdrawal(&user, "cf-stopped", "1").await;
}
