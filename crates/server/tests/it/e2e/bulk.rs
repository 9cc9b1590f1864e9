//! Bulks through the real binary.

use bursar_postgres::testing::TestDatabase;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    books::Books,
    client::{Answer, Client},
    exchange::{BULK, Exchange, INTERNAL, Trader, WAIT},
    receiver::Receiver,
    service::Service,
};

/// The most transfers of one bulk.
const ITEMS_MAX: usize = 1_000;

fn item(recipient: &Trader, amount: &str, note: &str) -> Value {
    json!({"currency_code": "btc", "amount": amount, "recipient": recipient.id, "note": note})
}

fn bulk(items: &[Value], atomic: bool) -> String {
    json!({"transfers": items, "atomic": atomic}).to_string()
}

fn statuses(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let results = answer["results"].as_array().unwrap().iter();
    results
        .map(|one| one["status"].as_str().unwrap().to_owned())
        .collect()
}

struct Scene {
    service: Service,
    exchange: Exchange,
    books: Books,
    // Last: nothing may use it when it is dropped.
    database: TestDatabase,
}

impl Scene {
    async fn set(traders: usize) -> Self {
        let database = TestDatabase::create().await;
        let service = Service::start(database.url()).await;
        let client = service.client();
        let exchange = Exchange::open(database.url(), &client, traders).await;
        let rich = &exchange.traders[0];
        exchange.fund(&client, rich, "btc", "1000").await;
        Self {
            service,
            exchange,
            books: Books::of(database.url()),
            database,
        }
    }

    fn alice(&self) -> Client {
        self.service.client().with(&self.exchange.traders[0].token)
    }

    async fn end(self) {
        self.books.settled().await;
        self.books.audit().await;
        self.service.stopped().await;
        self.database.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_thousand_transfers_are_one_request() {
    let mut scene = Scene::set(3).await;
    let receiver = Receiver::start().await;
    let bob = &scene.exchange.traders[1];
    let items: Vec<Value> = (0..ITEMS_MAX)
        .map(|number| {
            let mut item = item(bob, "0.01", "many");
            item["custom_id"] = json!(number.to_string());
            item["callback_url"] = json!(receiver.url(&format!("/{number}")));
            item
        })
        .collect();
    let body = bulk(&items, false);
    let key = ("idempotency-key", "thousand");
    let made = scene
        .alice()
        .post_with(BULK, body.clone(), &[key])
        .await
        .ok();
    // More than may fail are settled where they are made.
    assert!(statuses(&made).iter().all(|status| status == "success"));
    scene.books.delivered().await;
    for number in 0..ITEMS_MAX {
        let bodies = receiver.bodies(&format!("/{number}"));
        let [told] = &bodies[..] else {
            panic!("{number}: {bodies:?}");
        };
        let told: Value = serde_json::from_str(told).unwrap();
        assert_eq!(told["custom_id"], number.to_string());
        assert_eq!(told["status"], "success");
    }
    // The same after a restart.
    scene.service.stopped().await;
    scene.service = Service::start(scene.database.url()).await;
    let again = scene.alice().post_with(BULK, body, &[key]).await.ok();
    assert!(again.is_replayed());
    assert!(statuses(&again).iter().all(|status| status == "success"));
    let codes = |answer: &Answer| -> Vec<Value> {
        let answer = answer.json();
        let results = answer["results"].as_array().unwrap().iter();
        results.map(|one| one["code"].clone()).collect()
    };
    assert_eq!(codes(&again), codes(&made));
    let bob = scene.exchange.traders[1].clone();
    let (available, _) = Exchange::balance(&scene.service.client(), &bob, "BTC").await;
    assert_eq!(available, "10.00000000");
    scene.end().await;
}

#[tokio::test]
async fn an_atomic_refusal_leaves_everything_as_it_was() {
    let scene = Scene::set(2).await;
    let bob = &scene.exchange.traders[1];
    scene
        .alice()
        .post_with(INTERNAL, item(bob, "1", "first").to_string(), &[WAIT])
        .await
        .ok();
    let before = scene.books.sizes().await;
    let mut items = vec![item(bob, "1", "atomic"); ITEMS_MAX - 1];
    items.push(item(bob, "1", "atomic"));
    let refused = scene.alice().post(BULK, bulk(&items, true)).await;
    let refused = refused.refused(422, "bulk.refused").json();
    let results = refused["results"].as_array().unwrap();
    assert_eq!(results.len(), ITEMS_MAX);
    assert_eq!(results[0]["code"], "bulk.not_executed");
    assert_eq!(results[ITEMS_MAX - 1]["code"], "balance.insufficient");
    assert_eq!(scene.books.sizes().await, before);
    // One less is covered to the last satoshi.
    items.pop();
    let made = scene.alice().post(BULK, bulk(&items, true)).await.ok();
    assert!(statuses(&made).iter().all(|status| status == "success"));
    let (available, _) = Exchange::balance(&scene.alice(), &scene.exchange.traders[0], "BTC").await;
    assert_eq!(available, "0.00000000");
    scene.end().await;
}

/// How many clients send bulks until the service is killed, and how long the bulks are.
const CLIENTS: usize = 4;
const ITEMS: usize = 60;

/// A bulk that was sent, and its answer if a whole one came.
struct Sent {
    key: String,
    body: String,
    answer: Option<Answer>,
}

impl Scene {
    /// Each client sends bulks, by turns atomic, until it gets no answer.
    fn send_bulks(&self, round: usize) -> Vec<JoinHandle<Vec<Sent>>> {
        let send = |client: usize| {
            let (alice, to) = (self.alice(), self.exchange.traders[client + 1].clone());
            tokio::spawn(async move {
                let mut sent = Vec::new();
                loop {
                    let key = format!("{round}-{client}-{}", sent.len());
                    let items = vec![item(&to, "0.0001", &key); ITEMS];
                    let body = bulk(&items, sent.len() % 2 == 0);
                    let headers = [("idempotency-key", key.as_str()), WAIT];
                    let answer = alice.try_post(BULK, body.clone(), &headers).await.ok();
                    let answered = answer.is_some();
                    sent.push(Sent { key, body, answer });
                    if !answered {
                        return sent;
                    }
                }
            })
        };
        (0..CLIENTS).map(send).collect()
    }

    /// How many bulks have been made.
    async fn made(&self) -> i64 {
        let made = "SELECT count(*) FROM book_main.idempotency_keys WHERE results IS NOT NULL";
        self.books.number(made).await
    }

    /// The keys of the bulks of which something is there; all of them are there whole.
    async fn whole_ones(&self, round: usize) -> Vec<String> {
        let notes = format!(
            "SELECT note, count(*) FROM book_main.transfers
             WHERE note LIKE '{round}-%' GROUP BY note"
        );
        let rows = self.books.rows(&notes).await;
        for row in &rows {
            assert_eq!(row[1], ITEMS.to_string(), "{row:?}");
        }
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }
}

/// `kill -9` in the middle of bulks: each is there whole or not at all, and repeating it with its
/// key makes it once.
#[tokio::test]
async fn a_bulk_survives_kill_9_whole_or_not_at_all() {
    let mut scene = Scene::set(CLIENTS + 1).await;
    let mut cut_off = 0;
    for round in 0..4 {
        let before = scene.made().await;
        let sending = scene.send_bulks(round);
        super::eventually("some bulks are made", async || {
            (scene.made().await > before + 5).then_some(())
        })
        .await;
        scene.service.killed().await;
        let sent = join_all(sending).await.into_iter().flat_map(Result::unwrap);
        let sent: Vec<Sent> = sent.collect();
        scene.service = Service::start(scene.database.url()).await;
        scene.books.audit().await;
        let landed = scene.whole_ones(round).await;
        for Sent { key, body, answer } in &sent {
            let headers = [("idempotency-key", key.as_str()), WAIT];
            let alice = scene.alice();
            let again = alice.post_with(BULK, body.clone(), &headers).await.ok();
            assert_eq!(again.is_replayed(), landed.contains(key), "{key}");
            match answer {
                Some(answer) => assert_eq!(answer.text, again.text, "{key}"),
                None => cut_off += 1,
            }
        }
        assert_eq!(scene.whole_ones(round).await.len(), sent.len());
        scene.books.audit().await;
    }
    assert!(
        cut_off > 0,
        "no bulk was under way when the service was killed"
    );
    scene.end().await;
}
