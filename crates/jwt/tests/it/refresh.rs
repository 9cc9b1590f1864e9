//! How the issuer's keys come, change and go.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use bursar_jwt::{JwksAlgorithm, JwksConfig, JwksSource, JwtConfig, KeyConfig};
use bursar_ports::{StoreError, TokenVerifier};
use url::Url;

use crate::{
    issuer::{Verifier, config, ec, jwks},
    jwks_server::JwksServer,
};

const MINUTE_MS: i64 = 60_000;

#[tokio::test]
async fn a_thousand_unknown_keys_are_one_fetch_a_minute() {
    let (old, new) = (ec(), ec());
    let server = JwksServer::start(&jwks(&[old.jwk("old")])).await;
    let verifier = Verifier::with_url(&server.url);
    assert!(verifier.accepts(&old.good("old")).await);
    assert_eq!(server.fetches(), 1);

    let flood = async || {
        let asking = (0..1_000).map(|number| {
            let jwt = Arc::clone(&verifier.jwt);
            let token = new.good(&format!("unknown-{number}"));
            tokio::spawn(async move { jwt.verify(token).await })
        });
        for answer in asking.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap().unwrap(), None);
        }
    };
    // The first fetch was less than a minute ago.
    flood().await;
    assert_eq!(server.fetches(), 1);
    for minutes in 1..=2 {
        verifier.clock.advance_ms(MINUTE_MS);
        flood().await;
        flood().await;
        assert_eq!(server.fetches(), 1 + minutes);
    }
    verifier.clock.advance_ms(MINUTE_MS - 1);
    flood().await;
    assert_eq!(server.fetches(), 3);
    assert!(
        verifier
            .accepts(&old.token(&old.header("old"), &later()))
            .await
    );
}

/// Claims that outlive these tests' minutes.
fn later() -> serde_json::Value {
    crate::issuer::claims_with(&serde_json::json!({"exp": crate::issuer::now() + 86_400}))
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_forgotten() {
    let (old, new) = (ec(), ec());
    let server = JwksServer::start(&jwks(&[old.jwk("old")])).await;
    let verifier = Verifier::with_url(&server.url);
    let by_old = old.token(&old.header("old"), &later());
    let by_new = new.token(&new.header("new"), &later());
    assert!(verifier.accepts(&by_old).await);
    server.publish(&jwks(&[new.jwk("new")]));
    verifier.clock.advance_ms(MINUTE_MS);
    assert!(verifier.accepts(&by_new).await);
    // Though it was found good a moment ago.
    assert!(!verifier.accepts(&by_old).await);
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn a_key_of_another_kind_under_a_known_name_is_unknown() {
    let (ec, ed) = (ec(), crate::issuer::ed());
    let server = JwksServer::start(&jwks(&[ec.jwk("k")])).await;
    let verifier = Verifier::with_url(&server.url);
    assert!(verifier.accepts(&ec.good("k")).await);
    assert!(!verifier.accepts(&ed.good("k")).await);
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn the_last_good_set_outlives_an_outage() {
    let (old, new) = (ec(), ec());
    let server = JwksServer::start(&jwks(&[old.jwk("old")])).await;
    let verifier = Verifier::with_url(&server.url);
    let by_old = old.token(&old.header("old"), &later());
    let by_new = new.token(&new.header("new"), &later());
    assert!(verifier.accepts(&by_old).await);
    let too_large = jwks(&[new.jwk(&"n".repeat(256 * 1024))]);
    let found = |body: &str| {
        let length = body.len();
        format!("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let good = jwks(&[new.jwk("new")]);
    let sized = |body: &str| {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    for (number, answer) in [
        String::new(),
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned(),
        found(&good),
        sized("no json"),
        sized(r#"{"keys": []}"#),
        sized(r#"{"keys": [{"kty": "oct", "kid": "new", "k": "AAAA"}]}"#),
        sized(&too_large),
        // Less than was announced.
        sized(&good).replace("Content-Length: ", "Content-Length: 1"),
    ]
    .into_iter()
    .enumerate()
    {
        server.answer_with(answer.into_bytes());
        verifier.clock.advance_ms(MINUTE_MS);
        assert!(!verifier.accepts(&by_new).await, "{number}");
        assert!(verifier.accepts(&by_old).await, "{number}");
    }
    server.publish(&good);
    verifier.clock.advance_ms(MINUTE_MS);
    assert!(verifier.accepts(&by_new).await);
}

#[tokio::test]
async fn without_any_keys_it_is_trouble_and_no_refusal() {
    let ec = ec();
    let server = JwksServer::start("").await;
    server.answer_with(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n".to_vec());
    let verifier = Verifier::with_url(&server.url);
    for _ in 0..100 {
        let answer = verifier.jwt.verify(ec.good("e")).await;
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    assert_eq!(server.fetches(), 1);
    // What no key could make good is refused all the same.
    assert!(!verifier.accepts("no jwt").await);
    assert!(!verifier.accepts(&crate::issuer::secret().good("e")).await);
}

fn refreshing(source: JwksSource, refresh: Duration) -> JwtConfig {
    config(KeyConfig::Jwks(JwksConfig {
        source,
        algorithms: JwksAlgorithm::ALL.to_vec(),
        refresh,
    }))
}

async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), asking).await;
    assert!(ended.is_ok(), "waited in vain: {what}");
}

/// The clock stands still, so nothing but the refresh can bring the new key.
#[tokio::test]
async fn keys_are_fetched_anew_from_time_to_time() {
    let (old, new) = (ec(), ec());
    let server = JwksServer::start(&jwks(&[old.jwk("old")])).await;
    let source = JwksSource::Url(Url::parse(&server.url).unwrap());
    let verifier = Verifier::new(refreshing(source, Duration::from_millis(20)));
    assert!(verifier.accepts(&old.good("old")).await);
    server.publish(&jwks(&[new.jwk("new")]));
    eventually("the new key", async || {
        verifier.accepts(&new.good("new")).await
    })
    .await;
    eventually("the end of the old key", async || {
        !verifier.accepts(&old.good("old")).await
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_replaced_is_read_again() {
    let (old, new) = (ec(), ec());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), jwks(&[old.jwk("old")])).unwrap();
    let source = JwksSource::File(file.path().to_owned());
    let verifier = Verifier::with_jwks(source, &JwksAlgorithm::ALL);
    assert!(verifier.accepts(&old.good("old")).await);
    std::fs::write(file.path(), jwks(&[new.jwk("new")])).unwrap();
    verifier.clock.advance_ms(MINUTE_MS);
    let token = new.token(&new.header("new"), &later());
    assert!(verifier.accepts(&token).await);
}

#[tokio::test]
async fn a_client_that_hangs_up_costs_nobody_the_fetch() {
    let (old, new) = (ec(), ec());
    let server = JwksServer::start(&jwks(&[old.jwk("old")])).await;
    let verifier = Verifier::with_url(&server.url);
    assert!(verifier.accepts(&old.good("old")).await);
    server.publish(&jwks(&[new.jwk("new")]));
    verifier.clock.advance_ms(MINUTE_MS);
    let by_new = new.token(&new.header("new"), &later());
    {
        let mut asked = Box::pin(verifier.jwt.verify(by_new.clone()));
        // Polled once, so that it has asked, and dropped.
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(asked.as_mut().poll(&mut nobody).is_pending());
    }
    assert!(verifier.accepts(&by_new).await);
    assert_eq!(server.fetches(), 2);
}
