//! Callback secrets: shown once, rotated, listed without the secret, ended at once.

use crate::world::{ALICE, Answer, OPERATOR, Sent, World};

const SECRETS: &str = "/admin/v1/callback-secrets";
/// A day after the time of these tests.
const TOMORROW: &str = "2021-04-10T10:50:40.116485Z";
const NOW: &str = "2021-04-09T10:50:40.116485Z";

async fn post(world: &World, body: &str) -> Answer {
    world.send(Sent::post(SECRETS, body).bearer(OPERATOR)).await
}

async fn get(world: &World, query: &str) -> Answer {
    let path = format!("{SECRETS}{query}");
    world.send(Sent::get(&path).bearer(OPERATOR)).await
}

async fn delete(world: &World, id: &str) -> Answer {
    let path = format!("{SECRETS}/{id}");
    world.send(Sent::delete(&path).bearer(OPERATOR)).await
}

#[actix_web::test]
async fn a_secret_is_shown_once_and_the_next_one_rotates_it() {
    let world = World::new();
    let body = r#"{"subject":"backoffice"}"#;
    let first = post(&world, body).await.ok();
    let (id, secret) = (first.text("id"), first.text("secret"));
    assert!(
        secret.starts_with("whsec_") && secret.len() == 50,
        "{secret}"
    );
    let row = |expires: &str| {
        format!(
            r#""user_id":null,"subject":"backoffice","created_at":"{NOW}","expires_at":{expires},"revoked_at":null}}"#
        )
    };
    let expected = format!(r#"{{"id":"{id}","secret":"{secret}",{}"#, row("null"));
    assert_eq!(first.body, expected);
    let second = post(&world, body).await.ok().text("id");
    let list = get(&world, "?subject=backoffice").await.ok();
    let until = format!("\"{TOMORROW}\"");
    let expected = format!(
        r#"{{"data":[{{"id":"{id}",{},{{"id":"{second}",{}],"next_cursor":null}}"#,
        row(&until),
        row("null")
    );
    assert_eq!(list.body, expected);
    for _ in 0..2 {
        let ended = delete(&world, &id).await;
        assert_eq!((ended.status, ended.body.as_str()), (204, ""));
    }
    let list = get(&world, "").await.ok().json();
    assert_eq!(list["data"][0]["revoked_at"], NOW);
}

#[actix_web::test]
async fn users_and_clients_are_listed_apart_and_page_by_page() {
    let world = World::new();
    for body in [
        format!(r#"{{"user_id":"{ALICE}"}}"#),
        r#"{"subject":"a"}"#.to_owned(),
        r#"{"subject":"b"}"#.to_owned(),
    ] {
        post(&world, &body).await.ok();
    }
    let of_alice = get(&world, &format!("?user_id={ALICE}")).await.ok().json();
    let rows = of_alice["data"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["user_id"], ALICE.to_string());
    assert_eq!(rows[0]["subject"], serde_json::Value::Null);
    let first = get(&world, "?limit=2").await.ok();
    assert_eq!(first.json()["data"].as_array().map(Vec::len), Some(2));
    let cursor = first.text("next_cursor");
    let rest = get(&world, &format!("?cursor={cursor}")).await.ok().json();
    assert_eq!(rest["data"][0]["subject"], "b");
    // A cursor goes on in the list that it was given for.
    let elsewhere = get(&world, &format!("?subject=b&cursor={cursor}")).await;
    assert_eq!(elsewhere.refusal(), (400, "cursor.invalid".into()));
}

#[actix_web::test]
async fn exactly_one_subscriber_is_named() {
    let world = World::new();
    let both = format!(r#"{{"user_id":"{ALICE}","subject":"a"}}"#);
    let long = format!(r#"{{"subject":"{}"}}"#, "x".repeat(256));
    for (body, status, code) in [
        ("{}", 400, "user_id.missed"),
        (r#"{"user_id":null,"subject":""}"#, 400, "user_id.missed"),
        (&both, 400, "subject.invalid"),
        (r#"{"user_id":"7"}"#, 400, "user_id.invalid"),
        (r#"{"subject":7}"#, 400, "subject.invalid"),
        (&long, 400, "subject.too_long"),
        (r#"{"subject":"a","ttl_seconds":1}"#, 400, "field.unknown"),
        (
            r#"{"user_id":"00000000-0000-0000-0000-000000000009"}"#,
            404,
            "user.unknown",
        ),
    ] {
        let answer = post(&world, body).await;
        assert_eq!(answer.refusal(), (status, code.into()), "{body}");
    }
    let both = get(&world, &format!("?user_id={ALICE}&subject=a")).await;
    assert_eq!(both.refusal(), (400, "subject.invalid".into()));
    let answer = delete(&world, "x").await;
    assert_eq!(answer.refusal(), (400, "id.invalid".into()));
    let answer = delete(&world, "00000000-0000-0000-0000-000000000999").await;
    assert_eq!(answer.refusal(), (404, "callback_secret.unknown".into()));
}

#[actix_web::test]
async fn anybody_is_told_where_callbacks_come_from() {
    let mut world = World::new();
    let told = async |world: &World| world.send(Sent::get("/callback-addresses")).await.ok().body;
    assert_eq!(told(&world).await, r#"{"data":[]}"#);
    world.config.callback_addresses = ["203.0.113.7", "2001:db8::/64"]
        .map(|range| range.parse().unwrap())
        .to_vec();
    let expected = r#"{"data":["203.0.113.7","2001:db8::/64"]}"#;
    assert_eq!(told(&world).await, expected);
}
