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
/// Later than any line.
const NEVER: &str = "9000-01-01";

/// What somebody saw of a user's accounts at once.
pub(super) struct Look {
    sent: Instant,
    answered: Instant,
    user: String,
    accounts: Vec<Seen>,
    /// Whether every account is shown that has lines.
    is_whole: bool,
}

/// What is on an account after its last line.
struct Seen {
    asset: String,
    /// How many lines it has, where the answer says so.
    lines: Option<u64>,
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
        Self::start_resting(client, exchange, REST)
    }

    /// The same with so long a rest after each answer.
    pub(super) fn start_resting(client: &Client, exchange: &Exchange, rest: Duration) -> Self {
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
                    let rest = if look.is_some() { rest } else { PAUSE };
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
    /// By chance it is either told how many lines there are, which ends with the first account that has
    /// any, or what there is on all accounts, without any lines: those are told after which it was so.
    async fn at(client: &Client, user: &str) -> Option<Self> {
        let is_of_all: bool = rand::random();
        let from = is_of_all.then(|| format!("&from={NEVER}"));
        let from = from.unwrap_or_default();
        let path = format!("/admin/v1/users/{user}/statement?limit=1{from}");
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
        let is_whole = body["next_cursor"].is_null();
        assert!(is_whole || !is_of_all, "{}", answer.text);
        let seen = |balance: &Value| {
            let text = |of: &Value| of.as_str().unwrap().to_owned();
            let lines = balance["lines"].as_u64().unwrap();
            Seen {
                asset: text(&balance["asset"]),
                lines: (!is_of_all).then_some(lines),
                available: text(&balance["closing"]["available"]),
                held: text(&balance["closing"]["held"]),
            }
        };
        Some(Self {
            sent,
            answered,
            user: user.to_owned(),
            accounts: balances.map(seen).collect(),
            is_whole,
        })
    }

    fn saw(&self, accounts: &Accounts, states: &States) -> Line {
        let mine = accounts.iter().filter(|((user, _), _)| *user == self.user);
        let places = mine.filter_map(|((_, asset), account)| {
            let line = self.line(*account, asset, states)?;
            Some(Place {
                account: *account,
                line,
            })
        });
        Line::Saw(Saw {
            sent: nanos(self.sent),
            answered: nanos(self.answered),
            lines: places.collect(),
        })
    }

    /// The last line of an account that it shows, as far as that can be told. One that is missing where
    /// all are shown has no line yet.
    fn line(&self, account: u64, asset: &str, states: &States) -> Option<u64> {
        match self.accounts.iter().find(|seen| seen.asset == asset) {
            Some(seen) => seen.lines.or_else(|| states.line(account, seen.state())),
            None => self.is_whole.then_some(0),
        }
    }
}

impl Seen {
    fn state(&self) -> State {
        (self.units(&self.available), self.units(&self.held))
    }

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
    let states = States::of(books).await;
    assert_balances(looks, &accounts, &states);
    record.extend(looks.iter().map(|look| look.saw(&accounts, &states)));
    let mut whole = vec![before.line()];
    whole.extend(record.iter().cloned());
    let ledger = audited(books.url(), &whole).await.unwrap();
    assert!(!ledger.steps.is_empty(), "nothing was done");
    let (judged, found) = judge(&whole, ledger);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}\nof {judged:?}", found.join("\n"));
    record
}

/// What is available and held, in smallest units.
type State = (i128, i128);

/// What is on users' accounts after each of their lines.
#[derive(Default)]
struct States {
    after: HashMap<(u64, u64), State>,
    /// The lines after which that is on an account: none where there are several.
    lines: HashMap<(u64, State), Option<u64>>,
}

impl States {
    async fn of(books: &Books) -> Self {
        let lines = "SELECT e.account_id, e.seq, e.available_after, e.held_after
            FROM book_main.entries e JOIN book_main.accounts a ON a.id = e.account_id
            WHERE a.owner_kind = 'user'";
        let mut states = Self::default();
        for row in books.rows(lines).await {
            let [account, line, available, held] = <[String; 4]>::try_from(row).unwrap();
            let state = (available.parse().unwrap(), held.parse().unwrap());
            states.add(account.parse().unwrap(), line.parse().unwrap(), state);
        }
        states
    }

    fn add(&mut self, account: u64, line: u64, state: State) {
        self.after.insert((account, line), state);
        let several = |line: &mut Option<u64>| *line = None;
        let lines = self.lines.entry((account, state));
        lines.and_modify(several).or_insert(Some(line));
    }

    /// The line after which this is on an account, if it is one alone.
    fn line(&self, account: u64, state: State) -> Option<u64> {
        self.lines.get(&(account, state)).copied().flatten()
    }
}

/// Whoever saw so many lines saw what is on the account after them, and whoever saw what is on it saw what
/// is there after some line.
fn assert_balances(looks: &[Look], accounts: &Accounts, states: &States) {
    for look in looks {
        for seen in &look.accounts {
            let account = accounts[&(look.user.clone(), seen.asset.clone())];
            let saw = seen.state();
            let Some(line) = seen.lines else {
                let is_there = states.lines.contains_key(&(account, saw));
                require(is_there, Rule::BalanceIsItsEntries, || {
                    format!("account {account} never had {saw:?}, which it showed")
                });
                continue;
            };
            let nothing = (line == 0).then_some((0, 0));
            let after = states.after.get(&(account, line)).copied().or(nothing);
            require(after == Some(saw), Rule::BalanceIsItsEntries, || {
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

#[test]
fn an_account_that_is_not_shown_has_no_line_yet_unless_others_are_missing_too() {
    let seen = |asset: &str, lines: Option<u64>, available: &str| Seen {
        asset: asset.to_owned(),
        lines,
        available: available.to_owned(),
        held: "0".to_owned(),
    };
    let owned = |asset: &str, account: u64| (("anna".to_owned(), asset.to_owned()), account);
    let others = ("ben".to_owned(), "usd".to_owned());
    let accounts = Accounts::from([owned("btc", 1), owned("usd", 2), (others, 3)]);
    let mut states = States::default();
    for (line, units) in [(1, 5), (2, 7), (3, 5)] {
        states.add(1, line, (units, 0));
    }
    states.add(2, 1, (100, 0));
    let saw = |shown: Vec<Seen>, is_whole: bool| {
        LazyLock::force(&CLOCK);
        let look = Look {
            sent: Instant::now(),
            answered: Instant::now(),
            user: "anna".to_owned(),
            accounts: shown,
            is_whole,
        };
        assert_balances(std::slice::from_ref(&look), &accounts, &states);
        let Line::Saw(Saw { mut lines, .. }) = look.saw(&accounts, &states) else {
            panic!("it saw nothing");
        };
        lines.sort_unstable();
        let places = lines.iter().map(|place| (place.account, place.line));
        places.collect::<Vec<_>>()
    };
    assert_eq!(
        saw(vec![seen("btc", Some(3), "0.00000005")], false),
        [(1, 3)]
    );
    assert_eq!(
        saw(vec![seen("btc", Some(3), "0.00000005")], true),
        [(1, 3), (2, 0)]
    );
    let both = vec![seen("btc", None, "0.00000007"), seen("usd", None, "1")];
    assert_eq!(saw(both, true), [(1, 2), (2, 1)]);
    // After which of two lines, nobody knows.
    assert_eq!(saw(vec![seen("btc", None, "0.00000005")], true), [(2, 0)]);
}
