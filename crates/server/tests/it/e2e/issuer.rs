//! JWTs of an issuer that shares a secret with the service.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

pub(super) const ISSUER: &str = "https://id.example.com/";
pub(super) const AUDIENCE: &str = "bursar";
/// Shared with the services of these tests.
pub(super) const SECRET: &str = "test-secret-of-the-issuer-of-these-tests";

/// What makes a service accept these tokens.
pub(super) const SETTINGS: [(&str, &str); 4] = [
    ("BURSAR_JWT_ISSUER", ISSUER),
    ("BURSAR_JWT_AUDIENCE", AUDIENCE),
    ("BURSAR_JWT_ALGORITHMS", "HS256"),
    ("BURSAR_JWT_SECRET", SECRET),
];

/// Seconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the service goes by this clock too"
)]
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// Claims that are good for ten minutes.
pub(super) fn claims(subject: &str, user: Option<&str>, scope: &str) -> Value {
    json!({
        "iss": ISSUER, "aud": [AUDIENCE], "sub": subject, "exp": now() + 600,
        "user_id": user, "scope": scope,
    })
}

/// A token with these claims.
pub(super) fn token(claims: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = json!({"alg": "HS256", "typ": "at+jwt"});
    let message = format!("{}.{}", part(&header), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    let signature = BASE64URL_NOPAD.encode(&mac.finalize().into_bytes());
    format!("{message}.{signature}")
}
