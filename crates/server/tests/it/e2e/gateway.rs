//! A payout gateway that has trouble of every kind, and keeps a record of what it has paid.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::{
    client::{Answer, Client},
    issuer::now,
};

/// Thirty-two bytes of 7.
pub(super) const SECRET: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const KEY: [u8; 32] = [7; 32];
pub(super) const RESULTS: &str = "/payout-results";

/// What it does with the first order of a payout. Asked again it says what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Pays and says so.
    None,
    /// Refuses.
    Refuses,
    /// Pays, and the answer is lost.
    Lost,
    /// Fails before it has paid.
    Fails,
    /// Pays too late for anybody to hear of it.
    Late,
    /// Says that it is under way, and pays.
    Pending,
    /// Is never done.
    Never,
}

/// What it knows of one payout.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The first order's body; all others must be the same.
    pub(super) order: String,
    /// How many orders came.
    pub(super) orders: usize,
    /// How many of them are not answered yet, and whose other end is still there.
    under_way: usize,
    /// How often it was paid.
    pub(super) paid: usize,
    /// Whether it was refused.
    pub(super) refused: bool,
}

type Record = Arc<Mutex<BTreeMap<i64, Known>>>;
type Plan = Arc<dyn Fn(i64) -> Trouble + Send + Sync>;

/// Listens until it is dropped. What it has paid outlives its death.
pub(super) struct Gateway {
    address: SocketAddr,
    record: Record,
    plan: Plan,
    /// Ends with the gateway, and everything under way with it.
    alive: Option<watch::Sender<()>>,
    listening: Option<JoinHandle<()>>,
}

impl Gateway {
    pub(super) async fn start(plan: impl Fn(i64) -> Trouble + Send + Sync + 'static) -> Self {
        let mut gateway = Self {
            address: "127.0.0.1:0".parse().unwrap(),
            record: Record::default(),
            plan: Arc::new(plan),
            alive: None,
            listening: None,
        };
        gateway.revive().await;
        gateway
    }

    /// What a service is configured with to use it.
    pub(super) fn url(&self) -> String {
        format!("http://{}/orders", self.address)
    }

    /// Breaks everything off that is under way, and answers nothing any more.
    pub(super) async fn die(&mut self) {
        self.alive = None;
        if let Some(listening) = self.listening.take() {
            listening.abort();
            assert!(listening.await.is_err_and(|error| error.is_cancelled()));
        }
    }

    /// Listens where it did before.
    pub(super) async fn revive(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (alive, life) = watch::channel(());
        let (record, plan) = (Arc::clone(&self.record), Arc::clone(&self.plan));
        self.alive = Some(alive);
        self.listening = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (record, plan) = (Arc::clone(&record), Arc::clone(&plan));
                let mut life = life.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = talk(stream, &record, &plan) => {}
                        _dead = life.changed() => {}
                    }
                });
            }
        }));
    }

    /// What it knows of every payout.
    pub(super) fn known(&self) -> BTreeMap<i64, Known> {
        self.record.lock().unwrap().clone()
    }

    /// How many orders it was given so far.
    pub(super) fn orders(&self) -> usize {
        self.known().values().map(|known| known.orders).sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

/// An order under way; it is not any more when this is dropped.
struct Order<'a> {
    record: &'a Record,
    id: i64,
}

impl<'a> Order<'a> {
    /// Notes an order and what it must be, and tells how many of the same payout came before.
    fn begin(record: &'a Record, body: &str) -> (Self, usize) {
        let order: Value = serde_json::from_str(body).unwrap();
        let id = order["id"].as_i64().unwrap();
        let mut all = record.lock().unwrap();
        let known = all.entry(id).or_default();
        if known.orders == 0 {
            body.clone_into(&mut known.order);
        }
        assert_eq!(known.order, body, "an order has changed");
        assert_eq!(known.under_way, 0, "two orders of {id} are under way");
        known.under_way += 1;
        known.orders += 1;
        (Self { record, id }, known.orders - 1)
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(self.record.lock().unwrap().get_mut(&self.id).unwrap());
    }

    /// Pays, and answers.
    fn pay(&self) -> (u16, String) {
        self.change(|known| known.paid += 1);
        (200, json!({"status": "paid"}).to_string())
    }

    fn refuse(&self) -> (u16, String) {
        self.change(|known| known.refused = true);
        let body = json!({"status": "refused", "detail": "no such address"});
        (422, body.to_string())
    }

    /// The answer to an order that came before.
    fn again(&self, trouble: Trouble) -> (u16, String) {
        let known = self.record.lock().unwrap()[&self.id].clone();
        match trouble {
            _ if known.paid > 0 => (200, json!({"status": "paid"}).to_string()),
            Trouble::Refuses => self.refuse(),
            Trouble::Never => (200, json!({"status": "pending"}).to_string()),
            Trouble::None | Trouble::Lost | Trouble::Fails | Trouble::Late | Trouble::Pending => {
                self.pay()
            }
        }
    }
}

impl Drop for Order<'_> {
    fn drop(&mut self) {
        self.change(|known| known.under_way -= 1);
    }
}

async fn talk(mut stream: TcpStream, record: &Record, plan: &Plan) {
    // Whoever is killed breaks off anywhere.
    let Some((head, body)) = read(&mut stream).await else {
        return;
    };
    assert!(is_signed(&head, &body), "{head}\n{body}");
    let (order, before) = Order::begin(record, &body);
    let trouble = plan(order.id);
    let (status, answer) = match trouble {
        _ if before > 0 => order.again(trouble),
        Trouble::None => order.pay(),
        Trouble::Refuses => order.refuse(),
        Trouble::Lost => {
            order.pay();
            return;
        }
        Trouble::Fails => (500, String::new()),
        Trouble::Late => {
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            order.pay();
            return;
        }
        Trouble::Pending => {
            order.pay();
            (200, json!({"status": "pending"}).to_string())
        }
        Trouble::Never => (200, json!({"status": "pending"}).to_string()),
    };
    let length = answer.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
    );
    // The order is answered with the first byte that the other side can read.
    drop(order);
    stream
        .write_all(answer.as_bytes())
        .await
        .unwrap_or_default();
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = vec![];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = header(head, "content-length")?.parse().ok()?;
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
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

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn is_signed(head: &str, body: &str) -> bool {
    let [id, timestamp, signature] = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .map(|name| header(head, name).unwrap_or_default());
    signature == sign(id, timestamp, body)
}

fn sign(id: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
}

/// Says what came of a payout, as the gateway does.
pub(super) async fn tell(client: &Client, id: i64, status: &str) -> Answer {
    tell_at(client, id, status, now()).await
}

/// The same with a signature of this time.
pub(super) async fn tell_at(client: &Client, id: i64, status: &str, seconds: u64) -> Answer {
    let body = json!({"id": id, "status": status}).to_string();
    let (message, timestamp) = (format!("result_{id}"), seconds.to_string());
    let signature = sign(&message, &timestamp, &body);
    let headers = [
        ("webhook-id", message.as_str()),
        ("webhook-timestamp", timestamp.as_str()),
        ("webhook-signature", signature.as_str()),
    ];
    client.post_with(RESULTS, body.clone(), &headers).await
}
