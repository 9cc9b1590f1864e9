//! What clients were told and saw, judged by the ledger: everything happened one after the other, in an
//! order that agrees with the clock.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bursar_audit::{
    Rule,
    history::{Outcome, Place},
    judge,
    record::{Asked, Began, Heard, Line, Missing, Saw},
};
use bursar_domain::{DecimalAmount, Scale};
use bursar_postgres::audited;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    books::Books, client::Client, eventually, exchange::Exchange, load::Told, receiver::Receiver,
    sound::require,
};

/// The one clock of all clients. Whatever is recorded is recorded after its beginning.
static CLOCK: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How many readers there are, each with one request under way.
const READERS: usize = 3;
/// How long one of them waits after each answer: writers are to be at work, too.
const REST: Duration = Duration::from_millis(10);
/// How long one of them waits after it got no answer.
const PAUSE: Duration = Duration::from_millis(50);

/// How many lines somebody saw that each of a user's accounts has, at once.
pub(super) struct Look {
    sent: Instant,
    answered: Instant,
    user: String,
    lines: Vec<(String, u64)>,
}

/// Readers of accounts at work. Each goes on until it is told to stop, answered or not.
pub(super) struct Watch {
    readers: JoinSet<Vec<Look>>,
    looked: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn start(client: &Client, exchange: &Exchange) -> Self {
        let mut watch = Self {
            readers: JoinSet::new(),
            looked: Arc::default(),
            stop: Arc::default(),
        };
        for reader in 0..READERS {
            let client = client.with(&exchange.admin);
            let (traders, stop) = (exchange.traders.clone(), Arc::clone(&watch.stop));
            let looked = Arc::clone(&watch.looked);
            watch.readers.spawn(async move {
                let mut looks = vec![];
                for trader in traders.iter().cycle().skip(reader) {
                    let look = Look::at(&client, &trader.id).await;
                    looked.fetch_or(look.is_some(), Ordering::SeqCst);
                    let rest = if look.is_some() { REST } else { PAUSE };
                    looks.extend(look);
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    tokio::time::sleep(rest).await;
                }
                looks
            });
        }
        watch
    }

    /// Waits until somebody saw something: of a service that is killed before, nobody can.
    pub(super) async fn looked(&self) {
        eventually("a look", async || {
            self.looked.load(Ordering::SeqCst).then_some(())
        })
        .await;
    }

    /// What they saw, once all of them have stopped.
    pub(super) async fn ended(self) -> Vec<Look> {
        self.stop.store(true, Ordering::SeqCst);
        let looks = self.readers.join_all().await;
        looks.into_iter().flatten().collect()
    }
}

impl Look {
    async fn at(client: &Client, user: &str) -> Option<Self> {
        let path = format!("/admin/v1/users/{user}/statement?limit=1");
        let sent = Instant::now();
        let answer = client.try_get(&path).await.ok()?;
        let answered = Instant::now();
        if answer.status != 200 {
            // Nothing but books that contradict themselves is answered with 500.
            require(answer.status == 503, Rule::BalanceIsItsEntries, || {
                answer.text.clone()
            });
            return None;
        }
        let body = answer.json();
        let balances = body["balances"].as_array().unwrap().iter();
        let lines = balances.map(|balance| {
            let asset = balance["asset"].as_str().unwrap();
            (asset.to_owned(), balance["lines"].as_u64().unwrap())
        });
        Some(Self {
            sent,
            answered,
            user: user.to_owned(),
            lines: lines.collect(),
        })
    }

    fn saw(&self, accounts: &Accounts) -> Line {
        let places = self.lines.iter().map(|(asset, line)| Place {
            account: accounts[&(self.user.clone(), asset.clone())],
            line: *line,
        });
        Line::Saw(Saw {
            sent: nanos(self.sent),
            answered: nanos(self.answered),
            lines: places.collect(),
        })
    }
}

/// What every account had before anything of a history happened.
pub(super) struct Before(Began);

impl Before {
    /// Nothing may be under way.
    pub(super) async fn of(books: &Books) -> Self {
        LazyLock::force(&CLOCK);
        let rows = books.rows("SELECT id, seq FROM book_main.accounts").await;
        let read = |row: Vec<String>| Place {
            account: row[0].parse().unwrap(),
            line: row[1].parse().unwrap(),
        };
        let lines = rows.into_iter().map(read).collect();
        Self(Began { lines })
    }

    /// As a record begins.
    pub(super) fn line(&self) -> Line {
        Line::Began(self.0.clone())
    }
}

/// Nobody saw or was told what could not be. `before` is from when nothing of this was under way. What
/// was held against the ledger can be held against it again, together with what comes later.
pub(super) async fn assert_serializable<'t>(
    told: impl IntoIterator<Item = &'t Told>,
    looks: &[Look],
    before: &Before,
    books: &Books,
) -> Vec<Line> {
    assert!(!looks.is_empty(), "nobody looked");
    let accounts = accounts(books).await;
    let mut record: Vec<Line> = told
        .into_iter()
        .map(|told| asked(told, &accounts))
        .collect();
    record.extend(looks.iter().map(|look| look.saw(&accounts)));
    let mut whole = vec![before.line()];
    whole.extend(record.iter().cloned());
    let ledger = audited(books.url(), &whole).await.unwrap();
    assert!(!ledger.steps.is_empty(), "nothing was done");
    let (judged, found) = judge(&whole, ledger);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}\nof {judged:?}", found.join("\n"));
    record
}

/// What a client knows.
fn asked(told: &Told, accounts: &Accounts) -> Line {
    let answer = told.answer.as_ref().filter(|_| told.is_certain());
    let done = answer.filter(|answer| answer.status == 200);
    let (outcome, status) = match (answer, done) {
        (None, _) => (Outcome::Unknown, None),
        (Some(_), None) => (Outcome::Refused, None),
        (Some(_), Some(done)) => (Outcome::Done, Some(done.text_of("status").to_lowercase())),
    };
    // It is settled later, at a time that nobody is told.
    let is_pending = status.as_deref() == Some("pending");
    let stays = ["pending", "rejected", "failed"];
    Line::Asked(Asked {
        sent: nanos(told.sent),
        answered: answer.filter(|_| !is_pending).map(|_| nanos(told.told)),
        key: told.call.key().to_owned(),
        ends: told.call.ends().map(|transfer| transfer.parse().unwrap()),
        outcome,
        moves: status.is_some_and(|status| !stays.contains(&&*status)),
        transfer: done.and_then(|done| done.name().parse().ok()),
        one_by_one: false,
        lacks: answer
            .filter(|answer| answer.text.contains("balance.insufficient"))
            .and_then(|_| missing(told, accounts)),
    })
}

/// What whoever was to pay was said not to have.
fn missing(told: &Told, accounts: &Accounts) -> Option<Missing> {
    let (payer, amount) = told.call.pays()?;
    let btc = Scale::try_new(8).unwrap();
    let units = DecimalAmount::parse(amount)
        .unwrap()
        .to_amount(btc)
        .unwrap();
    Some(Missing {
        account: *accounts.get(&(payer.to_owned(), "btc".to_owned()))?,
        units: units.units(),
    })
}

/// What a receiver heard.
pub(super) fn heard(receiver: &Receiver) -> Vec<Line> {
    let all = receiver.all().into_iter();
    all.map(|one| {
        let body: Value = serde_json::from_str(&one.body).unwrap();
        let status = [&body["Status"], &body["status"]];
        let status = status.into_iter().find_map(Value::as_str);
        Line::Heard(Heard {
            id: one.headers["webhook-id"].clone(),
            status: status.unwrap().to_owned(),
        })
    })
    .collect()
}

/// A record as `bursar verify` reads it.
pub(super) fn write_record(record: &[Line], file: &Path) {
    let lines = record
        .iter()
        .map(|line| serde_json::to_string(line).unwrap());
    let lines: Vec<String> = lines.collect();
    fs::write(file, lines.join("\n")).unwrap();
}

fn nanos(at: Instant) -> u64 {
    u64::try_from((at - *CLOCK).as_nanos()).unwrap()
}

/// Accounts by whose they are and of what.
type Accounts = HashMap<(String, String), u64>;

async fn accounts(books: &Books) -> Accounts {
    let users = "SELECT owner, asset, id FROM book_main.accounts WHERE owner_kind = 'user'";
    let read = |row: Vec<String>| ((row[0].clone(), row[1].clone()), row[2].parse().unwrap());
    books.rows(users).await.into_iter().map(read).collect()
}
