//! SIGTERM under load: what is under way is answered, and nothing happens without an answer.

use std::time::{Duration, Instant};

use bursar_postgres::testing::TestDatabase;
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    books::Books,
    eventually,
    exchange::Exchange,
    load::{Load, assert_kept, assert_told},
    receiver::Receiver,
    service::Service,
};

/// Longer than a test waits for the end of a service: whoever waits for it is found out.
const GRACE: (&str, &str) = ("BURSAR_SHUTDOWN_GRACE_SECONDS", "600");

#[tokio::test]
async fn sigterm_under_load_loses_no_request_that_was_taken() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start().await;
    let service = Service::start_with(database.url(), &[GRACE]).await;
    let exchange = Exchange::open(database.url(), &service.client(), 4).await;
    exchange.fund_all(&service.client(), "1").await;
    let load = Load::start(&service.client(), &exchange, &receiver, "graceful");
    load.answered(rand::random_range(30..100)).await;
    let begun = Instant::now();
    service.signal(Signal::SIGTERM);
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped"), "{}", ended.stderr);

    let history = load.ended().await;
    let keys = "SELECT key FROM book_main.idempotency_keys";
    let keys: Vec<_> = books.rows(keys).await.into_iter().flatten().collect();
    for told in &history {
        let key = told.call.key();
        match (&told.answer, &told.error) {
            // Only who was told so before can have been turned away.
            (Some(answer), _) => assert!(
                matches!(answer.status.as_u16(), 200 | 422)
                    || answer.status == 503 && told.told < begun,
                "{key}: {}\n{}",
                answer.text,
                ended.stderr
            ),
            // Refused, or hung up on before anything happened: never an answer cut short.
            (None, Some(error)) => {
                assert!(
                    !error.is_body() && !error.is_decode() && !error.is_timeout(),
                    "{error:?}"
                );
                assert!(
                    !keys.iter().any(|kept| kept == key),
                    "{key} was not answered"
                );
            }
            (None, None) => panic!("neither an answer nor an error"),
        }
    }

    let service = Service::start(database.url()).await;
    books.settled().await;
    assert_kept(&history, &service.client(), &books).await;
    books.settled().await;
    books.audit().await;
    assert_told(&receiver, &books).await;
    service.stopped().await;
}

#[tokio::test]
async fn a_service_that_stops_waits_for_no_idle_connection() {
    let database = TestDatabase::create().await;
    let settings = [
        GRACE,
        ("BURSAR_HTTP_KEEP_ALIVE_MS", "600000"),
        ("BURSAR_HTTP_HEAD_TIMEOUT_MS", "60000"),
    ];
    let service = Service::start_with(database.url(), &settings).await;
    let client = service.client();
    // One that was used, and one that never said anything.
    client.get("/health/live").await;
    let mut silent = TcpStream::connect(client.address()).await.unwrap();
    let begun = Instant::now();
    let ended = service.stopped().await;
    // Sooner than either of them is closed for being idle.
    assert!(
        begun.elapsed() < Duration::from_secs(50),
        "{}",
        ended.stderr
    );
    assert!(silent.read_u8().await.is_err());
}

#[tokio::test]
async fn a_second_signal_ends_a_service_that_is_held_up() {
    let database = TestDatabase::create().await;
    let body_timeout = ("BURSAR_HTTP_BODY_TIMEOUT_MS", "300000");
    let service = Service::start_with(database.url(), &[GRACE, body_timeout]).await;
    // A request whose body never comes holds the first signal up. That its head was taken is told
    // by the answer's first line.
    let mut slow = TcpStream::connect(service.client().address())
        .await
        .unwrap();
    let head = b"POST /internal-transfer HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                 content-type: application/json\r\ncontent-length: 9\r\n\r\n";
    slow.write_all(head).await.unwrap();
    let mut line = [0; 21];
    slow.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 100 Continue");
    service.signal(Signal::SIGTERM);
    eventually("the first signal is heard", async || {
        service.log().contains("SIGTERM: stopping").then_some(())
    })
    .await;
    service.signal(Signal::SIGTERM);
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
}
