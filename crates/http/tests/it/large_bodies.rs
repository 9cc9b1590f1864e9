//! Bulks that are larger than any other body may be: who sends one is judged before it is read.

use std::{cell::Cell, rc::Rc};

use actix_web::{dev::Payload, error::PayloadError, http::Method};
use bursar_ports::Permission;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::{
    credentials::{now_ms, signed},
    fakes::locked,
    world::{ALICE, ALICES, BOB, KEY, NOW, OPERATOR, Sent, World},
};

const BULK: &str = "/internal-transfer/bulk";
/// The largest body of anything but a bulk, in bytes.
const OTHERS_MAX: usize = 64 * 1024;
/// A bulk that is larger, in bytes.
const LARGE: usize = 256 * 1024;
/// How much of it comes at once, in bytes.
const PIECE: usize = 4 * 1024;

/// A bulk of one transfer, and blanks behind it.
fn body(bytes: usize) -> String {
    let item = format!(r#"{{"currency_code":"btc","amount":"1","recipient":"{BOB}"}}"#);
    let list = format!(r#"{{"transfers":[{item}]}}"#);
    format!("{list}{}", " ".repeat(bytes - list.len()))
}

/// A bulk on its way, piece by piece, and how many bytes of it were read.
fn on_its_way(bytes: usize) -> (Sent, Rc<Cell<usize>>) {
    let read = Rc::new(Cell::new(0));
    let counted = Rc::clone(&read);
    let body = body(bytes).into_bytes();
    let pieces: Vec<Bytes> = body.chunks(PIECE).map(Bytes::copy_from_slice).collect();
    let pieces = stream::iter(pieces).map(move |piece| {
        counted.set(counted.get() + piece.len());
        Ok::<_, PayloadError>(piece)
    });
    let sent = Sent::new(Method::POST, BULK)
        .header("Content-Type", "application/json")
        .payload(Payload::Stream {
            payload: Box::pin(pieces),
        });
    (sent, read)
}

/// Sends a bulk and insists that it is refused before it is read.
async fn refused_unread(world: &World, with: impl FnOnce(Sent) -> Sent) -> (u16, String) {
    let (sent, read) = on_its_way(LARGE);
    let answer = world.send(with(sent)).await;
    let refusal = answer.refusal();
    assert!(
        read.get() <= OTHERS_MAX + PIECE,
        "{refusal:?} after {} bytes",
        read.get()
    );
    refusal
}

/// Signed as if nothing were in it: nobody but the key's owner can sign it as it is.
fn with_key(sent: Sent, key: &str, at_ms: i64) -> Sent {
    signed(sent, BULK, "", at_ms).header("X-Access-Key", key)
}

#[actix_web::test]
async fn of_strangers_no_more_is_read_than_of_anybody_s_other_requests() {
    let world = World::new();
    let unauthenticated = |code: &str| (401, code.to_owned());
    let refusal = refused_unread(&world, |sent| sent).await;
    assert_eq!(refusal, unauthenticated("credentials.missing"));
    let refusal = refused_unread(&world, |sent| sent.bearer("bur_unknown")).await;
    assert_eq!(refusal, unauthenticated("token.invalid"));
    let (now, old) = (now_ms(), now_ms() - 5_001);
    let refusal = refused_unread(&world, |sent| with_key(sent, "BAKNOBODY", now)).await;
    assert_eq!(refusal, unauthenticated("access_key.unknown"));
    let refusal = refused_unread(&world, |sent| with_key(sent, KEY.0, old)).await;
    assert_eq!(refusal, unauthenticated("timestamp.expired"));
    let refusal = refused_unread(&world, |sent| sent.header("X-Signature", "00")).await;
    assert_eq!(refusal, unauthenticated("access_key.missed"));
    locked(&world.credentials.keys)[0].revoked_at = Some(NOW);
    let refusal = refused_unread(&world, |sent| with_key(sent, KEY.0, now)).await;
    assert_eq!(refusal, unauthenticated("access_key.unknown"));
}

#[actix_web::test]
async fn who_may_not_send_is_told_so_and_how_it_stands_before_the_bulk_is_read() {
    let world = World::new();
    world.put_token("bur_poor", "poor", Some(ALICE), &[Permission::AllowBalance]);
    for (token, code) in [
        (OPERATOR, "user.required"),
        ("bur_poor", "permission.missing"),
    ] {
        let refusal = refused_unread(&world, |sent| sent.bearer(token)).await;
        assert_eq!(refusal, (403, code.to_owned()));
    }
    let (sent, _) = on_its_way(LARGE);
    let answer = world.send(sent.bearer("bur_poor")).await;
    assert!(answer.header("ratelimit").is_some(), "{answer:?}");
}

#[actix_web::test]
async fn who_guesses_is_refused_and_each_guess_counts_once() {
    let world = World::new();
    let here = |sent: Sent| sent.from("203.0.113.9:1000");
    let now = now_ms();
    for _ in 0..300 {
        let refusal = refused_unread(&world, |sent| here(sent.bearer("bur_guess"))).await;
        assert_eq!(refusal, (401, "token.invalid".to_owned()));
        let guess = |sent: Sent| here(with_key(sent, "BAKNOBODY", now));
        let refusal = refused_unread(&world, guess).await;
        assert_eq!(refusal, (401, "access_key.unknown".to_owned()));
    }
    for token in ["bur_guess", ALICES] {
        let refusal = refused_unread(&world, |sent| here(sent.bearer(token))).await;
        assert_eq!(refusal, (429, "rate_limit.failed_credentials".to_owned()));
    }
}

#[actix_web::test]
async fn who_may_send_gets_all_of_it_read() {
    let world = World::new();
    world.fund(ALICE, "btc", "3").await;
    let (sent, read) = on_its_way(LARGE);
    world.send(sent.bearer(ALICES)).await.ok();
    assert_eq!(read.get(), LARGE);
    // A signature over all of it counts once, however often it was looked at.
    let good = || signed(on_its_way(LARGE).0, BULK, &body(LARGE), now_ms());
    world.send(good()).await.ok();
    let again = world.send(good()).await;
    assert_eq!(again.refusal(), (401, "signature.replayed".to_owned()));
    let wrong = signed(on_its_way(LARGE).0, BULK, &body(LARGE - 1), now_ms());
    let wrong = world.send(wrong).await;
    assert_eq!(wrong.refusal(), (401, "signature.invalid".to_owned()));
}

/// As ever, whoever asks.
#[actix_web::test]
async fn media_type_and_announced_size_come_before_credentials() {
    let world = World::new();
    let text = |sent: Sent| sent.header("Content-Type", "text/plain");
    let refusal = refused_unread(&world, text).await;
    assert_eq!(refusal, (415, "media_type.unsupported".to_owned()));
    let announced = |sent: Sent| sent.header("Content-Length", "8388609");
    let refusal = refused_unread(&world, announced).await;
    assert_eq!(refusal, (413, "body.too_large".to_owned()));
}
