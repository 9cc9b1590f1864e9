//! A receiver of callbacks that keeps every byte.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::eventually;

/// One POST as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
    pub(super) at: Instant,
}

#[derive(Default)]
struct Kept {
    /// Whether it is as if it were not there.
    is_down: bool,
    /// How many requests it has broken off for that.
    broken_off: usize,
    received: HashMap<String, Vec<Received>>,
    /// What to answer next, by path; else 200.
    answers: HashMap<String, VecDeque<u16>>,
}

/// Listens until it is dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    listening: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        Self::start_slow(Duration::ZERO).await
    }

    /// One that takes so long to answer.
    pub(super) async fn start_slow(takes: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::<Mutex<Kept>>::default();
        let shared = Arc::clone(&kept);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&shared);
                // A caller that is killed breaks off anywhere; what it sent in full was kept.
                tokio::spawn(async move { talk(stream, &kept, takes).await.unwrap_or_default() });
            }
        });
        Self {
            address,
            kept,
            listening,
        }
    }

    /// The URL of a path, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next request of this path with this status.
    pub(super) fn answer_next(&self, path: &str, status: u16) {
        let mut kept = self.kept.lock().unwrap();
        let answers = kept.answers.entry(path.to_owned()).or_default();
        answers.push_back(status);
    }

    /// From now on it breaks off whatever comes, or takes it again.
    pub(super) fn go_down(&self, is_down: bool) {
        self.kept.lock().unwrap().is_down = is_down;
    }

    /// How many requests it has broken off so far.
    pub(super) fn broken_off(&self) -> usize {
        self.kept.lock().unwrap().broken_off
    }

    /// Everything that a path has received so far.
    pub(super) fn received(&self, path: &str) -> Vec<Received> {
        let kept = self.kept.lock().unwrap();
        kept.received.get(path).cloned().unwrap_or_default()
    }

    /// Everything that any path has received so far.
    pub(super) fn all(&self) -> Vec<Received> {
        let kept = self.kept.lock().unwrap();
        kept.received.values().flatten().cloned().collect()
    }

    /// Waits until a path has received this many.
    pub(super) async fn expect(&self, path: &str, count: usize) -> Vec<Received> {
        eventually(&format!("{count} callbacks to {path}"), async || {
            Some(self.received(path)).filter(|received| received.len() >= count)
        })
        .await
    }

    /// The bodies that a path has received so far, each once: what could not be answered in time comes
    /// again, and then it is the same.
    pub(super) fn bodies(&self, path: &str) -> Vec<String> {
        let mut first: Vec<Received> = vec![];
        for received in self.received(path) {
            let id = &received.headers["webhook-id"];
            let earlier = first.iter().find(|one| one.headers["webhook-id"] == *id);
            if let Some(earlier) = earlier {
                assert_eq!(earlier.body, received.body, "{id}");
            } else {
                first.push(received);
            }
        }
        first.into_iter().map(|one| one.body).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Takes the requests of one connection; ends with it.
async fn talk(stream: TcpStream, kept: &Mutex<Kept>, takes: Duration) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    loop {
        let first = line(&mut stream).await?;
        let [method, path, version] = first.split(' ').collect::<Vec<_>>()[..] else {
            panic!("not a request: {first}");
        };
        assert_eq!((method, version), ("POST", "HTTP/1.1"));
        let mut headers = BTreeMap::new();
        loop {
            let header = line(&mut stream).await?;
            let Some((name, value)) = header.split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        stream.read_exact(&mut body).await.ok()?;
        let received = Received {
            headers,
            body: String::from_utf8(body).unwrap(),
            at: Instant::now(),
        };
        let status = {
            let mut kept = kept.lock().unwrap();
            if kept.is_down {
                kept.broken_off += 1;
                return None;
            }
            let all = kept.received.entry(path.to_owned()).or_default();
            all.push(received);
            let answers = kept.answers.get_mut(path);
            answers.and_then(VecDeque::pop_front).unwrap_or(200)
        };
        tokio::time::sleep(takes).await;
        let answer = format!("HTTP/1.1 {status} As told\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// One line of a head, without its end.
async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
