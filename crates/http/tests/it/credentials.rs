//! Who may call: tokens, signatures, and what is said to everybody else.

use bursar_ports::{IpRange, Permission};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, Answer, INTERNAL, KEY, NOW, Sent, World},
};

const BALANCE: &str = "/balance";

/// What a client computes.
pub(crate) fn signature(secret: &str, parts: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    for part in parts {
        mac.update(part.as_bytes());
    }
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

/// The time, as signatures have it.
pub(crate) fn now_ms() -> i64 {
    NOW.as_micros() / 1_000
}

/// Signs a request as Alice's program does.
pub(crate) fn signed(sent: Sent, path: &str, body: &str, at_ms: i64) -> Sent {
    let at = at_ms.to_string();
    let signature = signature(KEY.1, &[KEY.0, path, &at, body]);
    sent.header("X-Access-Key", KEY.0)
        .header("X-Timestamp", &at)
        .header("X-Signature", &signature)
}

fn transfer() -> String {
    r#"{"currency_code":"btc","amount":"1","recipient":"bob"}"#.to_owned()
}

/// Status, code and challenge of a refusal.
fn refused(answer: &Answer) -> (u16, String, Option<&str>) {
    let (status, code) = answer.refusal();
    (status, code, answer.header("www-authenticate"))
}

#[actix_web::test]
async fn no_credentials_and_other_schemes_are_missing_ones() {
    let world = World::new();
    let nothing = world.send(Sent::get(BALANCE)).await;
    assert_eq!(
        nothing.body,
        r#"{"type":"urn:bursar:problem:credentials.missing","title":"Not authenticated","status":401,"detail":"Credentials are required.","instance":"req-1","code":"credentials.missing"}"#
    );
    let basic = world
        .send(Sent::get(BALANCE).header("Authorization", "Basic YTpi"))
        .await;
    for answer in [nothing, basic] {
        let expected = (401, "credentials.missing".to_owned(), Some("Bearer"));
        assert_eq!(refused(&answer), expected);
    }
}

#[actix_web::test]
async fn bad_tokens_all_look_the_same() {
    let world = World::new();
    world.put_token("bur_revoked", "x", Some(ALICE), &Permission::ALL);
    world.put_token("bur_expired", "x", Some(ALICE), &Permission::ALL);
    for token in locked(&world.credentials.tokens).iter_mut().rev().take(2) {
        if token.id.as_u128() % 2 == 0 {
            token.expires_at = NOW;
        } else {
            token.revoked_at = Some(NOW);
        }
    }
    let mut bodies = vec![];
    for token in ["bur_unknown", "bur_revoked", "bur_expired", "", "é"] {
        let answer = world.send(Sent::get(BALANCE).bearer(token)).await;
        let challenge = Some("Bearer error=\"invalid_token\"");
        let expected = (401, "token.invalid".to_owned(), challenge);
        assert_eq!(refused(&answer), expected, "{token}");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
}

#[actix_web::test]
async fn a_signed_request_is_its_users() {
    let world = World::new();
    world.fund(ALICE, "btc", "2").await;
    let body = transfer();
    let sent = signed(Sent::post(INTERNAL, &body), INTERNAL, &body, now_ms());
    let answer = world.send(sent).await.ok();
    assert_eq!(answer.json()["sender"], ALICE.to_string());
    // A GET is signed over an empty body, with its query or without.
    let with_query = format!("{INTERNAL}?limit=1");
    for path in [INTERNAL, with_query.as_str()] {
        let sent = signed(Sent::get(&with_query), path, "", now_ms() - 5_000);
        world.send(sent).await.ok();
    }
}

#[actix_web::test]
async fn the_alias_is_signed_as_it_is_sent() {
    let world = World::new();
    let path = "/api/v1/balance";
    world
        .send(signed(Sent::get(path), path, "", now_ms()))
        .await
        .ok();
    let other = world
        .send(signed(Sent::get(path), BALANCE, "", now_ms()))
        .await;
    assert_eq!(other.code(), "signature.invalid");
}

#[actix_web::test]
async fn each_missing_part_of_a_signature_has_its_code() {
    let world = World::new();
    for (header, code) in [
        ("X-Access-Key", "access_key.missed"),
        ("X-Timestamp", "timestamp.missed"),
        ("X-Signature", "signature.missed"),
    ] {
        let sent = signed(Sent::get(BALANCE), BALANCE, "", now_ms()).header(header, "");
        let answer = world.send(sent).await;
        assert_eq!(refused(&answer), (401, code.to_owned(), Some("Bearer")));
    }
}

#[actix_web::test]
async fn each_wrong_part_of_a_signature_has_its_code() {
    let world = World::new();
    let good = || signed(Sent::get(BALANCE), BALANCE, "", now_ms());
    for (sent, code) in [
        (
            good().header("X-Access-Key", "BAKNOBODY"),
            "access_key.unknown",
        ),
        (good().header("X-Timestamp", "soon"), "timestamp.invalid"),
        (
            signed(Sent::get(BALANCE), BALANCE, "", now_ms() - 5_001),
            "timestamp.expired",
        ),
        (
            signed(Sent::get(BALANCE), BALANCE, "", now_ms() + 5_001),
            "timestamp.expired",
        ),
        (good().header("X-Signature", "00"), "signature.invalid"),
        (good().header("X-Signature", "zz"), "signature.invalid"),
    ] {
        let answer = world.send(sent).await;
        assert_eq!(refused(&answer), (401, code.to_owned(), Some("Bearer")));
    }
    world.send(good()).await.ok();
}

#[actix_web::test]
async fn the_signature_covers_every_byte_of_the_body() {
    let world = World::new();
    let body = transfer();
    let changed = body.replace("\"1\"", "\"2\"");
    let sent = signed(Sent::post(INTERNAL, &changed), INTERNAL, &body, now_ms());
    assert_eq!(world.send(sent).await.code(), "signature.invalid");
}

#[actix_web::test]
async fn a_signature_counts_once_where_it_changes_something() {
    let world = World::new();
    let body = transfer();
    let post = || signed(Sent::post(INTERNAL, &body), INTERNAL, &body, now_ms());
    world.send(post()).await.ok();
    assert_eq!(
        world.send(post()).await.refusal(),
        (401, "signature.replayed".into())
    );
    let get = || signed(Sent::get(INTERNAL), INTERNAL, "", now_ms());
    world.send(get()).await.ok();
    world.send(get()).await.ok();
}

#[actix_web::test]
async fn a_key_may_be_bound_to_addresses() {
    let world = World::new();
    let range: IpRange = "203.0.113.0/24".parse().expect("a range");
    locked(&world.credentials.keys)[0].allowed_ips = vec![range];
    let good = || signed(Sent::get(BALANCE), BALANCE, "", now_ms());
    let outside = world.send(good().from("198.51.100.1:4000")).await;
    assert_eq!(refused(&outside), (403, "ip.not_allowed".to_owned(), None));
    let nowhere = world.send(good()).await;
    assert_eq!(nowhere.code(), "ip.not_allowed");
    world.send(good().from("203.0.113.9:4000")).await.ok();
}

#[actix_web::test]
async fn behind_a_trusted_proxy_the_client_is_who_the_proxy_says() {
    let mut world = World::new();
    world.config.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a range")];
    let range: IpRange = "203.0.113.0/24".parse().expect("a range");
    locked(&world.credentials.keys)[0].allowed_ips = vec![range];
    for (peer, forwarded, status) in [
        ("10.0.0.1:4000", "203.0.113.9", 200),
        ("10.0.0.1:4000", "198.51.100.1, 203.0.113.9", 200),
        // Written by the client itself, in front of the proxy's word or without a proxy.
        ("10.0.0.1:4000", "203.0.113.9, 198.51.100.1", 403),
        ("198.51.100.1:4000", "203.0.113.9", 403),
        ("10.0.0.1:4000", "unknown", 403),
    ] {
        let sent = signed(Sent::get(BALANCE), BALANCE, "", now_ms());
        let sent = sent.from(peer).header("X-Forwarded-For", forwarded);
        let answer = world.send(sent).await;
        assert_eq!(answer.status, status, "{peer} {forwarded}: {}", answer.body);
    }
}

#[actix_web::test]
async fn a_bearer_token_counts_before_a_signature() {
    let world = World::new();
    let sent = Sent::get(BALANCE)
        .bearer(ALICES)
        .header("X-Signature", "00");
    world.send(sent).await.ok();
}

/// The example of docs/HTTP.md, computed anew.
#[test]
fn the_documented_signature_is_the_right_one() {
    let guide = include_str!("../../../../docs/HTTP.md");
    let body = r#"{"currency_code":"BTC","amount":"0.01","recipient":"bob@example.com"}"#;
    let parts = ["BAKEXAMPLE", "/internal-transfer", "1617965440116", body];
    let expected = signature("example-secret", &parts);
    assert!(guide.contains(body), "the guide signs another body");
    assert!(guide.contains(&expected), "the guide should say {expected}");
}
