//! What clients were told and saw, judged by the ledger: everything happened one after the other, in an
//! order that agrees with the clock.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bursar_audit::{
    Rule,
    history::{Operation, Outcome, Place, check},
};
use tokio::task::JoinSet;

use super::{books::Books, client::Client, exchange::Exchange, load::Told, sound::require};

/// How many readers there are, each with one request under way.
const READERS: usize = 3;
/// How long one of them waits after it got no answer.
const PAUSE: Duration = Duration::from_millis(50);

/// How many lines somebody saw that a user's account of btc has.
pub(super) struct Look {
    sent: Instant,
    answered: Instant,
    user: String,
    lines: u64,
}

/// Readers of accounts at work. Each goes on until it is told to stop, answered or not.
pub(super) struct Watch {
    readers: JoinSet<Vec<Look>>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn start(client: &Client, exchange: &Exchange) -> Self {
        let mut watch = Self {
            readers: JoinSet::new(),
            stop: Arc::default(),
        };
        for reader in 0..READERS {
            let client = client.with(&exchange.admin);
            let (traders, stop) = (exchange.traders.clone(), Arc::clone(&watch.stop));
            watch.readers.spawn(async move {
                let mut looks = vec![];
                for trader in traders.iter().cycle().skip(reader) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    match Look::at(&client, &trader.id).await {
                        Some(look) => looks.push(look),
                        None => tokio::time::sleep(PAUSE).await,
                    }
                }
                looks
            });
        }
        watch
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
        let path = format!("/admin/v1/users/{user}/statement?asset=btc&limit=1");
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
        Some(Self {
            sent,
            answered,
            user: user.to_owned(),
            lines: answer.json()["balances"][0]["lines"].as_u64().unwrap(),
        })
    }
}

/// How many lines each account had before anything of a history happened.
pub(super) struct Before(HashMap<u64, u64>);

impl Before {
    /// Nothing may be under way.
    pub(super) async fn of(books: &Books) -> Self {
        let rows = books.rows("SELECT id, seq FROM book_main.accounts").await;
        let read = |row: Vec<String>| (row[0].parse().unwrap(), row[1].parse().unwrap());
        Self(rows.into_iter().map(read).collect())
    }

    fn lines(&self, account: u64) -> u64 {
        self.0.get(&account).copied().unwrap_or_default()
    }
}

/// Which of a transfer's steps it is: the transfer's key for the first one, its id for what ends it.
#[derive(Debug, PartialEq, Eq, Hash)]
enum StepOf {
    Made(String),
    Ended(String),
}

/// The lines that each transaction wrote.
type Steps = HashMap<StepOf, Vec<Place>>;

/// Nobody saw or was told what could not be. `before` is from when nothing of this was under way.
pub(super) async fn assert_serializable<'t>(
    told: impl IntoIterator<Item = &'t Told>,
    looks: &[Look],
    before: &Before,
    books: &Books,
) {
    assert!(!looks.is_empty(), "nobody looked");
    let told: Vec<&Told> = told.into_iter().collect();
    let began = told.iter().map(|told| told.sent);
    let began = began.chain(looks.iter().map(|look| look.sent)).min();
    let began = began.unwrap();
    let nanos = |at: Instant| u64::try_from((at - began).as_nanos()).unwrap();
    let mut steps = steps(books, before).await;
    let mut history: Vec<Operation> = told
        .iter()
        .map(|told| {
            let (outcome, moves) = outcome(told);
            Operation {
                sent: nanos(told.sent),
                answered: (outcome != Outcome::Unknown).then(|| nanos(told.told)),
                outcome,
                moves,
                wrote: steps.remove(&step_of(told)).unwrap_or_default(),
                saw: vec![],
            }
        })
        .collect();
    let unasked = steps.keys().next();
    require(unasked.is_none(), Rule::RefusedIsNot, || {
        format!("lines that nobody asked for: {unasked:?}")
    });
    let done = history.iter().filter(|op| !op.wrote.is_empty());
    assert!(done.count() > 0, "nothing was done");
    let accounts = accounts(books).await;
    for look in looks {
        let account = accounts[&look.user];
        let line = look.lines.checked_sub(before.lines(account));
        require(line.is_some(), Rule::OneOrder, || {
            format!("{} lost lines", look.user)
        });
        let line = line.unwrap_or_default();
        history.push(Operation {
            sent: nanos(look.sent),
            answered: Some(nanos(look.answered)),
            outcome: Outcome::Done,
            moves: false,
            wrote: vec![],
            saw: vec![Place { account, line }],
        });
    }
    let found: Vec<String> = check(&history).iter().map(ToString::to_string).collect();
    require(found.is_empty(), Rule::OneOrder, || format!("{found:#?}"));
}

/// What a client knows, and whether that is that money moved.
fn outcome(told: &Told) -> (Outcome, bool) {
    let Some(answer) = told.answer.as_ref().filter(|_| told.is_certain()) else {
        return (Outcome::Unknown, false);
    };
    if answer.status == 422 {
        return (Outcome::Refused, false);
    }
    match answer.text_of("status").as_str() {
        // It is settled later, at a time that nobody is told.
        "Pending" | "pending" => (Outcome::Unknown, false),
        "Rejected" | "rejected" | "Failed" => (Outcome::Done, false),
        _ => (Outcome::Done, true),
    }
}

/// What a request does.
fn step_of(told: &Told) -> StepOf {
    match told.call.ends() {
        Some(transfer) => StepOf::Ended(transfer),
        None => StepOf::Made(told.call.key().to_owned()),
    }
}

/// Everything that was written since, numbered from there.
async fn steps(books: &Books, before: &Before) -> Steps {
    let begins = before.0.iter().map(|(id, seq)| format!(", ({id}, {seq})"));
    let rows = books
        .rows(&format!(
            "WITH since AS (
                 SELECT DISTINCT e.transfer_id FROM book_main.entries e
                 LEFT JOIN (VALUES (0::bigint, 0::bigint){}) AS b (id, seq) ON b.id = e.account_id
                 WHERE e.seq > coalesce(b.seq, 0))
             SELECT t.id, coalesce(t.note, ''), e.account_id, e.seq,
                 dense_rank() OVER (PARTITION BY t.id ORDER BY e.created_at) > 1
             FROM since s JOIN book_main.entries e USING (transfer_id)
                 JOIN book_main.transfers t ON t.id = s.transfer_id",
            begins.collect::<String>()
        ))
        .await;
    let mut steps = Steps::new();
    for row in rows {
        let [transfer, key, account, line, is_end] = &row[..] else {
            panic!("{row:?}");
        };
        let account = account.parse().unwrap();
        let line = line.parse::<u64>().unwrap();
        let Some(line) = line
            .checked_sub(before.lines(account))
            .filter(|line| *line > 0)
        else {
            continue;
        };
        let step = if is_end == "t" {
            StepOf::Ended(transfer.clone())
        } else {
            StepOf::Made(key.clone())
        };
        steps.entry(step).or_default().push(Place { account, line });
    }
    steps
}

/// Each user's account of btc.
async fn accounts(books: &Books) -> HashMap<String, u64> {
    let rows = books
        .rows(
            "SELECT owner, id FROM book_main.accounts WHERE owner_kind = 'user' AND asset = 'btc'",
        )
        .await;
    let read = |row: Vec<String>| (row[0].clone(), row[1].parse().unwrap());
    rows.into_iter().map(read).collect()
}
