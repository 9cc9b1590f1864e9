//! The function that docs/CALLBACKS.md gives to receivers, to the byte.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const TOLERANCE_SECONDS: u64 = 5 * 60;

/// Whether Bursar sent this: the secrets as they were issued, the values of the three `webhook-…`
/// headers, and the body to the byte.
pub fn verify(secrets: &[&str], id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> bool {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
        return false;
    };
    let Ok(sent) = timestamp.parse::<u64>() else {
        return false;
    };
    if now.as_secs().abs_diff(sent) > TOLERANCE_SECONDS {
        return false;
    }
    secrets.iter().any(|secret| {
        let text = secret.strip_prefix("whsec_").unwrap_or(secret);
        let Ok(key) = BASE64.decode(text.as_bytes()) else {
            return false;
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else {
            return false;
        };
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        signatures
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .filter_map(|signature| BASE64.decode(signature.as_bytes()).ok())
            // Compares in constant time.
            .any(|signature| mac.clone().verify_slice(&signature).is_ok())
    })
}
