//! What every request meets before anybody looks at what it asks for.

use actix_web::{dev::Payload, error::PayloadError, http::Method};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::world::{ALICE, DEPOSIT, INTERNAL, OPERATOR, Sent, World};

fn deposit() -> String {
    format!(r#"{{"userId":"{ALICE}","assetId":"btc","amount":1}}"#)
}

fn post(body: &[u8], content_type: &str) -> Sent {
    Sent::new(Method::POST, DEPOSIT)
        .header("Content-Type", content_type)
        .raw(body)
        .bearer(OPERATOR)
}

#[actix_web::test]
async fn json_is_taken_under_each_of_its_names() {
    let world = World::new();
    for name in [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.bursar+json",
    ] {
        world.send(post(deposit().as_bytes(), name)).await.ok();
    }
}

#[actix_web::test]
async fn other_media_types_are_refused_before_anything_else() {
    let world = World::new();
    let expected = (415, "media_type.unsupported".to_owned());
    for name in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "json",
    ] {
        let answer = world.send(post(b"{", name)).await;
        assert_eq!(answer.refusal(), expected, "{name}");
    }
    let unnamed = Sent::new(Method::POST, DEPOSIT).raw(b"{}");
    assert_eq!(world.send(unnamed).await.refusal(), expected);
    let zipped = post(b"{}", "application/json").header("Content-Encoding", "gzip");
    assert_eq!(world.send(zipped).await.refusal(), expected);
    let large = vec![b' '; 70_000];
    let answer = world.send(post(&large, "text/plain")).await;
    assert_eq!(answer.refusal(), expected);
}

#[actix_web::test]
async fn a_body_that_is_not_there_is_no_json() {
    let world = World::new();
    let empty = Sent::new(Method::POST, DEPOSIT).bearer(OPERATOR);
    let answer = world.send(empty).await;
    assert_eq!(answer.refusal(), (400, "json.malformed".into()));
}

#[actix_web::test]
async fn bodies_have_64_kib_whoever_sends_them() {
    let world = World::new();
    let mut body = deposit().into_bytes();
    body.resize(64 * 1024, b' ');
    world.send(post(&body, "application/json")).await.ok();
    body.push(b' ');
    let answer = world.send(post(&body, "application/json")).await;
    assert_eq!(answer.refusal(), (413, "body.too_large".into()));
    // Size comes before credentials.
    let answer = world
        .send(post(&body, "application/json").bearer("bad"))
        .await;
    assert_eq!(answer.refusal(), (413, "body.too_large".into()));
}

fn pieces(pieces: impl stream::Stream<Item = Result<Bytes, PayloadError>> + 'static) -> Payload {
    Payload::Stream {
        payload: Box::pin(pieces),
    }
}

fn in_pieces(payload: Payload) -> Sent {
    Sent::new(Method::POST, DEPOSIT)
        .header("Content-Type", "application/json")
        .header("Transfer-Encoding", "chunked")
        .bearer(OPERATOR)
        .payload(payload)
}

#[actix_web::test]
async fn a_body_may_come_in_pieces() {
    let world = World::new();
    let body = deposit();
    let bytes: Vec<_> = body
        .bytes()
        .map(|byte| Ok(Bytes::copy_from_slice(&[byte])))
        .collect();
    let answer = world
        .send(in_pieces(pieces(stream::iter(bytes))))
        .await
        .ok();
    assert_eq!(answer.json()["amount"], "1");
}

#[actix_web::test]
async fn a_body_without_end_is_cut_off() {
    let world = World::new();
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096])));
    let answer = world.send(in_pieces(pieces(endless))).await;
    assert_eq!(answer.refusal(), (413, "body.too_large".into()));
}

#[actix_web::test]
async fn a_body_that_never_comes_is_given_up() {
    let mut world = World::new();
    world.config.body_read_timeout = std::time::Duration::from_millis(20);
    let begun = stream::iter([Ok(Bytes::from_static(b"{"))]);
    let answer = world
        .send(in_pieces(pieces(begun.chain(stream::pending()))))
        .await;
    assert_eq!(answer.refusal(), (400, "body.timeout".into()));
}

/// The same request gets the same answer, however fast it comes.
#[actix_web::test]
async fn a_body_that_is_too_large_is_that_also_if_it_never_ends() {
    let mut world = World::new();
    world.config.body_read_timeout = std::time::Duration::from_millis(20);
    let too_much = || stream::iter([Ok(Bytes::from(vec![b' '; 64 * 1024 + 1]))]);
    let slow = too_much().chain(stream::pending());
    let broken = too_much().chain(stream::iter([Err(PayloadError::Incomplete(None))]));
    let begun = stream::iter([Ok(Bytes::from_static(b"{"))]);
    let announced = Sent::new(Method::POST, DEPOSIT)
        .header("Content-Type", "application/json")
        .header("Content-Length", "65537")
        .bearer(OPERATOR)
        .payload(pieces(begun.chain(stream::pending())));
    for sent in [
        in_pieces(pieces(slow)),
        in_pieces(pieces(broken)),
        announced,
    ] {
        let answer = world.send(sent).await;
        assert_eq!(answer.refusal(), (413, "body.too_large".into()));
    }
}

#[actix_web::test]
async fn a_body_that_breaks_off_is_incomplete() {
    let world = World::new();
    let broken = stream::iter([
        Ok(Bytes::from_static(b"{")),
        Err(PayloadError::Incomplete(None)),
    ]);
    let answer = world.send(in_pieces(pieces(broken))).await;
    assert_eq!(answer.refusal(), (400, "body.incomplete".into()));
}

#[actix_web::test]
async fn what_is_no_json_object_is_refused() {
    let world = World::new();
    for (body, code) in [
        (&b"{\"userId\":\"\xff\"}"[..], "json.malformed"),
        (b"{\"amount\":1", "json.malformed"),
        (b"not json", "json.malformed"),
        (b"[]", "json.object_required"),
        (b"null", "json.object_required"),
        (b"{\"amount\":1,\"amount\":1}", "json.duplicate_key"),
        (b"{\"amount\":1,\"\\u0041mount\":1}", "json.duplicate_key"),
    ] {
        let answer = world.send(post(body, "application/json")).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{body:?}");
    }
    assert!(world.transfer(1).await.is_none());
}

#[actix_web::test]
async fn unknown_paths_and_methods_are_problems() {
    let world = World::new();
    for path in [
        "/",
        "/nothing",
        "/internal-transfers",
        "/balance/",
        "/admin/v1",
    ] {
        let answer = world.send(Sent::get(path)).await;
        assert_eq!(answer.refusal(), (404, "route.unknown".into()), "{path}");
    }
    for (method, path, allow) in [
        (Method::GET, DEPOSIT, "POST"),
        (Method::DELETE, INTERNAL, "GET, HEAD, POST"),
        (Method::POST, "/balance", "GET, HEAD"),
        (Method::PATCH, "/admin/v1/assets/btc", "GET, HEAD, PUT"),
        (Method::GET, "/admin/v1/tokens/x", "DELETE"),
        (Method::POST, "/health/live", "GET, HEAD"),
    ] {
        let answer = world.send(Sent::new(method, path)).await;
        assert_eq!(
            answer.refusal(),
            (405, "method.not_allowed".into()),
            "{path}"
        );
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

#[actix_web::test]
async fn head_answers_like_get() {
    let world = World::new();
    let answer = world.send(Sent::new(Method::HEAD, "/health/live")).await;
    assert_eq!(answer.status, 200);
    let answer = world.send(Sent::new(Method::HEAD, "/balance")).await;
    assert_eq!(answer.status, 401);
}

#[actix_web::test]
async fn every_answer_carries_the_request_id() {
    let world = World::new();
    for path in ["/health/live", "/nothing", "/balance"] {
        let given = world
            .send(Sent::get(path).header("X-Request-Id", "my-id.1"))
            .await;
        assert_eq!(given.header("x-request-id"), Some("my-id.1"), "{path}");
        let made = world
            .send(Sent::get(path).header("X-Request-Id", "a b"))
            .await;
        let id = made.header("x-request-id").expect("an id is made");
        assert_eq!(id.len(), 32, "{path}");
        assert!(id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    }
}
