//! Who has sent a callback: every one that arrived is held against the secret of whom it is for.

use std::{
    collections::HashMap,
    slice,
    time::{Instant, SystemTime},
};

use bursar_app::read_callback_secret;
use bursar_audit::Rule;
use bursar_callback::{
    SignatureHeaders, TOLERANCE, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, sign, verify,
};
use bursar_domain::Timestamp;
use bursar_ports::CallbackSecret;
use serde_json::json;

use super::super::{
    books::Books,
    client::Client,
    exchange::Exchange,
    receiver::{Received, Receiver},
    sound::require,
};

const SECRETS: &str = "/admin/v1/callback-secrets";
/// The subject of the back office's token.
const OFFICE: &str = "backoffice";
/// What each callback is about: a payment, which is told to its sender, or what the back office asked for.
const TOLD: &str = "
    SELECT c.id, t.kind, t.user_id
    FROM book_main.callbacks c JOIN book_main.transfers t ON t.id = c.transfer_id";

/// Whom each callback is for, by its id.
type Owners = HashMap<String, String>;

/// The secrets of all who are told anything, by whose they are.
pub(super) struct Secrets(HashMap<String, CallbackSecret>);

impl Secrets {
    /// Issues them. Nobody may have been told anything yet: it would be signed by what nobody knows.
    pub(super) async fn issue(client: &Client, exchange: &Exchange) -> Self {
        let admin = client.with(&exchange.admin);
        let users = exchange.traders.iter().map(|user| user.id.as_str());
        let users = users.map(|id| (id, json!({"user_id": id})));
        let office = (OFFICE, json!({"subject": OFFICE}));
        let mut secrets = HashMap::new();
        for (owner, subscriber) in users.chain([office]) {
            let issued = admin.post(SECRETS, subscriber.to_string()).await.ok();
            let secret = read_callback_secret(&issued.text_of("secret"));
            secrets.insert(owner.to_owned(), secret.unwrap());
        }
        Self(secrets)
    }

    /// Whom a callback was for had reason to believe it when it arrived.
    pub(super) async fn assert_signed(&self, receiver: &Receiver, books: &Books) {
        let owner = |row: Vec<String>| {
            let [id, kind, user] = <[String; 3]>::try_from(row).unwrap();
            let is_payment = kind == "internal";
            (id, if is_payment { user } else { OFFICE.to_owned() })
        };
        let owners: Owners = books.rows(TOLD).await.into_iter().map(owner).collect();
        for one in receiver.all() {
            let wrong = self.wrong_with(&one, &owners);
            require(wrong.is_none(), Rule::ReceiversAreTold, || {
                format!("{}: {}", wrong.unwrap_or_default(), one.body)
            });
        }
    }

    /// Why it is not to be believed, if it is not.
    fn wrong_with(&self, one: &Received, owners: &Owners) -> Option<String> {
        let header = |name: &str| one.headers.get(name).map_or("", String::as_str);
        let headers = SignatureHeaders {
            id: header(WEBHOOK_ID),
            timestamp: header(WEBHOOK_TIMESTAMP),
            signature: header(WEBHOOK_SIGNATURE),
        };
        let owner = owners.get(headers.id);
        let Some(secret) = owner.and_then(|owner| self.0.get(owner)) else {
            return Some(format!("{headers:?} is for nobody"));
        };
        let secrets = slice::from_ref(secret);
        let body = one.body.as_bytes();
        let verified = verify(headers, body, secrets, arrived(one), TOLERANCE);
        verified.err().map(|why| format!("{headers:?}: {why}"))
    }
}

/// When it arrived, by the clock that callbacks are signed by.
#[expect(clippy::disallowed_methods, reason = "the service goes by this clock")]
fn arrived(one: &Received) -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = now.unwrap().as_micros() - one.at.elapsed().as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap())
}

#[test]
fn what_nobody_or_somebody_else_has_signed_is_named() {
    let [office, user] = [1, 2].map(|byte| CallbackSecret([byte; 32]));
    let text = |text: &str| text.to_owned();
    let all = [(text(OFFICE), office.clone()), (text("user"), user.clone())];
    let secrets = Secrets(HashMap::from(all));
    let owners = [("a", OFFICE), ("b", "user")];
    let owners = Owners::from(owners.map(|(id, owner)| (text(id), text(owner))));
    let arrived_now = |headers: &[(&str, &str)], body: &str| Received {
        headers: headers
            .iter()
            .map(|&(name, value)| (text(name), text(value)))
            .collect(),
        body: text(body),
        at: Instant::now(),
    };
    let now = arrived(&arrived_now(&[], "")).as_micros() / 1_000_000;
    let wrong = |id: &str, secret: &CallbackSecret, late: i64, body: &str| {
        let at = now - late;
        let signature = sign(id, at, b"{}", slice::from_ref(secret)).unwrap();
        let at = at.to_string();
        let headers = [
            (WEBHOOK_ID, id),
            (WEBHOOK_TIMESTAMP, at.as_str()),
            (WEBHOOK_SIGNATURE, signature.as_str()),
        ];
        secrets.wrong_with(&arrived_now(&headers, body), &owners)
    };
    assert_eq!(wrong("a", &office, 0, "{}"), None);
    assert_eq!(wrong("b", &user, 0, "{}"), None);
    let unsigned = arrived_now(&[(WEBHOOK_ID, "a")], "{}");
    for (wrong, why) in [
        (wrong("a", &user, 0, "{}"), "no signature was made"),
        (wrong("b", &office, 0, "{}"), "no signature was made"),
        (wrong("a", &office, 0, "{} "), "no signature was made"),
        (wrong("a", &office, 400, "{}"), "too far from"),
        (wrong("c", &office, 0, "{}"), "is for nobody"),
        (secrets.wrong_with(&unsigned, &owners), "not a whole number"),
    ] {
        let said = wrong.expect("nobody has found out what is wrong");
        assert!(said.contains(why), "{said}");
    }
}
