//! A receiver of callbacks that answers to the byte what a test tells it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What the receiver does with each request.
#[derive(Clone)]
pub(crate) struct Script {
    answer: Vec<u8>,
    /// How long it waits before each of its writes, and whether it writes byte by byte.
    pause: Duration,
    drips: bool,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    KeepOpen,
    WriteOn,
    NextRequest,
    Reset,
}

impl Script {
    /// Answers with these bytes and closes.
    pub(crate) fn raw(bytes: &str) -> Self {
        Self {
            answer: bytes.as_bytes().to_vec(),
            pause: Duration::ZERO,
            drips: false,
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

    /// The same, with these bytes behind.
    pub(crate) fn with(mut self, bytes: &[u8]) -> Self {
        self.answer.extend_from_slice(bytes);
        self
    }

    /// The same, after a while.
    pub(crate) fn after(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// The same, a byte at a time.
    pub(crate) fn dripping(self, pause: Duration) -> Self {
        Self {
            pause,
            drips: true,
            ..self
        }
    }

    /// The same, but the connection is reset afterwards.
    pub(crate) fn reset(self) -> Self {
        Self {
            then: Then::Reset,
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
        Self::start_with(script, None).await
    }

    /// A receiver that speaks TLS, or tries to.
    pub(crate) async fn start_tls(script: Script, tls: ServerConfig) -> Self {
        Self::start_with(script, Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn start_with(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests_in, requests) = mpsc::unbounded_channel();
        let (written_in, written) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let told = Told {
            requests: requests_in,
            written: written_in,
        };
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                if matches!(script.then, Then::Reset) {
                    stream.set_zero_linger().unwrap();
                }
                let (script, told, tls) = (script.clone(), told.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => talk(stream, script, told).await,
                        Some(tls) => {
                            // Whoever does not trust this receiver breaks off.
                            if let Ok(stream) = tls.accept(stream).await {
                                let (_, session) = stream.get_ref();
                                let name = session.server_name().unwrap_or_default().to_owned();
                                told.requests.send(name).unwrap();
                                talk(stream, script, told).await;
                            }
                        }
                    }
                });
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

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/callbacks?x=1", self.address)
    }

    /// The next request, head and body; over TLS the name that was asked for comes before it.
    pub(crate) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }

    pub(crate) fn try_request(&mut self) -> Option<String> {
        self.requests.try_recv().ok()
    }

    pub(crate) fn requests_so_far(&mut self) -> usize {
        std::iter::from_fn(|| self.try_request()).count()
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

/// Where a receiver tells what it sees.
#[derive(Clone)]
struct Told {
    requests: mpsc::UnboundedSender<String>,
    written: mpsc::UnboundedSender<usize>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

async fn talk(mut stream: impl Stream, script: Script, told: Told) {
    while let Some(request) = read_request(&mut stream).await {
        if told.requests.send(request).is_err() || answer(&mut stream, &script).await.is_err() {
            return;
        }
        match script.then {
            Then::NextRequest => {}
            Then::Close => {
                // Whoever has enough of it hangs up first.
                let _gone = stream.shutdown().await;
                return;
            }
            Then::Reset => {
                // A reset that overtakes what was written takes it back: the caller reads first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                return;
            }
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
                if told.written.send(total).is_err() {
                    return;
                }
            }
        }
    }
}

async fn answer(stream: &mut impl Stream, script: &Script) -> io::Result<()> {
    let size = if script.drips {
        1
    } else {
        script.answer.len().max(1)
    };
    for part in script.answer.chunks(size) {
        tokio::time::sleep(script.pause).await;
        stream.write_all(part).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// Head and body by its `content-length`; none when the connection ends before.
async fn read_request(stream: &mut impl Stream) -> Option<String> {
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
