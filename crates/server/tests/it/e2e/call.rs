//! Money requests that can be repeated, and what their clients came to know of them.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    client::{Answer, Client},
    exchange::{BULK, CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, Trader, WAIT, WITHDRAW},
    receiver::Receiver,
};

/// What a request moves of btc, and what is more than anybody has at first, and than some have later;
/// both also in smallest units.
const SOME: (&str, i128) = ("0.00012345", 12_345);
const TOO_MUCH: (&str, i128) = ("1000000", 100_000_000_000_000);
/// How many payments a bulk is of.
const ITEMS: usize = 3;
/// What the key of a rival has behind that of the end that it is the contrary of.
const RIVAL: &str = "-rival";

/// A money request that can be repeated: the same body with the same key.
#[derive(Clone)]
pub(super) struct Call {
    path: &'static str,
    token: String,
    key: String,
    body: String,
    waits: bool,
    /// The user who pays for it, and how much btc with the fee, in smallest units.
    pays: Option<(String, i128)>,
}

/// What a client came to know of a request.
pub(super) struct Told {
    pub(super) call: Call,
    pub(super) sent: Instant,
    /// When it came to know it.
    pub(super) told: Instant,
    /// None when no whole answer came.
    pub(super) answer: Option<Answer>,
    /// Why none came.
    pub(super) error: Option<reqwest::Error>,
}

impl Call {
    pub(super) fn new(
        path: &'static str,
        token: &str,
        key: &str,
        body: &Value,
        waits: bool,
    ) -> Self {
        Self {
            path,
            token: token.to_owned(),
            key: key.to_owned(),
            body: body.to_string(),
            waits,
            pays: None,
        }
    }

    /// The user who pays for it, and how much btc with the fee, in smallest units, if that is known.
    pub(super) fn pays(&self) -> Option<(&str, i128)> {
        let (user, units) = self.pays.as_ref()?;
        Some((user, *units))
    }

    pub(super) const fn path(&self) -> &'static str {
        self.path
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The key of the end that it is the contrary of, if it is a rival.
    pub(super) fn rival_of(&self) -> Option<&str> {
        self.key.strip_suffix(RIVAL)
    }

    /// The transfer that it ends, if it ends one.
    pub(super) fn ends(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body.get("transferId")
            .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
    }

    pub(super) async fn send(self, client: &Client) -> Told {
        let since = Instant::now();
        let sent = client
            .with(&self.token)
            .try_post(self.path, self.body.clone(), &self.headers())
            .await;
        let (answer, error) = match sent {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error)),
        };
        Told {
            call: self,
            sent: since,
            told: Instant::now(),
            answer,
            error,
        }
    }

    /// Whether what it makes may be settled item by item, at times of their own.
    pub(super) fn is_one_by_one(&self) -> bool {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        !self.waits && body["atomic"] == false
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let key = ("idempotency-key", self.key.as_str());
        self.waits
            .then_some(WAIT)
            .into_iter()
            .chain([key])
            .collect()
    }
}

impl Told {
    /// Whether it is known what became of it: a 200, a refusal that binds the key, or that somebody
    /// else has ended the transfer otherwise.
    pub(super) fn is_certain(&self) -> bool {
        matches!(self.status(), Some(200 | 409 | 422))
    }

    /// Whether it was told that somebody else has ended the transfer otherwise.
    pub(super) fn is_overtaken(&self) -> bool {
        self.status() == Some(409)
    }

    /// Whether it was told what the same request was told before.
    pub(super) fn is_replayed(&self) -> bool {
        let answer = self.answer.as_ref();
        self.is_certain() && answer.is_some_and(Answer::is_replayed)
    }

    fn status(&self) -> Option<u16> {
        self.answer.as_ref().map(|answer| answer.status.as_u16())
    }
}

/// Everything that a client makes its requests of.
pub(super) struct Maker {
    backoffice: String,
    traders: Vec<Trader>,
    callbacks: String,
    round: String,
    fee: i128,
}

impl Maker {
    /// `round` tells its keys from those of others.
    pub(super) fn new(exchange: &Exchange, receiver: &Receiver, round: &str) -> Self {
        Self {
            backoffice: exchange.backoffice.clone(),
            traders: exchange.traders.clone(),
            callbacks: receiver.url(""),
            round: round.to_owned(),
            fee: exchange.fee,
        }
    }

    /// The next request of a client: sends, deposits and holds money, and ends what it holds.
    pub(super) fn call(&self, client: usize, number: usize, held: &mut Option<String>) -> Call {
        let key = format!("{}-{client}-{number}", self.round);
        let user = &self.traders[client % self.traders.len()];
        // One in eight is of too much, and the first: whoever begins before all others is refused.
        let (amount, units) = if number == 0 || rand::random_range(0..8) == 0 {
            TOO_MUCH
        } else {
            SOME
        };
        let (path, body) = match (number % 5, held.take()) {
            (0 | 1, kept) => {
                *held = kept;
                let other = self.other_than(client, number);
                (INTERNAL, self.payment(other, amount, &key))
            }
            (2, kept) => {
                *held = kept;
                (BULK, self.bulk(client, number, amount, &key))
            }
            (3, _) => {
                let body = json!({
                    "userId": user.id, "assetId": "btc", "amount": amount,
                    "comment": key, "callbackUrl": self.url(&key),
                });
                let is_even = (number / 5).is_multiple_of(2);
                (if is_even { WITHDRAW } else { DEPOSIT }, body)
            }
            (_, Some(id)) => {
                let path = if client.is_multiple_of(2) {
                    CONFIRM
                } else {
                    CANCEL
                };
                (path, self.end(user, &id, &key))
            }
            (_, None) => {
                let body = json!({
                    "userId": user.id, "assetId": "usd", "amount": "0.01", "comment": key,
                });
                (DEPOSIT, body)
            }
        };
        let token = match path {
            INTERNAL | BULK => &user.token,
            _ => &self.backoffice,
        };
        let mut call = Call::new(path, token, &key, &body, rand::random());
        if [INTERNAL, WITHDRAW].contains(&path) {
            call.pays = Some((user.id.clone(), units + self.fee));
        }
        call
    }

    /// The other end of a withdrawal that this ends, if it ends one.
    pub(super) fn rival(&self, call: &Call) -> Option<Call> {
        let id = call.ends()?;
        let path = if call.path == CONFIRM {
            CANCEL
        } else {
            CONFIRM
        };
        let body: Value = serde_json::from_str(&call.body).unwrap();
        let owner = self.traders.iter().find(|user| body["userId"] == user.id);
        let key = format!("{}{RIVAL}", call.key);
        let body = self.end(owner?, &id, &key);
        Some(Call::new(path, &self.backoffice, &key, &body, call.waits))
    }

    /// Whom a client pays; never its own user.
    fn other_than(&self, client: usize, number: usize) -> &Trader {
        let step = 1 + number % (self.traders.len() - 1);
        &self.traders[(client + step) % self.traders.len()]
    }

    fn url(&self, key: &str) -> String {
        format!("{}/{key}", self.callbacks)
    }

    fn payment(&self, to: &Trader, amount: &str, name: &str) -> Value {
        json!({
            "currency_code": "BTC", "amount": amount, "recipient": to.id,
            "custom_id": name, "note": name, "callback_url": self.url(name),
        })
    }

    /// Payments to several users, of which one is of another amount; all or nothing, or each by itself.
    fn bulk(&self, client: usize, number: usize, amount: &str, key: &str) -> Value {
        let items = (0..ITEMS).map(|item| {
            let other = self.other_than(client, number + item);
            let amount = if item == 1 { amount } else { SOME.0 };
            self.payment(other, amount, &format!("{key}.{item}"))
        });
        json!({"transfers": items.collect::<Vec<_>>(), "atomic": rand::random::<bool>()})
    }

    fn end(&self, user: &Trader, id: &str, key: &str) -> Value {
        json!({"userId": user.id, "transferId": id, "callbackUrl": self.url(key)})
    }
}
