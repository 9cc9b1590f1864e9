//! Signing requests by an access key, as users' programs do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A key with its secret.
#[derive(Clone, Debug)]
pub(crate) struct AccessKey {
    pub(crate) name: String,
    pub(crate) secret: String,
}

impl AccessKey {
    /// The three headers of a request that is sent now.
    pub(crate) fn sign(&self, path: &str, body: &str) -> Vec<(String, String)> {
        self.sign_at(path, body, now_ms())
    }

    /// The three headers of a request that is said to be sent at this time.
    pub(crate) fn sign_at(&self, path: &str, body: &str, ms: u128) -> Vec<(String, String)> {
        let signed = format!("{}{path}{ms}{body}", self.name);
        let signature = HEXLOWER.encode(&hmac(&self.secret, &signed));
        vec![
            ("x-access-key".to_owned(), self.name.clone()),
            ("x-timestamp".to_owned(), ms.to_string()),
            ("x-signature".to_owned(), signature),
        ]
    }
}

/// The signature of a callback under a secret, `whsec_…` (Standard Webhooks).
pub(crate) fn webhook_signature(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let text = secret.trim_start_matches("whsec_");
    let key = BASE64.decode(text.as_bytes()).expect("a secret is base64");
    let mac = hmac_of_bytes(&key, &format!("{id}.{timestamp}.{body}"));
    format!("v1,{}", BASE64.encode(&mac))
}

/// HMAC-SHA256.
pub(crate) fn hmac(secret: &str, message: &str) -> Vec<u8> {
    hmac_of_bytes(secret.as_bytes(), message)
}

fn hmac_of_bytes(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_millis()
}
