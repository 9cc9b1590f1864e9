//! Money requests that can be repeated, and what their clients came to know of them.

use std::{collections::HashSet, time::Instant};

use serde_json::{Value, json};

use super::{
    client::{Answer, Client},
    exchange::{
        BULK, CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, SCALES, Trader, WAIT, WITHDRAW,
    },
    receiver::Receiver,
    units,
};

/// How many clients a maker makes requests for at once.
pub(super) const CLIENTS: usize = 8;
/// What a transfer moves of btc at least, and what is more than anybody has at first, and than some have
/// later; both in smallest units. Each transfer moves a little more, and another amount than its
/// neighbours.
const SOME: i128 = 10_000;
const TOO_MUCH: i128 = 100_000_000_000_000;
/// How many amounts there are, in turns: far more than there are transfers under way.
const AMOUNTS: usize = 5_000;
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
    /// Whose money it is about; empty if that is not known.
    user: String,
    /// How much btc this user pays with the fee, in smallest units.
    pays: Option<i128>,
}

/// A transfer as a request asks for it, or as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    /// No other has it.
    pub(super) note: String,
    pub(super) kind: String,
    pub(super) user: String,
    /// Empty where nobody is paid.
    pub(super) recipient: String,
    pub(super) asset: String,
    /// In smallest units.
    pub(super) amount: i128,
}

impl Transfer {
    /// What the back office asks for.
    fn opened(kind: &str, body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let asset = text("assetId");
        Self {
            note: text("comment"),
            kind: kind.to_owned(),
            user: text("userId"),
            recipient: String::new(),
            amount: smallest(&text("amount"), &asset),
            asset,
        }
    }

    /// What a user asks for, alone or among others.
    fn sent(user: &str, body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let asset = text("currency_code").to_lowercase();
        Self {
            note: text("note"),
            kind: "internal".to_owned(),
            user: user.to_owned(),
            recipient: text("recipient"),
            amount: smallest(&text("amount"), &asset),
            asset,
        }
    }

    /// What the database has, column by column.
    pub(super) fn there(row: Vec<String>) -> Self {
        let [note, kind, user, recipient, asset, amount] = <[String; 6]>::try_from(row).unwrap();
        Self {
            note,
            kind,
            user,
            recipient,
            asset,
            amount: amount.parse().unwrap(),
        }
    }
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
    /// What another replica said of its transfer right afterwards, if it was asked.
    pub(super) shown: Option<Answer>,
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
            user: String::new(),
            pays: None,
        }
    }

    /// The user who pays for it, and how much btc with the fee, in smallest units, if that is known.
    pub(super) fn pays(&self) -> Option<(&str, i128)> {
        Some((self.user.as_str(), self.pays?))
    }

    /// The transfers that it is to make: one, those of a bulk, or none if it ends one.
    pub(super) fn asks(&self) -> Vec<Transfer> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let items = body["transfers"].as_array();
        let sent = |body: &Value| Transfer::sent(&self.user, body);
        match self.path {
            INTERNAL => vec![sent(&body)],
            BULK => items.unwrap().iter().map(sent).collect(),
            DEPOSIT => vec![Transfer::opened("deposit", &body)],
            WITHDRAW => vec![Transfer::opened("withdrawal", &body)],
            _ => vec![],
        }
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

    /// Where the transfer is shown that it has made or ended, by its name, and to whom: to its user or to
    /// this admin. Those of a bulk have no such place together.
    pub(super) fn shown_at<'s>(&'s self, name: &str, admin: &'s str) -> Option<(String, &'s str)> {
        match self.path {
            BULK => None,
            INTERNAL => Some((format!("{INTERNAL}/{name}"), self.token.as_str())),
            _ => Some((format!("/admin/v1/transfers/{name}"), admin)),
        }
    }

    /// Sends it, and hangs up on the service if told to before it has answered.
    pub(super) async fn send_unless(
        self,
        client: &Client,
        hangs_up: impl Future<Output = ()>,
    ) -> Told {
        let (call, since) = (self.clone(), Instant::now());
        tokio::select! {
            told = self.send(client) => told,
            () = hangs_up => Told {
                call,
                sent: since,
                told: Instant::now(),
                answer: None,
                error: None,
                shown: None,
            },
        }
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
            shown: None,
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

    /// The withdrawal that it has made, if it has: somebody is to end it.
    pub(super) fn opened(&self) -> Option<String> {
        let answer = self.answer.as_ref()?;
        (self.call.path == WITHDRAW && answer.status == 200).then(|| answer.name())
    }

    /// What came of it instead of a certain answer, if that is so.
    pub(super) fn failed(&self) -> Option<String> {
        if self.is_certain() {
            return None;
        }
        Some(match (&self.answer, &self.error) {
            (Some(answer), _) => format!("{} {}", answer.status, answer.text),
            (None, error) => format!("{error:?}"),
        })
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
    /// Which of the amounts comes first: others that are at work at the same time begin elsewhere.
    first: usize,
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
            first: rand::random_range(0..AMOUNTS),
        }
    }

    /// The next request of a client: sends, deposits and holds money, and ends what it holds.
    pub(super) fn call(&self, client: usize, number: usize, held: &mut Option<String>) -> Call {
        let key = format!("{}-{client}-{number}", self.round);
        let user = &self.traders[client % self.traders.len()];
        // One in eight is of too much, and the first: whoever begins before all others is refused.
        let is_too_much = number == 0 || rand::random_range(0..8) == 0;
        let least = if is_too_much { TOO_MUCH } else { SOME };
        let more = self.more(client, number, 0);
        let amount = written(least + more, "btc");
        let (path, body) = match (number % 5, held.take_if(|_| number % 5 == 4)) {
            (0 | 1, _) => {
                let other = self.other_than(client, number);
                (INTERNAL, self.payment(other, &amount, &key))
            }
            (2, _) => (BULK, self.bulk(client, number, least, &key)),
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
                let amount = written(1 + more, "usd");
                let body = json!({
                    "userId": user.id, "assetId": "usd", "amount": amount, "comment": key,
                });
                (DEPOSIT, body)
            }
        };
        let token = match path {
            INTERNAL | BULK => &user.token,
            _ => &self.backoffice,
        };
        let mut call = Call::new(path, token, &key, &body, rand::random());
        call.user.clone_from(&user.id);
        if [INTERNAL, WITHDRAW].contains(&path) {
            call.pays = Some(least + more + self.fee);
        }
        call
    }

    /// How much more than the least a transfer moves.
    fn more(&self, client: usize, number: usize, item: usize) -> i128 {
        let place = (number * CLIENTS + client) * ITEMS + item;
        i128::try_from((self.first + place) % AMOUNTS).unwrap()
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

    /// Payments to several users, of which one may be of too much; all or nothing, or each by itself.
    fn bulk(&self, client: usize, number: usize, least: i128, key: &str) -> Value {
        let items = (0..ITEMS).map(|item| {
            let other = self.other_than(client, number + item);
            let least = if item == 1 { least } else { SOME };
            let amount = written(least + self.more(client, number, item), "btc");
            self.payment(other, &amount, &format!("{key}.{item}"))
        });
        json!({"transfers": items.collect::<Vec<_>>(), "atomic": rand::random::<bool>()})
    }

    fn end(&self, user: &Trader, id: &str, key: &str) -> Value {
        json!({"userId": user.id, "transferId": id, "callbackUrl": self.url(key)})
    }
}

/// How many decimal places an asset has.
fn places_of(asset: &str) -> u8 {
    let scale = SCALES.iter().find(|(name, _)| *name == asset);
    scale.unwrap().1
}

/// So many smallest units as a request has them.
fn written(units: i128, asset: &str) -> String {
    let places = usize::from(places_of(asset));
    let digits = format!("{units:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{whole}.{fraction}")
}

/// What a request has, in smallest units.
fn smallest(amount: &str, asset: &str) -> i128 {
    units(amount) / 10_i128.pow(u32::from(18 - places_of(asset)))
}

#[test]
fn an_amount_is_asked_for_once_and_nothing_of_it_is_lost() {
    assert_eq!(written(12_345, "btc"), "0.00012345");
    assert_eq!(written(TOO_MUCH + 1, "btc"), "1000000.00000001");
    assert_eq!(written(205, "usd"), "2.05");
    let trader = |number: usize| Trader {
        id: format!("user{number}"),
        token: String::new(),
    };
    let maker = Maker {
        backoffice: String::new(),
        traders: (0..CLIENTS).map(trader).collect(),
        callbacks: String::new(),
        round: "once".to_owned(),
        fee: 7,
        first: AMOUNTS - 1,
    };
    let mut amounts = HashSet::new();
    for (number, client) in (0..20).flat_map(|number| (0..CLIENTS).map(move |one| (number, one))) {
        let call = maker.call(client, number, &mut None);
        let asked = call.asks();
        assert_eq!(asked.len(), if call.path() == BULK { ITEMS } else { 1 });
        if let Some((user, units)) = call.pays() {
            assert_eq!((user, units), (asked[0].user.as_str(), asked[0].amount + 7));
        }
        for one in asked {
            assert_eq!(one.user, format!("user{client}"));
            assert_ne!(one.recipient, one.user);
            assert!(one.note.starts_with(call.key()), "{one:?}");
            assert!(amounts.insert((one.asset.clone(), one.amount)), "{one:?}");
        }
    }
}
