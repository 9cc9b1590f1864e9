//! What is left of a request in figures and in the log, and what becomes of a panic.

use std::{
    cell::RefCell,
    io,
    sync::{Arc, Once, atomic::Ordering},
};

use actix_web::{http::Method, rt};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::world::{ALICES, INTERNAL, Sent, World};

thread_local! {
    /// What was logged on this thread, once somebody wants to know.
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes to what this thread keeps.
struct Kept;

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        KEPT.with_borrow_mut(|kept| {
            if let Some(kept) = kept {
                kept.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged, at every level, while something is done. One subscriber serves all tests,
/// because which spans are on is remembered for the whole process.
fn logged(task: impl Future<Output = ()>) -> String {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Kept)
            .init();
    });
    KEPT.set(Some(vec![]));
    rt::System::new().block_on(task);
    let bytes = KEPT.take().unwrap_or_default();
    String::from_utf8(bytes).expect("a log is text")
}

#[test]
fn figures_tell_routes_and_never_what_was_in_a_request() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        rt::System::new().block_on(async {
            let world = World::new();
            for path in ["/internal-transfer/canary", "/canary", "/balance?canary=1"] {
                world.send(Sent::get(path).bearer(ALICES)).await;
            }
            let odd = Method::from_bytes(b"CANARY").expect("a method");
            world.send(Sent::new(odd, INTERNAL)).await;
        });
    });
    let figures = handle.render();
    for line in [
        r#"bursar_http_requests_total{route="/internal-transfer/{code}",method="GET",status="404"} 1"#,
        r#"bursar_http_requests_total{route="none",method="GET",status="404"} 1"#,
        r#"bursar_http_requests_total{route="/balance",method="GET",status="200"} 1"#,
        r#"bursar_http_requests_total{route="/internal-transfer",method="other",status="405"} 1"#,
        r#"bursar_http_request_seconds_count{route="/balance",method="GET"} 1"#,
    ] {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }
    assert!(!figures.to_lowercase().contains("canary"), "{figures}");
}

#[test]
fn the_log_tells_who_asked_for_what_and_never_what_was_in_it() {
    let log = logged(async {
        let world = World::new();
        let body = r#"{"currency_code":"btc","amount":"1","recipient":"canary@example.com","note":"canary","custom_id":"canary","callback_url":"https://example.com/?canary"}"#;
        let path = format!("{INTERNAL}?canary=1");
        let sent = Sent::post(&path, body)
            .bearer(ALICES)
            .header("Prefer", "wait");
        world
            .send(sent.header("Idempotency-Key", "canary"))
            .await
            .ok();
        world
            .send(Sent::post(&path, "{\"canary").bearer(ALICES))
            .await;
        world.send(Sent::get("/canary").bearer("canary")).await;
        world.send(Sent::get("/balance").bearer("canary")).await;
    });
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("bursar_http::access"))
        .collect();
    assert_eq!(lines.len(), 4, "{log}");
    let first = lines.first().copied().unwrap_or_default();
    for part in [
        r#"method="POST""#,
        r#"route="/internal-transfer""#,
        "status=200",
        r#"request_id="req-1""#,
        r#"subject="alice-token""#,
        "seconds=",
    ] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    assert!(!log.to_lowercase().contains("canary"), "{log}");
    assert!(!log.contains(ALICES), "{log}");
}

/// Balancers ask all the time, and a standby of a single writer never says yes.
#[test]
fn a_replica_that_is_not_ready_fills_no_log() {
    let log = logged(async {
        let world = World::new();
        world.state.ready.store(false, Ordering::Relaxed);
        let answer = world.send(Sent::get("/health/ready")).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
    });
    let mut lines = log
        .lines()
        .filter(|line| line.contains("bursar_http::access"));
    let line = lines.next().unwrap_or_default();
    assert!(
        line.contains("DEBUG") && line.contains("status=503"),
        "{log}"
    );
}

#[test]
fn a_panic_is_an_internal_error_with_its_request_id() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let asked = async {
        let mut world = World::new();
        world.state.metrics = Arc::new(|| panic!("a test makes the handler panic"));
        let answer = world.send(Sent::get("/metrics")).await;
        assert_eq!(answer.refusal(), (500, "internal".into()));
        assert_eq!(answer.header("x-request-id"), Some("req-1"));
        assert!(!answer.body.contains("panic"), "{}", answer.body);
    };
    let log = metrics::with_local_recorder(&recorder, || logged(asked));
    let line = log.lines().find(|line| line.contains("a handler panicked"));
    assert!(line.is_some_and(|line| line.contains("req-1")), "{log}");
    let mut lines = log.lines();
    let line = lines.find(|line| line.contains("bursar_http::access"));
    let line = line.unwrap_or_default();
    for part in [
        "WARN",
        r#"method="GET""#,
        r#"route="/metrics""#,
        "status=500",
        r#"request_id="req-1""#,
    ] {
        assert!(line.contains(part), "{part} is not in\n{log}");
    }
    let figures = handle.render();
    let counted = r#"bursar_http_requests_total{route="/metrics",method="GET",status="500"} 1"#;
    assert!(figures.contains(counted), "{figures}");
}
