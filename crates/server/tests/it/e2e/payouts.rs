//! Withdrawals that a gateway pays out: what is shown meanwhile, who hears of the end, and that
//! nothing is ever paid twice.
//!
//! `BURSAR_PAYOUTS=2000 cargo test -p bursar-server --all-features --test it payouts` pays as many
//! as one likes.

use bursar_postgres::testing::TestDatabase;
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{
    books::Books,
    client::{Answer, Client},
    eventually,
    exchange::{CANCEL, CONFIRM, Exchange, WITHDRAW},
    gateway::{Gateway, RESULTS, SECRET, Trouble, tell, tell_at},
    issuer::now,
    receiver::Receiver,
    service::Service,
};

const PAYOUTS: usize = 200;
const KILLS: usize = 4;
/// How many are confirmed at once.
const AT_ONCE: usize = 8;
const LIST: &str = "/back-api/api/v2/transfers?pageSize=999";

async fn serve(database_url: &str, gateway: &Gateway) -> Service {
    let url = gateway.url();
    let settings = [
        ("BURSAR_PAYOUT_URL", url.as_str()),
        ("BURSAR_PAYOUT_SECRET", SECRET),
        ("BURSAR_PAYOUT_TIMEOUT_MS", "1000"),
    ];
    Service::start_with(database_url, &settings).await
}

/// A withdrawal whose creation URL is `/made/<number>`.
async fn withdraw(client: &Client, exchange: &Exchange, receiver: &Receiver, number: usize) -> i64 {
    let body = json!({
        "userId": exchange.traders[0].id, "assetId": "btc", "amount": "0.01",
        "callbackUrl": receiver.url(&format!("/made/{number}")),
    });
    let answer = client.post(WITHDRAW, body.to_string()).await.ok();
    answer.json()["id"].as_i64().unwrap()
}

fn finish(exchange: &Exchange, id: i64, callback_url: Option<&str>) -> String {
    let user = &exchange.traders[0].id;
    json!({"userId": user, "transferId": id, "callbackUrl": callback_url}).to_string()
}

async fn status(client: &Client, id: i64) -> String {
    let list = client.get(LIST).await.ok().json();
    let rows = list.as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == id).unwrap();
    row["status"].as_str().unwrap().to_owned()
}

/// Waits for the gateway's first order of a payout.
async fn ordered(gateway: &Gateway, id: i64) {
    eventually("the gateway is asked", async || {
        gateway.known().contains_key(&id).then_some(())
    })
    .await;
}

/// What the gateway may say, what contradicts it, what is shown then, and what the contradiction is
/// answered with.
const ENDS: [(&str, &str, &str, &str); 2] = [
    ("paid", "refused", "Completed", "transfer.already_completed"),
    ("refused", "paid", "Failed", "transfer.already_failed"),
];

#[tokio::test]
async fn a_payout_under_way_awaits_confirmation_until_the_gateway_says_what_came_of_it() {
    let database = TestDatabase::create().await;
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(|_| Trouble::Never).await;
    let service = serve(database.url(), &gateway).await;
    let exchange = Exchange::open(database.url(), &service.client(), 1).await;
    let trader = &exchange.traders[0];
    exchange.fund(&service.client(), trader, "btc", "1").await;
    let client = service.client().with(&exchange.backoffice);
    let open = service.client();
    for (number, (said, otherwise, shown, code)) in ENDS.into_iter().enumerate() {
        let id = withdraw(&client, &exchange, &receiver, number).await;
        // Nobody was asked to pay it yet.
        receiver.expect(&format!("/made/{number}"), 1).await;
        let early = tell(&open, id, said).await;
        early.refused(409, "transfer.payout_not_under_way");
        let done = format!("/done/{number}");
        let confirm = finish(&exchange, id, Some(&receiver.url(&done)));
        let waiting = [("prefer", "wait")];
        for _ in 0..2 {
            let answer = client.post_with(CONFIRM, confirm.clone(), &waiting).await;
            let answer = answer.ok();
            assert_eq!(answer.text_of("status"), "AwaitingConfirmation");
            assert_eq!(answer.header("preference-applied"), None);
        }
        ordered(&gateway, id).await;
        assert_eq!(status(&client, id).await, "AwaitingConfirmation");
        let balance = Exchange::balance(&open, trader, "BTC").await;
        assert_eq!(balance.1, "0.01000000");
        let cancel = client.post(CANCEL, finish(&exchange, id, None)).await;
        cancel.refused(409, "transfer.payout_in_progress");
        assert_eq!(receiver.bodies(&done), Vec::<String>::new());

        let old = tell_at(&open, id, said, now() - 301).await;
        old.refused(401, "signature.invalid");
        assert_eq!(status(&client, id).await, "AwaitingConfirmation");
        for _ in 0..3 {
            let heard = tell(&open, id, said).await.ok();
            assert_eq!(heard.text, format!(r#"{{"id":{id},"status":"{said}"}}"#));
            assert_eq!(status(&client, id).await, shown);
        }
        tell(&open, id, otherwise).await.refused(409, code);
        let balance = Exchange::balance(&open, trader, "BTC").await;
        assert_eq!(balance, ("0.99000000".to_owned(), "0.00000000".to_owned()));

        let told = receiver.expect(&done, 1).await;
        assert!(told[0].body.contains(&format!(r#""Status":"{shown}""#)));
        let made = receiver.expect(&format!("/made/{number}"), 2).await;
        assert!(made[0].body.contains("AwaitingConfirmation"));
        assert!(made[1].body.contains(shown));
    }
    let unsigned = open.post(RESULTS, r#"{"id": 1, "status": "paid"}"#).await;
    unsigned.refused(401, "signature.invalid");
    let books = Books::of(database.url());
    books.delivered().await;
    for path in ["/done/0", "/done/1"] {
        assert_eq!(receiver.bodies(path).len(), 1, "{path}");
    }
    let scheduled = "SELECT count(*) FROM book_main.payouts";
    assert_eq!(books.number(scheduled).await, 0);
    books.audit().await;
    let metrics = open.get("/metrics").await.text;
    assert!(metrics.contains("bursar_payouts_under_way"), "{metrics}");
    let tries = r#"bursar_payout_attempts_total{outcome="under_way"}"#;
    assert!(metrics.contains(tries), "{metrics}");
    service.stopped().await;
}

/// Gives the user whose payouts these are a status.
async fn set_status(client: &Client, exchange: &Exchange, status: &str) {
    let body = json!({
        "username": "trader0", "email": "trader0@example.com",
        "roles": ["trader"], "status": status,
    });
    let path = format!("/admin/v1/users/{}", exchange.traders[0].id);
    let admin = client.with(&exchange.admin);
    admin.put(&path, body.to_string()).await.ok();
}

/// Makes a payout due in so much time, once nobody is at it, and forgets the word of its last try.
async fn put_off(books: &Books, id: i64, wait: &str) {
    let put_off = format!(
        "UPDATE book_main.payouts SET outcome = NULL, next_attempt_at = now() + interval '{wait}'
         WHERE transfer_id = {id} AND lease IS NULL RETURNING transfer_id"
    );
    eventually("nobody is at the payout", async || {
        (!books.rows(&put_off).await.is_empty()).then_some(())
    })
    .await;
}

/// The word of its next try, which orders nothing that the gateway hears of.
async fn word(books: &Books, gateway: &Gateway, id: i64) -> String {
    let outcome = format!("SELECT outcome FROM book_main.payouts WHERE transfer_id = {id}");
    eventually("the payout is tried", async || {
        let rows = books.rows(&outcome).await;
        assert_eq!(gateway.orders(), 0, "something was ordered");
        // NULL is an empty text.
        rows.into_iter().flatten().find(|word| !word.is_empty())
    })
    .await
}

/// The gateway is away until after the freeze, so that its first order would be one.
#[tokio::test]
async fn what_is_of_a_frozen_user_or_stopped_is_ordered_after_the_release_and_not_before() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start().await;
    let mut gateway = Gateway::start(|_| Trouble::None).await;
    let service = serve(database.url(), &gateway).await;
    let open = service.client();
    let exchange = Exchange::open(database.url(), &open, 1).await;
    exchange.fund(&open, &exchange.traders[0], "btc", "1").await;
    let client = open.with(&exchange.backoffice);
    gateway.die().await;
    let id = withdraw(&client, &exchange, &receiver, 0).await;
    let confirm = finish(&exchange, id, None);
    client.post(CONFIRM, confirm).await.ok();
    assert_eq!(word(&books, &gateway, id).await, "connect");

    // No try from before the freeze is under way when the gateway is back.
    put_off(&books, id, "1 hour").await;
    set_status(&open, &exchange, "Frozen").await;
    gateway.revive().await;
    for (stopped, held_up) in [("Frozen", "frozen"), ("Terminated", "terminated")] {
        set_status(&open, &exchange, stopped).await;
        for _ in 0..3 {
            put_off(&books, id, "0").await;
            assert_eq!(word(&books, &gateway, id).await, held_up);
        }
        let cancel = client.post(CANCEL, finish(&exchange, id, None)).await;
        cancel.refused(409, "transfer.payout_in_progress");
        assert_eq!(status_of(&books, id).await, "AwaitingConfirmation");
    }

    // Released, but now everything is stopped, and then the asset alone.
    let admin = open.with(&exchange.admin);
    let stops = ["read-only", "outgoing/btc"].map(|stop| format!("/admin/v1/stops/{stop}"));
    for stop in &stops {
        let put = admin.put(stop, r#"{"reason": "incident 42"}"#).await;
        assert_eq!(put.status, 204);
    }
    set_status(&open, &exchange, "Active").await;
    for stop in &stops {
        put_off(&books, id, "0").await;
        assert_eq!(word(&books, &gateway, id).await, "stopped");
        assert_eq!(admin.delete(stop).await.status, 204);
    }
    eventually("the payout ends", async || {
        (status(&client, id).await == "Completed").then_some(())
    })
    .await;
    ended(&books).await;
    let known = gateway.known();
    assert_eq!((known[&id].orders, known[&id].paid), (1, 1));
    books.audit().await;
    service.stopped().await;
}

/// Each kind of trouble for a sixth of the payouts.
fn plan(id: i64) -> Trouble {
    match id.rem_euclid(6) {
        0 => Trouble::None,
        1 => Trouble::Lost,
        2 => Trouble::Fails,
        3 => Trouble::Late,
        4 => Trouble::Pending,
        _ => Trouble::Refuses,
    }
}

fn payouts() -> usize {
    std::env::var("BURSAR_PAYOUTS").map_or(PAYOUTS, |payouts| payouts.parse().unwrap())
}

/// Confirms as many as get through, beside each other.
async fn confirm_all(client: &Client, exchange: &Exchange, receiver: &Receiver, ids: &[i64]) {
    let all = stream::iter(ids.iter().copied()).map(|id| {
        let url = receiver.url(&format!("/done/{id}"));
        let body = finish(exchange, id, Some(&url));
        async move { client.try_post(CONFIRM, body, &[]).await.ok() }
    });
    let answers: Vec<Option<Answer>> = all.buffer_unordered(AT_ONCE).collect().await;
    for answer in answers.into_iter().flatten() {
        assert!([200, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
}

/// Confirms what nobody has confirmed yet; whoever is turned away comes again.
async fn confirm_the_rest(
    books: &Books,
    client: &Client,
    exchange: &Exchange,
    receiver: &Receiver,
) {
    let unconfirmed = async || -> Vec<i64> {
        let rows = "SELECT id FROM book_main.transfers
                    WHERE state = 'AwaitingConfirmation' AND stage IS NULL";
        let rows = books.rows(rows).await;
        rows.iter().map(|row| row[0].parse().unwrap()).collect()
    };
    confirm_all(client, exchange, receiver, &unconfirmed().await).await;
    eventually("every withdrawal is confirmed", async || {
        let rest = unconfirmed().await;
        confirm_all(client, exchange, receiver, &rest).await;
        rest.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_is_ever_paid_twice() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start().await;
    let mut gateway = Gateway::start(plan).await;
    let mut service = serve(database.url(), &gateway).await;
    let exchange = Exchange::open(database.url(), &service.client(), 1).await;
    let trader = exchange.traders[0].clone();
    exchange
        .fund(&service.client(), &trader, "btc", "1000")
        .await;
    let backoffice = service.client().with(&exchange.backoffice);
    let mut ids = vec![];
    for number in 0..payouts() {
        ids.push(withdraw(&backoffice, &exchange, &receiver, number).await);
    }
    let mut under_way = 0;
    for (round, part) in ids.chunks(ids.len().div_ceil(KILLS)).enumerate() {
        let client = service.client().with(&exchange.backoffice);
        let wanted = gateway.orders() + part.len() / 4;
        tokio::join!(confirm_all(&client, &exchange, &receiver, part), async {
            eventually("payouts are ordered", async || {
                (gateway.orders() >= wanted).then_some(())
            })
            .await;
            if round % 2 == 0 {
                gateway.die().await;
            }
            service.signal(nix::sys::signal::Signal::SIGKILL);
        });
        assert_eq!(service.ended().await.code, None);
        let leased = "SELECT count(*) FROM book_main.payouts WHERE lease IS NOT NULL";
        under_way += books.number(leased).await;
        // Twice at once is what leases are against: those of the dead end, others do not.
        books
            .rows("UPDATE book_main.payouts SET next_attempt_at = now() WHERE lease IS NOT NULL")
            .await;
        if round % 2 == 0 {
            gateway.revive().await;
        }
        service = serve(database.url(), &gateway).await;
    }
    // Two replicas, and one of them asks whoever was cut off.
    let other = serve(database.url(), &gateway).await;
    let client = service.client().with(&exchange.backoffice);
    confirm_the_rest(&books, &client, &exchange, &receiver).await;
    ended(&books).await;
    books.delivered().await;
    books.audit().await;

    assert_paid_once(&gateway, &books, &receiver, &ids).await;
    assert!(under_way > 0, "nothing was under way when it was killed");
    println!(
        "{} payouts in {} orders, {under_way} under way when killed",
        ids.len(),
        gateway.orders()
    );
    other.stopped().await;
    service.stopped().await;
}

/// Waits until every payout has ended.
async fn ended(books: &Books) {
    eventually("every payout ends", async || {
        // What waits for a retry waits no longer; what is leased is left alone.
        let hurry = "UPDATE book_main.payouts SET next_attempt_at = now() WHERE lease IS NULL";
        books.rows(hurry).await;
        let left = "SELECT count(*) FROM book_main.payouts";
        (books.number(left).await == 0).then_some(())
    })
    .await;
}

/// Each payout has one effect at the gateway, the same here, and whoever confirmed heard of it.
async fn assert_paid_once(gateway: &Gateway, books: &Books, receiver: &Receiver, ids: &[i64]) {
    let known = gateway.known();
    assert_eq!(known.len(), ids.len());
    let mut left = 0;
    for id in ids {
        let known = &known[id];
        assert!(known.paid <= 1, "{id} was paid {} times", known.paid);
        assert_ne!(known.paid == 1, known.refused, "{id}: {known:?}");
        let shown = if known.refused { "Failed" } else { "Completed" };
        assert_eq!(status_of(books, *id).await, shown, "{id}");
        left += i128::from(known.refused);
        let told = receiver.bodies(&format!("/done/{id}"));
        assert!(!told.is_empty(), "{id}: nobody has heard of the end");
        let status = format!(r#""Status":"{shown}""#);
        assert!(told.iter().all(|body| body.contains(&status)), "{told:?}");
    }
    let ends = "SELECT count(*) FROM book_main.callbacks WHERE url LIKE '%/done/%'";
    assert_eq!(books.number(ends).await, i64::try_from(ids.len()).unwrap());
    let refused = i128::try_from(ids.len()).unwrap() / 7..=i128::try_from(ids.len()).unwrap() / 5;
    assert!(refused.contains(&left), "{left} were refused");
}

async fn status_of(books: &Books, id: i64) -> String {
    let state = format!("SELECT state FROM book_main.transfers WHERE id = {id}");
    books.rows(&state).await[0][0].clone()
}
