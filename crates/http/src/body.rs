//! Reading a body: its media type, its size, and the time it may take.

use std::time::{Duration, Instant};

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
    let arriving = Arriving::new(payload, bytes_max, read_timeout);
    arriving.whole(request.headers()).await
}

/// A JSON body that is read in parts.
pub(crate) struct Arriving {
    payload: web::Payload,
    /// How many bytes it may have.
    bytes_max: usize,
    /// How long the client may take to send what is missing.
    time_left: Duration,
    first: Bytes,
    rest: BytesMut,
    /// How many bytes have arrived.
    length: usize,
    has_ended: bool,
}

impl Arriving {
    /// A body of at most so many bytes, which may take so long to arrive.
    pub(crate) fn new(payload: web::Payload, bytes_max: usize, read_timeout: Duration) -> Self {
        Self {
            payload,
            bytes_max,
            time_left: read_timeout,
            first: Bytes::new(),
            rest: BytesMut::new(),
            length: 0,
            has_ended: false,
        }
    }

    /// Whether it has more bytes than this. Of one that has, little more is read here, and it is
    /// refused if it cannot be taken, whoever sends it.
    pub(crate) async fn is_larger_than(
        &mut self,
        bytes: usize,
        headers: &HeaderMap,
    ) -> Result<bool, Problem> {
        let read = self.read_on(bytes).await;
        require_json(headers)?;
        self.require_fit(announced(headers).unwrap_or(0))?;
        read?;
        Ok(self.length > bytes)
    }

    /// All of it.
    pub(crate) async fn whole(mut self, headers: &HeaderMap) -> Result<Bytes, Problem> {
        let read = self
            .read_on(self.bytes_max.saturating_add(DRAIN_BYTES_MAX))
            .await;
        // The body is read first, so that the client gets to see the answer; the media type is judged
        // first all the same.
        require_json(headers)?;
        // Too large is too large, however slowly it comes.
        self.require_fit(announced(headers).unwrap_or(0))?;
        read?;
        Ok(if self.rest.is_empty() {
            // Almost every body comes in one piece and is taken as it is.
            self.first
        } else {
            [self.first.as_ref(), self.rest.as_ref()].concat().into()
        })
    }

    /// Refuses what is too large, or is going to be.
    fn require_fit(&self, announced: usize) -> Result<(), Problem> {
        let bytes_max = self.bytes_max;
        if self.length.max(announced) <= bytes_max {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body.too_large",
            format!("A body has at most {bytes_max} bytes."),
        ))
    }

    /// Reads on until the end, or until there are more bytes than this.
    async fn read_on(&mut self, bytes: usize) -> Result<(), Problem> {
        let began = Instant::now();
        let time_left = self.time_left;
        let read = tokio::time::timeout(time_left, self.collect(bytes)).await;
        self.time_left = time_left.saturating_sub(began.elapsed());
        let (code, detail) = match read {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(BrokenOff)) => ("body.incomplete", "The body broke off."),
            Err(_) => ("body.timeout", "The body took too long to arrive."),
        };
        Err(Problem::new(StatusCode::BAD_REQUEST, code, detail))
    }

    async fn collect(&mut self, bytes: usize) -> Result<(), BrokenOff> {
        while !self.has_ended && self.length <= bytes {
            match self.payload.next().await {
                Some(chunk) => self.keep(chunk.map_err(|_| BrokenOff)?),
                None => self.has_ended = true,
            }
        }
        Ok(())
    }

    /// Nothing is kept beyond what it may have.
    fn keep(&mut self, chunk: Bytes) {
        self.length = self.length.saturating_add(chunk.len());
        if self.length > self.bytes_max {
            return;
        }
        if self.first.is_empty() {
            self.first = chunk;
        } else {
            self.rest.extend_from_slice(&chunk);
        }
    }
}

/// The client sends no more, although the body has not ended.
struct BrokenOff;

/// How many bytes the client says that it sends.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
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
