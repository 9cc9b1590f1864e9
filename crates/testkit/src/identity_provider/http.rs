//! As much of HTTP as the provider needs.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// By their names in small letters.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

pub(super) struct Answer(Vec<u8>);

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string())
    }

    pub(super) fn text(status: u16, body: &str) -> Self {
        Self::with(status, "Content-Type: application/json\r\n", body)
    }

    pub(super) fn page(body: &str) -> Self {
        Self::with(200, "Content-Type: text/html; charset=utf-8\r\n", body)
    }

    pub(super) fn found(location: &str) -> Self {
        Self::with(302, &format!("Location: {location}\r\n"), "")
    }

    fn with(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status} Told\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        Self(text.into_bytes())
    }
}

/// Answers one request.
pub(super) async fn serve(mut stream: TcpStream, answer: impl FnOnce(Request) -> Answer + Send) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let Answer(bytes) = answer(request);
    // A client that has read enough may be gone.
    if stream.write_all(&bytes).await.is_ok() {
        drop(stream.shutdown().await);
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(Some(0), |it| it.parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers,
        body: String::from_utf8(body).ok()?,
    })
}
