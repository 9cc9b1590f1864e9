//! Tokens and access keys: shown once, listed without their secrets, revoked for good.

use crate::{
    credentials::signature,
    world::{ALICE, Answer, NOW, OPERATOR, Sent, World},
};

const TOKENS: &str = "/admin/v1/tokens";
const KEYS: &str = "/admin/v1/access-keys";

async fn post(world: &World, path: &str, body: &str) -> Answer {
    world.send(Sent::post(path, body).bearer(OPERATOR)).await
}

async fn get(world: &World, path: &str) -> Answer {
    world.send(Sent::get(path).bearer(OPERATOR)).await
}

async fn delete(world: &World, path: &str) -> Answer {
    world.send(Sent::delete(path).bearer(OPERATOR)).await
}

#[actix_web::test]
async fn a_token_is_shown_once_works_and_ends() {
    let world = World::new();
    let body = format!(
        r#"{{"subject":"robot","user_id":"{ALICE}","permissions":["allow_balance"],"ttl_seconds":60}}"#
    );
    let issued = post(&world, TOKENS, &body).await.ok();
    let (id, token) = (issued.text("id"), issued.text("token"));
    assert!(token.starts_with("bur_") && token.len() > 40, "{token}");
    let row = format!(
        r#""subject":"robot","user_id":"{ALICE}","permissions":["allow_balance"],"created_at":"2021-04-09T10:50:40.116485Z","expires_at":"2021-04-09T10:51:40.116485Z","revoked_at":null}}"#
    );
    let expected = format!(r#"{{"id":"{id}","token":"{token}",{row}"#);
    assert_eq!(issued.body, expected);
    let balance = || Sent::get("/balance").bearer(&token);
    world.send(balance()).await.ok();
    let list = get(&world, TOKENS).await.ok();
    assert!(
        list.body.contains(&format!(r#"{{"id":"{id}",{row}"#)),
        "{}",
        list.body
    );
    assert!(!list.body.contains(&token), "a token is shown again");
    for _ in 0..2 {
        let revoked = delete(&world, &format!("{TOKENS}/{id}")).await;
        assert_eq!((revoked.status, revoked.body.as_str()), (204, ""));
    }
    assert_eq!(world.send(balance()).await.code(), "token.invalid");
    let list = get(&world, TOKENS).await.ok();
    assert!(
        list.body
            .contains(r#""revoked_at":"2021-04-09T10:50:40.116485Z""#)
    );
}

#[actix_web::test]
async fn tokens_go_on_where_their_cursor_says() {
    let world = World::new();
    let first = get(&world, &format!("{TOKENS}?limit=2")).await.ok();
    assert_eq!(first.json()["data"].as_array().map(Vec::len), Some(2));
    let cursor = first.text("next_cursor");
    let rest = get(&world, &format!("{TOKENS}?cursor={cursor}")).await.ok();
    assert_eq!(rest.json()["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest.json()["data"][0]["subject"], "bob-token");
}

/// What somebody does must not look like Bursar's own doing.
#[actix_web::test]
async fn no_token_is_issued_in_a_name_of_bursar_s_own() {
    let world = World::new();
    let body = |subject: &str| {
        format!(r#"{{"subject":"{subject}","permissions":["admin"],"ttl_seconds":60}}"#)
    };
    for subject in ["integrity", "bursar", "Integrity", " integrity "] {
        let answer = post(&world, TOKENS, &body(subject)).await;
        assert_eq!(answer.refusal(), (400, "subject.invalid".to_owned()));
        let expected = [("subject".to_owned(), "subject.invalid".to_owned())];
        assert_eq!(answer.wrong_fields(), expected, "{subject}");
    }
    post(&world, TOKENS, &body("integrity-team")).await.ok();
}

#[actix_web::test]
async fn what_is_no_token_is_refused() {
    let world = World::new();
    let answer = post(
        &world,
        TOKENS,
        r#"{"permissions":[],"ttl_seconds":0,"user":1}"#,
    )
    .await;
    let expected = [
        ("subject", "subject.missed"),
        ("permissions", "permissions.invalid"),
        ("ttl_seconds", "ttl_seconds.out_of_range"),
        ("user", "field.unknown"),
    ]
    .map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!(answer.wrong_fields(), expected);
    let nobody = r#"{"subject":"x","user_id":"00000000-0000-0000-0000-000000000009","permissions":["allow_balance"],"ttl_seconds":1}"#;
    let answer = post(&world, TOKENS, nobody).await;
    assert_eq!(answer.refusal(), (404, "user.unknown".into()));
    let mighty =
        format!(r#"{{"subject":"x","user_id":"{ALICE}","permissions":["admin"],"ttl_seconds":1}}"#);
    let answer = post(&world, TOKENS, &mighty).await;
    assert_eq!(answer.refusal(), (400, "permissions.invalid".into()));
    let unknown = format!("{TOKENS}/00000000-0000-0000-0000-000000000999");
    let answer = delete(&world, &unknown).await;
    assert_eq!(answer.refusal(), (404, "token.unknown".into()));
    let answer = delete(&world, &format!("{TOKENS}/x")).await;
    assert_eq!(answer.refusal(), (400, "id.invalid".into()));
}

#[actix_web::test]
async fn an_access_key_is_shown_once_works_and_ends() {
    let world = World::new();
    let body = format!(
        r#"{{"user_id":"{ALICE}","permissions":["allow_balance"],"allowed_ips":["203.0.113.0/24","::1"],"requests_per_minute":60}}"#
    );
    let issued = post(&world, KEYS, &body).await.ok();
    let (key, secret) = (issued.text("access_key"), issued.text("secret_key"));
    let row = format!(
        r#""user_id":"{ALICE}","permissions":["allow_balance"],"allowed_ips":["203.0.113.0/24","::1/128"],"requests_per_minute":60,"created_at":"2021-04-09T10:50:40.116485Z","revoked_at":null}}"#
    );
    let expected = format!(r#"{{"access_key":"{key}","secret_key":"{secret}",{row}"#);
    assert_eq!(issued.body, expected);
    let at = (NOW.as_micros() / 1_000).to_string();
    let balance = || {
        Sent::get("/balance")
            .header("X-Access-Key", &key)
            .header("X-Timestamp", &at)
            .header("X-Signature", &signature(&secret, &[&key, "/balance", &at]))
            .from("203.0.113.5:1")
    };
    world.send(balance()).await.ok();
    let list = get(&world, KEYS).await.ok();
    assert!(
        list.body
            .contains(&format!(r#"{{"access_key":"{key}",{row}"#))
    );
    assert!(!list.body.contains(&secret), "a secret is shown again");
    let path = format!("{KEYS}/{key}");
    assert_eq!(delete(&world, &path).await.status, 204);
    assert_eq!(world.send(balance()).await.code(), "access_key.unknown");
}

#[actix_web::test]
async fn what_is_no_access_key_is_refused() {
    let world = World::new();
    let body = r#"{"permissions":["root"],"allowed_ips":["10/8","x"],"requests_per_minute":"1"}"#;
    let answer = post(&world, KEYS, body).await;
    let expected = [
        ("user_id", "user_id.missed"),
        ("permissions", "permissions.invalid"),
        ("allowed_ips", "allowed_ips.invalid"),
        ("allowed_ips", "allowed_ips.invalid"),
        ("requests_per_minute", "requests_per_minute.invalid"),
    ]
    .map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!(answer.wrong_fields(), expected);
    let answer = delete(&world, &format!("{KEYS}/BAKNOBODY")).await;
    assert_eq!(answer.refusal(), (404, "access_key.unknown".into()));
    let least = format!(r#"{{"user_id":"{ALICE}","permissions":["allow_transfer"]}}"#);
    let issued = post(&world, KEYS, &least).await.ok().json();
    assert_eq!(issued["allowed_ips"], serde_json::json!([]));
    assert_eq!(issued["requests_per_minute"], serde_json::Value::Null);
}
