//! What the log must never tell, and what it must.

use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};

use super::{
    books::Books,
    client::{Answer, Client},
    exchange::{DEPOSIT, Exchange, INTERNAL, WAIT},
    issuer,
    receiver::Receiver,
    service::{CODE_KEY, MASTER_KEY, Service},
};

/// Everything that anybody in the process has to say.
const TRACE: (&str, &str) = ("BURSAR_LOG_LEVEL", "trace");
/// In everything that a request may carry and that is nobody's business.
const CANARY: &str = "canary-1f0e";

/// The id of a user whose name and address are secret.
const ID: &str = "77777777-7777-4777-8777-777777777777";

#[tokio::test]
async fn no_secret_and_nothing_personal_is_ever_logged() {
    let database = TestDatabase::create().await;
    let mut settings = issuer::SETTINGS.to_vec();
    settings.push(TRACE);
    let service = Service::start_with(database.url(), &settings).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 1).await;
    exchange
        .fund(&client, &exchange.traders[0], "btc", "1")
        .await;
    let receiver = Receiver::start().await;
    let callbacks = format!("/{CANARY}?{CANARY}");
    let (access_key, secret_key) = make_user(&client, &exchange).await;
    move_money(&client, &exchange, &receiver.url(&callbacks)).await;
    let jwts = use_jwts(&client, &exchange.traders[0].id).await;
    for answer in be_refused(&client, &exchange, &access_key).await {
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
    }
    Books::of(database.url()).delivered().await;
    assert_eq!(receiver.bodies(&callbacks).len(), 2);

    let log = service.stopped().await.stderr;
    let password = database.url().split([':', '@']).nth(2).unwrap();
    for secret in [
        CANARY,
        &secret_key,
        &exchange.admin,
        &exchange.backoffice,
        &exchange.traders[0].token,
        password,
        MASTER_KEY.split_once(':').unwrap().1,
        CODE_KEY,
        issuer::SECRET,
        &jwts[0],
        &jwts[1],
    ] {
        assert!(secret.len() > 8, "{secret} is found in anything");
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} was logged");
    }
    assert!(log.contains("TRACE"), "nothing was logged at all");
}

/// A JWT that is good and one that is not; what is left of each is its signature.
async fn use_jwts(client: &Client, user: &str) -> [String; 2] {
    let mut claims = issuer::claims("alice", Some(user), "allow_balance");
    claims["email"] = json!(format!("{CANARY}@example.com"));
    let good = issuer::token(&claims);
    client.with(&good).get("/balance").await.ok();
    claims["exp"] = json!(1);
    let expired = issuer::token(&claims);
    let refused = client.with(&expired).get("/balance").await;
    refused.refused(401, "token.invalid");
    [good, expired].map(|token| token.rsplit('.').next().unwrap().to_owned())
}

/// Makes the secret user through the admin API, and an access key for it.
async fn make_user(client: &Client, exchange: &Exchange) -> (String, String) {
    let admin = client.with(&exchange.admin);
    let user = json!({
        "username": CANARY, "email": format!("{CANARY}@example.com"),
        "roles": [CANARY], "status": "Active",
    });
    let path = format!("/admin/v1/users/{ID}");
    admin.put(&path, user.to_string()).await.ok();
    let search = format!("/admin/v1/users?search={CANARY}");
    admin.get(&search).await.ok();
    let key = json!({"user_id": ID, "permissions": ["allow_balance"]});
    let key = admin.post("/admin/v1/access-keys", key.to_string()).await;
    let key = key.ok();
    (key.text_of("access_key"), key.text_of("secret_key"))
}

/// Requests that work, with the canary wherever there is room for it.
async fn move_money(client: &Client, exchange: &Exchange, callback_url: &str) {
    let trader = &exchange.traders[0];
    let backoffice = client.with(&exchange.backoffice);
    let trading = client.with(&trader.token);
    let body = json!({
        "userId": trader.id, "assetId": "btc", "amount": "1.23456789",
        "comment": CANARY, "callbackUrl": callback_url,
    });
    let headers = [("idempotency-key", CANARY), WAIT];
    let deposit = backoffice.post_with(DEPOSIT, body.to_string(), &headers);
    deposit.await.ok();
    let body = json!({
        "currency_code": "btc", "amount": "0.5", "recipient": format!("{CANARY}@example.com"),
        "note": CANARY, "custom_id": CANARY, "callback_url": callback_url,
    });
    let transfer = trading.post_with(INTERNAL, body.to_string(), &headers);
    assert_eq!(transfer.await.ok().text_of("status"), "success");
    let list = format!("{INTERNAL}?custom_id={CANARY}");
    trading.get(&list).await.ok();
    let list = format!("/back-api/api/v2/transfers?search={CANARY}");
    backoffice.get(&list).await.ok();
}

/// Requests that do not work, and what is said to them.
async fn be_refused(client: &Client, exchange: &Exchange, access_key: &str) -> Vec<Answer> {
    let trading = client.with(&exchange.traders[0].token);
    let wrong = client.with(&format!("bur_{CANARY}"));
    let unknown = wrong.get("/balance").await.refused(401, "token.invalid");
    let signed = [
        ("x-access-key", access_key),
        ("x-timestamp", "1"),
        ("x-signature", CANARY),
    ];
    let stale = client.get_with("/balance", &signed).await;
    let stale = stale.refused(401, "timestamp.expired");
    let broken = format!(r#"{{"{CANARY}": "{CANARY}", "amount": "{CANARY}", "note": {CANARY}}}"#);
    let broken = trading.post(INTERNAL, broken).await;
    let broken = broken.refused(400, "json.malformed");
    let wrong = json!({
        "currency_code": CANARY, "amount": CANARY, "recipient": CANARY, "note": [CANARY],
        "custom_id": {CANARY: CANARY}, "callback_url": format!("ftp://{CANARY}?{CANARY}"),
    });
    let headers = [("idempotency-key", "blanks are not allowed")];
    let fields = trading
        .post_with(INTERNAL, wrong.to_string(), &headers)
        .await;
    assert_eq!(fields.status, 400);
    let reused = json!({
        "currency_code": "btc", "amount": "0.4", "recipient": format!("{CANARY}@example.com"),
        "note": format!("another {CANARY}"), "custom_id": CANARY,
    });
    let reused = trading.post_with(INTERNAL, reused.to_string(), &[("idempotency-key", CANARY)]);
    let reused = reused.await.refused(422, "idempotency.key_reused");
    let admin = client.with(&exchange.admin);
    // An unknown name is told to whoever sent it, so that it can be mended.
    let wrong = json!({"username": "x", "email": CANARY, CANARY: CANARY}).to_string();
    let named = admin.put(&format!("/admin/v1/users/{ID}"), wrong).await;
    assert_eq!(named.status, 400);
    let taken = json!({
        "username": "x", "email": format!("{CANARY}@example.com"), "roles": [], "status": "Active",
    });
    let path = "/admin/v1/users/88888888-8888-4888-8888-888888888888";
    let taken = admin.put(path, taken.to_string()).await;
    let taken = taken.refused(422, "email.taken");
    let nothing = trading.get(&format!("/{CANARY}")).await;
    let nothing = nothing.refused(404, "route.unknown");
    let nobody = trading.get(&format!("{INTERNAL}/TRF{CANARY}")).await;
    let nobody = nobody.refused(404, "transfer.unknown");
    vec![
        unknown, stale, broken, fields, reused, taken, nothing, nobody,
    ]
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
