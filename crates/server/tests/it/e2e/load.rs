//! Clients that keep a service busy, what they were told, and whether it is still true later.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bursar_audit::Rule;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    books::Books,
    client::{Answer, Client},
    eventually,
    exchange::{CANCEL, CONFIRM, DEPOSIT, Exchange, INTERNAL, Trader, WAIT, WITHDRAW},
    receiver::Receiver,
    sound::require,
};

/// How many clients there are, each with one request under way.
const CLIENTS: usize = 8;
/// How many requests one of them makes at most.
const CALLS_MAX: usize = 2_000;
/// How many requests are repeated at once.
const REPEATED_AT_ONCE: usize = 8;

/// A money request that can be repeated: the same body with the same key.
#[derive(Clone)]
pub(super) struct Call {
    path: &'static str,
    token: String,
    key: String,
    body: String,
    waits: bool,
    /// The user who pays for it, and how much btc.
    pays: Option<(String, &'static str)>,
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

    /// The user who pays for it, and how much btc, if that is known.
    pub(super) fn pays(&self) -> Option<(&str, &str)> {
        let (user, amount) = self.pays.as_ref()?;
        Some((user, amount))
    }

    pub(super) const fn path(&self) -> &'static str {
        self.path
    }

    pub(super) fn key(&self) -> &str {
        &self.key
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
    /// Whether it is known what became of it: a 200, or a refusal that binds the key.
    pub(super) fn is_certain(&self) -> bool {
        let status = self.answer.as_ref().map(|answer| answer.status.as_u16());
        matches!(status, Some(200 | 422))
    }
}

/// Everything that a client makes its requests of.
pub(super) struct Maker {
    backoffice: String,
    traders: Vec<Trader>,
    callbacks: String,
    round: String,
}

impl Maker {
    /// `round` tells its keys from those of others.
    pub(super) fn new(exchange: &Exchange, receiver: &Receiver, round: &str) -> Self {
        Self {
            backoffice: exchange.backoffice.clone(),
            traders: exchange.traders.clone(),
            callbacks: receiver.url(""),
            round: round.to_owned(),
        }
    }

    /// The next request of a client: sends, deposits and holds money, and ends what it holds.
    pub(super) fn call(&self, client: usize, number: usize, held: &mut Option<String>) -> Call {
        let key = format!("{}-{client}-{number}", self.round);
        let user = &self.traders[client % self.traders.len()];
        // Never the user itself.
        let step = 1 + number % (self.traders.len() - 1);
        let other = &self.traders[(client + step) % self.traders.len()];
        // The first and one in eight are of more than anybody has at first, and than some have later:
        // whoever begins before all others is refused.
        let amount = if number == 0 || rand::random_range(0..8) == 0 {
            "1000000"
        } else {
            "0.00012345"
        };
        let callback = format!("{}/{key}", self.callbacks);
        let (path, token, body) = match (number % 4, held.take()) {
            (0 | 1, kept) => {
                *held = kept;
                let body = json!({
                    "currency_code": "BTC", "amount": amount, "recipient": other.id,
                    "custom_id": key, "note": key, "callback_url": callback,
                });
                (INTERNAL, &user.token, body)
            }
            (2, _) => {
                let body = json!({
                    "userId": user.id, "assetId": "btc", "amount": amount,
                    "comment": key, "callbackUrl": callback,
                });
                let path = if number % 8 == 2 { WITHDRAW } else { DEPOSIT };
                (path, &self.backoffice, body)
            }
            (_, Some(id)) => {
                let body = json!({"userId": user.id, "transferId": id, "callbackUrl": callback});
                let path = if client.is_multiple_of(2) {
                    CONFIRM
                } else {
                    CANCEL
                };
                (path, &self.backoffice, body)
            }
            (_, None) => {
                let body = json!({
                    "userId": user.id, "assetId": "usd", "amount": "0.01", "comment": key,
                });
                (DEPOSIT, &self.backoffice, body)
            }
        };
        let mut call = Call::new(path, token, &key, &body, rand::random());
        if [INTERNAL, WITHDRAW].contains(&path) {
            call.pays = Some((user.id.clone(), amount));
        }
        call
    }
}

/// How long a client that goes on waits after it got no certain answer.
const PAUSE: Duration = Duration::from_millis(100);

/// Clients at work. Each goes on until it gets no answer at all, unless it is stubborn, or is told to
/// stop.
pub(super) struct Load {
    clients: JoinSet<Vec<Told>>,
    answered: Arc<AtomicUsize>,
    uncertain: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts the clients; `round` tells their keys from those of other loads.
    pub(super) fn start(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
    ) -> Self {
        Self::begin(client, exchange, receiver, round, false, Duration::ZERO)
    }

    /// Starts clients that go on whatever they are told, or not told.
    pub(super) fn start_stubborn(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
    ) -> Self {
        Self::begin(client, exchange, receiver, round, true, Duration::ZERO)
    }

    /// Starts such clients that rest for so long after each request.
    pub(super) fn start_resting(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
        rest: Duration,
    ) -> Self {
        Self::begin(client, exchange, receiver, round, true, rest)
    }

    fn begin(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
        is_stubborn: bool,
        rest: Duration,
    ) -> Self {
        let maker = Arc::new(Maker::new(exchange, receiver, round));
        let mut load = Self {
            clients: JoinSet::new(),
            answered: Arc::default(),
            uncertain: Arc::default(),
            stop: Arc::default(),
        };
        for number in 0..CLIENTS {
            let (client, maker) = (client.clone(), Arc::clone(&maker));
            let (answered, stop) = (Arc::clone(&load.answered), Arc::clone(&load.stop));
            let uncertain = Arc::clone(&load.uncertain);
            load.clients.spawn(async move {
                let mut all = Vec::new();
                let mut held = None;
                for call in 0..CALLS_MAX {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let told = maker.call(number, call, &mut held).send(&client).await;
                    let certain = told.is_certain();
                    answered.fetch_add(usize::from(certain), Ordering::SeqCst);
                    uncertain.fetch_add(usize::from(!certain), Ordering::SeqCst);
                    if let (WITHDRAW, true, Some(answer)) = (told.call.path, certain, &told.answer)
                        && answer.status == 200
                    {
                        held = Some(answer.name());
                    }
                    // Whoever is told that nothing was done, or that nobody knows, tries something else.
                    let goes_on = is_stubborn || told.answer.is_some();
                    all.push(told);
                    if !certain && goes_on {
                        tokio::time::sleep(PAUSE).await;
                    } else if !certain {
                        break;
                    } else if !rest.is_zero() {
                        tokio::time::sleep(rest).await;
                    }
                }
                all
            });
        }
        load
    }

    /// How many requests were answered so far.
    pub(super) fn count_answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// How many requests got no certain answer so far.
    pub(super) fn count_uncertain(&self) -> usize {
        self.uncertain.load(Ordering::SeqCst)
    }

    /// Waits until this many requests were answered.
    pub(super) async fn answered(&self, count: usize) {
        eventually(&format!("{count} answers"), async || {
            (self.answered.load(Ordering::SeqCst) >= count).then_some(())
        })
        .await;
    }

    /// What the clients came to know, once all of them have been told to stop and have.
    pub(super) async fn ended(self) -> Vec<Told> {
        self.stop.store(true, Ordering::SeqCst);
        self.broken_off().await
    }

    /// What the clients came to know, once none of them gets an answer any more.
    pub(super) async fn broken_off(self) -> Vec<Told> {
        self.clients
            .join_all()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

/// What was told at any time is true now, and what was told by nobody can be had by asking again:
/// every answered request is there under the same name, and every unanswered one has one effect
/// however often it is repeated.
pub(super) async fn assert_kept(history: &[Told], client: &Client, books: &Books) {
    assert_nothing_happened(history, books).await;
    let repeated: Vec<_> = stream::iter(history)
        .map(|told| async move {
            let first = match &told.answer {
                Some(answer) if told.is_certain() => answer.clone(),
                Some(_) | None => repeat(&told.call, client).await,
            };
            let again = repeat(&told.call, client).await;
            assert_same(&told.call, &first, &again);
            (told.call.path, first.status == 200)
        })
        .buffer_unordered(REPEATED_AT_ONCE)
        .collect()
        .await;
    let made = repeated
        .iter()
        .filter(|(path, ok)| *ok && [INTERNAL, DEPOSIT, WITHDRAW].contains(path))
        .count();
    let prefix = history[0].call.key.split('-').next().unwrap();
    let transfers = books
        .rows(&format!(
            "SELECT note, count(*) FROM book_main.transfers
             WHERE note LIKE '{prefix}-%' GROUP BY note"
        ))
        .await;
    let twice: Vec<_> = transfers.iter().filter(|row| row[1] != "1").collect();
    require(twice.is_empty(), Rule::KeyIsOnce, || format!("{twice:?}"));
    require(transfers.len() == made, Rule::UnansweredIsOnce, || {
        format!("{made} answered, {} there", transfers.len())
    });
}

/// A 503 that says that nothing was executed tells the truth.
async fn assert_nothing_happened(history: &[Told], books: &Books) {
    let keys = "SELECT key FROM book_main.idempotency_keys";
    let keys: Vec<_> = books.rows(keys).await.into_iter().flatten().collect();
    for told in history {
        let Some(answer) = told.answer.as_ref().filter(|_| !told.is_certain()) else {
            continue;
        };
        require(answer.status == 503, Rule::AnsweredIsThere, || {
            format!("{}: {}", told.call.key, answer.text)
        });
        assert!(answer.headers.contains_key("retry-after"));
        let problem = answer.json();
        if problem["outcome"] == "not_executed" {
            let key = &told.call.key;
            require(!keys.contains(key), Rule::RefusedIsNot, || {
                format!("{key}: {}", answer.text)
            });
        } else {
            assert_eq!(problem["outcome"], "unknown", "{}", answer.text);
        }
    }
}

/// Sends it again, and gets a certain answer.
pub(super) async fn repeat(call: &Call, client: &Client) -> Answer {
    let told = call.clone().send(client).await;
    require(told.is_certain(), Rule::AnsweredIsThere, || {
        format!("{} now {:?} {:?}", call.key, told.answer, told.error)
    });
    told.answer.unwrap()
}

/// A request was answered as it was before, as far as what it made may not have changed since.
pub(super) fn assert_same(call: &Call, first: &Answer, again: &Answer) {
    let key = &call.key;
    let shown = || format!("{key}: {}, now {}", first.text, again.text);
    let is_same = first.status == again.status && again.is_replayed();
    require(is_same, Rule::AnsweredIsThere, shown);
    if first.status == 422 {
        let is_same = first.json()["code"] == again.json()["code"];
        require(is_same, Rule::AnsweredIsThere, shown);
        return;
    }
    require(first.name() == again.name(), Rule::KeyIsOnce, shown);
    let was = first.text_of("status");
    if !matches!(was.as_str(), "Pending" | "pending" | "AwaitingConfirmation") {
        require(first.text == again.text, Rule::FinalStays, shown);
    }
}

/// What was ended on request. The URL that was given with the request is not kept beside the transfer.
const ENDED: &str = "
    SELECT k.key, t.state FROM book_main.idempotency_keys k
    JOIN book_main.transfers t ON t.id = k.transfer_id
    WHERE k.operation IN ('withdraw-confirm', 'withdraw-cancel') AND k.refusal IS NULL
        AND t.state NOT IN ('Pending', 'AwaitingConfirmation')";

/// Every URL has heard last of the state that its transfer is in: the transfer's own, and the one of
/// whoever confirmed or cancelled it, whose path is the key of that request. Gives how many of these
/// there are. That each request which was answered has left its key is for [`assert_kept`].
pub(super) async fn assert_told(receiver: &Receiver, books: &Books) -> usize {
    books.delivered().await;
    let transfers = books
        .rows("SELECT callback_url, state FROM book_main.transfers WHERE callback_url IS NOT NULL")
        .await;
    assert!(!transfers.is_empty());
    let states: HashMap<_, _> = transfers.iter().map(|row| (&row[0], &row[1])).collect();
    for (url, state) in states {
        let path = url.strip_prefix(&receiver.url("")).unwrap();
        assert_heard(receiver, path, state);
    }
    let ended = books.rows(ENDED).await;
    for row in &ended {
        assert_heard(receiver, &format!("/{}", row[0]), &row[1]);
    }
    ended.len()
}

/// What this path has heard last is this state.
fn assert_heard(receiver: &Receiver, path: &str, state: &str) {
    let last = receiver.bodies(path).pop();
    require(last.is_some(), Rule::ReceiversAreTold, || {
        format!("{path} heard nothing of {state}")
    });
    let last = last.unwrap_or_default();
    let body: Value = serde_json::from_str(&last).unwrap();
    let status = [&body["Status"], &body["status"]]
        .into_iter()
        .find_map(|status| status.as_str())
        .unwrap();
    let is_last = status.eq_ignore_ascii_case(state);
    require(is_last, Rule::ReceiversAreTold, || {
        format!("{path} is {state}: {last}")
    });
}
