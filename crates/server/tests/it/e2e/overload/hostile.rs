//! Clients that take their time, or all of it: others are served, and they are hung up on.

use std::time::{Duration, Instant};

use bursar_postgres::testing::TestDatabase;
use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::e2e::{
    books::Books,
    exchange::{DEPOSIT, Exchange, WAIT},
    service::Service,
};

/// The service is in a hurry.
const HURRY: [(&str, &str); 3] = [
    ("BURSAR_HTTP_HEAD_TIMEOUT_MS", "1000"),
    ("BURSAR_HTTP_BODY_TIMEOUT_MS", "1000"),
    ("BURSAR_HTTP_UNREAD_TIMEOUT_MS", "2000"),
];
/// How many clients there are of each kind.
const OF_EACH: usize = 40;
/// Somebody who sends a byte this often would take minutes for a head.
const DRIP: Duration = Duration::from_millis(50);
/// Longer than anybody is borne with, on a busy machine.
const BORNE: Duration = Duration::from_secs(50);

const HEAD: &str =
    "POST /internal-transfer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Sends a head byte by byte.
    SlowHead,
    /// Sends a body byte by byte.
    SlowBody,
    /// Sends a body without an end.
    EndlessBody,
    /// Says nothing.
    Silent,
    /// Asks and asks, and reads no answer.
    Deaf,
}

const ALL: [Manner; 5] = [
    Manner::SlowHead,
    Manner::SlowBody,
    Manner::EndlessBody,
    Manner::Silent,
    Manner::Deaf,
];

impl Manner {
    /// Goes on until the service hangs up.
    async fn run(self, mut stream: TcpStream) -> std::io::Result<()> {
        match self {
            Self::SlowHead => drip(stream, HEAD).await,
            Self::SlowBody => {
                let head = format!("{HEAD}content-length: 60000\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                drip(stream, "{").await
            }
            Self::EndlessBody => {
                let head = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
                loop {
                    stream.write_all(chunk.as_bytes()).await?;
                }
            }
            Self::Silent => stream.read_u8().await.map(drop),
            Self::Deaf => {
                let ask = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(16);
                loop {
                    stream.write_all(ask.as_bytes()).await?;
                }
            }
        }
    }
}

/// Sends this, then padding without an end, byte by byte, and reads what comes.
async fn drip(stream: TcpStream, begin: &str) -> std::io::Result<()> {
    let (mut read, mut write) = stream.into_split();
    let sends = async {
        for byte in begin.bytes().chain(std::iter::repeat(b'x')) {
            write.write_all(&[byte]).await?;
            tokio::time::sleep(DRIP).await;
        }
        Ok(())
    };
    let hears = async {
        let mut answer = [0; 1_024];
        // An answer may come before the end.
        while read.read(&mut answer).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        ended = sends => ended,
        ended = hears => ended,
    }
}

#[tokio::test]
async fn who_is_slow_is_hung_up_on_and_keeps_nobody_waiting() {
    let database = TestDatabase::create().await;
    let service = Service::start_with(database.url(), &HURRY).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 2).await;
    let mut hostile = JoinSet::new();
    for manner in ALL {
        let streams = join_all((0..OF_EACH).map(|_| TcpStream::connect(client.address()))).await;
        for stream in streams {
            hostile.spawn(async move {
                let began = Instant::now();
                let ended = tokio::time::timeout(BORNE, manner.run(stream.unwrap())).await;
                // Hung up on in whatever way; what must not be is that it goes on.
                (manner, began.elapsed(), ended.map(Result::err).is_ok())
            });
        }
    }
    let mut served = 0;
    while !hostile.is_empty() {
        let body = json!({
            "userId": exchange.traders[0].id, "assetId": "btc", "amount": "0.01",
        });
        let teller = client.with(&exchange.backoffice);
        let paid = teller.post_with(DEPOSIT, body.to_string(), &[WAIT]).await;
        assert_eq!(paid.status, 200, "{}\n{}", paid.text, service.log());
        assert_eq!(paid.ok().text_of("status"), "Completed");
        assert_eq!(client.get("/health/ready").await.status, 200);
        served += 1;
        while let Some(ended) = hostile.try_join_next() {
            let (manner, after, is_over) = ended.unwrap();
            assert!(is_over, "{manner:?} goes on after {after:?}");
        }
    }
    assert!(served > 0);
    let books = Books::of(database.url());
    books.settled().await;
    books.audit().await;
    service.stopped().await;
}

/// Whoever asks for much at once and reads it gets all of it, in order.
#[tokio::test]
async fn who_asks_ahead_is_answered_in_order() {
    const ASKED: usize = 64;
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let mut stream = TcpStream::connect(service.client().address())
        .await
        .unwrap();
    let ask = |number| {
        let last = if number + 1 == ASKED {
            "connection: close\r\n"
        } else {
            ""
        };
        format!(
            "GET /health/live HTTP/1.1\r\nhost: x\r\nx-request-id: ahead-{number:04}\r\n{last}\r\n"
        )
    };
    let asked: String = (0..ASKED).map(ask).collect();
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    let answered: Vec<&str> = answers
        .split("ahead-")
        .skip(1)
        .map(|rest| &rest[..4])
        .collect();
    let expected: Vec<String> = (0..ASKED).map(|number| format!("{number:04}")).collect();
    assert_eq!(answered, expected);
    service.stopped().await;
}
