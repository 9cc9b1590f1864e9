//! `X-Request-Id`: the client's, if it is a sane token, else one of ours.

use std::fmt;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use data_encoding::HEXLOWER;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client, in bytes.
const TAKEN_BYTES_MAX: usize = 128;

/// Names one request in its answer and in every log line about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// The client's id, else 128 random bits.
    pub(crate) fn of(headers: &HeaderMap, random: impl FnOnce() -> [u8; 32]) -> Self {
        let taken = headers
            .get(X_REQUEST_ID)
            .map(HeaderValue::as_bytes)
            .filter(|id| is_sane(id))
            .and_then(|id| std::str::from_utf8(id).ok());
        if let Some(id) = taken {
            return Self(id.to_owned());
        }
        let random = random();
        let (id, _) = random.split_at(16);
        Self(HEXLOWER.encode(id))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The header's value; an id has no character that a header cannot.
    pub(crate) fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an id can stand in a log line without being taken for something else.
fn is_sane(id: &[u8]) -> bool {
    (1..=TAKEN_BYTES_MAX).contains(&id.len())
        && id
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:+/=@".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(
                X_REQUEST_ID,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        RequestId::of(&headers, || [0xab; 32]).as_str().to_owned()
    }

    #[test]
    fn a_sane_id_is_taken_and_any_other_is_replaced() {
        let made = "abababababababababababababababab";
        let longest = "x".repeat(128);
        for id in ["a", "4f6c:1/2+3=", "01J-z_9.b@c", &longest] {
            assert_eq!(of(Some(id)), id);
        }
        let overlong = "x".repeat(129);
        for id in ["", "a b", "a\"b", "a,b", "é", "<script>", &overlong] {
            assert_eq!(of(Some(id)), made, "{id:?}");
        }
        assert_eq!(of(None), made);
    }
}
