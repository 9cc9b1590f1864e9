//! Callbacks at a real receiver: which, how often, in which order, and to the byte.

use std::time::Duration;

use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};

use super::{
    books::Books,
    client::{Answer, Client},
    exchange::{CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, WAIT, WITHDRAW},
    receiver::Receiver,
    service::Service,
};

/// Everything that a test of callbacks needs; two users, the first of whom has 10 btc.
pub(super) struct Scene {
    pub(super) service: Service,
    pub(super) exchange: Exchange,
    pub(super) receiver: Receiver,
    pub(super) books: Books,
    pub(super) backoffice: Client,
    // Last: nothing may use it when it is dropped.
    _database: TestDatabase,
}

impl Scene {
    pub(super) async fn set() -> Self {
        let database = TestDatabase::create().await;
        let service = Service::start(database.url()).await;
        let client = service.client();
        let exchange = Exchange::open(database.url(), &client, 2).await;
        exchange
            .fund(&client, &exchange.traders[0], "btc", "10")
            .await;
        Self {
            backoffice: client.with(&exchange.backoffice),
            receiver: Receiver::start().await,
            books: Books::of(database.url()),
            service,
            exchange,
            _database: database,
        }
    }

    /// A deposit or withdrawal of the first user.
    pub(super) async fn open(&self, path: &str, amount: &str, callbacks: &str) -> Answer {
        let body = json!({
            "userId": self.exchange.traders[0].id, "assetId": "btc", "amount": amount,
            "callbackUrl": self.receiver.url(callbacks),
        });
        self.backoffice.post(path, body.to_string()).await.ok()
    }

    /// Confirms or cancels a withdrawal of the first user.
    pub(super) async fn finish(&self, path: &str, id: &str, callbacks: &str) -> Answer {
        let body = json!({
            "userId": self.exchange.traders[0].id, "transferId": id,
            "callbackUrl": self.receiver.url(callbacks),
        });
        self.backoffice.post(path, body.to_string()).await
    }

    /// Sends money from the first to the second user.
    pub(super) async fn send(&self, amount: &str, callbacks: &str) -> Answer {
        let [sender, recipient] = &self.exchange.traders[..] else {
            panic!("two users");
        };
        let body = json!({
            "currency_code": "BTC", "amount": amount, "recipient": recipient.id,
            "callback_url": self.receiver.url(callbacks),
            "custom_id": "a \"quoted\" id", "note": "naïve 💰",
        });
        let client = self.service.client().with(&sender.token);
        client
            .post_with(INTERNAL, body.to_string(), &[WAIT])
            .await
            .ok()
    }

    /// Once nothing is left to deliver, a path has received exactly these bodies.
    pub(super) async fn expect(&self, path: &str, bodies: &[String]) {
        self.books.delivered().await;
        assert_eq!(self.receiver.bodies(path), bodies, "{path}");
    }
}

#[tokio::test]
async fn production_takes_no_url_that_leads_inwards_and_development_says_what_it_allows() {
    let said = "callbacks may go to private addresses";
    let database = TestDatabase::create().await;
    let development = Service::start(database.url()).await;
    assert!(development.log().contains(said));
    development.stopped().await;

    let settings = [("BURSAR_PROFILE", "production")];
    let production = Service::start_with(database.url(), &settings).await;
    assert!(!production.log().contains(said));
    let exchange = Exchange::open(database.url(), &production.client(), 1).await;
    let client = production.client().with(&exchange.backoffice);
    for (url, status) in [
        ("http://127.0.0.1:9099/", 400),
        ("http://localhost:9099/", 400),
        ("https://127.0.0.1/", 400),
        ("https://localhost/", 400),
        ("https://callbacks.example.com/", 200),
    ] {
        let body = json!({
            "userId": exchange.traders[0].id, "assetId": "btc", "amount": "1",
            "callbackUrl": url,
        });
        let answer = client.post(DEPOSIT, body.to_string()).await;
        assert_eq!(answer.status, status, "{url}: {}", answer.text);
    }
    production.stopped().await;
}

/// The body of a back-office callback about `answer`'s transfer.
pub(super) fn told(answer: &Answer, amount: &str, status: &str, error: Option<&str>) -> String {
    let (id, created) = (answer.name(), answer.text_of("createdAt"));
    let kind = answer.text_of("type");
    let id_key = if kind == "Deposit" {
        "Id"
    } else {
        "TransferId"
    };
    let error = error.map_or("null".to_owned(), |error| format!("\"{error}\""));
    format!(
        r#"{{"Amount":{amount},"Status":"{status}","Asset":"btc","Type":"{kind}","{id_key}":{id},"CreatedAt":"{created}","Fee":0.0,"ErrorDetails":{error}}}"#
    )
}

/// The body of a callback about an internal transfer, of this amount, as [`Scene::send`] makes it.
pub(super) fn told_internal(sent: &Answer, amount: &str) -> String {
    let (code, shown) = (sent.name(), sent.json());
    let told = |key: &str| shown[key].to_string();
    let (created, updated, done) = (told("created_at"), told("updated_at"), told("done_at"));
    let (status, reason, message) = (told("status"), told("reason_code"), told("reason_message"));
    let (sender, recipient) = (told("sender"), told("recipient"));
    format!(
        r#"{{"code":"{code}","custom_id":"a \"quoted\" id","created_at":{created},"updated_at":{updated},"done_at":{done},"status":{status},"reason_code":{reason},"reason_message":{message},"currency_code":"BTC","amount":"{amount}","fee_amount":"0.00000000","sender":{sender},"recipient":{recipient},"note":"naïve 💰"}}"#
    )
}

#[tokio::test]
async fn a_deposit_is_told_once_when_it_is_final() {
    let scene = Scene::set().await;
    let deposit = scene.open(DEPOSIT, "0.00000001", "/deposit").await;
    let expected = told(&deposit, "0.00000001", "Completed", None);
    let received = scene.receiver.expect("/deposit", 1).await;
    scene.expect("/deposit", &[expected]).await;
    let headers = &received[0].headers;
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(
        headers["user-agent"],
        concat!("Bursar/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(headers["webhook-id"].len(), 36);
    assert!(headers["webhook-timestamp"].parse::<u64>().unwrap() > 1_700_000_000);
    // One secret, so one signature: 32 bytes of base64.
    let signature = headers["webhook-signature"].strip_prefix("v1,").unwrap();
    assert_eq!(signature.len(), 44, "{signature}");
}

#[tokio::test]
async fn a_withdrawal_tells_its_own_url_everything_and_each_operation_s_url_the_result() {
    let scene = Scene::set().await;
    for (path, operation, status) in [
        (CONFIRM, "confirm", "Completed"),
        (CANCEL, "cancel", "Canceled"),
    ] {
        let own = format!("/{operation}/own");
        let other = format!("/{operation}/other");
        let held = scene.open(WITHDRAW, "1", &own).await;
        scene.receiver.expect(&own, 1).await;
        scene.finish(path, &held.name(), &other).await.ok();
        let begun = told(&held, "1.0", "AwaitingConfirmation", None);
        let ended = told(&held, "1.0", status, None);
        scene.expect(&own, &[begun, ended.clone()]).await;
        scene.expect(&other, &[ended]).await;
    }
}

#[tokio::test]
async fn equal_urls_get_one_delivery() {
    let scene = Scene::set().await;
    let held = scene.open(WITHDRAW, "1.5", "/same").await;
    scene.receiver.expect("/same", 1).await;
    scene.finish(CONFIRM, &held.name(), "/same").await.ok();
    scene.finish(CONFIRM, &held.name(), "/same").await.ok();
    let begun = told(&held, "1.5", "AwaitingConfirmation", None);
    let ended = told(&held, "1.5", "Completed", None);
    scene.expect("/same", &[begun.clone(), ended.clone()]).await;
    // A repetition tells a URL that was not yet used for the operation.
    scene.finish(CONFIRM, &held.name(), "/later").await.ok();
    scene.expect("/later", std::slice::from_ref(&ended)).await;
    scene.expect("/same", &[begun, ended]).await;
}

#[tokio::test]
async fn a_refused_confirm_is_told_to_its_own_url_only() {
    let scene = Scene::set().await;
    let held = scene.open(WITHDRAW, "2", "/held").await;
    scene.receiver.expect("/held", 1).await;
    let canceled = scene.finish(CANCEL, &held.name(), "/canceled").await.ok();
    let refused = scene.finish(CONFIRM, &held.name(), "/refused").await;
    refused.refused(409, "transfer.already_canceled");
    let error = "The transfer is already canceled.";
    let failed = told(&held, "2.0", "Failed", Some(error));
    scene.expect("/refused", &[failed]).await;
    let begun = told(&held, "2.0", "AwaitingConfirmation", None);
    let ended = told(&held, "2.0", "Canceled", None);
    scene.expect("/held", &[begun, ended.clone()]).await;
    scene.expect("/canceled", &[ended]).await;
    let again = scene.finish(CANCEL, &held.name(), "/canceled").await.ok();
    assert_eq!(again.text, canceled.text);
}

#[tokio::test]
async fn an_internal_transfer_is_told_with_its_fourteen_keys() {
    let scene = Scene::set().await;
    for (amount, path, status, reason) in [
        ("0.25000000", "/success", "success", Value::Null),
        (
            "1000.00000000",
            "/rejected",
            "rejected",
            json!("balance.insufficient"),
        ),
    ] {
        let sent = scene.send(amount, path).await;
        let shown = sent.json();
        assert_eq!(
            (&shown["status"], &shown["reason_code"]),
            (&json!(status), &reason)
        );
        let expected = told_internal(&sent, amount);
        scene.expect(path, &[expected]).await;
    }
}

/// Keeps when what failed is to be tried again: whoever is late to look sees it tried by then.
const KEEP_PLANS: &str = "
    CREATE TABLE public.planned (callback_id uuid, at timestamptz);
    CREATE FUNCTION public.keep_plan() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.planned VALUES (NEW.id, NEW.next_attempt_at);
        RETURN NULL;
    END $$;
    CREATE TRIGGER keep_plan AFTER UPDATE ON book_main.callbacks FOR EACH ROW
    WHEN (NEW.attempts > OLD.attempts AND NEW.state = 'pending')
    EXECUTE FUNCTION public.keep_plan()";
/// How many milliseconds after the end of the first attempt the second was to come.
const PLANNED: &str = "
    SELECT (extract(epoch FROM p.at - a.at) * 1000 - a.duration_ms)::bigint
    FROM public.planned p JOIN book_main.callback_attempts a USING (callback_id)
    WHERE a.attempt = 1 ORDER BY p.at LIMIT 1";
/// Has what failed wait for an hour.
const PUT_OFF: &str = "
    CREATE FUNCTION public.put_off() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.next_attempt_at := now() + interval '1 hour';
        RETURN NEW;
    END $$;
    CREATE TRIGGER put_off BEFORE UPDATE ON book_main.callbacks FOR EACH ROW
    WHEN (NEW.attempts > OLD.attempts AND NEW.state = 'pending')
    EXECUTE FUNCTION public.put_off()";

#[tokio::test]
async fn a_retry_comes_after_the_first_step_with_the_same_id_and_body() {
    let scene = Scene::set().await;
    scene.books.rows(KEEP_PLANS).await;
    scene.receiver.answer_next("/retried", 500);
    scene.open(DEPOSIT, "3", "/retried").await;
    let received = scene.receiver.expect("/retried", 2).await;
    let [first, second] = &received[..] else {
        panic!("{received:?}");
    };
    assert_eq!(first.body, second.body);
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    let waited = second.at - first.at;
    // Five seconds, twenty percent less or more; and how long it takes to look for it is the machine's.
    assert!(waited >= Duration::from_millis(3_900), "{waited:?}");
    scene.books.delivered().await;
    let planned = scene.books.number(PLANNED).await;
    assert!((4_000..=6_001).contains(&planned), "{planned} ms");
    assert_eq!(scene.receiver.received("/retried").len(), 2);
}

#[tokio::test]
async fn the_final_state_comes_last_and_overtakes_what_failed() {
    let scene = Scene::set().await;
    scene.books.rows(PUT_OFF).await;
    scene.receiver.answer_next("/order", 503);
    let held = scene.open(WITHDRAW, "1", "/order").await;
    scene.receiver.expect("/order", 1).await;
    scene.finish(CONFIRM, &held.name(), "").await.ok();
    let begun = told(&held, "1.0", "AwaitingConfirmation", None);
    let ended = told(&held, "1.0", "Completed", None);
    // The one that failed is not due for an hour, and when it would be there is nothing left of it.
    scene.expect("/order", &[begun, ended]).await;
    let skipped = "SELECT state FROM book_main.callbacks WHERE status = 'AwaitingConfirmation'";
    assert_eq!(scene.books.rows(skipped).await, [["skipped"]]);
}
