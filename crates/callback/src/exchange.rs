//! One request and its answer over a connection of its own.

use std::time::Duration;

use bursar_domain::Timestamp;
use bursar_ports::{Delivered, Undelivered};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1, header::RETRY_AFTER};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout_at},
};

use crate::{connect::Wire, retry_after};

/// The most lines in the head of an answer, and its longest in bytes. Receivers need a dozen and a
/// kilobyte.
const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The bounds of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// When it must have ended.
    pub(crate) deadline: Instant,
    /// How long to read on once the status is known.
    pub(crate) drain: Duration,
    /// How many bytes of an answer are read, head and body together.
    pub(crate) answer_bytes_max: u64,
}

/// Sends the request and reads the answer, within its bounds. The connection ends with it.
pub(crate) async fn exchange(
    wire: Box<dyn Wire>,
    request: Request<Full<Bytes>>,
    at: Timestamp,
    bounds: Bounds,
) -> Result<Delivered, Undelivered> {
    let (read, write) = tokio::io::split(wire);
    let bounded = tokio::io::join(read.take(bounds.answer_bytes_max), write);
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(bounded))
        .await
        .map_err(|_| Undelivered::Broken)?;
    let talk = async {
        let response = timeout_at(bounds.deadline, sender.send_request(request))
            .await
            .map_err(|_| Undelivered::Timeout)?
            .map_err(|error| classify(&error))?;
        let verdict = judge(&response, at);
        let end = bounds.deadline.min(Instant::now() + bounds.drain);
        drain(response, end).await;
        verdict
    };
    tokio::pin!(talk, connection);
    tokio::select! {
        biased;
        verdict = &mut talk => verdict,
        // Its end is told to the talk, too, which knows better what it means.
        _ended = &mut connection => talk.await,
    }
}

fn judge(response: &Response<Incoming>, now: Timestamp) -> Result<Delivered, Undelivered> {
    let status = response.status();
    if status.is_success() {
        return Ok(Delivered {
            http_status: status.as_u16(),
        });
    }
    let retry_after_ms = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after::parse(value, now));
    Err(Undelivered::Answered {
        http_status: status.as_u16(),
        retry_after_ms,
    })
}

/// Reads the rest of an answer, so that a receiver that writes a little more than a status is not
/// cut short. Nothing in the rest can change what the status said.
async fn drain(response: Response<Incoming>, end: Instant) {
    let mut body = response.into_body();
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    if timeout_at(end, rest).await.is_err() {
        tracing::debug!("a callback's receiver answered but did not finish its answer");
    }
}

fn classify(error: &hyper::Error) -> Undelivered {
    if error.is_parse_too_large() {
        Undelivered::TooLarge
    } else {
        Undelivered::Broken
    }
}
