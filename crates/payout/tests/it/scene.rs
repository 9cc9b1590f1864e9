//! A gateway that does what a test says, once, with the first request that it gets.

use std::time::Duration;

use bursar_domain::Timestamp;
use bursar_payout::{GatewayConfig, HttpGateway};
use bursar_ports::{CallbackSecret, PayoutAnswer, PayoutGateway, PayoutOrder};
use bursar_testkit::build;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

pub(crate) const SECRET: CallbackSecret = CallbackSecret([7; 32]);
/// 2021-04-09T10:50:40.116485Z.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_617_965_440_116_485);

pub(crate) fn order() -> PayoutOrder {
    PayoutOrder {
        id: build::transfer_id(42),
        asset: build::asset_id("btc"),
        amount: "0.01".to_owned(),
        user: build::user_id(0xa),
        comment: Some("rent, \"May\"".to_owned()),
        created_at: NOW,
        at: NOW.plus_micros(5_000_000),
    }
}

pub(crate) fn gateway(url: &str, timeout: Duration) -> HttpGateway {
    HttpGateway::try_new(GatewayConfig {
        url: Url::parse(url).unwrap(),
        secret: SECRET,
        timeout,
    })
    .unwrap()
}

/// What a gateway does with a request that it has read.
pub(crate) enum Does {
    /// Writes this and closes.
    Says(Vec<u8>),
    /// Closes.
    Cuts,
    /// Never answers.
    Hangs,
    /// Writes this and never goes on.
    Stalls(Vec<u8>),
}

impl Does {
    pub(crate) fn answer(status: &str, body: &str) -> Self {
        let length = body.len();
        Self::Says(
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes(),
        )
    }
}

/// What came of one try, and the request as it arrived.
pub(crate) struct Tried {
    pub(crate) answer: PayoutAnswer,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One try at a gateway that does this.
pub(crate) async fn one_try(does: Does, timeout: Duration) -> Tried {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/orders?to=x", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read(&mut stream).await;
        match does {
            Does::Says(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
            Does::Cuts => drop(stream),
            Does::Hangs => wait_for_the_end(stream).await,
            Does::Stalls(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                wait_for_the_end(stream).await;
            }
        }
        request
    });
    let answer = gateway(&url, timeout).pay(order()).await;
    let (head, body) = serving.await.unwrap();
    Tried { answer, head, body }
}

/// Until the other side gives up.
async fn wait_for_the_end(mut stream: TcpStream) {
    while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
}

async fn read(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = vec![];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return (head.to_owned(), body.to_owned());
            }
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request broke off: {text}");
        bytes.extend_from_slice(&chunk[..read]);
    }
}
