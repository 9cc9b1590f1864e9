//! What the log must never tell, and what it must.
//!
//! Everything that a request, an answer of somebody else or the configuration may carry, and that is
//! nobody's business, is planted once, under a name of its own, in `credentials`, `money`,
//! `operators`, `refused`, `at_console` and `provider`; `struck` does it while the service is in
//! trouble. Whoever plants asks how it was answered, so that nothing counts that never arrived.
//!
//! Some texts are logged on purpose and planted nowhere: ids, subjects of credentials and names of
//! operators, ids of requests, hosts of callbacks, what a gateway says in `detail`, and of the identity
//! provider its codes of errors and the subject of somebody whom nobody has linked.

mod at_console;
mod credentials;
mod money;
mod operators;
mod planted;
mod provider;
mod refused;
#[cfg(feature = "failpoints")]
mod struck;

use bursar_postgres::testing::TestDatabase;
use bursar_testkit::IdentityProviderServer;
use serde_json::{Value, json};

use self::planted::Planted;
use super::{
    books::Books,
    client::Client,
    exchange::{DEPOSIT, Exchange, WAIT},
    gateway::{self, Gateway, Trouble},
    issuer,
    receiver::Receiver,
    service::Service,
};

/// Everything that anybody in the process has to say.
const TRACE: (&str, &str) = ("BURSAR_LOG_LEVEL", "trace");
/// In how many places something is planted at least, and how many requests carry it.
const PLACES_MIN: usize = 200;
const REQUESTS_MIN: usize = 100;

/// A service that tells everything, with all that it can be connected to, and a user with money.
struct Scene {
    service: Service,
    client: Client,
    exchange: Exchange,
    receiver: Receiver,
    gateway: Gateway,
    provider: IdentityProviderServer,
    books: Books,
    // Last: nothing may use it when it is dropped.
    database: TestDatabase,
}

impl Scene {
    async fn set() -> Self {
        let database = TestDatabase::create().await;
        let gateway = Gateway::start(|_| Trouble::Never).await;
        let clock = || i64::try_from(issuer::now()).unwrap();
        let provider = IdentityProviderServer::start(clock).await;
        let gateway_url = gateway.url();
        let mut settings = vec![
            TRACE,
            ("BURSAR_PAYOUT_URL", gateway_url.as_str()),
            ("BURSAR_PAYOUT_SECRET", gateway::SECRET),
        ];
        settings.extend(issuer::SETTINGS);
        settings.extend(provider::settings(&provider));
        let service = Service::start_with(database.url(), &settings).await;
        let client = service.client();
        let exchange = Exchange::open(database.url(), &client, 1).await;
        exchange.fund_all(&client, "10").await;
        Self {
            service,
            client,
            exchange,
            receiver: Receiver::start().await,
            gateway,
            provider,
            books: Books::of(database.url()),
            database,
        }
    }

    fn admin(&self) -> Client {
        self.client.with(&self.exchange.admin)
    }

    fn backoffice(&self) -> Client {
        self.client.with(&self.exchange.backoffice)
    }

    /// The user with money, as a client.
    fn trading(&self) -> Client {
        self.client.with(&self.exchange.traders[0].token)
    }

    /// The id of the user with money.
    fn user(&self) -> &str {
        &self.exchange.traders[0].id
    }

    /// A deposit that has gone through, to be taken back; tells its id.
    async fn deposit(&self) -> String {
        let body = json!({"userId": self.user(), "assetId": "btc", "amount": "0.1"});
        let office = self.backoffice();
        let deposit = office.post_with(DEPOSIT, body.to_string(), &[WAIT]);
        deposit.await.ok().name()
    }
}

#[tokio::test]
async fn no_secret_and_nothing_personal_is_ever_logged() {
    let scene = Scene::set().await;
    let mut planted = Planted::default();
    credentials::plant(&scene, &mut planted).await;
    money::plant(&scene, &mut planted).await;
    operators::plant(&scene, &mut planted).await;
    refused::plant(&scene, &mut planted).await;
    at_console::plant(&scene, &mut planted).await;
    provider::plant(&scene, &mut planted).await;
    scene.books.delivered().await;

    let metrics = scene.client.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let requests = "bursar_http_requests_total";
    assert!(metrics.text.contains(requests), "{}", metrics.text);
    planted.assert_not_in("the metrics", &metrics.text);
    let log = scene.service.stopped().await.stderr;
    planted.assert_not_in("the log", &log);
    assert!(log.contains("TRACE"), "nothing was logged at all");
    let answered = log.matches("\"message\":\"answered\"").count();
    let places = planted.count();
    assert!(answered >= REQUESTS_MIN, "only {answered} were answered");
    assert!(places >= PLACES_MIN, "only {places} were planted");
    println!("logs: {places} planted, {answered} requests");
}

/// The refusal says that the request's id finds the cause in the logs.
#[tokio::test]
async fn an_error_names_its_request_whatever_else_is_logged() {
    let database = TestDatabase::create().await;
    // Where it listens is what the test waits for.
    let settings = [("BURSAR_LOG_LEVEL", "error,bursar_server=info")];
    let service = Service::start_with(database.url(), &settings).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    exchange
        .fund(&client, &exchange.traders[0], "btc", "1")
        .await;
    let wrong = "UPDATE book_main.transfers SET entry_refs = '{1, 99}'";
    Books::of(database.url()).tampered(wrong).await;
    let backoffice = client.with(&exchange.backoffice);
    let answer = backoffice.get("/admin/v1/transfers/1").await;
    let id = answer.refused(500, "internal").text_of("instance");
    let log = service.stopped().await.stderr;
    let cause = log
        .lines()
        .find(|line| line.contains("its seal does not fit"));
    assert!(cause.is_some_and(|line| line.contains(&id)), "{log}");
}

#[tokio::test]
async fn every_request_has_one_line_with_its_id() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = service.client();
    let id = ("x-request-id", "from-a-client");
    let answer = client.get_with("/balance", &[id]).await;
    assert_eq!(answer.header("x-request-id"), Some("from-a-client"));
    assert_eq!(answer.json()["instance"], "from-a-client");
    let log = service.stopped().await.stderr;
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let about = |line: &&Value| line["request_id"] == "from-a-client";
    let found: Vec<&Value> = lines.iter().filter(about).collect();
    let [line] = found[..] else {
        panic!("{log}");
    };
    assert_eq!(line["message"], "answered");
    assert_eq!(line["route"], "/balance");
    assert_eq!(line["status"], 401);
    // Whoever tells every step of theirs is quiet at this level.
    let talkative = lines
        .iter()
        .find(|line| line["target"] == "actix_server::builder");
    assert_eq!(talkative, None);
}
