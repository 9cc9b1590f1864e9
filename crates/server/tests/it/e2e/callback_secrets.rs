//! Callback secrets over the life of a deployment: for everybody from the start, shown once, ended
//! on every replica, and under the key that the configuration has.

use bursar_postgres::testing::TestDatabase;
use serde_json::json;

use super::{
    books::Books,
    client::Client,
    eventually,
    exchange::{DEPOSIT, Exchange},
    process::run,
    receiver::Receiver,
    service::{MASTER_KEY, Service, environment},
};

const SECRETS: &str = "/admin/v1/callback-secrets";
const NEW_KEY: &str = "new:6e65776b65796e65776b65796e65776b65796e65776b65796e65776b65796e65";

/// Makes a deposit that is told to this path, and gives the signatures that it came with.
async fn signatures(client: &Client, user: &str, receiver: &Receiver, path: &str) -> String {
    let before = receiver.received(path).len();
    let body = json!({
        "userId": user, "assetId": "btc", "amount": "1", "callbackUrl": receiver.url(path),
    });
    client.post(DEPOSIT, body.to_string()).await.ok();
    let received = receiver.expect(path, before + 1).await;
    received[before].headers["webhook-signature"].clone()
}

#[tokio::test]
async fn replicas_that_sign_a_first_callback_together_use_one_secret() {
    let database = TestDatabase::create().await;
    let (one, two) = tokio::join!(
        Service::start(database.url()),
        Service::start(database.url())
    );
    let client = one.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    let receiver = Receiver::start().await;
    let user = &exchange.traders[0].id;
    let offices = [&one, &two].map(|service| service.client().with(&exchange.backoffice));
    let paths: Vec<String> = (0..8).map(|number| format!("/{number}")).collect();
    let first = paths.iter().enumerate().map(|(number, path)| {
        let office = &offices[number % 2];
        signatures(office, user, &receiver, path)
    });
    let sent = futures_util::future::join_all(first).await;
    assert!(sent.iter().all(|sent| sent.split(' ').count() == 1));
    let admin = client.with(&exchange.admin);
    let listed = admin.get(SECRETS).await.ok();
    let rows = listed.json();
    let rows = rows["data"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{}", listed.text);
    assert_eq!(rows[0]["subject"], "backoffice");
    assert!(!listed.text.contains("whsec_"), "{}", listed.text);

    // The last one is ended; the next callback is signed all the same, everywhere with another.
    let id = rows[0]["id"].as_str().unwrap();
    assert_eq!(admin.delete(&format!("{SECRETS}/{id}")).await.status, 204);
    eventually("both replicas sign with a new secret", async || {
        for office in &offices {
            signatures(office, user, &receiver, "/after").await;
        }
        let listed = admin.get(SECRETS).await.ok().json();
        (listed["data"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    one.stopped().await;
    two.stopped().await;
}

#[tokio::test]
async fn what_cannot_be_decrypted_holds_callbacks_back_until_it_can() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let both = format!("{MASTER_KEY},{NEW_KEY}");
    let service = Service::start_with(url, &[("BURSAR_MASTER_KEY", &both)]).await;
    let exchange = Exchange::open(url, &service.client(), 1).await;
    let receiver = Receiver::start().await;
    let user = &exchange.traders[0].id;
    let office = service.client().with(&exchange.backoffice);
    signatures(&office, user, &receiver, "/before").await;
    service.stopped().await;

    let books = Books::of(url);
    // A replica that was not given the new key yet, while another uses it already.
    let service = Service::start(url).await;
    let mut settings = environment(url);
    let new_first = format!("{NEW_KEY},{MASTER_KEY}");
    settings.push(("BURSAR_MASTER_KEY", &new_first));
    let resealed = run(&["reseal"], &settings).await;
    assert_eq!(resealed.code, Some(0), "{}", resealed.stderr);
    assert!(
        resealed.stdout.starts_with("resealed: 1\n"),
        "{}",
        resealed.stdout
    );
    let office = service.client().with(&exchange.backoffice);
    let body = json!({
        "userId": user, "assetId": "btc", "amount": "1", "callbackUrl": receiver.url("/held"),
    });
    office.post(DEPOSIT, body.to_string()).await.ok();
    eventually("it is held back", async || {
        let tried = "SELECT outcome FROM book_main.callback_attempts WHERE outcome = 'unsigned'";
        (!books.rows(tried).await.is_empty()).then_some(())
    })
    .await;
    assert!(receiver.received("/held").is_empty());
    eventually("it is counted and logged", async || {
        let metrics = service.client().get("/metrics").await.text;
        let is_counted = metrics.contains("bursar_callback_secrets_unreadable_total");
        let log = service.log();
        let is_logged = log.contains("a callback secret cannot be decrypted");
        (is_counted && is_logged).then_some(())
    })
    .await;
    service.stopped().await;

    let service = Service::start_with(url, &[("BURSAR_MASTER_KEY", &new_first)]).await;
    receiver.expect("/held", 1).await;
    service.stopped().await;

    // A key that is lost for good takes the secret with it; then the next callback makes another.
    let mut settings = environment(url);
    let other_key = "other:6f746865726f746865726f746865726f746865726f746865726f746865726f74";
    settings.push(("BURSAR_MASTER_KEY", other_key));
    let revoked = run(&["reseal", "--revoke-unreadable"], &settings).await;
    assert_eq!(revoked.code, Some(0), "{}", revoked.stderr);
    let named = "unreadable callback secret: ";
    assert!(revoked.stdout.contains(named), "{}", revoked.stdout);
    let service = Service::start_with(url, &[("BURSAR_MASTER_KEY", other_key)]).await;
    let office = service.client().with(&exchange.backoffice);
    signatures(&office, user, &receiver, "/again").await;
    service.stopped().await;
}
