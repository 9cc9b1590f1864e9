//! Credentials: what is accepted, and the one code for each thing that is not (contract §0).

mod jwt;

use bursar_domain::UserId;
use bursar_ports::{AccessKey, MockReplayGuard, Permission, SealedSecret, StoreError, Token};
use data_encoding::{HEXLOWER, HEXUPPER};
use mockall::predicate::eq;
use uuid::Uuid;

use super::*;
use crate::test_support::{ALICE, Mocks, NOW, keyring, unavailable};

const SECRET: &[u8] = b"the secret half";
const NOW_MS: i64 = NOW.as_micros() / 1_000;
const PATH: &str = "/internal-transfer";
const QUERIED: &str = "/internal-transfer?limit=1";

fn token(user: Option<UserId>) -> Token {
    Token {
        id: Uuid::from_u128(1),
        hash: hash_token("bur_1"),
        subject: "back office".to_owned(),
        user,
        permissions: vec![Permission::BackofficeRead, Permission::BackofficeWrite],
        created_at: NOW,
        expires_at: NOW.tick(),
        revoked_at: None,
    }
}

async fn bearer(found: Result<Option<Token>, StoreError>) -> Result<Principal, Error> {
    let mut mocks = Mocks::new();
    mocks
        .credentials
        .expect_find_token()
        .with(eq(hash_token("bur_1")))
        .times(1)
        .return_once(|_| found);
    mocks.app().authenticate_bearer("bur_1").await
}

#[tokio::test]
async fn a_token_stands_for_its_subject_and_user_with_its_permissions() {
    for user in [None, Some(ALICE)] {
        let principal = bearer(Ok(Some(token(user)))).await.unwrap();
        let expected = Principal {
            subject: "back office".to_owned(),
            user,
            permissions: token(user).permissions,
            requests_per_minute: None,
            origin: Origin::with(format!("token:{}", token(user).id)),
        };
        assert_eq!(principal, expected);
    }
}

#[tokio::test]
async fn unknown_expired_and_revoked_tokens_are_one_answer() {
    let expired = Token {
        expires_at: NOW,
        ..token(None)
    };
    let revoked = Token {
        revoked_at: Some(NOW),
        ..token(None)
    };
    for found in [None, Some(expired), Some(revoked)] {
        assert_refused(&bearer(Ok(found)).await, AuthError::TokenInvalid);
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_looked_up_is_trouble_and_not_a_refusal() {
    let answer = bearer(Err(unavailable())).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}

fn assert_refused(answer: &Result<Principal, Error>, why: AuthError) {
    assert!(
        matches!(answer, Err(Error::Unauthenticated(error)) if *error == why),
        "{answer:?} instead of {why:?}"
    );
}

fn key() -> AccessKey {
    AccessKey {
        access_key: "BAK1".to_owned(),
        user: ALICE,
        permissions: vec![Permission::AllowTransfer],
        secret: keyring().seal(SECRET, "BAK1", [3; 32]).unwrap(),
        allowed_ips: vec![],
        requests_per_minute: None,
        created_at: NOW,
        revoked_at: None,
    }
}

fn sign(path: &str, timestamp: &str, body: &[u8]) -> String {
    let parts = [b"BAK1", path.as_bytes(), timestamp.as_bytes(), body];
    HEXLOWER.encode(&hmac_sha256(SECRET, &parts))
}

/// A well-signed POST, sent at this time.
fn sent_at(millis: i64) -> SignedRequest {
    let timestamp = millis.to_string();
    let body = b"{}".to_vec();
    SignedRequest {
        access_key: Some("BAK1".to_owned()),
        signature: Some(sign(PATH, &timestamp, &body)),
        timestamp: Some(timestamp),
        path: PATH.to_owned(),
        path_and_query: QUERIED.to_owned(),
        body,
        changes: true,
        client: None,
    }
}

fn request() -> SignedRequest {
    sent_at(NOW_MS)
}

/// An application that knows this key, asked for it this often.
fn knowing(key: AccessKey, times: usize) -> App {
    let mut mocks = Mocks::new();
    knows(&mut mocks, key, times);
    mocks.app()
}

fn knows(mocks: &mut Mocks, key: AccessKey, times: usize) {
    mocks
        .credentials
        .expect_find_access_key()
        .with(eq("BAK1".to_owned()))
        .times(times)
        .returning(move |_| Ok(Some(key.clone())));
}

async fn signed(key: AccessKey, request: SignedRequest) -> Result<Principal, Error> {
    knowing(key, 1).authenticate_signed(request).await
}

#[tokio::test]
async fn a_well_signed_request_is_its_user_s_with_the_key_s_own_limit() {
    for requests_per_minute in [None, Some(30)] {
        let key = AccessKey {
            requests_per_minute,
            ..key()
        };
        let principal = signed(key, request()).await.unwrap();
        let expected = Principal {
            subject: "BAK1".to_owned(),
            user: Some(ALICE),
            permissions: vec![Permission::AllowTransfer],
            requests_per_minute,
            origin: Origin::with("access_key:BAK1"),
        };
        assert_eq!(principal, expected);
    }
}

#[tokio::test]
async fn each_missing_header_has_its_code_and_nothing_is_looked_up() {
    let mut request = request();
    request.signature = None;
    let app = Mocks::new().app();
    let answer = app.authenticate_signed(request.clone()).await;
    assert_refused(&answer, AuthError::SignatureMissed);
    request.timestamp = None;
    let answer = app.authenticate_signed(request.clone()).await;
    assert_refused(&answer, AuthError::TimestampMissed);
    request.access_key = None;
    let answer = app.authenticate_signed(request).await;
    assert_refused(&answer, AuthError::AccessKeyMissed);
}

#[tokio::test]
async fn a_timestamp_is_digits_only() {
    let app = Mocks::new().app();
    let padded = format!("0{NOW_MS}");
    for text in [
        padded.as_str(),
        "",
        "now",
        "-1",
        "+1",
        " 1",
        "1.0",
        "1e3",
        "9223372036854775808",
    ] {
        let request = SignedRequest {
            timestamp: Some(text.to_owned()),
            ..request()
        };
        let answer = app.authenticate_signed(request).await;
        assert_refused(&answer, AuthError::TimestampInvalid);
    }
}

/// What is signed is one text: a signature over `?a=10` and a time would fit `?a=1` and `0` with it.
#[tokio::test]
async fn no_digit_moves_from_the_path_into_the_timestamp() {
    let at = NOW_MS.to_string();
    let moved = SignedRequest {
        signature: Some(sign("/internal-transfer?a=10", &at, b"{}")),
        timestamp: Some(format!("0{at}")),
        path_and_query: "/internal-transfer?a=1".to_owned(),
        ..request()
    };
    let answer = Mocks::new().app().authenticate_signed(moved).await;
    assert_refused(&answer, AuthError::TimestampInvalid);
}

#[tokio::test]
async fn a_timestamp_is_good_for_five_seconds_either_way() {
    for (distance, good) in [
        (-5_001, false),
        (-5_000, true),
        (0, true),
        (5_000, true),
        (5_001, false),
        (i64::MAX - NOW_MS, false),
    ] {
        let answer = signed(key(), sent_at(NOW_MS + distance)).await;
        if good {
            assert!(answer.is_ok(), "{distance}");
        } else {
            assert_refused(&answer, AuthError::TimestampExpired);
        }
    }
}

#[tokio::test]
async fn unknown_and_revoked_keys_are_one_answer_however_well_signed() {
    let revoked = AccessKey {
        revoked_at: Some(NOW),
        ..key()
    };
    for found in [None, Some(revoked)] {
        let mut mocks = Mocks::new();
        mocks
            .credentials
            .expect_find_access_key()
            .with(eq("BAK1".to_owned()))
            .times(1)
            .return_once(|_| Ok(found));
        let answer = mocks.app().authenticate_signed(request()).await;
        assert_refused(&answer, AuthError::AccessKeyUnknown);
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_is_trouble_and_not_a_refusal() {
    let mut mocks = Mocks::new();
    mocks
        .credentials
        .expect_find_access_key()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let answer = mocks.app().authenticate_signed(request()).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}

#[tokio::test]
async fn a_secret_that_cannot_be_opened_is_an_internal_error() {
    let other_key = SealedSecret {
        key_id: "gone".to_owned(),
        ..key().secret
    };
    let others = keyring().seal(SECRET, "BAK2", [3; 32]).unwrap();
    for secret in [other_key, others] {
        let key = AccessKey { secret, ..key() };
        let answer = signed(key, request()).await;
        assert!(matches!(answer, Err(Error::Internal(_))));
    }
}

#[tokio::test]
async fn the_path_may_be_signed_with_or_without_its_query() {
    for path in [PATH, QUERIED] {
        let request = SignedRequest {
            signature: Some(sign(path, &NOW_MS.to_string(), b"{}")),
            ..request()
        };
        assert!(signed(key(), request).await.is_ok(), "{path}");
    }
    let request = SignedRequest {
        signature: Some(sign("/balance", &NOW_MS.to_string(), b"{}")),
        ..request()
    };
    assert_refused(&signed(key(), request).await, AuthError::SignatureInvalid);
}

#[tokio::test]
async fn hex_counts_in_either_case() {
    let mut request = request();
    let signature = request.signature.unwrap();
    let bytes = HEXLOWER.decode(signature.as_bytes()).unwrap();
    request.signature = Some(HEXUPPER.encode(&bytes));
    assert!(signed(key(), request).await.is_ok());
}

#[tokio::test]
async fn a_signature_over_anything_else_is_invalid() {
    let good = request().signature.unwrap();
    let cases = [
        SignedRequest {
            body: b"{ }".to_vec(),
            ..request()
        },
        SignedRequest {
            timestamp: Some((NOW_MS + 1).to_string()),
            ..request()
        },
        SignedRequest {
            path: "/balance".to_owned(),
            path_and_query: "/balance".to_owned(),
            ..request()
        },
        SignedRequest {
            signature: Some(good[..62].to_owned()),
            ..request()
        },
        SignedRequest {
            signature: Some(format!("{good}00")),
            ..request()
        },
        SignedRequest {
            signature: Some("not hex".to_owned()),
            ..request()
        },
        SignedRequest {
            signature: Some(String::new()),
            ..request()
        },
    ];
    for request in cases {
        let answer = signed(key(), request).await;
        assert_refused(&answer, AuthError::SignatureInvalid);
    }
}

#[tokio::test]
async fn another_secret_does_not_fit() {
    let key = AccessKey {
        secret: keyring().seal(b"another", "BAK1", [3; 32]).unwrap(),
        ..key()
    };
    assert_refused(&signed(key, request()).await, AuthError::SignatureInvalid);
}

#[tokio::test]
async fn a_key_with_addresses_is_good_from_these_only() {
    let key = AccessKey {
        allowed_ips: vec![
            "203.0.113.0/24".parse().unwrap(),
            "2001:db8::1".parse().unwrap(),
        ],
        ..key()
    };
    for (client, good) in [
        (Some("203.0.113.9"), true),
        (Some("::ffff:203.0.113.9"), true),
        (Some("2001:db8::1"), true),
        (Some("203.0.114.9"), false),
        (Some("2001:db8::2"), false),
        (None, false),
    ] {
        let request = SignedRequest {
            client: client.map(|address| address.parse().unwrap()),
            ..request()
        };
        let answer = signed(key.clone(), request).await;
        if good {
            assert!(answer.is_ok(), "{client:?}");
        } else {
            assert_refused(&answer, AuthError::IpNotAllowed);
        }
    }
}

#[tokio::test]
async fn a_key_without_addresses_is_good_from_everywhere() {
    let request = SignedRequest {
        client: Some("203.0.113.9".parse().unwrap()),
        ..request()
    };
    assert!(signed(key(), request).await.is_ok());
}

#[tokio::test]
async fn a_signature_changes_something_once() {
    let app = knowing(key(), 3);
    assert!(app.authenticate_signed(request()).await.is_ok());
    let again = app.authenticate_signed(request()).await;
    assert_refused(&again, AuthError::SignatureReplayed);
    let upper = SignedRequest {
        signature: request().signature.map(|hex| hex.to_ascii_uppercase()),
        ..request()
    };
    let again = app.authenticate_signed(upper).await;
    assert_refused(&again, AuthError::SignatureReplayed);
}

#[tokio::test]
async fn a_signature_may_read_as_often_as_it_likes() {
    let app = knowing(key(), 3);
    let read = SignedRequest {
        changes: false,
        ..request()
    };
    assert!(app.authenticate_signed(read.clone()).await.is_ok());
    assert!(app.authenticate_signed(read).await.is_ok());
    // Reading uses nothing up.
    assert!(app.authenticate_signed(request()).await.is_ok());
}

#[tokio::test]
async fn a_request_that_is_refused_uses_no_signature_up() {
    let key = AccessKey {
        allowed_ips: vec!["203.0.113.9".parse().unwrap()],
        ..key()
    };
    let app = knowing(key, 2);
    let refused = app.authenticate_signed(request()).await;
    assert_refused(&refused, AuthError::IpNotAllowed);
    let request = SignedRequest {
        client: Some("203.0.113.9".parse().unwrap()),
        ..request()
    };
    assert!(app.authenticate_signed(request).await.is_ok());
}

#[tokio::test]
async fn a_signature_is_remembered_for_as_long_as_its_timestamp_is_good() {
    let mut mocks = Mocks::new();
    knows(&mut mocks, key(), 2);
    let clock = std::sync::Arc::clone(&mocks.clock);
    let app = mocks.app();
    // As far ahead as a timestamp may be, so that it stays good the longest.
    let request = sent_at(NOW_MS + 5_000);
    assert!(app.authenticate_signed(request.clone()).await.is_ok());
    clock.advance_ms(10_000);
    let again = app.authenticate_signed(request).await;
    assert_refused(&again, AuthError::SignatureReplayed);
}

#[tokio::test]
async fn a_signature_that_cannot_be_remembered_is_not_accepted() {
    let mut guard = MockReplayGuard::new();
    guard
        .expect_first_use()
        // Nothing of it is given away: not the key, and nothing that signs.
        .withf(|used, remember_ms| {
            used.len() == 64 && !used.contains("BAK1") && *remember_ms == 20_000
        })
        .times(1)
        .return_once(|_, _| Err(unavailable()));
    let mut mocks = Mocks::new();
    knows(&mut mocks, key(), 2);
    mocks.replay_guard = std::sync::Arc::new(guard);
    let app = mocks.app();
    let answer = app.authenticate_signed(request()).await;
    assert!(
        matches!(answer, Err(Error::Store(StoreError::Unavailable(_)))),
        "{answer:?}"
    );
    // Reading needs no memory.
    let read = SignedRequest {
        changes: false,
        ..request()
    };
    assert!(app.authenticate_signed(read).await.is_ok());
}

#[test]
fn every_refusal_has_its_published_code() {
    for (error, code) in [
        (AuthError::Missing, "credentials.missing"),
        (AuthError::TokenInvalid, "token.invalid"),
        (AuthError::AccessKeyMissed, "access_key.missed"),
        (AuthError::TimestampMissed, "timestamp.missed"),
        (AuthError::SignatureMissed, "signature.missed"),
        (AuthError::AccessKeyUnknown, "access_key.unknown"),
        (AuthError::TimestampInvalid, "timestamp.invalid"),
        (AuthError::TimestampExpired, "timestamp.expired"),
        (AuthError::SignatureInvalid, "signature.invalid"),
        (AuthError::SignatureReplayed, "signature.replayed"),
        (AuthError::IpNotAllowed, "ip.not_allowed"),
    ] {
        assert_eq!(error.code(), code);
    }
}
