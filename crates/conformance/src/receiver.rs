//! A receiver of callbacks that keeps every byte.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Longer than a first delivery takes on a busy machine, and one retry of five seconds.
const PATIENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(10);
/// Within this time a delivery that must not happen would have happened.
const SETTLED: Duration = Duration::from_millis(300);

/// One POST as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct Kept {
    received: HashMap<String, Vec<Received>>,
    /// Heads to answer next, by path; else 200.
    answers: HashMap<String, Vec<String>>,
}

/// Listens on loopback for as long as the clause is tried.
pub(crate) struct Receiver {
    base: String,
    kept: Arc<Mutex<Kept>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback can be listened on");
        let address = listener.local_addr().expect("it has an address");
        let kept = Arc::<Mutex<Kept>>::default();
        let shared = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&shared);
                tokio::spawn(async move { talk(stream, &kept).await });
            }
        });
        Self {
            base: format!("http://{address}"),
            kept,
        }
    }

    /// The URL of a path, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Answers the next request of this path with this status line and headers.
    pub(crate) fn answer_next(&self, path: &str, head: &str) {
        let mut kept = lock(&self.kept);
        let answers = kept.answers.entry(path.to_owned()).or_default();
        answers.insert(0, head.to_owned());
    }

    /// Waits until a path has received this many, and gives all it has.
    pub(crate) async fn expect(&self, path: &str, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.received(path);
            if received.len() >= count {
                return received;
            }
            let found = received.len();
            assert!(
                Instant::now() < deadline,
                "{path}: {found} of {count} callbacks"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The bodies of a path once it has this many and no more come.
    pub(crate) async fn exactly(&self, path: &str, count: usize) -> Vec<String> {
        self.expect(path, count).await;
        tokio::time::sleep(SETTLED).await;
        let received = self.received(path);
        assert_eq!(received.len(), count, "{path}: {received:?}");
        received.into_iter().map(|one| one.body).collect()
    }

    fn received(&self, path: &str) -> Vec<Received> {
        let kept = lock(&self.kept);
        kept.received.get(path).cloned().unwrap_or_default()
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the requests of one connection; ends with it.
async fn talk(stream: TcpStream, kept: &Mutex<Kept>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let first = line(&mut stream).await?;
        let path = first.split(' ').nth(1)?.to_owned();
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = line(&mut stream).await?.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length")?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let body = String::from_utf8(body).ok()?;
        let head = {
            let mut kept = lock(kept);
            let received = kept.received.entry(path.clone()).or_default();
            received.push(Received { headers, body });
            let answers = kept.answers.get_mut(&path);
            answers.and_then(Vec::pop).unwrap_or("200 OK".to_owned())
        };
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// One line of a head, without its end.
async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
