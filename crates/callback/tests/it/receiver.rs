//! A receiver of callbacks that answers to the byte what a test tells it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

/// What the receiver does with each request.
#[derive(Clone)]
pub(crate) struct Script {
    answer: Vec<u8>,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    KeepOpen,
    WriteOn,
    NextRequest,
}

impl Script {
    /// Answers with these bytes and closes.
    pub(crate) fn raw(bytes: &str) -> Self {
        Self {
            answer: bytes.as_bytes().to_vec(),
            then: Then::Close,
        }
    }

    /// Answers with this status line, further header lines and body, and closes.
    pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::raw(&format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// Never answers.
    pub(crate) fn silent() -> Self {
        Self::raw("").kept_open()
    }

    /// Answers and never ends its body.
    pub(crate) fn endless() -> Self {
        Self {
            then: Then::WriteOn,
            ..Self::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        }
    }

    /// The same, but the connection stays open afterwards.
    pub(crate) fn kept_open(self) -> Self {
        Self {
            then: Then::KeepOpen,
            ..self
        }
    }

    /// The same for every request of a connection.
    pub(crate) fn repeated(self) -> Self {
        Self {
            then: Then::NextRequest,
            ..self
        }
    }
}

/// A receiver on a port of its own.
pub(crate) struct Receiver {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
    written: mpsc::UnboundedReceiver<usize>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests_in, requests) = mpsc::unbounded_channel();
        let (written_in, written) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let talk = talk(
                    stream,
                    script.clone(),
                    requests_in.clone(),
                    written_in.clone(),
                );
                tokio::spawn(talk);
            }
        });
        Self {
            address,
            requests,
            written,
            connections,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/callbacks?x=1", self.address)
    }

    /// The next request, head and body.
    pub(crate) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }

    pub(crate) fn requests_so_far(&mut self) -> usize {
        std::iter::from_fn(|| self.requests.try_recv().ok()).count()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many bytes of an endless answer could be written before the caller hung up.
    pub(crate) async fn written(&mut self) -> usize {
        self.written.recv().await.unwrap()
    }

    /// Stops listening; the URL stays behind.
    pub(crate) async fn gone(self) -> String {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        format!("http://{}/", self.address)
    }
}

async fn talk(
    mut stream: TcpStream,
    script: Script,
    requests: mpsc::UnboundedSender<String>,
    written: mpsc::UnboundedSender<usize>,
) {
    while let Some(request) = read_request(&mut stream).await {
        if requests.send(request).is_err() || stream.write_all(&script.answer).await.is_err() {
            return;
        }
        match script.then {
            Then::NextRequest => {}
            Then::Close => return,
            Then::KeepOpen => {
                // Until the caller hangs up.
                let mut rest = Vec::new();
                if stream.read_to_end(&mut rest).await.is_err() {
                    return;
                }
            }
            Then::WriteOn => {
                let chunk = [b'x'; 8 * 1024];
                let mut total = 0;
                while stream.write_all(&chunk).await.is_ok() {
                    total += chunk.len();
                }
                if written.send(total).is_err() {
                    return;
                }
            }
        }
    }
}

/// Head and body by its `content-length`; none when the connection ends before.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
}
