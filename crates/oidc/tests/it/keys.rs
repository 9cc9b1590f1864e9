//! Where the provider's keys are, while it says something else about that.

use std::time::Duration;

use bursar_ports::StoreError;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::world::World;

/// Longer than a whole fetch of keys with its repetition may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Another place for keys. Whoever asks there waits until a test has said what is answered.
struct Place {
    url: String,
    answer: watch::Sender<Option<Vec<u8>>>,
    asked: watch::Receiver<u32>,
    serving: JoinHandle<()>,
}

impl Place {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let (answer, answers) = watch::channel(None);
        let (count, asked) = watch::channel(0_u32);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                tokio::spawn(serve(stream, answers.clone()));
            }
        });
        Self {
            url: format!("http://{address}/jwks"),
            answer,
            asked,
            serving,
        }
    }

    fn answer(&self, bytes: &[u8]) {
        self.answer.send_replace(Some(bytes.to_vec()));
    }

    /// Waits until somebody has asked for keys here.
    async fn is_asked(&self) {
        let mut asked = self.asked.clone();
        let asked = tokio::time::timeout(PATIENCE, asked.wait_for(|count| *count > 0)).await;
        assert!(matches!(asked, Ok(Ok(_))), "nobody looks for keys here");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, mut answers: watch::Receiver<Option<Vec<u8>>>) {
    if !has_read_head(&mut stream).await {
        return;
    }
    let answer = match answers.wait_for(Option::is_some).await {
        Ok(answer) => answer.clone().unwrap_or_default(),
        Err(_) => return,
    };
    // A client that has waited for too long may be gone.
    if stream.write_all(&answer).await.is_ok() {
        drop(stream.shutdown().await);
    }
}

async fn has_read_head(stream: &mut TcpStream) -> bool {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

const NOT_FOUND: &[u8] =
    b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

impl World {
    /// What the provider answers whoever asks for its keys, to the byte.
    async fn keys(&self) -> Vec<u8> {
        let issuer = self.server.issuer();
        let address = issuer.strip_prefix("http://").expect("it is plain http");
        let mut stream = TcpStream::connect(address).await.expect("it serves");
        let request = format!("GET /jwks HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let sent = stream.write_all(request.as_bytes()).await;
        sent.expect("it reads");
        let mut answer = vec![];
        let read = stream.read_to_end(&mut answer).await;
        read.expect("it answers");
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
        answer
    }

    /// The provider says from now on that browsers go to this path, and that its keys are at this
    /// address.
    fn says(&self, path: &str, keys: &str) {
        let authorization = format!("{}{path}", self.server.issuer());
        let document = json!({"authorization_endpoint": authorization, "jwks_uri": keys});
        self.server.conduct(|conduct| conduct.document = document);
    }

    /// Whether browsers are sent to this path.
    async fn sends_to(&self, path: &str) -> bool {
        let expected = format!("{}{path}?", self.server.issuer());
        let location = self.begin().await.expect("the provider is known");
        location.starts_with(&expected)
    }

    async fn comes_to_send_to(&self, path: &str) {
        let comes = async {
            while !self.sends_to(path).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, comes).await;
        assert!(came.is_ok(), "nobody is sent to {path}");
    }

    /// Signs in as whoever has no trouble.
    async fn lets_in(&self) {
        let told = self.sign_in().await.expect("the provider is known");
        assert_eq!(told, self.identity("subject-7"));
    }
}

#[tokio::test]
async fn a_document_that_leads_to_no_keys_for_a_while_keeps_nobody_out() {
    let world = World::watchful().await;
    let own = format!("{}/jwks", world.server.issuer());
    let place = Place::open().await;
    place.answer(NOT_FOUND);
    world.says("/astray", &place.url);
    place.is_asked().await;
    for _ in 0..20 {
        world.lets_in().await;
        assert!(world.sends_to("/authorize").await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Back where they were, and browsers go somewhere else.
    world.says("/moved", &own);
    world.comes_to_send_to("/moved").await;
    world.lets_in().await;
}

#[tokio::test]
async fn keys_that_move_are_gone_by_once_they_are_there() {
    let world = World::watchful().await;
    let keys = world.keys().await;
    let place = Place::open().await;
    world.says("/moved", &place.url);
    place.is_asked().await;
    world.lets_in().await;
    assert!(world.sends_to("/authorize").await);
    place.answer(&keys);
    world.comes_to_send_to("/moved").await;
    world.lets_in().await;

    // They can be had no more, but they are where they were: nobody needs them anew.
    place.answer(NOT_FOUND);
    world.says("/again", &place.url);
    world.comes_to_send_to("/again").await;
    world.lets_in().await;
}

#[tokio::test]
async fn a_first_document_that_leads_to_no_keys_is_looked_at_again_soon() {
    let place = Place::open().await;
    place.answer(NOT_FOUND);
    let astray = json!({"jwks_uri": place.url});
    let world = World::unknown(
        |_| {},
        |server| server.conduct(|conduct| conduct.document = astray),
    )
    .await;
    place.is_asked().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let told = world.begin().await;
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    world.server.conduct(|conduct| conduct.document = json!({}));
    world.is_known().await;
    world.lets_in().await;
}
