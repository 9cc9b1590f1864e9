//! Everything that is wrong with a request to the admin API is told at once, before anything is looked
//! up.

use actix_web::http::Method;
use bursar_testkit::build;

use crate::world::{ALICE, OPERATOR, Sent, World};

/// The codes of everything that is wrong with a request, in the order in which it is told.
async fn wrong(world: &World, sent: Sent) -> String {
    let answer = world.send(sent.bearer(OPERATOR)).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let fields = answer.wrong_fields().into_iter();
    let codes: Vec<String> = fields.map(|(_, code)| code).collect();
    codes.join(" ")
}

#[actix_web::test]
async fn what_is_wrong_with_a_rule_in_itself_needs_no_asset() {
    let world = World::new();
    for (path, body, expected) in [
        ("fees/deposit", r#"{"percent":"200"}"#, "percent.invalid"),
        ("fees/internal", r#"{"min":"2","max":"1"}"#, "max.below_min"),
        (
            "limits/deposit",
            r#"{"daily":"1","monthly":"1"}"#,
            "daily.not_for_deposits monthly.not_for_deposits",
        ),
        (
            "limits/internal",
            r#"{"approval_above":"1"}"#,
            "approval_above.not_for_internal",
        ),
        (
            "limits/withdrawal",
            r#"{"min_amount":"2","max_amount":"1"}"#,
            "max_amount.below_min",
        ),
    ] {
        let sent = Sent::put(&format!("/admin/v1/{path}/nosuch"), body);
        assert_eq!(wrong(&world, sent).await, expected, "{path} {body}");
    }
    // Only whether an amount fits the asset does.
    for (path, body) in [
        ("fees/deposit", r#"{"min":"0.000000000000000001"}"#),
        ("limits/withdrawal", r#"{"daily":"0.000000000000000001"}"#),
    ] {
        let sent = Sent::put(&format!("/admin/v1/{path}/nosuch"), body);
        let answer = world.send(sent.bearer(OPERATOR)).await;
        assert_eq!(answer.refusal(), (404, "asset.unknown".into()), "{path}");
    }
}

#[actix_web::test]
async fn a_rule_that_cannot_be_is_told_with_all_else() {
    let world = World::new();
    for (path, body, expected) in [
        (
            "fees/deposit/btc",
            r#"{"percent":"200","min":"2","max":"1","absolute":"x","tax":1}"#,
            "absolute.invalid percent.invalid max.below_min field.unknown",
        ),
        (
            "limits/deposit/b%20c",
            r#"{"daily":"1","monthly":"x"}"#,
            "asset.invalid monthly.invalid daily.not_for_deposits",
        ),
        // Without a kind, what is wrong whatever the kind.
        (
            "limits/transfer",
            r#"{"min_amount":"2","max_amount":"1","daily":"1","approval_above":"1"}"#,
            "kind.invalid max_amount.below_min",
        ),
        (
            "rates/usd?at=now",
            r#"{"rate":"2"}"#,
            "parameter.unknown rate.invalid",
        ),
        (
            "rates/b%20c",
            r#"{"rate":"2","by":"x"}"#,
            "asset.invalid field.unknown",
        ),
    ] {
        let sent = Sent::put(&format!("/admin/v1/{path}"), body);
        assert_eq!(wrong(&world, sent).await, expected, "{path} {body}");
    }
}

#[actix_web::test]
async fn what_a_credential_may_not_do_is_told_with_all_else() {
    let world = World::new();
    let nobody = build::user_id(9);
    for (path, body, expected) in [
        (
            "tokens",
            format!(
                r#"{{"subject":"","user_id":"{ALICE}","permissions":["admin"],"ttl_seconds":60}}"#
            ),
            "subject.missed permissions.invalid",
        ),
        (
            "tokens",
            format!(
                r#"{{"subject":"x","user_id":"{nobody}","permissions":["admin"],"ttl_seconds":0}}"#
            ),
            "permissions.invalid ttl_seconds.out_of_range",
        ),
        // What acts for nobody may have them.
        (
            "tokens",
            r#"{"subject":"","permissions":["admin"],"ttl_seconds":60}"#.to_owned(),
            "subject.missed",
        ),
        (
            "access-keys",
            format!(
                r#"{{"user_id":"{ALICE}","permissions":["allow_balance","admin"],"requests_per_minute":0}}"#
            ),
            "permissions.invalid requests_per_minute.out_of_range",
        ),
        (
            "access-keys",
            r#"{"permissions":["admin"]}"#.to_owned(),
            "user_id.missed permissions.invalid",
        ),
    ] {
        let sent = Sent::post(&format!("/admin/v1/{path}"), &body);
        assert_eq!(wrong(&world, sent).await, expected, "{path} {body}");
    }
}

#[actix_web::test]
async fn an_amount_without_its_asset_is_told_with_all_else() {
    let world = World::new();
    for (path, query, expected) in [
        (
            "transfers",
            "min_amount=1&limit=0",
            "asset.missed limit.out_of_range",
        ),
        (
            "transfers",
            "max_amount=1&kind=x&cursor=x&y=1",
            "kind.invalid asset.missed cursor.invalid parameter.unknown",
        ),
        // An amount that is none needs its asset too.
        (
            "transfers",
            "min_amount=x",
            "min_amount.invalid asset.missed",
        ),
        // An asset that is none was given all the same.
        ("transfers", "min_amount=1&asset=b%20c", "asset.invalid"),
        (
            "transfers",
            "min_amount=1&asset=btc&asset=eth",
            "parameter.duplicate",
        ),
        (
            "transfers.csv",
            "min_amount=1&limit=0",
            "asset.missed parameter.unknown",
        ),
    ] {
        let sent = Sent::get(&format!("/admin/v1/{path}?{query}"));
        assert_eq!(wrong(&world, sent).await, expected, "{path}?{query}");
    }
}

#[actix_web::test]
async fn a_wrong_path_is_told_with_what_stands_beside_it() {
    let world = World::new();
    for (method, path, expected) in [
        (Method::GET, "users/x", "id.invalid"),
        (Method::GET, "users/x/headroom", "id.invalid"),
        (Method::GET, "assets/b%20c", "id.invalid"),
        (Method::GET, "rates/b%20c", "asset.invalid"),
        (Method::GET, "fees/x/b%20c", "kind.invalid asset.invalid"),
        (Method::GET, "limits/x/b%20c", "kind.invalid asset.invalid"),
        (Method::GET, "limits/x", "kind.invalid"),
        (Method::GET, "transfers/x", "id.invalid"),
        (Method::GET, "callbacks/x", "id.invalid"),
        (Method::DELETE, "tokens/x", "id.invalid"),
        (Method::DELETE, "callback-secrets/x", "id.invalid"),
        (Method::DELETE, "operators/anna/sessions/x", "id.invalid"),
        (Method::DELETE, "stops/outgoing/b%20c", "asset.invalid"),
    ] {
        let sent = Sent::new(method, &format!("/admin/v1/{path}?y=1"));
        let expected = format!("parameter.unknown {expected}");
        assert_eq!(wrong(&world, sent).await, expected, "{path}");
    }
    for path in [
        "callbacks/x/replay",
        "transfers/x/take",
        "transfers/x/let-go",
    ] {
        let sent = Sent::post(&format!("/admin/v1/{path}?y=1"), r#"{"z":1}"#);
        let expected = "parameter.unknown id.invalid field.unknown";
        assert_eq!(wrong(&world, sent).await, expected, "{path}");
    }
}
