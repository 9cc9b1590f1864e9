//! The notifier against real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod receiver;

use std::time::Duration;

use bursar_callback::{HttpNotifier, NotifierConfig};
use bursar_domain::Timestamp;
use bursar_ports::{Delivered, Notification, Notifier, Undelivered};
use receiver::{Receiver, Script};

const BODY: &str = r#"{"Amount":1.0,"ErrorDetails":null}"#;

fn config() -> NotifierConfig {
    NotifierConfig {
        http_hosts: vec!["127.0.0.1".to_owned()],
        attempt_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_millis(200),
        drain_timeout: Duration::from_millis(100),
        ..NotifierConfig::default()
    }
}

fn notification(url: String) -> Notification {
    Notification {
        url,
        webhook_id: "0199a1c6-7f00-7000-8000-000000000001".to_owned(),
        at: Timestamp::parse("2023-01-15T14:30:15.999999Z").unwrap(),
        body: BODY.to_owned(),
        secrets: vec![],
    }
}

async fn attempt(script: Script) -> Result<Delivered, Undelivered> {
    let receiver = Receiver::start(script).await;
    let notifier = HttpNotifier::try_new(config()).unwrap();
    notifier.notify(notification(receiver.url())).await
}

fn answered(http_status: u16) -> Result<Delivered, Undelivered> {
    Err(Undelivered::Answered {
        http_status,
        retry_after_ms: None,
    })
}

#[tokio::test]
async fn the_receiver_gets_exactly_these_bytes() {
    let mut receiver = Receiver::start(Script::answer("200 OK", "", "ok")).await;
    let notifier = HttpNotifier::try_new(config()).unwrap();
    let outcome = notifier.notify(notification(receiver.url())).await;
    assert_eq!(outcome, Ok(Delivered { http_status: 200 }));

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
        assert_eq!(outcome, Ok(Delivered { http_status }));
    }
    let outcome = attempt(Script::raw("HTTP/1.1 204 No Content\r\n\r\n")).await;
    assert_eq!(outcome, Ok(Delivered { http_status: 204 }));
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
async fn a_redirect_is_not_followed() {
    let mut target = Receiver::start(Script::answer("200 OK", "", "")).await;
    let location = format!("Location: {}\r\n", target.url());
    for line in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
    ] {
        let http_status = line.get(..3).unwrap().parse().unwrap();
        assert_eq!(
            attempt(Script::answer(line, &location, "")).await,
            answered(http_status)
        );
    }
    assert_eq!(target.requests_so_far(), 0);
}

#[tokio::test]
async fn retry_after_is_read_in_both_forms() {
    for (value, retry_after_ms) in [
        ("7", Some(7_000)),
        ("Sun, 15 Jan 2023 14:30:20 GMT", Some(4_001)),
        ("soon", None),
    ] {
        let header = format!("Retry-After: {value}\r\n");
        let outcome = attempt(Script::answer("429 Too Many Requests", &header, "")).await;
        assert_eq!(
            outcome,
            Err(Undelivered::Answered {
                http_status: 429,
                retry_after_ms
            })
        );
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_times_out() {
    assert_eq!(attempt(Script::silent()).await, Err(Undelivered::Timeout));
    let half = Script::raw("HTTP/1.1 200 OK\r\nContent-Le").kept_open();
    assert_eq!(attempt(half).await, Err(Undelivered::Timeout));
}

#[tokio::test]
async fn an_answer_that_never_ends_does_not_change_what_its_status_said() {
    let hang = |line: &str| {
        Script::raw(&format!(
            "HTTP/1.1 {line}\r\nContent-Length: 100\r\n\r\nabc"
        ))
        .kept_open()
    };
    let begun = std::time::Instant::now();
    assert_eq!(
        attempt(hang("200 OK")).await,
        Ok(Delivered { http_status: 200 })
    );
    assert_eq!(attempt(hang("500 Oops")).await, answered(500));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_either() {
    let cut = Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    assert_eq!(attempt(cut).await, Ok(Delivered { http_status: 200 }));
}

#[tokio::test]
async fn a_huge_answer_is_read_to_64_kib_and_the_connection_dropped() {
    let mut receiver = Receiver::start(Script::endless()).await;
    let slow = NotifierConfig {
        attempt_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(30),
        ..config()
    };
    let notifier = HttpNotifier::try_new(slow).unwrap();
    let outcome = notifier.notify(notification(receiver.url())).await;
    assert_eq!(outcome, Ok(Delivered { http_status: 200 }));
    // The receiver wrote until it could not: what is beyond 64 KiB sat in the sockets' buffers.
    let written = receiver.written().await;
    assert!(written > 64 * 1024, "{written}");
    assert!(written < 32 * 1024 * 1024, "{written}");
}

#[tokio::test]
async fn a_connection_serves_again_when_its_answer_was_read() {
    let mut receiver = Receiver::start(Script::answer("200 OK", "", "ok").repeated()).await;
    let notifier = HttpNotifier::try_new(config()).unwrap();
    for _ in 0..3 {
        let outcome = notifier.notify(notification(receiver.url())).await;
        assert_eq!(outcome, Ok(Delivered { http_status: 200 }));
        receiver.request().await;
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn nobody_at_the_address_is_no_connection() {
    let url = Receiver::start(Script::silent()).await.gone().await;
    let notifier = HttpNotifier::try_new(config()).unwrap();
    let outcome = notifier.notify(notification(url)).await;
    assert_eq!(outcome, Err(Undelivered::Connect));
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
        "http://example.com/".to_owned(),
        "not a url".to_owned(),
        "/callbacks".to_owned(),
    ] {
        let outcome = strict.notify(notification(url)).await;
        assert_eq!(outcome, Err(Undelivered::Forbidden));
    }
    assert_eq!(receiver.requests_so_far(), 0);
}

#[tokio::test]
async fn https_to_a_plain_port_is_no_connection() {
    let receiver = Receiver::start(Script::answer("200 OK", "", "")).await;
    let url = receiver.url().replace("http://", "https://");
    let notifier = HttpNotifier::try_new(config()).unwrap();
    let outcome = notifier.notify(notification(url)).await;
    assert_eq!(outcome, Err(Undelivered::Connect));
}
