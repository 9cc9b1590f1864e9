//! The event feed of a running service: two replicas, a real client, and streams that are cut.

use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{
    client::Client,
    eventually,
    exchange::{CONFIRM, Exchange, INTERNAL, WAIT, WITHDRAW},
    service::Service,
};

const EVENTS: &str = "/admin/v1/events";

/// A stream of events, read line by line from its connection.
struct Stream {
    lines: BufReader<TcpStream>,
}

impl Stream {
    /// Opens one and passes over the head of the answer.
    async fn open(client: &Client, token: &str, last: Option<i64>) -> Self {
        let mut connection = TcpStream::connect(client.address()).await.unwrap();
        let resumed = last.map_or(String::new(), |last| format!("last-event-id: {last}\r\n"));
        let head = format!(
            "GET {EVENTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             accept: text/event-stream\r\n{resumed}\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut stream = Self {
            lines: BufReader::new(connection),
        };
        let status = stream.line().await.unwrap();
        assert_eq!(status, "HTTP/1.1 200 OK");
        while stream.line().await.unwrap() != "" {}
        stream
    }

    /// The next line; none when the service has ended the answer. Chunks begin with a line of their
    /// own, which no line of a stream looks like.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let reading = self.lines.read_line(&mut line);
        let read = tokio::time::timeout(super::PATIENCE, reading).await;
        let read = read.expect("something comes in time").unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event: its id, name and data. None at the end.
    async fn event(&mut self) -> Option<(i64, String, Value)> {
        let (mut id, mut name) = (0, String::new());
        loop {
            let line = self.line().await?;
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse().unwrap();
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Some((id, name, serde_json::from_str(text).unwrap()));
            }
        }
    }

    /// Events up to this number.
    async fn up_to(&mut self, number: i64) -> Vec<Value> {
        let mut events = vec![];
        loop {
            let (id, name, data) = self.event().await.expect("the stream goes on");
            assert_eq!(
                (data["number"].as_i64(), &data["type"]),
                (Some(id), &json!(name))
            );
            events.push(data);
            if id >= number {
                return events;
            }
        }
    }
}

/// Everything that the feed tells so far.
async fn all(reader: &Client) -> Vec<Value> {
    let mut events = vec![];
    let mut after = json!(0);
    loop {
        let path = format!("{EVENTS}?after={after}&limit=3");
        let page = reader.get(&path).await.ok().json();
        let data = page["data"].as_array().unwrap();
        events.extend(data.clone());
        if data.is_empty() {
            return events;
        }
        after = page["next_after"].clone();
    }
}

fn types(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|event| event["type"].as_str().unwrap());
    types.collect()
}

/// A deposit, a payment of it and a withdrawal, by turns through each replica.
async fn trade(exchange: &Exchange, replicas: [&Client; 2]) {
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two users");
    };
    exchange.fund(replicas[0], alice, "btc", "1").await;
    let body = json!({"currency_code": "btc", "amount": "1", "recipient": bob.id});
    let paying = replicas[1].with(&alice.token);
    paying
        .post_with(INTERNAL, body.to_string(), &[WAIT])
        .await
        .ok();
    let operator = replicas[0].with(&exchange.backoffice);
    let body = json!({"userId": bob.id, "assetId": "btc", "amount": "1"});
    let opened = operator.post(WITHDRAW, body.to_string()).await.ok().name();
    let operator = replicas[1].with(&exchange.backoffice);
    let body = format!(r#"{{"userId": "{}", "transferId": {opened}}}"#, bob.id);
    operator.post(CONFIRM, body).await.ok();
}

const TRADE: [&str; 4] = [
    "deposit.completed",
    "internal.succeeded",
    "withdrawal.created",
    "withdrawal.completed",
];

#[tokio::test]
async fn two_replicas_tell_one_story_as_pages_and_as_streams() {
    let database = TestDatabase::create().await;
    let first = Service::start(database.url()).await;
    let second = Service::start(database.url()).await;
    let replicas = [first.client(), second.client()];
    let exchange = Exchange::open(database.url(), &replicas[0], 2).await;
    let reader = replicas[1].with(&exchange.backoffice);
    assert_eq!(all(&reader).await, Vec::<Value>::new());
    let mut streams = [
        Stream::open(&replicas[0], &exchange.backoffice, None).await,
        Stream::open(&replicas[1], &exchange.backoffice, None).await,
    ];

    trade(&exchange, [&replicas[0], &replicas[1]]).await;
    let told = streams[0].up_to(4).await;
    assert_eq!(types(&told), TRADE);
    assert_eq!(streams[1].up_to(4).await, told);
    assert_eq!(all(&reader).await, told);
    for (event, number) in told.iter().zip(1..) {
        assert_eq!(event["number"], number);
    }
    assert_eq!(told[2]["transfer"]["status"], "AwaitingConfirmation");
    assert_eq!(told[3]["transfer"]["status"], "Completed");
    assert_eq!(told[2]["transfer"]["id"], told[3]["transfer"]["id"]);

    // One stream is cut and taken up at the other replica.
    drop(streams);
    trade(&exchange, [&replicas[1], &replicas[0]]).await;
    let mut resumed = Stream::open(&replicas[1], &exchange.backoffice, Some(2)).await;
    let rest = resumed.up_to(8).await;
    assert_eq!(types(&rest)[..2], TRADE[2..]);
    assert_eq!(types(&rest)[2..], TRADE);

    first.stopped().await;
    second.stopped().await;
}

#[tokio::test]
async fn a_killed_replica_leaves_no_gap_and_the_other_one_goes_on_numbering() {
    let database = TestDatabase::create().await;
    let first = Service::start(database.url()).await;
    let second = Service::start(database.url()).await;
    let client = second.client();
    let exchange = Exchange::open(database.url(), &client, 2).await;
    let (a, b) = (first.client(), second.client());
    trade(&exchange, [&a, &b]).await;
    first.killed().await;
    trade(&exchange, [&b, &b]).await;
    let reader = client.with(&exchange.backoffice);
    let told = eventually("all events", async || {
        let told = all(&reader).await;
        (told.len() >= 8).then_some(told)
    })
    .await;
    assert_eq!(types(&told), [TRADE, TRADE].concat());
    for (event, number) in told.iter().zip(1..) {
        assert_eq!(event["number"], number);
    }
    second.stopped().await;
}

#[tokio::test]
async fn a_service_that_stops_ends_its_streams_and_does_not_wait_for_them() {
    let database = TestDatabase::create().await;
    // Longer than a test waits for the end of a service.
    let grace = ("BURSAR_SHUTDOWN_GRACE_SECONDS", "600");
    let service = Service::start_with(database.url(), &[grace]).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    let mut stream = Stream::open(&client, &exchange.backoffice, None).await;
    // One that nobody reads.
    let _silent = Stream::open(&client, &exchange.backoffice, None).await;
    exchange
        .fund(&client, &exchange.traders[0], "btc", "1")
        .await;
    assert_eq!(types(&stream.up_to(1).await), ["deposit.completed"]);
    service.stopped().await;
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn there_are_only_as_many_streams_as_the_operator_allows() {
    let database = TestDatabase::create().await;
    let settings = [("BURSAR_HTTP_EVENT_STREAMS", "1")];
    let service = Service::start_with(database.url(), &settings).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 0).await;
    let first = Stream::open(&client, &exchange.backoffice, None).await;
    let reader = client.with(&exchange.backoffice);
    let accept = [("accept", "text/event-stream")];
    let second = reader.get_with(EVENTS, &accept).await;
    second.refused(503, "events.streams_taken");
    // Pages are still to be had.
    reader.get(EVENTS).await.ok();
    drop(first);
    service.stopped().await;
}
