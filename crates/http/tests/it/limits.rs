//! Limits on requests, failed recipients and failed credentials, and the fields that tell of them.

use actix_web::http::Method;
use bursar_ports::Permission;

use crate::{
    fakes::locked,
    world::{ALICE, ALICES, Answer, BOBS, INTERNAL, OPERATOR, Sent, World},
};

fn transfer(recipient: &str) -> Sent {
    let body = format!(r#"{{"currency_code":"btc","amount":"1","recipient":"{recipient}"}}"#);
    Sent::post(INTERNAL, &body).header("Prefer", "wait")
}

fn list() -> Sent {
    Sent::get(INTERNAL)
}

fn fields(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (
        answer.header("ratelimit-policy"),
        answer.header("ratelimit"),
    )
}

const POLICY: Option<&str> = Some(r#""internal";q=600;w=60"#);

#[actix_web::test]
async fn every_answer_to_a_known_caller_tells_how_it_stands() {
    let world = World::new();
    world.put_token("bur_poor", "poor", Some(ALICE), &[Permission::AllowBalance]);
    let one = format!("{INTERNAL}/unknown");
    for (number, alias) in ["", "/api/v1"].into_iter().enumerate() {
        let path = |path: &str| format!("{alias}{path}");
        let left = |answers: usize| format!(r#""internal";r={};t=60"#, 600 - 2 * number - answers);
        let calls = [
            (Sent::get(&path(INTERNAL)), 200),
            (Sent::get(&path("/internal-transfer?limit=0")), 400),
            (Sent::post(&path(INTERNAL), "{}"), 400),
            (Sent::post(&path(INTERNAL), "{"), 400),
            (Sent::get(&path(&one)), 404),
            (Sent::new(Method::HEAD, &path(&one)), 404),
        ];
        for (call, (sent, status)) in calls.into_iter().enumerate() {
            let answer = world.send(sent.bearer(ALICES)).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            let expected = left(1 + call % 2);
            assert_eq!(fields(&answer), (POLICY, Some(expected.as_str())));
        }
    }
    // Whoever may not call is told, too, and uses nothing up.
    let forbidden = world.send(list().bearer("bur_poor")).await;
    assert_eq!(forbidden.refusal(), (403, "permission.missing".into()));
    assert_eq!(fields(&forbidden).1, Some(r#""internal";r=596;t=60"#));
    let nobody = world.send(list().bearer(OPERATOR)).await;
    assert_eq!(nobody.refusal(), (403, "user.required".into()));
    assert_eq!(fields(&nobody), (POLICY, Some(r#""internal";r=600;t=0"#)));
    // Whose credentials are not known has no standing, and other calls have no such limit.
    let unknown = world.send(list()).await;
    let unread = world.send(Sent::new(Method::POST, INTERNAL).raw(b"x").bearer(ALICES));
    let other = world.send(Sent::get("/balance").bearer(ALICES));
    for answer in [unknown, unread.await, other.await] {
        assert_eq!(fields(&answer), (None, None), "{}", answer.body);
    }
}

#[actix_web::test]
async fn the_601st_request_in_a_minute_is_refused() {
    let world = World::new();
    for _ in 0..600 {
        assert_eq!(world.send(list().bearer(ALICES)).await.status, 200);
    }
    world.clock.advance_ms(12_500);
    // Before the syntax is looked at.
    let wrong = Sent::get("/internal-transfer?limit=0").bearer(ALICES);
    let refused = world.send(wrong).await;
    assert_eq!(
        refused.body,
        r#"{"type":"urn:bursar:problem:rate_limit.exceeded","title":"Too many requests","status":429,"detail":"There were too many requests of this kind in the last 60 seconds.","instance":"req-1","code":"rate_limit.exceeded"}"#
    );
    assert_eq!(refused.header("retry-after"), Some("48"));
    assert_eq!(fields(&refused), (POLICY, Some(r#""internal";r=0;t=48"#)));
    // The other calls and the other users have limits of their own.
    assert_eq!(world.send(list().bearer(BOBS)).await.status, 200);
    let create = world.send(transfer("bob").bearer(ALICES)).await;
    assert_eq!(create.status, 200);
    world.clock.advance_ms(47_499);
    let refused = world.send(list().bearer(ALICES)).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[actix_web::test]
async fn after_twenty_failed_recipients_every_create_is_refused_whoever_the_recipient() {
    let world = World::new();
    world.fund(ALICE, "btc", "100").await;
    for number in 0..20 {
        let answer = world.send(transfer("nobody").bearer(ALICES)).await;
        assert_eq!(answer.member("status"), "rejected", "{number}");
        assert_eq!(answer.member("reason_code"), "recipient.unavailable");
    }
    for sent in [
        transfer("nobody"),
        transfer("bob"),
        Sent::post(INTERNAL, "{"),
    ] {
        let refused = world.send(sent.bearer(ALICES)).await;
        let expected = (429, "rate_limit.failed_recipients".to_owned());
        assert_eq!(refused.refusal(), expected);
        assert_eq!(refused.header("retry-after"), Some("3600"));
        assert!(fields(&refused).1.is_some());
    }
    assert_eq!(world.send(list().bearer(ALICES)).await.status, 200);
    world.fund(crate::world::BOB, "btc", "100").await;
    let other = world.send(transfer("alice").bearer(BOBS)).await;
    assert_eq!(other.member("status"), "success");
}

#[actix_web::test]
async fn a_repeated_failure_is_one_failure_and_an_uncovered_one_is_none() {
    let world = World::new();
    for _ in 0..25 {
        let answer = world.send(transfer("nobody").bearer(ALICES)).await;
        assert_eq!(answer.member("reason_code"), "balance.insufficient");
    }
    world.fund(ALICE, "btc", "100").await;
    for _ in 0..25 {
        let keyed = transfer("nobody").header("Idempotency-Key", "k");
        let answer = world.send(keyed.bearer(ALICES)).await;
        assert_eq!(answer.member("reason_code"), "recipient.unavailable");
    }
    for _ in 0..19 {
        assert_eq!(
            world.send(transfer("nobody").bearer(ALICES)).await.status,
            200
        );
    }
    let refused = world.send(transfer("bob").bearer(ALICES)).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
}

#[actix_web::test]
async fn a_key_may_have_a_limit_of_its_own() {
    let world = World::new();
    let own = [Permission::AllowTransfer];
    world.put_key(("BAKSMALL", "secret"), ALICE, &own);
    for key in locked(&world.credentials.keys).iter_mut() {
        key.requests_per_minute = (key.access_key == "BAKSMALL").then_some(2);
    }
    let at = (crate::world::NOW.as_micros() / 1_000).to_string();
    let signature = crate::credentials::signature("secret", &["BAKSMALL", INTERNAL, &at, ""]);
    let signed = || {
        list()
            .header("X-Access-Key", "BAKSMALL")
            .header("X-Timestamp", &at)
            .header("X-Signature", &signature)
    };
    for left in ["1", "0"] {
        let answer = world.send(signed()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let expected = format!(r#""internal";r={left};t=60"#);
        let policy = Some(r#""internal";q=2;w=60"#);
        assert_eq!(fields(&answer), (policy, Some(expected.as_str())));
    }
    let refused = world.send(signed()).await;
    assert_eq!(refused.refusal(), (429, "rate_limit.exceeded".into()));
    // What the key used up is nobody else's.
    let answer = world.send(list().bearer(ALICES)).await;
    assert_eq!(fields(&answer), (POLICY, Some(r#""internal";r=599;t=60"#)));
}

#[actix_web::test]
async fn an_address_that_guesses_is_refused_before_anything_is_looked_up() {
    let world = World::new();
    let balance = |token: &str, from: &str| Sent::get("/balance").bearer(token).from(from);
    let (here, there) = ("203.0.113.9:1000", "203.0.113.10:1000");
    assert_eq!(world.send(balance(ALICES, here)).await.status, 200);
    for _ in 0..600 {
        let answer = world.send(balance("bur_guess", here)).await;
        assert_eq!(answer.refusal(), (401, "token.invalid".into()));
    }
    for token in ["bur_guess", BOBS] {
        let refused = world.send(balance(token, here)).await;
        let expected = (429, "rate_limit.failed_credentials".to_owned());
        assert_eq!(refused.refusal(), expected);
        assert_eq!(refused.header("retry-after"), Some("60"));
    }
    // Whoever was known before is not locked out by a neighbour.
    assert_eq!(world.send(balance(ALICES, here)).await.status, 200);
    assert_eq!(world.send(balance(BOBS, there)).await.status, 200);
    let nothing = world.send(Sent::get("/balance").from(here)).await;
    assert_eq!(nothing.refusal(), (401, "credentials.missing".into()));
    world.clock.advance_ms(59_999);
    assert_eq!(world.send(balance("bur_guess", here)).await.status, 429);
    world.clock.advance_ms(1);
    assert_eq!(world.send(balance("bur_guess", here)).await.status, 401);
}
