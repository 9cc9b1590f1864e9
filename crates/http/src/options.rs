//! The headers that say how a money request is to be treated.

use actix_web::http::header::{HeaderMap, HeaderName};
use bursar_app::{FieldError, Options};
use bursar_domain::IdempotencyKey;

use crate::prefer;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Reads `Idempotency-Key` and `Prefer`.
pub(crate) fn read(headers: &HeaderMap) -> Result<Options, FieldError> {
    Ok(Options {
        key: key(headers)?,
        wait: prefer::wants_to_wait(headers),
    })
}

fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, FieldError> {
    let invalid =
        |detail: &str| FieldError::new("Idempotency-Key", "idempotency_key.invalid", detail);
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid("must be given once"));
    }
    value
        .to_str()
        .ok()
        .and_then(|text| IdempotencyKey::parse(text).ok())
        .map(Some)
        .ok_or_else(|| invalid("must have 1 to 255 visible ASCII characters"))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::problem::literal;

    fn read_key(values: &[&[u8]]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        read(&headers)
            .map(|options| options.key.map(|key| key.as_str().to_owned()))
            .map_err(|error| literal(error.code))
    }

    #[test]
    fn a_key_is_read_bare_or_quoted_and_once() {
        assert_eq!(read_key(&[]), Ok(None));
        assert_eq!(read_key(&[b"k-1"]), Ok(Some("k-1".to_owned())));
        assert_eq!(read_key(&[b"\"k-1\""]), Ok(Some("k-1".to_owned())));
        for refused in [&[&b""[..]][..], &[b"a b"], &[b"\xc3\xa9"], &[b"a", b"a"]] {
            assert_eq!(read_key(refused), Err("idempotency_key.invalid"));
        }
    }
}
