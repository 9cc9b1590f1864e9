//! What goes over the wire, and what an answer means.

use bursar_callback::{HttpNotifier, NotifierConfig, SignatureHeaders, TOLERANCE, verify};
use bursar_ports::{CallbackSecret, Notification, Notifier, Undelivered};

use crate::{
    receiver::{Receiver, Script},
    scene::{BODY, ID, answered, attempt, config, delivered, notification},
};

#[tokio::test]
async fn the_receiver_gets_exactly_these_bytes() {
    let mut receiver = Receiver::start(Script::answer("200 OK", "", "ok")).await;
    let notifier = HttpNotifier::try_new(config()).unwrap();
    let outcome = notifier.notify(notification(receiver.url())).await;
    assert_eq!(outcome, delivered(200));

    let request = receiver.request().await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, BODY);
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("POST /callbacks?x=1 HTTP/1.1"));
    let mut headers: Vec<&str> = lines.collect();
    headers.sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        headers,
        [
            "accept: */*".to_owned(),
            "connection: close".to_owned(),
            format!("content-length: {}", BODY.len()),
            "content-type: application/json".to_owned(),
            format!("host: {}", receiver.address()),
            format!("user-agent: Bursar/{version}"),
            "webhook-id: 0199a1c6-7f00-7000-8000-000000000001".to_owned(),
            "webhook-timestamp: 1673793015".to_owned(),
        ]
    );
}

#[tokio::test]
async fn every_2xx_is_success() {
    for (line, http_status) in [("200 OK", 200), ("202 Accepted", 202), ("299 Fine", 299)] {
        let outcome = attempt(Script::answer(line, "", "whatever")).await;
        assert_eq!(outcome, delivered(http_status));
    }
    let outcome = attempt(Script::raw("HTTP/1.1 204 No Content\r\n\r\n")).await;
    assert_eq!(outcome, delivered(204));
}

#[tokio::test]
async fn every_other_status_is_an_answer_but_no_success() {
    for (line, http_status) in [
        ("304 Not Modified", 304),
        ("400 Bad Request", 400),
        ("410 Gone", 410),
        ("500 Internal Server Error", 500),
        ("599 Odd", 599),
    ] {
        assert_eq!(
            attempt(Script::answer(line, "", "")).await,
            answered(http_status)
        );
    }
}

#[tokio::test]
async fn a_signed_callback_verifies_as_it_arrived() {
    let mut receiver = Receiver::start(Script::answer("200 OK", "", "")).await;
    let notifier = HttpNotifier::try_new(config()).unwrap();
    let secrets = vec![CallbackSecret([1; 32]), CallbackSecret([2; 32])];
    let sent = Notification {
        secrets: secrets.clone(),
        ..notification(receiver.url())
    };
    let at = sent.at;
    assert_eq!(notifier.notify(sent).await, delivered(200));

    let request = receiver.request().await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let of_name = |line: &'_ str| {
            line.strip_prefix(name)?
                .strip_prefix(": ")
                .map(str::to_owned)
        };
        head.lines().find_map(of_name).unwrap()
    };
    let (timestamp, signature) = (header("webhook-timestamp"), header("webhook-signature"));
    assert_eq!(signature.split(' ').count(), 2);
    let headers = SignatureHeaders {
        id: &header("webhook-id"),
        timestamp: &timestamp,
        signature: &signature,
    };
    assert_eq!(headers.id, ID);
    for secret in secrets {
        assert_eq!(
            verify(headers, body.as_bytes(), &[secret], at, TOLERANCE),
            Ok(())
        );
    }
}

#[tokio::test]
async fn every_attempt_has_a_connection_of_its_own() {
    let mut receiver = Receiver::start(Script::answer("200 OK", "", "ok").repeated()).await;
    let notifier = HttpNotifier::try_new(config()).unwrap();
    for count in 1..=3 {
        let outcome = notifier.notify(notification(receiver.url())).await;
        assert_eq!(outcome, delivered(200));
        receiver.request().await;
        assert_eq!(receiver.connections(), count);
    }
    assert_eq!(notifier.connections().begun, 3);
}

#[tokio::test]
async fn what_is_not_http_is_broken() {
    for bytes in ["SSH-2.0-OpenSSH_9.2\r\n", "\u{0}\u{1}\u{2}", ""] {
        assert_eq!(
            attempt(Script::raw(bytes)).await,
            Err(Undelivered::Broken),
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn plain_http_goes_to_the_allow_list_only() {
    let mut receiver = Receiver::start(Script::answer("200 OK", "", "")).await;
    let strict = HttpNotifier::try_new(NotifierConfig::default()).unwrap();
    for url in [
        receiver.url(),
        receiver.url().replace("http://", "https://"),
        "http://example.com/".to_owned(),
        "not a url".to_owned(),
        "/callbacks".to_owned(),
    ] {
        let outcome = strict.notify(notification(url)).await;
        assert_eq!(outcome, Err(Undelivered::Forbidden));
    }
    assert_eq!(receiver.requests_so_far(), 0);
}
