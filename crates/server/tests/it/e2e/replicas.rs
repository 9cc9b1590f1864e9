//! Two replicas behind one database behave as one.

use std::time::{Duration, Instant};

use bursar_audit::record::Line;
use bursar_postgres::testing::TestDatabase;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    books::Books,
    client::Client,
    exchange::{CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, WAIT, WITHDRAW},
    history::{Before, Watch, assert_serializable},
    load::Load,
    receiver::Receiver,
    service::Service,
};

/// Each replica remembers a token for ten seconds at most.
const REVOKED_WITHIN: Duration = Duration::from_secs(15);

struct Scene {
    services: [Service; 2],
    exchange: Exchange,
    books: Books,
    // Last: nothing may use it when it is dropped.
    database: TestDatabase,
}

impl Scene {
    async fn set() -> Self {
        let database = TestDatabase::create().await;
        let first = Service::start(database.url()).await;
        let second = Service::start(database.url()).await;
        let client = first.client();
        let exchange = Exchange::open(database.url(), &client, 2).await;
        exchange
            .fund(&client, &exchange.traders[0], "btc", "10")
            .await;
        Self {
            services: [first, second],
            exchange,
            books: Books::of(database.url()),
            database,
        }
    }

    /// One of the replicas, by turns.
    fn replica(&self, number: usize) -> Client {
        self.services[number % self.services.len()].client()
    }

    async fn end(self) {
        self.books.settled().await;
        self.books.audit().await;
        for service in self.services {
            service.stopped().await;
        }
        self.database.close().await.unwrap();
    }
}

#[tokio::test]
async fn one_key_on_two_replicas_at_once_moves_money_once() {
    let scene = Scene::set().await;
    let [alice, bob] = &scene.exchange.traders[..] else {
        panic!("two users");
    };
    let body = json!({"currency_code": "btc", "amount": "0.5", "recipient": bob.id}).to_string();
    for key in ["waiting", "pending"] {
        let headers = [("idempotency-key", key), WAIT];
        let headers = if key == "waiting" {
            &headers[..]
        } else {
            &headers[..1]
        };
        let racing = (0..64).map(|number| {
            let client = scene.replica(number).with(&alice.token);
            let body = body.clone();
            async move { client.post_with(INTERNAL, body, headers).await.ok() }
        });
        let answers = join_all(racing).await;
        let originals = answers.iter().filter(|answer| !answer.is_replayed());
        assert_eq!(originals.count(), 1, "{key}");
        let code = answers[0].name();
        assert!(answers.iter().all(|answer| answer.name() == code), "{key}");
    }
    scene.books.settled().await;
    let transfers = "SELECT count(*) FROM book_main.transfers WHERE kind = 'internal'";
    assert_eq!(scene.books.number(transfers).await, 2);
    let (available, _) = Exchange::balance(&scene.replica(1), bob, "BTC").await;
    assert_eq!(available, "1.00000000");
    scene.end().await;
}

/// Whoever writes and reads where: what was answered by one replica is seen at the other.
#[tokio::test]
async fn what_both_replicas_tell_has_one_order() {
    let scene = Scene::set().await;
    let receiver = Receiver::start().await;
    let before = Before::of(&scene.books).await;
    let (mut loads, mut watches) = (vec![], vec![]);
    for number in 0..2 {
        let (client, round) = (scene.replica(number), format!("replica{number}"));
        loads.push(Load::start(&client, &scene.exchange, &receiver, &round));
        watches.push(Watch::start(&client, &scene.exchange));
    }
    for load in &loads {
        load.answered(300).await;
    }
    let (mut told, mut looks) = (vec![], vec![]);
    for load in loads {
        told.extend(load.ended().await);
    }
    for watch in watches {
        looks.extend(watch.ended().await);
    }
    scene.books.settled().await;
    let record = assert_serializable(&told, &looks, &before, &scene.books).await;
    let is_of_several = |line: &Line| matches!(line, Line::Saw(saw) if saw.lines.len() > 1);
    assert!(record.iter().any(is_of_several), "of one account at a time");
    scene.end().await;
}

#[tokio::test]
async fn of_a_confirm_and_a_cancel_at_once_one_wins() {
    let scene = Scene::set().await;
    let alice = &scene.exchange.traders[0];
    let backoffice = |number| scene.replica(number).with(&scene.exchange.backoffice);
    let mut confirmed = 0;
    for _ in 0..16 {
        let body = json!({"userId": alice.id, "assetId": "btc", "amount": "0.01"});
        let held = backoffice(0).post(WITHDRAW, body.to_string()).await.ok();
        let body = json!({"userId": alice.id, "transferId": held.name()}).to_string();
        let (first, second) = (backoffice(0), backoffice(1));
        let (confirm, cancel) = tokio::join!(
            first.post(CONFIRM, body.clone()),
            second.post(CANCEL, body.clone())
        );
        let won = if confirm.status == 200 {
            cancel.refused(409, "transfer.already_completed");
            confirmed += 1;
            assert_eq!(confirm.text_of("status"), "Completed");
            confirm
        } else {
            confirm.refused(409, "transfer.already_canceled");
            assert_eq!(cancel.text_of("status"), "Canceled");
            cancel
        };
        // Both replicas agree afterwards.
        let path = format!("/admin/v1/transfers/{}", held.name());
        for number in 0..2 {
            let admin = scene.replica(number).with(&scene.exchange.admin);
            let story = admin.get(&path).await.ok();
            assert_eq!(story.text_of("status"), won.text_of("status"));
        }
    }
    let (available, frozen) = Exchange::balance(&scene.replica(0), alice, "BTC").await;
    assert_eq!(
        super::units(&available),
        super::units("10") - confirmed * super::units("0.01")
    );
    assert_eq!(super::units(&frozen), 0);
    scene.end().await;
}

#[tokio::test]
async fn two_dispatchers_deliver_each_callback_once() {
    const TRANSFERS: usize = 120;
    let scene = Scene::set().await;
    let receiver = Receiver::start().await;
    let id = &scene.exchange.traders[0].id;
    let made = join_all((0..TRANSFERS).map(|number| {
        let client = scene.replica(number).with(&scene.exchange.backoffice);
        let body = json!({
            "userId": id, "assetId": "btc", "amount": "0.01",
            "callbackUrl": receiver.url(&format!("/{number}")),
        });
        async move { client.post(DEPOSIT, body.to_string()).await.ok().name() }
    }))
    .await;
    scene.books.settled().await;
    scene.books.delivered().await;
    for (number, id) in made.iter().enumerate() {
        let bodies = receiver.bodies(&format!("/{number}"));
        let [body] = &bodies[..] else {
            panic!("{number}: {bodies:?}");
        };
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (body["Id"].to_string(), &body["Status"]),
            (id.clone(), &json!("Completed"))
        );
    }
    // What could not be answered in time was tried again, and nothing was sent that was not tried.
    let tried = "SELECT count(*) FROM book_main.callback_attempts";
    let tried = scene.books.number(tried).await;
    let received = receiver.all().len();
    assert!(
        received <= usize::try_from(tried).unwrap(),
        "{received} of {tried}"
    );
    assert!(received < TRANSFERS * 2, "{received}");
    scene.end().await;
}

#[tokio::test]
async fn a_token_that_one_replica_revokes_is_soon_worth_nothing_on_the_other() {
    let scene = Scene::set().await;
    let alice = &scene.exchange.traders[0];
    let on_the_other = scene.replica(1).with(&alice.token);
    on_the_other.get("/balance").await.ok();
    let admin = scene.replica(0).with(&scene.exchange.admin);
    let tokens = admin.get("/admin/v1/tokens").await.ok().json();
    let mut tokens = tokens["data"].as_array().unwrap().iter();
    let token = tokens
        .find(|token| token["user_id"] == alice.id.as_str())
        .unwrap();
    let path = format!("/admin/v1/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path).await.status, 204);
    let revoked_at = Instant::now();
    let revoked = super::eventually("the other replica hears of it", async || {
        let answer = on_the_other.get("/balance").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    revoked.refused(401, "token.invalid");
    assert!(revoked_at.elapsed() < REVOKED_WITHIN);
    scene.end().await;
}
