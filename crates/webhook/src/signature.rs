//! Signing callbacks and verifying them, to Standard Webhooks.
//!
//! A signature is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`: the value of
//! `webhook-id`, a full stop, the value of `webhook-timestamp`, a full stop, and the body to the
//! byte. The header holds one signature for each secret, with blanks between them, so that a
//! receiver can go over from an old secret to a new one whenever it likes.
//!
//! See <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use std::time::Duration;

use bursar_domain::Timestamp;
use bursar_ports::CallbackSecret;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac, digest::Key};
use sha2::Sha256;

type HmacSha256 = Hmac<Sha256>;

/// The scheme of a symmetric signature.
const VERSION: &str = "v1,";

/// How many signatures of a header are looked at. A sender has one for each secret, of which there
/// are two while one is being rotated; whoever writes thousands only means to keep us busy.
const SIGNATURES_MAX: usize = 16;

/// The header with the id, which stays the same over retries.
pub const WEBHOOK_ID: &str = "webhook-id";

/// The header with the time of the attempt, in whole seconds since the epoch.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";

/// The header with the signatures.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// How far a callback's time may be from the receiver's, as Bursar's documents advise.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The value of `webhook-signature`: one signature for each secret; none without a secret.
///
/// `timestamp` is in whole seconds since the epoch, `body` is what will be sent, to the byte.
pub fn sign(
    webhook_id: &str,
    timestamp: i64,
    body: &[u8],
    secrets: &[CallbackSecret],
) -> Option<String> {
    let timestamp = timestamp.to_string();
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let mac = mac(secret, webhook_id, &timestamp, body);
            format!("{VERSION}{}", BASE64.encode(&mac.finalize().into_bytes()))
        })
        .collect();
    (!signatures.is_empty()).then(|| signatures.join(" "))
}

/// The three headers of a callback that prove where it comes from, as they arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureHeaders<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Why a callback is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// `webhook-timestamp` is no whole number of seconds.
    #[error("webhook-timestamp is not a whole number of seconds since the epoch")]
    Timestamp,
    /// It was signed too long ago, or in the future: somebody may be repeating an old one.
    #[error("the callback was signed too far from the present time")]
    Expired,
    /// No signature in it was made with one of these secrets.
    #[error("no signature was made with this secret, for these headers and this body")]
    Signature,
}

/// Verifies a callback as a receiver should: its time is within `tolerance` of `now`, and one of
/// the first sixteen signatures was made with one of the secrets. Signatures of schemes other than
/// `v1` count among the sixteen and are left out. Signatures are compared in constant time.
///
/// Anybody can send a header of any length, so the body is read once for each secret, and not for
/// each signature.
///
/// # Errors
/// [`Unverified`] says why it should not be believed.
pub fn verify(
    headers: SignatureHeaders<'_>,
    body: &[u8],
    secrets: &[CallbackSecret],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), Unverified> {
    let timestamp: i64 = headers
        .timestamp
        .parse()
        .map_err(|_| Unverified::Timestamp)?;
    let apart = now.as_micros().div_euclid(1_000_000).abs_diff(timestamp);
    if apart > tolerance.as_secs() {
        return Err(Unverified::Expired);
    }
    let signatures: Vec<Vec<u8>> = headers
        .signature
        .split(' ')
        .take(SIGNATURES_MAX)
        .filter_map(|signature| signature.strip_prefix(VERSION))
        .filter_map(|text| BASE64.decode(text.as_bytes()).ok())
        .collect();
    let genuine = secrets.iter().any(|secret| {
        let mac = mac(secret, headers.id, headers.timestamp, body);
        signatures
            .iter()
            .any(|signature| mac.clone().verify_slice(signature).is_ok())
    });
    if genuine {
        Ok(())
    } else {
        Err(Unverified::Signature)
    }
}

fn mac(secret: &CallbackSecret, id: &str, timestamp: &str, body: &[u8]) -> HmacSha256 {
    // HMAC fills a short key up with zeros itself; a key of the full length cannot be refused.
    let mut key = Key::<HmacSha256>::default();
    key.iter_mut()
        .zip(secret.0)
        .for_each(|(byte, of_secret)| *byte = of_secret);
    let mut mac = HmacSha256::new(&key);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests;
