//! Tokens of an identity provider that publishes its keys.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bursar_postgres::testing::TestDatabase;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::{
    exchange::{DEPOSIT, Exchange, INTERNAL},
    issuer::{AUDIENCE, ISSUER, claims},
    service::Service,
};

const COMMON: [(&str, &str); 3] = [
    ("BURSAR_JWT_ISSUER", ISSUER),
    ("BURSAR_JWT_AUDIENCE", AUDIENCE),
    ("BURSAR_JWT_ALGORITHMS", "EdDSA"),
];

fn token(key: &Ed25519KeyPair, claims: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = json!({"alg": "EdDSA", "kid": "2026"});
    let message = format!("{}.{}", part(&header), part(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

fn jwks(key: &Ed25519KeyPair) -> String {
    let x = BASE64URL_NOPAD.encode(key.public_key().as_ref());
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "2026", "x": x}]}).to_string()
}

#[tokio::test]
async fn a_user_and_an_operator_of_an_identity_provider_do_their_business() {
    let key = Ed25519KeyPair::generate().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), jwks(&key)).unwrap();
    let path = file.path().display().to_string();
    let database = TestDatabase::create().await;
    let mut settings = COMMON.to_vec();
    settings.push(("BURSAR_JWT_JWKS_FILE", &path));
    let service = Service::start_with(database.url(), &settings).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 2).await;
    let [alice, bob] = &exchange.traders[..] else {
        panic!("two were asked for");
    };

    let operator = token(&key, &claims("settlement", None, "openid backoffice_write"));
    let deposit = json!({"userId": alice.id, "assetId": "btc", "amount": "1"}).to_string();
    let operator = client.with(&operator);
    operator.post(DEPOSIT, deposit.clone()).await.ok();
    let user = token(
        &key,
        &claims("auth0|alice", Some(&alice.id), "allow_transfer"),
    );
    let payment = json!({"currency_code": "btc", "amount": "0.1", "recipient": bob.id});
    let payment = payment.to_string();
    let sent = client.with(&user).post(INTERNAL, payment.clone()).await;
    assert_eq!(sent.ok().text_of("sender"), alice.id);

    // Whom the provider knows and Bursar does not is nobody.
    let stranger = "99999999-9999-4999-8999-999999999999";
    let stranger = token(&key, &claims("x", Some(stranger), "allow_transfer admin"));
    let stranger = client.with(&stranger);
    let refused = stranger.post(INTERNAL, payment.clone()).await;
    refused.refused(403, "user.required");
    let refused = stranger.get("/admin/v1/assets").await;
    refused.refused(403, "user.required");
    // A permission without a user is of no use where money has to be somebody's.
    let nobody = token(&key, &claims("x", None, "allow_transfer"));
    let refused = client.with(&nobody).post(INTERNAL, payment).await;
    refused.refused(403, "user.required");
    let forged = token(
        &Ed25519KeyPair::generate().unwrap(),
        &claims("x", None, "admin"),
    );
    let refused = client.with(&forged).post(DEPOSIT, deposit).await;
    let refused = refused.refused(401, "token.invalid");
    let challenge = refused.header("www-authenticate");
    assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
    service.stopped().await;
}

#[tokio::test]
async fn an_identity_provider_that_is_away_is_no_reason_not_to_serve() {
    let database = TestDatabase::create().await;
    // Bound and never listened on by anybody who would answer.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", nobody.local_addr().unwrap());
    drop(nobody);
    let mut settings = COMMON.to_vec();
    settings.push(("BURSAR_JWT_JWKS_URL", &url));
    let service = Service::start_with(database.url(), &settings).await;
    let client = service.client();
    let key = Ed25519KeyPair::generate().unwrap();
    let jwt = token(&key, &claims("settlement", None, "admin"));
    let unknown = client.with(&jwt).get("/admin/v1/assets").await;
    let unknown = unknown.refused(503, "service.unavailable");
    assert_eq!(unknown.text_of("outcome"), "not_executed");
    assert_eq!(unknown.header("retry-after"), Some("1"));
    let nonsense = client.with("nonsense").get("/admin/v1/assets").await;
    nonsense.refused(401, "token.invalid");
    // Tokens of our own need nobody else.
    let exchange = Exchange::open(database.url(), &client, 1).await;
    assert_eq!(exchange.traders.len(), 1);
    let log = service.stopped().await.stderr;
    assert!(log.contains("the JWKS was not renewed"), "{log}");
    assert!(!log.contains(&jwt), "{log}");
}
