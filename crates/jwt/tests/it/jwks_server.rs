//! A server that answers with a JWKS, or whatever a test tells it, and counts.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub(crate) struct JwksServer {
    pub(crate) url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    fetches: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl JwksServer {
    pub(crate) async fn start(jwks: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(ok(jwks)));
        let fetches = Arc::new(AtomicU64::new(0));
        let (answers, counted) = (Arc::clone(&answer), Arc::clone(&fetches));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let bytes = answers.lock().unwrap().clone();
                tokio::spawn(serve(stream, bytes));
            }
        });
        Self {
            url,
            answer,
            fetches,
            serving,
        }
    }

    pub(crate) fn publish(&self, jwks: &str) {
        self.answer_with(ok(jwks));
    }

    /// Answers with these bytes from now on.
    pub(crate) fn answer_with(&self, bytes: Vec<u8>) {
        *self.answer.lock().unwrap() = bytes;
    }

    pub(crate) fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl Drop for JwksServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

async fn serve(mut stream: TcpStream, answer: Vec<u8>) {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    // A client that has read enough may be gone.
    if stream.write_all(&answer).await.is_ok() {
        drop(stream.shutdown().await);
    }
}
