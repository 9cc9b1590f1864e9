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
use bursar_domain::{DecimalAmount, ParseAmountError, Scale};
use bursar_postgres::audited;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    books::Books,
    call::Told,
    client::{Answer, Client},
    eventually,
    exchange::{Exchange, SCALES},
    receiver::Receiver,
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

/// What somebody saw of a user's accounts at once.
pub(super) struct Look {
    sent: Instant,
    answered: Instant,
    user: String,
    accounts: Vec<Seen>,
}

/// How many lines an account has, and what is on it after the last of them.
struct Seen {
    asset: String,
    lines: u64,
    available: String,
    held: String,
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
        let seen = |balance: &Value| {
            let text = |of: &Value| of.as_str().unwrap().to_owned();
            Seen {
                asset: text(&balance["asset"]),
                lines: balance["lines"].as_u64().unwrap(),
                available: text(&balance["closing"]["available"]),
                held: text(&balance["closing"]["held"]),
            }
        };
        Some(Self {
            sent,
            answered,
            user: user.to_owned(),
            accounts: balances.map(seen).collect(),
        })
    }

    fn saw(&self, accounts: &Accounts) -> Line {
        let places = self.accounts.iter().map(|seen| Place {
            account: accounts[&(self.user.clone(), seen.asset.clone())],
            line: seen.lines,
        });
        Line::Saw(Saw {
            sent: nanos(self.sent),
            answered: nanos(self.answered),
            lines: places.collect(),
        })
    }
}

impl Seen {
    /// An amount in smallest units.
    fn units(&self, amount: &str) -> i128 {
        let scale = SCALES.iter().find(|(asset, _)| *asset == self.asset);
        let scale = Scale::try_new(scale.unwrap().1).unwrap();
        match DecimalAmount::parse(amount) {
            Err(ParseAmountError::Zero) => 0,
            amount => amount.unwrap().to_amount(scale).unwrap().units(),
        }
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
    assert_balances(looks, &accounts, books).await;
    let mut whole = vec![before.line()];
    whole.extend(record.iter().cloned());
    let ledger = audited(books.url(), &whole).await.unwrap();
    assert!(!ledger.steps.is_empty(), "nothing was done");
    let (judged, found) = judge(&whole, ledger);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}\nof {judged:?}", found.join("\n"));
    record
}

/// Whoever saw so many lines saw what is on the account after them.
async fn assert_balances(looks: &[Look], accounts: &Accounts, books: &Books) {
    let lines = "SELECT e.account_id, e.seq, e.available_after, e.held_after
        FROM book_main.entries e JOIN book_main.accounts a ON a.id = e.account_id
        WHERE a.owner_kind = 'user'";
    let lines = books.rows(lines).await.into_iter().map(|row| {
        let [account, line, available, held] = <[String; 4]>::try_from(row).unwrap();
        let place: (u64, u64) = (account.parse().unwrap(), line.parse().unwrap());
        let after: (i128, i128) = (available.parse().unwrap(), held.parse().unwrap());
        (place, after)
    });
    let lines: HashMap<_, _> = lines.collect();
    for look in looks {
        for seen in &look.accounts {
            let account = accounts[&(look.user.clone(), seen.asset.clone())];
            let nothing = (seen.lines == 0).then_some((0, 0));
            let after = lines.get(&(account, seen.lines)).copied().or(nothing);
            let saw = (seen.units(&seen.available), seen.units(&seen.held));
            require(after == Some(saw), Rule::BalanceIsItsEntries, || {
                let line = seen.lines;
                format!("account {account} had {after:?} after line {line}, and showed {saw:?}")
            });
        }
    }
}

/// What a client knows.
fn asked(told: &Told, accounts: &Accounts) -> Line {
    let answer = told.answer.as_ref().filter(|_| told.is_certain());
    let done = answer.filter(|answer| answer.status == 200);
    let outcome = match (answer, done) {
        (None, _) => Outcome::Unknown,
        (Some(_), None) => Outcome::Refused,
        (Some(_), Some(_)) => Outcome::Done,
    };
    let statuses = done.map(Answer::statuses).unwrap_or_default();
    let statuses: Vec<String> = statuses
        .iter()
        .map(|status| status.to_lowercase())
        .collect();
    // It is settled later, at a time that nobody is told.
    let is_pending = statuses.iter().any(|status| status == "pending");
    let stays = ["pending", "rejected", "failed"];
    Line::Asked(Asked {
        sent: nanos(told.sent),
        answered: answer.filter(|_| !is_pending).map(|_| nanos(told.told)),
        key: told.call.key().to_owned(),
        ends: told.call.ends().map(|transfer| transfer.parse().unwrap()),
        outcome,
        moves: statuses.iter().any(|status| !stays.contains(&&**status)),
        transfer: done.and_then(|done| done.names().first()?.parse().ok()),
        one_by_one: told.call.is_one_by_one(),
        lacks: answer
            .filter(|answer| answer.text.contains("balance.insufficient"))
            .and_then(|_| missing(told, accounts)),
    })
}

/// What whoever was to pay was said not to have.
fn missing(told: &Told, accounts: &Accounts) -> Option<Missing> {
    let (payer, units) = told.call.pays()?;
    Some(Missing {
        account: *accounts.get(&(payer.to_owned(), "btc".to_owned()))?,
        units,
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
