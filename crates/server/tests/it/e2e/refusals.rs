//! Bad requests: each gets the contract's status and code, every wrong field is named, and nothing
//! changes, not even the idempotency key.

use bursar_postgres::testing::TestDatabase;
use serde_json::{Value, json};

use super::{
    books::Books,
    client::Client,
    exchange::{CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, WAIT, WITHDRAW},
    service::Service,
};

const NOBODY: &str = "99999999-9999-4999-8999-999999999999";
const KEY: (&str, &str) = ("idempotency-key", "survivor");

/// Raw JSON values that are no amounts, with the status and the code after `amount`'s name.
const NO_AMOUNTS: [(&str, u16, &str); 20] = [
    ("1e400", 400, "amount.invalid"),
    ("1e-400", 400, "amount.invalid"),
    ("NaN", 400, "json.malformed"),
    ("\"NaN\"", 400, "amount.invalid"),
    ("Infinity", 400, "json.malformed"),
    ("-1", 400, "amount.invalid"),
    ("\"-1\"", 400, "amount.invalid"),
    ("\"+1\"", 400, "amount.invalid"),
    ("0", 400, "amount.zero"),
    ("\"0.000\"", 400, "amount.zero"),
    ("\"\"", 400, "amount.missed"),
    ("null", 400, "amount.missed"),
    ("01", 400, "json.malformed"),
    ("\"01\"", 400, "amount.invalid"),
    ("\".5\"", 400, "amount.invalid"),
    ("\"1e-7\"", 400, "amount.invalid"),
    ("[1]", 400, "amount.invalid"),
    // One decimal too many for the asset, and for any asset.
    ("0.123456789", 400, "amount.too_precise"),
    ("0.1234567890123456789", 400, "amount.too_precise"),
    ("1234567890123456", 400, "amount.too_large"),
];

struct Scene {
    service: Service,
    exchange: Exchange,
    books: Books,
    // Last: nothing may use it when it is dropped.
    _database: TestDatabase,
}

impl Scene {
    /// Two users with a bitcoin each, and an open withdrawal of the second.
    async fn set() -> (Self, String) {
        let database = TestDatabase::create().await;
        let service = Service::start(database.url()).await;
        let client = service.client();
        let exchange = Exchange::open(database.url(), &client, 2).await;
        exchange.fund_all(&client, "1").await;
        let body = json!({"userId": exchange.traders[1].id, "assetId": "btc", "amount": 1});
        let backoffice = client.with(&exchange.backoffice);
        let held = backoffice.post(WITHDRAW, body.to_string()).await.ok();
        let scene = Self {
            service,
            books: Books::of(database.url()),
            exchange,
            _database: database,
        };
        (scene, held.name())
    }

    fn backoffice(&self) -> Client {
        self.service.client().with(&self.exchange.backoffice)
    }

    fn alice(&self) -> Client {
        let token = &self.exchange.traders[0].token;
        self.service.client().with(token)
    }

    /// A deposit or withdrawal of the first user, with a raw amount.
    fn open(&self, amount: &str) -> String {
        let id = &self.exchange.traders[0].id;
        format!(r#"{{"userId":"{id}","assetId":"btc","amount":{amount}}}"#)
    }

    /// A transfer to the second user, with a raw amount.
    fn send(&self, amount: &str) -> String {
        let id = &self.exchange.traders[1].id;
        format!(r#"{{"currency_code":"BTC","recipient":"{id}","amount":{amount}}}"#)
    }

    /// The three requests that move money, with a raw amount.
    fn with_amount(&self, amount: &str) -> [(Client, &'static str, String); 3] {
        [
            (self.backoffice(), DEPOSIT, self.open(amount)),
            (self.backoffice(), WITHDRAW, self.open(amount)),
            (self.alice(), INTERNAL, self.send(amount)),
        ]
    }
}

/// The fields that a problem names.
fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap().iter();
    errors
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_no_amount_is_refused_and_leaves_the_key_free() {
    let (scene, _) = Scene::set().await;
    let before = scene.books.sizes().await;
    for (amount, status, code) in NO_AMOUNTS {
        for (client, path, body) in scene.with_amount(amount) {
            for headers in [&[KEY][..], &[KEY, WAIT]] {
                let answer = client.post_with(path, body.clone(), headers).await;
                let problem = answer.refused(status, code).json();
                if code.starts_with("amount.") {
                    assert_eq!(fields(&problem), ["amount"], "{problem}");
                }
            }
        }
    }
    assert_eq!(scene.books.sizes().await, before);
    for (client, path, body) in scene.with_amount("0.5") {
        let answer = client.post_with(path, body, &[KEY, WAIT]).await.ok();
        assert!(!answer.is_replayed(), "{path}");
    }
    scene.books.audit().await;
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() {
    let (scene, _) = Scene::set().await;
    let before = scene.books.sizes().await;
    let million = "1".repeat(1_000_000);
    for (client, path, good) in scene.with_amount("1") {
        let twice = good.replace("\"amount\":1", "\"amount\":1,\"amount\":1");
        let broken = [good.as_bytes(), b"\xff"].concat();
        let inside = [
            &good.as_bytes()[..good.len() - 1],
            b",\"note\":\"\xc3\x28\"}",
        ]
        .concat();
        let large = good.replace("\"amount\":1", &format!("\"amount\":{million}"));
        for (body, status, code) in [
            (twice.into_bytes(), 400, "json.duplicate_key"),
            (broken, 400, "json.malformed"),
            (inside, 400, "json.malformed"),
            (large.into_bytes(), 413, "body.too_large"),
            (b"[]".to_vec(), 400, "json.object_required"),
            (b"{".to_vec(), 400, "json.malformed"),
            (vec![], 400, "json.malformed"),
        ] {
            let answer = client.post_with(path, body, &[KEY]).await;
            answer.refused(status, code);
        }
        for media in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
        ] {
            let headers = [KEY, ("content-type", media)];
            let answer = client.post_with(path, good.clone(), &headers).await;
            answer.refused(415, "media_type.unsupported");
        }
    }
    // The same name in another case is the same name, but only where case does not matter.
    let cases = scene
        .open("1")
        .replace("\"userId\"", "\"AMOUNT\":2,\"userId\"");
    let answer = scene.backoffice().post(DEPOSIT, cases).await;
    answer.refused(400, "json.duplicate_key");
    assert_eq!(scene.books.sizes().await, before);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let (scene, _) = Scene::set().await;
    let before = scene.books.sizes().await;
    let (backoffice, alice) = (scene.backoffice(), scene.alice());
    let bad = json!({
        "userId": "942fe02b", "assetId": "no such thing", "amount": -1,
        "comment": "x".repeat(1_001), "callbackUrl": "ftp://127.0.0.1/",
    });
    let all = ["userId", "assetId", "amount", "comment", "callbackUrl"];
    for path in [DEPOSIT, WITHDRAW] {
        let answer = backoffice.post(path, bad.to_string()).await;
        let problem = answer.refused(400, "request.invalid").json();
        assert_eq!(fields(&problem), all);
        let answer = backoffice.post(path, "{}").await;
        let problem = answer.refused(400, "request.invalid").json();
        assert_eq!(fields(&problem), ["userId", "assetId", "amount"]);
    }
    for path in [CONFIRM, CANCEL] {
        let body = r#"{"userId": 7, "transferId": "-1", "callbackUrl": "http://example.com/"}"#;
        let problem = backoffice
            .post(path, body)
            .await
            .refused(400, "request.invalid");
        assert_eq!(
            fields(&problem.json()),
            ["userId", "transferId", "callbackUrl"]
        );
        let problem = backoffice
            .post(path, "{}")
            .await
            .refused(400, "request.invalid");
        assert_eq!(fields(&problem.json()), ["userId", "transferId"]);
    }
    let bad = json!({
        "currency_code": "", "amount": "1,5", "recipient": "", "callback_url": "nowhere",
        "custom_id": "x".repeat(256), "note": 7,
    });
    let answer = alice.post(INTERNAL, bad.to_string()).await;
    let problem = answer.refused(400, "request.invalid").json();
    let all = [
        "currency_code",
        "amount",
        "recipient",
        "callback_url",
        "custom_id",
        "note",
    ];
    assert_eq!(fields(&problem), all);
    for (field, code) in [
        ("currency_code", "currency_code.missed"),
        ("amount", "amount.missed"),
        ("recipient", "recipient.missed"),
    ] {
        let mut body: Value = serde_json::from_str(&scene.send("1")).unwrap();
        body.as_object_mut().unwrap().remove(field);
        let answer = alice.post(INTERNAL, body.to_string()).await;
        assert_eq!(fields(&answer.refused(400, code).json()), [field]);
    }
    assert_eq!(scene.books.sizes().await, before);
}

#[tokio::test]
async fn what_does_not_exist_or_is_another_user_s_is_not_found() {
    let (scene, held) = Scene::set().await;
    let before = scene.books.sizes().await;
    let (backoffice, alice) = (scene.backoffice(), scene.alice());
    let id = &scene.exchange.traders[0].id;
    for path in [DEPOSIT, WITHDRAW] {
        let body = scene.open("1").replace(id.as_str(), NOBODY);
        let answer = backoffice.post_with(path, body, &[KEY]).await;
        answer.refused(404, "user.unknown");
        let body = scene.open("1").replace("btc", "doge");
        let answer = backoffice.post_with(path, body, &[KEY]).await;
        answer.refused(404, "asset.unknown");
    }
    let body = scene.send("1").replace("BTC", "DOGE");
    let answer = alice.post_with(INTERNAL, body, &[KEY]).await;
    answer.refused(404, "currency.unknown");
    for path in [CONFIRM, CANCEL] {
        // The second user's withdrawal, nobody's, and a number that can be nobody's.
        for (user, transfer) in [
            (id.as_str(), held.as_str()),
            (NOBODY, &held),
            (id, "9007199254740991"),
            (id, "99999999999999999999"),
        ] {
            let body = json!({"userId": user, "transferId": transfer}).to_string();
            let answer = backoffice.post_with(path, body, &[KEY]).await;
            answer.refused(404, "transfer.unknown");
        }
    }
    for code in ["TRF123456", "TRF", "%00", &held] {
        let answer = alice.get(&format!("{INTERNAL}/{code}")).await;
        answer.refused(404, "transfer.unknown");
    }
    let history = format!("/back-api/backoffice/transfers/account/?userId={NOBODY}");
    backoffice.get(&history).await.refused(404, "user.unknown");
    assert_eq!(scene.books.sizes().await, before);
}

#[tokio::test]
async fn only_those_who_may_move_money_do() {
    let (scene, held) = Scene::set().await;
    let before = scene.books.sizes().await;
    let client = scene.service.client();
    let finish = json!({"userId": scene.exchange.traders[1].id, "transferId": held}).to_string();
    for (path, body) in [
        (DEPOSIT, scene.open("1")),
        (WITHDRAW, scene.open("1")),
        (CONFIRM, finish.clone()),
        (CANCEL, finish),
        (INTERNAL, scene.send("1")),
    ] {
        let answer = client.post(path, body.clone()).await;
        let answer = answer.refused(401, "credentials.missing");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let answer = client.with("bur_wrong").post(path, body.clone()).await;
        answer.refused(401, "token.invalid");
        // An administrator is no back office and no user, and neither is the other.
        let stranger = if path == INTERNAL {
            scene.backoffice()
        } else {
            scene.alice()
        };
        for stranger in [stranger, client.with(&scene.exchange.admin)] {
            let answer = stranger.post(path, body.clone()).await;
            answer.refused(403, "permission.missing");
        }
    }
    assert_eq!(scene.books.sizes().await, before);
}
