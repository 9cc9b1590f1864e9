//! Every endpoint of the document against every kind of credential, each cell with its status and
//! code. A new endpoint needs one line in `LINES`, and a value in `Scene::fill` for each new name in
//! a path.
//!
//! Where a cell is a refusal the body is broken on purpose: who may not call learns nothing else.

use std::collections::BTreeSet;

use bursar_postgres::testing::TestDatabase;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    client::{Answer, Client},
    console::browser::{Browser, Operator},
    exchange::{DEPOSIT, Exchange, INTERNAL, WAIT, WITHDRAW},
    issuer,
    service::Service,
};

/// The callers whose credentials are good, in the order of the cells: three of Alice (may pay, may
/// look at balances, both), Bob, three operators, one with every permission, and last a JWT of
/// Alice with every permission, of which only a user's count.
const CALLERS: [(&str, Option<usize>, &str); 9] = [
    ("payer", Some(0), "allow_transfer"),
    ("saver", Some(0), "allow_balance"),
    ("owner", Some(0), "allow_transfer allow_balance"),
    ("another", Some(1), "allow_transfer allow_balance"),
    ("reader", None, "backoffice_read"),
    (
        "operator",
        None,
        "backoffice_read backoffice_write backoffice_confirm",
    ),
    ("admin", None, "admin"),
    ("all", None, EVERYTHING),
    ("mighty", Some(0), EVERYTHING),
];
const EVERYTHING: &str = "backoffice_read backoffice_write backoffice_confirm backoffice_approve \
                          admin allow_transfer allow_balance";

/// An operation, what each caller gets, and a body that works.
///
/// `-` = 403 `permission.missing`, `user` = 403 `user.required`, `404` = 404 `transfer.unknown`,
/// `none` = 404 `address_book_code.unknown`, `done` = 409 `transfer.already_completed`, `open` in place of all = answers
/// everybody with 200, `signed` = everybody with 401 `signature.invalid`, for no credential of ours is a signature of the gateway.
type Line = (&'static str, &'static str, &'static str);

const MONEY: &str = r#"{"userId": "$alice", "assetId": "btc", "amount": "0.01"}"#;
const CONFIRMED: &str = r#"{"userId": "$alice", "transferId": $confirmed}"#;
const CANCELED: &str = r#"{"userId": "$alice", "transferId": $canceled}"#;
const PAYMENT: &str = r#"{"currency_code": "btc", "amount": "0.01", "recipient": "$carol"}"#;
const PAYMENTS: &str =
    r#"{"transfers": [{"currency_code": "btc", "amount": "0.01", "recipient": "$carol"}]}"#;
const ENTRY: &str = r#"{"code": "carol", "recipient": "$carol"}"#;
const ASSET: &str = r#"{"name": "btc", "scale": 8, "can_deposit": true, "can_withdraw": true, "can_transfer": true}"#;
const USER: &str =
    r#"{"username": "trader0", "email": "trader0@example.com", "roles": [], "status": "Active"}"#;
const TOKEN: &str = r#"{"subject": "x", "permissions": ["backoffice_read"], "ttl_seconds": 60}"#;
const SIGNER: &str = r#"{"subject": "x"}"#;
const TRIED: &str = r#"{"callback_url": "https://callbacks.example/"}"#;
const TRIED_AS: &str = r#"{"callback_url": "https://callbacks.example/", "subject": "x"}"#;
const REPLAY: &str = r#"{"since": "2021-04-09", "state": "dead"}"#;
const STOP: &str = r#"{"reason": "A test."}"#;
const BACK: &str = r#"{"amount": "0.00000001", "return_fee": false, "comment": "A test."}"#;
const KEY: &str = r#"{"user_id": "$alice", "permissions": ["allow_balance"]}"#;

#[rustfmt::skip]
const LINES: &[Line] = &[
    //                                                          payer saver owner another reader operator admin all mighty
    ("POST /back-api/backoffice/transfers/deposit",           "-     -     -     -       -      200      -     200   -", MONEY),
    ("POST /back-api/backoffice/transfers/withdraw",          "-     -     -     -       -      200      -     200   -", MONEY),
    ("POST /back-api/backoffice/transfers/withdraw-confirm",  "-     -     -     -       -      200      -     200   -", CONFIRMED),
    ("POST /back-api/backoffice/transfers/withdraw-cancel",   "-     -     -     -       -      200      -     200   -", CANCELED),
    ("GET /back-api/backoffice/transfers/account/",           "-     -     -     -       200    200      -     200   -", ""),
    ("GET /back-api/api/v2/transfers",                        "-     -     -     -       200    200      -     200   -", ""),
    ("POST /internal-transfer",                               "200   -     200   200     -      -        -     user  200", PAYMENT),
    ("POST /internal-transfer/bulk",                          "200   -     200   200     -      -        -     user  200", PAYMENTS),
    ("GET /internal-transfer",                                "200   -     200   200     -      -        -     user  200", ""),
    ("GET /internal-transfer/{code}",                         "200   -     200   404     -      -        -     user  200", ""),
    ("POST /address-book",                                    "200   -     200   200     -      -        -     user  200", ENTRY),
    ("GET /address-book",                                     "200   -     200   200     -      -        -     user  200", ""),
    ("DELETE /address-book/{code}",                           "none  -     none  none    -      -        -     user  none", ""),
    ("GET /balance",                                          "-     200   200   200     -      -        -     user  200", ""),
    ("GET /limits",                                           "200   -     200   200     -      -        -     user  200", ""),
    ("GET /admin/v1/assets",                                  "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/assets/{id}",                             "-     -     -     -       200    200      200   200   -", ""),
    ("PUT /admin/v1/assets/{id}",                             "-     -     -     -       -      -        200   200   -", ASSET),
    ("GET /admin/v1/users",                                   "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/users/{id}",                              "-     -     -     -       200    200      200   200   -", ""),
    ("PUT /admin/v1/users/{id}",                              "-     -     -     -       -      -        200   200   -", USER),
    ("GET /admin/v1/users/{id}/headroom",                     "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/tokens",                                  "-     -     -     -       -      -        200   200   -", ""),
    ("POST /admin/v1/tokens",                                 "-     -     -     -       -      -        200   200   -", TOKEN),
    ("DELETE /admin/v1/tokens/{id}",                          "-     -     -     -       -      -        204   204   -", ""),
    ("GET /admin/v1/access-keys",                             "-     -     -     -       -      -        200   200   -", ""),
    ("POST /admin/v1/access-keys",                            "-     -     -     -       -      -        200   200   -", KEY),
    ("DELETE /admin/v1/access-keys/{key}",                    "-     -     -     -       -      -        204   204   -", ""),
    ("GET /admin/v1/callback-secrets",                        "-     -     -     -       -      -        200   200   -", ""),
    ("POST /admin/v1/callback-secrets",                       "-     -     -     -       -      -        200   200   -", SIGNER),
    ("DELETE /admin/v1/callback-secrets/{id}",                "-     -     -     -       -      -        204   204   -", ""),
    ("GET /admin/v1/balances",                                "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/integrity",                               "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/rates/{asset}",                           "-     -     -     -       200    200      200   200   -", ""),
    ("PUT /admin/v1/rates/{asset}",                           "-     -     -     -       -      -        200   200   -", r#"{"rate": "1"}"#),
    ("GET /admin/v1/fees/{kind}/{asset}",                     "-     -     -     -       200    200      200   200   -", ""),
    ("PUT /admin/v1/fees/{kind}/{asset}",                     "-     -     -     -       -      -        200   200   -", "{}"),
    ("GET /admin/v1/limits/{kind}",                           "-     -     -     -       200    200      200   200   -", ""),
    ("PUT /admin/v1/limits/{kind}",                           "-     -     -     -       -      -        200   200   -", "{}"),
    ("GET /admin/v1/limits/{kind}/{asset}",                   "-     -     -     -       200    200      200   200   -", ""),
    ("PUT /admin/v1/limits/{kind}/{asset}",                   "-     -     -     -       -      -        200   200   -", "{}"),
    ("GET /admin/v1/stops",                                   "-     -     -     -       200    200      200   200   -", ""),
    ("PUT /admin/v1/stops/read-only",                         "-     -     -     -       -      -        204   204   -", STOP),
    ("DELETE /admin/v1/stops/read-only",                      "-     -     -     -       -      -        204   204   -", ""),
    ("PUT /admin/v1/stops/outgoing/{asset}",                  "-     -     -     -       -      -        204   204   -", STOP),
    ("DELETE /admin/v1/stops/outgoing/{asset}",               "-     -     -     -       -      -        204   204   -", ""),
    ("POST /callback-tests",                                  "200   -     200   200     -      -        -     user  200", TRIED),
    ("POST /admin/v1/callbacks/test",                         "-     -     -     -       -      -        200   200   -", TRIED_AS),
    ("GET /admin/v1/callbacks",                               "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/callbacks/{id}",                          "-     -     -     -       200    200      200   200   -", ""),
    ("POST /admin/v1/callbacks/{id}/replay",                  "-     -     -     -       -      -        200   200   -", ""),
    ("POST /admin/v1/callbacks/replay",                       "-     -     -     -       -      -        200   200   -", REPLAY),
    ("GET /admin/v1/operators",                               "-     -     -     -       -      -        200   200   -", ""),
    ("GET /admin/v1/operators/{name}/sessions",               "-     -     -     -       -      -        200   200   -", ""),
    ("DELETE /admin/v1/operators/{name}/sessions/{id}",       "-     -     -     -       -      -        204   204   -", ""),
    ("GET /admin/v1/audit",                                   "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/audit.csv",                               "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/audit.jsonl",                             "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/events",                                  "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/overview",                                "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/callbacks/hosts",                         "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/queue",                                   "-     -     -     -       200    200      200   200   -", ""),
    ("POST /admin/v1/transfers/{id}/take",                    "-     -     -     -       -      done     -     done  -", ""),
    ("POST /admin/v1/transfers/{id}/let-go",                  "-     -     -     -       -      204      -     204   -", ""),
    ("GET /admin/v1/transfers",                               "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/transfers/{id}",                          "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/users/{id}/statement",                     "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/transfers.csv",                            "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/transfers.jsonl",                          "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/entries.csv",                              "-     -     -     -       200    200      200   200   -", ""),
    ("GET /admin/v1/entries.jsonl",                            "-     -     -     -       200    200      200   200   -", ""),
    ("POST /payout-results",                                  "signed", ""),
    ("POST /admin/v1/transfers/{id}/approve",                 "-     -     -     -       -      -        -     done  -", ""),
    ("POST /admin/v1/transfers/{id}/reject",                  "-     -     -     -       -      -        -     done  -", ""),
    ("POST /admin/v1/transfers/{id}/reverse",                 "-     -     -     -       -      -        200   200   -", BACK),
    ("GET /callback-addresses",                               "open", ""),
    ("GET /health/live",                                      "open", ""),
    ("GET /health/ready",                                     "open", ""),
    ("GET /metrics",                                          "open", ""),
    ("GET /openapi.json",                                     "open", ""),
];

/// A caller with its credentials: a token of ours and a JWT, as far as it can have them.
struct Caller {
    name: &'static str,
    tokens: Vec<String>,
}

struct Scene {
    client: Client,
    callers: Vec<Caller>,
    /// Credentials that are no good, by what is wrong with them.
    bad: Vec<(&'static str, String)>,
    /// What stands for a name in paths and bodies.
    values: Vec<(&'static str, String)>,
}

#[tokio::test]
async fn every_endpoint_answers_every_credential_as_the_table_says() {
    let database = TestDatabase::create().await;
    let service = Service::start_with(database.url(), &issuer::SETTINGS).await;
    let scene = Scene::set(database.url(), service.client()).await;
    let mut wrong = vec![];
    for line in LINES {
        scene.check(line, &mut wrong).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    service.stopped().await;
}

#[test]
fn the_table_has_a_line_for_every_operation_of_the_document() {
    let document = include_str!("../../../../../docs/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            let methods = methods.filter(|key| !["parameters", "summary"].contains(&key.as_str()));
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let lines: BTreeSet<String> = LINES.iter().map(|line| line.0.to_owned()).collect();
    assert_eq!(lines.len(), LINES.len(), "a line stands twice");
    assert_eq!(lines, described);
}

impl Scene {
    async fn set(database_url: &str, client: Client) -> Self {
        let exchange = Exchange::open(database_url, &client, 3).await;
        let [alice, bob, carol] = &exchange.traders[..] else {
            panic!("three were asked for");
        };
        exchange.fund(&client, alice, "btc", "100").await;
        let admin = client.with(&exchange.admin);
        admin
            .put("/admin/v1/rates/btc", r#"{"rate": "1"}"#)
            .await
            .ok();
        let backoffice = client.with(&exchange.backoffice);
        let withdrawal = json!({"userId": alice.id, "assetId": "btc", "amount": "1"}).to_string();
        let open = async || {
            backoffice
                .post(WITHDRAW, withdrawal.clone())
                .await
                .ok()
                .name()
        };
        let payment = json!({"currency_code": "btc", "amount": "1", "recipient": carol.id});
        let paying = client.with(&alice.token);
        let code = paying.post(INTERNAL, payment.to_string()).await.ok().name();
        let key = json!({"user_id": alice.id, "permissions": ["allow_balance"]});
        let key = admin.post("/admin/v1/access-keys", key.to_string()).await;
        let signer = r#"{"subject": "ended"}"#.to_owned();
        let signer = admin.post("/admin/v1/callback-secrets", signer).await;
        let revoked = issue(&admin, "revoked", None, &["admin"], 600).await;
        let expired = issue(&admin, "expired", None, &["admin"], 1).await;
        let mut scene = Self {
            values: vec![
                ("confirmed", open().await),
                ("canceled", open().await),
                ("code", code),
                ("callback", callback(&admin, &backoffice, &withdrawal).await),
                ("key", key.ok().text_of("access_key")),
                ("signer", signer.ok().text_of("id")),
                ("token", revoked.text_of("id")),
                ("session", session(database_url, &admin).await),
                ("alice", alice.id.clone()),
                ("carol", carol.id.clone()),
            ],
            callers: vec![],
            bad: bad_tokens(&revoked.text_of("token"), &expired.text_of("token")),
            client: client.clone(),
        };
        let revoke = format!("/admin/v1/tokens/{}", revoked.text_of("id"));
        assert_eq!(admin.delete(&revoke).await.status, 204);
        for (name, trader, scope) in CALLERS {
            let user = trader.map(|number| [alice, bob][number].id.as_str());
            let mut tokens = vec![issuer::token(&issuer::claims(name, user, scope))];
            // Such a token is never issued; a JWT may say what it likes.
            if name != "mighty" {
                let permissions: Vec<&str> = scope.split_whitespace().collect();
                let issued = issue(&admin, name, user, &permissions, 600).await;
                tokens.push(issued.text_of("token"));
            }
            scene.callers.push(Caller { name, tokens });
        }
        super::eventually("the end of a token", async || {
            let expired = client.with(&expired.text_of("token"));
            let answer = expired.get("/admin/v1/assets").await;
            (answer.status == 401).then_some(())
        })
        .await;
        // The first of the deposits that the table makes is no different from the others.
        let deposit = scene.fill(MONEY);
        backoffice.post_with(DEPOSIT, deposit, &[WAIT]).await.ok();
        scene
    }

    /// One row of the table.
    async fn check(&self, (operation, cells, body): &Line, wrong: &mut Vec<String>) {
        let mut hold = |caller: &str, answer: &Answer, expected: (u16, &str)| {
            let found = outcome(answer);
            if (found.0, found.1.as_str()) != expected {
                wrong.push(format!(
                    "{operation} as {caller}: {found:?} for {expected:?}"
                ));
            }
        };
        if *cells == "signed" {
            let (callers, bad) = (self.callers.iter(), self.bad.iter());
            let good =
                callers.flat_map(|caller| caller.tokens.iter().map(|one| (caller.name, one)));
            let all = good.chain(bad.map(|(what, token)| (*what, token)));
            for (caller, token) in all {
                let answer = self.send(operation, Some(token), "{").await;
                hold(caller, &answer, (401, "signature.invalid"));
            }
            let nobody = self.send(operation, None, "{").await;
            hold("nobody", &nobody, (401, "signature.invalid"));
            return;
        }
        let open = *cells == "open";
        self.check_bad(operation, open, &mut hold).await;
        let nobody = self.send(operation, None, "{").await;
        let expected = (401, "credentials.missing");
        hold("nobody", &nobody, if open { (200, "") } else { expected });
        let each: Vec<&str> = if open {
            vec!["200"; CALLERS.len()]
        } else {
            cells.split_whitespace().collect()
        };
        assert_eq!(
            each.len(),
            CALLERS.len(),
            "{operation} has too many cells, or too few"
        );
        for (caller, cell) in self.callers.iter().zip(each) {
            let expected = match cell {
                "-" => (403, "permission.missing"),
                "user" => (403, "user.required"),
                "404" => (404, "transfer.unknown"),
                "none" => (404, "address_book_code.unknown"),
                "done" => (409, "transfer.already_completed"),
                success => (success.parse().unwrap(), ""),
            };
            let body = if expected.0 == 403 { "{" } else { *body };
            for token in &caller.tokens {
                if expected.0 == 204 {
                    self.stop_first(operation).await;
                }
                let answer = self.send(operation, Some(token), body).await;
                hold(caller.name, &answer, expected);
            }
        }
    }

    /// Credentials that are no good, on an operation that is open to all or is not.
    async fn check_bad(
        &self,
        operation: &str,
        open: bool,
        hold: &mut impl FnMut(&str, &Answer, (u16, &str)),
    ) {
        let expected = if open {
            (200, "")
        } else {
            (401, "token.invalid")
        };
        for (what, token) in &self.bad {
            let answer = self.send(operation, Some(token), "{").await;
            hold(what, &answer, expected);
            if !open {
                let challenge = answer.header("www-authenticate");
                assert_eq!(
                    challenge,
                    Some("Bearer error=\"invalid_token\""),
                    "{operation}"
                );
            }
        }
    }

    /// What is to be lifted must have been stopped, also when somebody just lifted it.
    async fn stop_first(&self, operation: &str) {
        let template = operation.strip_prefix("DELETE ");
        let Some(stop) = template.filter(|path| path.starts_with("/admin/v1/stops")) else {
            return;
        };
        let admin = self.callers.iter().find(|caller| caller.name == "admin");
        let admin = self.client.with(&admin.unwrap().tokens[0]);
        assert_eq!(admin.put(&self.path(stop), STOP).await.status, 204);
    }

    async fn send(&self, operation: &str, token: Option<&str>, body: &str) -> Answer {
        let (method, template) = operation.split_once(' ').unwrap();
        let path = self.path(template);
        let client = token.map_or(self.client.clone(), |token| self.client.with(token));
        match Method::from_bytes(method.as_bytes()).unwrap() {
            Method::POST => client.post(&path, self.fill(body)).await,
            Method::PUT => client.put(&path, self.fill(body)).await,
            Method::DELETE => client.delete(&path).await,
            _ => client.get(&path).await,
        }
    }

    /// A path that leads to something.
    fn path(&self, template: &str) -> String {
        let path = match template {
            "/back-api/backoffice/transfers/account/" => format!("{template}?userId=$alice"),
            "/admin/v1/balances" => format!("{template}?user_id=$alice"),
            _ => template
                .replace("assets/{id}", "assets/btc")
                .replace("users/{id}", "users/$alice")
                .replace("tokens/{id}", "tokens/$token")
                .replace("callback-secrets/{id}", "callback-secrets/$signer")
                .replace("sessions/{id}", "sessions/$session")
                .replace("{name}", "anna")
                .replace("transfers/{id}", "transfers/$confirmed")
                .replace("callbacks/{id}", "callbacks/$callback")
                .replace("address-book/{code}", "address-book/none")
                .replace("{kind}", "withdrawal")
                .replace("{asset}", "btc")
                .replace("{code}", "$code")
                .replace("{key}", "$key"),
        };
        assert!(!path.contains('{'), "{template} has a name without a value");
        self.fill(&path)
    }

    fn fill(&self, text: &str) -> String {
        let fill =
            |text: String, (name, value): &(&str, String)| text.replace(&format!("${name}"), value);
        self.values.iter().fold(text.to_owned(), fill)
    }
}

/// The id of a session of an operator.
async fn session(database_url: &str, admin: &Client) -> String {
    let anna = Operator::create(database_url, "anna", "backoffice_read").await;
    Browser::at(admin.address()).sign_in(&anna).await;
    let sessions = admin.get("/admin/v1/operators/anna/sessions").await.ok();
    sessions.json()["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The id of a callback, of a withdrawal like this one.
async fn callback(admin: &Client, backoffice: &Client, withdrawal: &str) -> String {
    let mut told = withdrawal.to_owned();
    told.insert_str(1, r#""callbackUrl":"https://callbacks.example/","#);
    let told = backoffice.post(WITHDRAW, told).await.ok().name();
    let told = admin.get(&format!("/admin/v1/transfers/{told}")).await.ok();
    told.json()["callbacks"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Status and code; none of a success.
fn outcome(answer: &Answer) -> (u16, String) {
    let problem = answer.header("content-type") == Some("application/problem+json");
    let code = if problem {
        answer.text_of("code")
    } else {
        String::new()
    };
    (answer.status.as_u16(), code)
}

/// Everything that can be wrong with a token, in all other ways as mighty as can be.
fn bad_tokens(revoked: &str, expired: &str) -> Vec<(&'static str, String)> {
    let with = |name: &str, value: Value| {
        let mut claims = issuer::claims("admin", None, EVERYTHING);
        claims[name] = value;
        issuer::token(&claims)
    };
    let good = with("sub", json!("admin"));
    let (message, _) = good.rsplit_once('.').unwrap();
    vec![
        ("malformed", "nonsense".to_owned()),
        ("unknown", format!("bur_{}", "A".repeat(43))),
        ("revoked", revoked.to_owned()),
        ("expired", expired.to_owned()),
        ("expired JWT", with("exp", json!(issuer::now() - 60))),
        (
            "JWT for somebody else",
            with("aud", json!("another-service")),
        ),
        (
            "JWT of another issuer",
            with("iss", json!("https://evil.example.com/")),
        ),
        (
            "JWT with a wrong signature",
            format!("{message}.{}", "A".repeat(43)),
        ),
    ]
}

async fn issue(
    admin: &Client,
    subject: &str,
    user: Option<&str>,
    permissions: &[&str],
    ttl_seconds: u32,
) -> Answer {
    let body = json!({
        "subject": subject, "user_id": user,
        "permissions": permissions, "ttl_seconds": ttl_seconds,
    });
    let answer = admin.post("/admin/v1/tokens", body.to_string()).await;
    answer.ok()
}
