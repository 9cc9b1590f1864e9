//! Far more requests at once than there is room for.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bursar_postgres::testing::TestDatabase;
use futures_util::future::join_all;
use serde_json::json;

use crate::e2e::{
    books::Books,
    client::{Answer, Client},
    exchange::{DEPOSIT, Exchange, INTERNAL, Trader, WAIT},
    receiver::Receiver,
    service::Service,
};

/// Room for few.
const NARROW: [(&str, &str); 5] = [
    ("BURSAR_DATABASE_QUEUE_ITEMS", "8"),
    ("BURSAR_DATABASE_QUEUE_WAIT_MS", "200"),
    ("BURSAR_DATABASE_BATCH_ITEMS", "2"),
    ("BURSAR_DATABASE_BATCHERS", "1"),
    ("BURSAR_DATABASE_POOL_SIZE", "3"),
];
/// How many come at once.
const CROWD: usize = 300;
/// How many go on and on.
const BUSY: usize = 12;

struct Scene {
    service: Service,
    exchange: Exchange,
    books: Books,
    // Last: nothing may use it when it is dropped.
    database: TestDatabase,
}

impl Scene {
    async fn set() -> Self {
        let database = TestDatabase::create().await;
        let service = Service::start_with(database.url(), &NARROW).await;
        let exchange = Exchange::open(database.url(), &service.client(), 4).await;
        exchange.fund_all(&service.client(), "10").await;
        Self {
            service,
            exchange,
            books: Books::of(database.url()),
            database,
        }
    }

    fn client(&self) -> Client {
        self.service.client()
    }

    fn trader(&self, number: usize) -> &Trader {
        &self.exchange.traders[number % self.exchange.traders.len()]
    }

    /// Somebody pays somebody else, with this key.
    async fn pay(&self, number: usize, key: &str) -> Answer {
        let (from, to) = (self.trader(number), self.trader(number + 1));
        let body = json!({
            "currency_code": "btc", "amount": "0.0001", "recipient": to.id, "note": key,
        });
        let headers = [("idempotency-key", key), WAIT];
        let payer = self.client().with(&from.token);
        payer.post_with(INTERNAL, body.to_string(), &headers).await
    }

    async fn end(self) {
        self.books.settled().await;
        self.books.audit().await;
        self.service.stopped().await;
        self.database.close().await.unwrap();
    }
}

#[tokio::test]
async fn of_a_crowd_some_are_served_once_and_the_others_are_told_that_nothing_happened() {
    let scene = Scene::set().await;
    let keys: Vec<String> = (0..CROWD).map(|number| format!("crowd-{number}")).collect();
    let paying = keys.iter().enumerate();
    let paying = join_all(paying.map(|(number, key)| scene.pay(number, key)));
    let healthy = async {
        for path in ["/health/live", "/health/ready"] {
            assert_eq!(scene.client().get(path).await.status, 200, "{path}");
        }
    };
    let (answers, ()) = tokio::join!(paying, healthy);

    let (served, refused): (Vec<_>, Vec<_>) = keys
        .iter()
        .zip(answers)
        .partition(|(_, answer)| answer.status == 200);
    assert!(
        !served.is_empty() && !refused.is_empty(),
        "{} served",
        served.len()
    );
    for (_, answer) in &refused {
        let problem = answer.clone().refused(503, "service.overloaded").json();
        assert_eq!(problem["outcome"], "not_executed");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let made = "SELECT note FROM book_main.transfers WHERE note LIKE 'crowd-%' ORDER BY note";
    let made: Vec<String> = scene.books.rows(made).await.into_iter().flatten().collect();
    let mut expected: Vec<String> = served.iter().map(|(key, _)| (*key).clone()).collect();
    expected.sort_unstable();
    assert_eq!(made, expected);
    let bound = "SELECT key FROM book_main.idempotency_keys WHERE key LIKE 'crowd-%'";
    let bound: HashSet<String> = scene
        .books
        .rows(bound)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(bound, made.into_iter().collect());
    // Whoever comes back with its key is served.
    for (number, (key, _)) in refused.iter().enumerate().take(8) {
        scene.pay(number, key).await.ok();
    }
    scene.end().await;
}

/// Work that others do until they are told to stop.
struct Pressure(Arc<AtomicBool>);

impl Pressure {
    fn lasts(&self) -> bool {
        !self.0.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn lists_keep_neither_money_nor_callbacks_waiting() {
    let scene = Scene::set().await;
    let receiver = Receiver::start().await;
    let pressure = Pressure(Arc::default());
    let reader = scene.client().with(&scene.exchange.backoffice);
    let lists = join_all((0..BUSY).map(async |_| {
        let mut refused = 0;
        while pressure.lasts() {
            let path = "/back-api/api/v2/transfers?pageSize=100";
            let answer = reader.get(path).await;
            if answer.status != 200 {
                answer.refused(503, "service.overloaded");
                refused += 1;
            }
        }
        refused
    }));
    let money = async {
        for number in 0..10 {
            let path = format!("/{number}");
            let body = json!({
                "userId": scene.trader(number).id, "assetId": "btc", "amount": "0.01",
                "callbackUrl": receiver.url(&path),
            });
            let teller = scene.client().with(&scene.exchange.backoffice);
            let answer = teller.post_with(DEPOSIT, body.to_string(), &[WAIT]).await;
            assert_eq!(answer.ok().text_of("status"), "Completed");
            receiver.expect(&path, 1).await;
        }
        pressure.end();
    };
    let (refused, ()) = tokio::join!(lists, money);
    println!("{} lists were refused", refused.iter().sum::<u32>());
    scene.end().await;
}

#[tokio::test]
async fn money_keeps_neither_lists_nor_callbacks_waiting() {
    let scene = Scene::set().await;
    let receiver = Receiver::start().await;
    let pressure = Pressure(Arc::default());
    let payments = join_all((0..BUSY).map(async |payer| {
        let (mut served, mut number) = (0, 0);
        while pressure.lasts() {
            let answer = scene.pay(payer, &format!("busy-{payer}-{number}")).await;
            number += 1;
            if answer.status == 200 {
                served += 1;
            } else {
                answer.refused(503, "service.overloaded");
            }
        }
        served
    }));
    let others = async {
        let reader = scene.client().with(&scene.exchange.backoffice);
        for number in 0..5 {
            let path = format!("/{number}");
            let url = receiver.url(&path);
            made_somehow(&scene, &url).await;
            receiver.expect(&path, 1).await;
            reader
                .get("/back-api/api/v2/transfers?pageSize=10")
                .await
                .ok();
            assert_eq!(scene.client().get("/health/ready").await.status, 200);
        }
        pressure.end();
    };
    let (served, ()) = tokio::join!(payments, others);
    assert!(served.iter().sum::<u32>() > 0);
    scene.end().await;
}

/// A deposit that tells this URL, however often it has to be asked for.
async fn made_somehow(scene: &Scene, url: &str) {
    let body = json!({
        "userId": scene.trader(0).id, "assetId": "btc", "amount": "0.01", "callbackUrl": url,
    });
    let teller = scene.client().with(&scene.exchange.backoffice);
    let key = ("idempotency-key", url);
    crate::e2e::eventually("a deposit is taken", async || {
        let answer = teller
            .post_with(DEPOSIT, body.to_string(), &[key, WAIT])
            .await;
        (answer.status == 200).then_some(())
    })
    .await;
}
