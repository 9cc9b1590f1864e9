use std::sync::Arc;

use bursar_testkit::FixedLimiter;

use super::*;
use crate::test_support::{Mocks, alice};

const HERE: &str = "203.0.113.9";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn begin(app: &App, from: &str, credential: &str) -> Result<Option<CredentialTry>, Error> {
    let client = Some(address(from));
    app.begin_credentials(client, credential.as_bytes()).await
}

async fn fail(app: &App, from: &str, times: u32) {
    for _ in 0..times {
        let begun = begin(app, from, "guess").await.unwrap();
        let found = Err(Error::Unauthenticated(AuthError::TokenInvalid));
        app.end_credentials(begun, &found).await;
    }
}

async fn succeed(app: &App, from: &str, credential: &str) {
    let begun = begin(app, from, credential).await.unwrap();
    let principal = alice(bursar_ports::Permission::AllowTransfer);
    let found = Ok(principal.principal().clone());
    app.end_credentials(begun, &found).await;
}

async fn is_blocked(app: &App, from: &str, credential: &str) -> bool {
    match begin(app, from, credential).await {
        Ok(_) => false,
        Err(Error::RateLimited(refused)) => {
            assert_eq!(refused.limit, Limit::FailedCredentials);
            assert!((1..=60).contains(&refused.retry_after_s));
            true
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn an_address_that_fails_too_often_is_refused_for_a_while() {
    let mocks = Mocks::new();
    let clock = Arc::clone(&mocks.clock);
    let app = mocks.app();
    fail(&app, HERE, 600).await;
    assert!(is_blocked(&app, HERE, "new").await);
    assert!(!is_blocked(&app, "203.0.113.10", "new").await);
    clock.advance_ms(60_000);
    assert!(!is_blocked(&app, HERE, "new").await);
}

#[tokio::test]
async fn a_credential_that_was_good_stays_good_whatever_its_neighbours_do() {
    let mocks = Mocks::new();
    let clock = Arc::clone(&mocks.clock);
    let app = mocks.app();
    succeed(&app, HERE, "good").await;
    clock.advance_ms(3_599_000);
    fail(&app, HERE, 600).await;
    assert!(!is_blocked(&app, HERE, "good").await);
    assert!(is_blocked(&app, HERE, "guess").await);
    // From elsewhere it is as new as any other.
    fail(&app, "203.0.113.10", 600).await;
    assert!(is_blocked(&app, "203.0.113.10", "good").await);
    clock.advance_ms(1_000);
    assert!(is_blocked(&app, HERE, "good").await);
}

#[tokio::test]
async fn a_provider_s_customer_is_one_address() {
    for (one, other, same) in [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("::ffff:203.0.113.9", HERE, true),
        (HERE, "203.0.113.8", false),
    ] {
        let app = Mocks::new().app();
        fail(&app, one, 600).await;
        assert_eq!(is_blocked(&app, other, "new").await, same, "{one} {other}");
    }
}

#[tokio::test]
async fn only_secrets_that_are_none_count() {
    for (error, counts) in [
        (AuthError::TokenInvalid, true),
        (AuthError::AccessKeyUnknown, true),
        (AuthError::SignatureInvalid, true),
        (AuthError::Missing, false),
        (AuthError::AccessKeyMissed, false),
        (AuthError::TimestampMissed, false),
        (AuthError::SignatureMissed, false),
        (AuthError::TimestampInvalid, false),
        (AuthError::TimestampExpired, false),
        (AuthError::SignatureReplayed, false),
        (AuthError::IpNotAllowed, false),
    ] {
        let app = Mocks::new().app();
        for _ in 0..600 {
            let begun = begin(&app, HERE, "one").await.unwrap();
            let found = Err(Error::Unauthenticated(error));
            app.end_credentials(begun, &found).await;
        }
        assert_eq!(is_blocked(&app, HERE, "new").await, counts, "{error:?}");
    }
    let app = Mocks::new().app();
    for _ in 0..600 {
        let begun = begin(&app, HERE, "one").await.unwrap();
        let trouble = Err(crate::test_support::unavailable().into());
        app.end_credentials(begun, &trouble).await;
    }
    assert!(!is_blocked(&app, HERE, "new").await);
}

#[tokio::test]
async fn without_an_address_or_a_limit_nothing_is_counted() {
    let app = Mocks::new().app();
    assert!(app.begin_credentials(None, b"x").await.unwrap().is_none());
    let mut mocks = Mocks::new();
    mocks.limits.failed_credentials_per_minute = 0;
    let app = mocks.app();
    assert!(begin(&app, HERE, "x").await.unwrap().is_none());
}

fn hash(number: usize) -> [u8; 32] {
    Sha256::digest(number.to_be_bytes()).into()
}

/// As many as there is room for, and one more.
fn full(at: Timestamp) -> KnownCredentials {
    let known = KnownCredentials::default();
    for number in 0..=KNOWN_MAX {
        known.add(hash(number), at);
    }
    known
}

#[test]
fn as_many_are_known_as_there_is_room_for() {
    let start = Timestamp::EPOCH;
    let known = full(start);
    assert!(known.has(&hash(0), start));
    assert!(!known.has(&hash(KNOWN_MAX), start));
    let later = start.plus_micros(KNOWN_US);
    known.add(hash(KNOWN_MAX), later);
    assert!(known.has(&hash(KNOWN_MAX), later));
    assert_eq!(known.0.lock().unwrap().until.len(), 1);
}

/// To look for what is over is to look at all of them.
#[test]
fn what_is_over_is_looked_for_once_a_minute() {
    let start = Timestamp::EPOCH;
    let known = full(start);
    let swept_at = || known.0.lock().unwrap().swept_at;
    known.add(hash(KNOWN_MAX), start.plus_micros(SWEPT_EVERY_US - 1));
    assert_eq!(swept_at(), Some(start));
    let later = start.plus_micros(SWEPT_EVERY_US);
    known.add(hash(KNOWN_MAX), later);
    assert_eq!(swept_at(), Some(later));
}

/// Whoever is over the limit is let through with what was good; its failures are not kept too.
#[tokio::test]
async fn no_more_failures_are_kept_than_are_counted() {
    let mut mocks = Mocks::new();
    let limiter = Arc::new(FixedLimiter::new(mocks.clock.clone()));
    mocks.local_limiter = limiter.clone();
    let app = mocks.app();
    succeed(&app, HERE, "guess").await;
    fail(&app, HERE, 1_000).await;
    let kept = limiter.counted(&format!("failed_credentials:{HERE}"), MINUTE_MS);
    assert_eq!(kept, 600);
}
