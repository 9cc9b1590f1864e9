//! Receivers that are slow, broken or hostile: each attempt ends soon, with the right word.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use bursar_callback::{HttpNotifier, NotifierConfig};
use bursar_ports::{Notifier, Undelivered};
use flate2::{Compression, write::GzEncoder};

use crate::{
    receiver::{Receiver, Script},
    scene::{
        BRIEF, Outcome, answered, asked_to_wait, attempt_within, config, delivered, notification,
    },
};

/// No attempt of these tests lasts longer, whatever the receiver does.
const SOON: Duration = Duration::from_secs(60);

async fn soon(script: Script) -> Outcome {
    soon_within(config(), script).await
}

async fn soon_within(limits: NotifierConfig, script: Script) -> Outcome {
    let begun = Instant::now();
    let outcome = attempt_within(limits, script).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    outcome
}

/// An attempt that is given up soon.
async fn briefly(script: Script) -> Outcome {
    let limits = NotifierConfig {
        attempt_timeout: BRIEF,
        ..config()
    };
    soon_within(limits, script).await
}

/// An attempt that does not read on for long once the status is known.
async fn for_its_status(script: Script) -> Outcome {
    let limits = NotifierConfig {
        drain_timeout: BRIEF,
        ..config()
    };
    soon_within(limits, script).await
}

fn unending(line: &str) -> Script {
    Script::raw(&format!(
        "HTTP/1.1 {line}\r\nContent-Length: 100\r\n\r\nabc"
    ))
}

#[tokio::test]
async fn a_slow_receiver_has_until_the_time_limit() {
    let slow = |pause| Script::answer("200 OK", "", "ok").after(pause);
    assert_eq!(soon(slow(BRIEF)).await, delivered(200));
    let too_slow = slow(Duration::from_secs(600));
    assert_eq!(briefly(too_slow).await, Err(Undelivered::Timeout));
}

#[tokio::test]
async fn hanging_before_or_in_the_head_is_a_timeout() {
    assert_eq!(briefly(Script::silent()).await, Err(Undelivered::Timeout));
    let half = Script::raw("HTTP/1.1 200 OK\r\nContent-Le").kept_open();
    assert_eq!(briefly(half).await, Err(Undelivered::Timeout));
    // For minutes, one byte after the other.
    let filler = format!("X-Filler: {}\r\n", "x".repeat(6_000));
    let drips = Script::answer("200 OK", &filler, "").dripping(Duration::from_millis(100));
    assert_eq!(briefly(drips).await, Err(Undelivered::Timeout));
    let informed = Script::raw(&"HTTP/1.1 102 Processing\r\n\r\n".repeat(50)).kept_open();
    assert_eq!(briefly(informed).await, Err(Undelivered::Timeout));
}

#[tokio::test]
async fn whatever_becomes_of_the_body_the_status_counts() {
    for (line, outcome) in [("200 OK", delivered(200)), ("500 Oops", answered(500))] {
        assert_eq!(soon(unending(line)).await, outcome);
        assert_eq!(for_its_status(unending(line).kept_open()).await, outcome);
        assert_eq!(soon(unending(line).reset()).await, outcome);
        let chunks = "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nrubbish";
        let chunks = Script::raw(&format!("HTTP/1.1 {line}\r\n{chunks}"));
        assert_eq!(soon(chunks).await, outcome);
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let body = Script::raw(&format!("{head}{}", "x".repeat(1_000)));
    // A byte a millisecond: the head arrives in time, the body does not.
    let drips = body.dripping(Duration::from_millis(1));
    assert_eq!(for_its_status(drips).await, delivered(200));
}

#[tokio::test]
async fn a_huge_body_is_read_to_64_kib_and_the_connection_dropped() {
    let mut receiver = Receiver::start(Script::endless()).await;
    let patient = NotifierConfig {
        attempt_timeout: Duration::from_secs(120),
        drain_timeout: Duration::from_secs(120),
        ..config()
    };
    let notifier = HttpNotifier::try_new(patient).unwrap();
    let begun = Instant::now();
    let outcome = notifier.notify(notification(receiver.url())).await;
    assert_eq!(outcome, delivered(200));
    assert!(begun.elapsed() < SOON);
    // The receiver wrote until it could not: what is beyond 64 KiB sat in the sockets' buffers.
    let written = receiver.written().await;
    assert!(written > 64 * 1024, "{written}");
    assert!(written < 32 * 1024 * 1024, "{written}");
}

#[tokio::test]
async fn a_compressed_bomb_stays_compressed() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..64 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    );
    assert!(bomb.len() < 80 * 1024);
    assert_eq!(soon(Script::raw(&head).with(&bomb)).await, delivered(200));
}

#[tokio::test]
async fn a_head_without_measure_is_too_large() {
    let many = "X-Filler: 1\r\n".repeat(10_000);
    let wide = format!("X-Filler: {}\r\n", "x".repeat(1_000_000));
    let a_few = "X: 1\r\n".repeat(200);
    for headers in [many, wide, a_few] {
        let outcome = soon(Script::answer("200 OK", &headers, "")).await;
        assert_eq!(outcome, Err(Undelivered::TooLarge), "{}", headers.len());
    }
    let plenty = "X-Trace: 0123456789\r\n".repeat(90);
    assert_eq!(
        soon(Script::answer("200 OK", &plenty, "")).await,
        delivered(200)
    );
    // Any number of answers before the answer is too much as well, but has no head that is.
    let flood = Script::raw(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000)).kept_open();
    assert_eq!(soon(flood).await, Err(Undelivered::Broken));
}

#[tokio::test]
async fn a_redirect_is_not_followed_wherever_it_leads() {
    let mut inner = Receiver::start(Script::answer("200 OK", "", "")).await;
    let inner_v6 = format!("http://[::1]:{}/", inner.port());
    for line in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        for location in [
            inner.url().as_str(),
            inner_v6.as_str(),
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            "//127.0.0.1/",
        ] {
            let http_status = line[..3].parse().unwrap();
            let location = format!("Location: {location}\r\n");
            let outcome = soon(Script::answer(line, &location, "")).await;
            assert_eq!(outcome, answered(http_status));
        }
    }
    assert_eq!((inner.requests_so_far(), inner.connections()), (0, 0));
}

#[tokio::test]
async fn refusals_are_answers() {
    for (line, http_status) in [
        ("400 Bad Request", 400),
        ("401 Unauthorized\r\nWWW-Authenticate: Basic", 401),
        ("404 Not Found", 404),
        ("407 Proxy Authentication Required", 407),
        ("408 Request Timeout", 408),
        ("410 Gone", 410),
        ("429 Too Many Requests", 429),
        ("500 Internal Server Error", 500),
        ("503 Service Unavailable", 503),
        ("999 What", 999),
    ] {
        let outcome = soon(Script::answer(line, "", "no")).await;
        assert_eq!(outcome, answered(http_status));
    }
    let no_content = Script::raw("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(soon(no_content).await, delivered(204));
}

#[tokio::test]
async fn retry_after_is_told_in_milliseconds_or_not_at_all() {
    for (value, retry_after_ms) in [
        ("7", Some(7_000)),
        ("0", Some(0)),
        ("Sun, 15 Jan 2023 14:30:20 GMT", Some(4_001)),
        ("Sun, 15 Jan 2023 14:30:10 GMT", Some(0)),
        ("99999999999999999999", Some(i64::MAX)),
        ("soon", None),
        ("-1", None),
        ("", None),
    ] {
        for (line, http_status) in [("429 Slow Down", 429), ("503 Later", 503)] {
            let header = format!("Retry-After: {value}\r\n");
            let outcome = soon(Script::answer(line, &header, "")).await;
            assert_eq!(
                outcome,
                asked_to_wait(http_status, retry_after_ms),
                "{value:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_reset_before_the_status_is_known_is_broken() {
    assert_eq!(
        soon(Script::raw("").reset()).await,
        Err(Undelivered::Broken)
    );
    let half = Script::raw("HTTP/1.1 200 OK\r\nContent-Le");
    assert_eq!(soon(half.clone()).await, Err(Undelivered::Broken));
    assert_eq!(soon(half.reset()).await, Err(Undelivered::Broken));
}

#[tokio::test]
async fn what_breaks_the_rules_of_http_is_broken() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        assert_eq!(
            soon(Script::raw(answer)).await,
            Err(Undelivered::Broken),
            "{answer:?}"
        );
    }
}
