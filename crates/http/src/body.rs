//! Reading a body: its media type, its size, and the time it may take.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING},
    },
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::problem::Problem;

/// How much of a body is read beyond what it may have, in bytes: a client that is still sending when the connection is closed on it may never see the answer.
const DRAIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Reads a JSON body of at most so many bytes, for at most so long.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    bytes_max: usize,
    read_timeout: Duration,
) -> Result<Bytes, Problem> {
    let reading = collect(payload, bytes_max);
    let read = tokio::time::timeout(read_timeout, reading).await;
    // The body is read first, so that the client gets to see the answer; the media type is judged
    // first all the same.
    require_json(request.headers())?;
    match read {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(Unread::TooLarge)) => {
            let detail = format!("A body has at most {bytes_max} bytes.");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Err(Problem::new(status, "body.too_large", detail))
        }
        Ok(Err(Unread::BrokenOff)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "body.incomplete",
            "The body broke off.",
        )),
        Err(_) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "body.timeout",
            "The body took too long to arrive.",
        )),
    }
}

enum Unread {
    TooLarge,
    BrokenOff,
}

async fn collect(mut payload: web::Payload, bytes_max: usize) -> Result<Bytes, Unread> {
    let Some(first) = payload.next().await else {
        return Ok(Bytes::new());
    };
    let first = first.map_err(|_| Unread::BrokenOff)?;
    let mut length = first.len();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Unread::BrokenOff)?;
        length = length.saturating_add(chunk.len());
        if length > bytes_max.saturating_add(DRAIN_BYTES_MAX) {
            break;
        }
        if length <= bytes_max {
            rest.extend_from_slice(&chunk);
        }
    }
    match length {
        _ if length > bytes_max => Err(Unread::TooLarge),
        // Almost every body comes in one piece and is taken as it is.
        _ if rest.is_empty() => Ok(first),
        _ => Ok([first.as_ref(), rest.as_ref()].concat().into()),
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |detail: &str| {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media_type.unsupported",
            detail,
        )
    };
    let encoded = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(unsupported("Compressed bodies are not taken."));
    }
    let accepted = match headers.get(CONTENT_TYPE) {
        Some(value) => value.to_str().is_ok_and(is_json),
        // Nothing was said about nothing.
        None => !announces_body(headers),
    };
    if accepted {
        Ok(())
    } else {
        Err(unsupported("The body must be application/json."))
    }
}

/// `application/json` or another JSON type of the application tree, with whatever parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let Some((tree, kind)) = essence.split_once('/') else {
        return false;
    };
    let ends_in_json = kind
        .len()
        .checked_sub(5)
        .and_then(|at| kind.get(at..))
        .is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"));
    tree.eq_ignore_ascii_case("application") && (kind.eq_ignore_ascii_case("json") || ends_in_json)
}

fn announces_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised_whatever_its_parameters() {
        for accepted in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"utf-8\"",
            "application/vnd.exchange+json",
        ] {
            assert!(is_json(accepted), "{accepted}");
        }
        for refused in [
            "",
            "json",
            "text/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "application/+jso",
            "multipart/form-data; boundary=x",
        ] {
            assert!(!is_json(refused), "{refused}");
        }
    }
}
