//! Changing the master key, as docs/OPERATIONS.md tells to.

use bursar_postgres::testing::TestDatabase;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::{
    client::Client,
    exchange::{CONFIRM, Exchange, WAIT, WITHDRAW},
    issuer,
    process::{Ended, run},
    service::{MASTER_KEY, Service, environment},
};

/// The key that is to take the place of the tests' usual one.
const NEW_KEY: &str = "new:6e65776b65796e65776b65796e65776b65796e65776b65796e65776b65796e65";

/// Runs `bursar reseal` with these master keys.
async fn reseal(database_url: &str, keys: &str, arguments: &[&str]) -> Ended {
    let mut settings = environment(database_url);
    settings.push(("BURSAR_MASTER_KEY", keys));
    let arguments = [&["reseal"], arguments].concat();
    run(&arguments, &settings).await
}

/// A request that is signed with an access key.
async fn signed_status(client: &Client, (access_key, secret): &(String, String)) -> u16 {
    // Nearly as far ahead as it may be, so that it is good for long.
    let millis = format!("{}000", issuer::now() + 4);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in [access_key, "/balance", &millis] {
        mac.update(part.as_bytes());
    }
    let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
    let headers = [
        ("x-access-key", access_key.as_str()),
        ("x-timestamp", &millis),
        ("x-signature", &signature),
    ];
    client.get_with("/balance", &headers).await.status.as_u16()
}

async fn issue(client: &Client, exchange: &Exchange) -> (String, String) {
    let body = json!({"user_id": exchange.traders[0].id, "permissions": ["allow_balance"]});
    let admin = client.with(&exchange.admin);
    let key = admin.post("/admin/v1/access-keys", body.to_string()).await;
    let key = key.ok();
    (key.text_of("access_key"), key.text_of("secret_key"))
}

#[tokio::test]
async fn the_old_key_can_go_once_everything_is_under_the_new_one() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let service = Service::start(url).await;
    let exchange = Exchange::open(url, &service.client(), 1).await;
    let mut keys = vec![];
    for _ in 0..3 {
        keys.push(issue(&service.client(), &exchange).await);
    }
    let trader = &exchange.traders[0];
    exchange.fund_all(&service.client(), "10").await;
    let withdrawal = json!({"userId": trader.id, "assetId": "btc", "amount": "3"});
    let backoffice = service.client().with(&exchange.backoffice);
    let held = backoffice.post(WITHDRAW, withdrawal.to_string()).await.ok();
    let held = held.json()["id"].as_i64().unwrap();
    service.stopped().await;

    // The new key in front, the old one behind it; secrets are changed while this serves.
    let both = format!("{NEW_KEY},{MASTER_KEY}");
    let service = Service::start_with(url, &[("BURSAR_MASTER_KEY", &both)]).await;
    let client = service.client();
    keys.push(issue(&client, &exchange).await);
    for key in &keys {
        assert_eq!(signed_status(&client, key).await, 200);
    }
    let refused = Service::refused(url, &[("BURSAR_MASTER_KEY", NEW_KEY)]).await;
    assert!(
        refused.stderr.contains("secrets rest under test"),
        "{}",
        refused.stderr
    );

    let done = reseal(url, &both, &[]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(
        done.stdout,
        "resealed: 3\nchanged meanwhile: 0\nunreadable: 0\n\
         under master key new: 4\nunder master key test: 0\n\
         transfers resealed: 1\ntransfers accepted: 0"
    );
    let again = reseal(url, &both, &[]).await;
    assert!(
        again.stdout.starts_with("resealed: 0\n"),
        "{}",
        again.stdout
    );
    for key in &keys {
        assert_eq!(signed_status(&client, key).await, 200);
    }
    let told = "/admin/v1/audit?action=secret.reseal&actor=local%20operator";
    let told = client.with(&exchange.admin).get(told).await.ok().json();
    let told = told["data"].as_array().unwrap().clone();
    assert_eq!(told.len(), 3);
    for row in told {
        assert_eq!(row["credential"], "local");
        assert_eq!(row["before"], json!({"master_key": "test"}));
        assert_eq!(row["after"], json!({"master_key": "new"}));
    }
    service.stopped().await;

    let service = Service::start_with(url, &[("BURSAR_MASTER_KEY", NEW_KEY)]).await;
    for key in &keys {
        assert_eq!(signed_status(&service.client(), key).await, 200);
    }
    let confirm = json!({"userId": trader.id, "transferId": held}).to_string();
    let backoffice = service.client().with(&exchange.backoffice);
    let confirmed = backoffice.post_with(CONFIRM, confirm, &[WAIT]).await.ok();
    assert_eq!(confirmed.text_of("status"), "Completed");
    service.stopped().await;
}

#[tokio::test]
async fn a_lost_key_takes_its_access_keys_with_it() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let service = Service::start(url).await;
    let exchange = Exchange::open(url, &service.client(), 1).await;
    let (lost, _) = issue(&service.client(), &exchange).await;
    service.stopped().await;

    let told = reseal(url, NEW_KEY, &[]).await;
    assert_eq!(told.code, Some(1), "{}", told.stdout);
    let named = format!("unreadable access key: {lost}");
    assert!(told.stdout.contains(&named), "{}", told.stdout);
    assert!(
        told.stderr.contains("1 secrets are not under"),
        "{}",
        told.stderr
    );
    let done = reseal(url, NEW_KEY, &["--revoke-unreadable"]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("revoked: 1\n"), "{}", done.stdout);
    let service = Service::start_with(url, &[("BURSAR_MASTER_KEY", NEW_KEY)]).await;
    let key = (lost, "whatever".to_owned());
    assert_eq!(signed_status(&service.client(), &key).await, 401);
    service.stopped().await;
}
