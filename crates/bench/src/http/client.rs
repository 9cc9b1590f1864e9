//! A client that costs little: one connection, one request at a time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Mutex, MutexGuard},
};

/// Answers have fewer headers than that.
const HEADERS_MAX: usize = 32;

/// Servers close a connection that was idle for longer, or never used.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// Whoever is refused because there is too much to do comes back so often, and so much later. A disk
/// that stalls once should not end a benchmark.
pub(super) const ATTEMPTS: u32 = 40;
pub(super) const LATER: Duration = Duration::from_millis(50);

/// A connection that is kept while it is used.
pub(super) struct Connection {
    stream: TcpStream,
    used: Instant,
    host: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// A connection for each worker.
pub(super) struct Connections(Vec<Mutex<Connection>>);

impl Connections {
    pub(super) async fn open(host: &str, count: u32) -> anyhow::Result<Self> {
        let mut opened = vec![];
        for _ in 0..count {
            opened.push(Mutex::new(Connection::open(host).await?));
        }
        Ok(Self(opened))
    }

    /// The connection of a worker.
    pub(super) async fn of(&self, worker: u32) -> anyhow::Result<MutexGuard<'_, Connection>> {
        let connection = self.0.get(usize::try_from(worker)?);
        let connection = connection.context("more workers than connections")?;
        Ok(connection.lock().await)
    }
}

/// An answer's status and body.
pub(super) struct Answer<'c> {
    pub(super) status: u16,
    pub(super) body: &'c [u8],
}

impl Connection {
    pub(super) async fn open(host: &str) -> anyhow::Result<Self> {
        Ok(Self {
            stream: connect(host).await?,
            used: Instant::now(),
            host: host.to_owned(),
            request: vec![],
            answer: vec![],
        })
    }

    /// Asks, and waits for the whole answer.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Answer<'_>> {
        self.request.clear();
        for part in [method, " ", path, " HTTP/1.1\r\nHost: ", &self.host] {
            self.request.extend_from_slice(part.as_bytes());
        }
        let length = body.len().to_string();
        let content = [
            ("Content-Type", "application/json"),
            ("Content-Length", &length),
        ];
        for (name, value) in content.iter().chain(headers) {
            for part in ["\r\n", name, ": ", value] {
                self.request.extend_from_slice(part.as_bytes());
            }
        }
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(body.as_bytes());
        if self.used.elapsed() > IDLE_MAX {
            self.stream = connect(&self.host).await?;
        }
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        let (status, head, length) = loop {
            self.read().await?;
            if let Some(read) = read_head(&self.answer)? {
                break read;
            }
        };
        let end = head.saturating_add(length);
        while self.answer.len() < end {
            self.read().await?;
        }
        self.used = Instant::now();
        let body = self.answer.get(head..end).context("a short answer")?;
        Ok(Answer { status, body })
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.answer.reserve(4_096);
        let read = self.stream.read_buf(&mut self.answer).await?;
        ensure!(read > 0, "the connection was closed");
        Ok(())
    }
}

async fn connect(host: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Answer<'_> {
    /// The body of an answer that went well.
    pub(super) fn ok(&self) -> anyhow::Result<&[u8]> {
        let body = String::from_utf8_lossy(self.body);
        ensure!(self.status == 200, "{}: {body}", self.status);
        Ok(self.body)
    }

    /// The same, which has this in it so many times.
    pub(super) fn ok_with(&self, what: &str, times: usize) -> anyhow::Result<()> {
        let body = std::str::from_utf8(self.ok()?)?;
        let found = body.matches(what).count();
        ensure!(found == times, "{what} is there {found} times: {body}");
        Ok(())
    }
}

/// Status, length of the head, and length of the body; none while the head is not whole.
fn read_head(answer: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(answer)? else {
        return Ok(None);
    };
    let status = response.code.context("no status")?;
    for header in response.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value)?.parse()?;
            return Ok(Some((status, head, length)));
        }
    }
    bail!("{status} without a length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 422 No\r\nX: y\r\ncontent-length: 12\r\n\r\n{}";
        for end in 0..whole.len() - 2 {
            assert_eq!(read_head(&whole[..end]).unwrap(), None);
        }
        let read = read_head(whole).unwrap();
        assert_eq!(read, Some((422, whole.len() - 2, 12)));
        assert!(read_head(b"HTTP/1.1 204 No\r\n\r\n").is_err());
        assert!(read_head(b"nonsense\r\n\r\n").is_err());
    }
}
