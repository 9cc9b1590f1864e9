//! What clients were told and saw, judged by the ledger: everything happened one after the other, in an
//! order that agrees with the clock.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bursar_audit::history::{Operation, Outcome, Place, check};
use tokio::task::JoinSet;

use super::{
    books::Books,
    client::Client,
    exchange::{CANCEL, CONFIRM, Exchange},
    load::Told,
};

/// How many readers there are, each with one request under way.
const READERS: usize = 3;

/// How many lines somebody saw that an account has.
pub(super) struct Look {
    sent: Instant,
    answered: Instant,
    user: String,
    lines: u64,
}

/// Readers of accounts at work. Each goes on until it gets no answer or is told to stop.
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
                    let user = trader.id.clone();
                    let path = format!("/admin/v1/users/{user}/statement?asset=btc&limit=1");
                    let sent = Instant::now();
                    let Ok(answer) = client.try_get(&path).await else {
                        break;
                    };
                    let answered = Instant::now();
                    if answer.status != 200 {
                        assert_eq!(answer.status, 503, "{}", answer.text);
                        break;
                    }
                    let lines = answer.json()["balances"][0]["lines"].as_u64().unwrap();
                    looks.push(Look {
                        sent,
                        answered,
                        user,
                        lines,
                    });
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

/// The lines that one transaction wrote for a transfer.
struct Step {
    /// The key of the request that made the transfer.
    key: String,
    /// Which of the transfer's steps it is, from 0.
    number: usize,
    transfer: String,
    wrote: Vec<Place>,
}

/// Nobody saw or was told what could not be.
pub(super) async fn assert_serializable(told: &[&Told], looks: &[Look], books: &Books) {
    assert!(!looks.is_empty(), "nobody looked");
    let began = told.iter().map(|told| told.sent);
    let began = began.chain(looks.iter().map(|look| look.sent)).min();
    let began = began.unwrap();
    // What was there before comes first, whenever it was sent.
    let nanos = |at: Instant| u64::try_from((at - began).as_nanos()).unwrap() + 1;
    let mut steps = steps(books).await;
    let mut history: Vec<Operation> = told
        .iter()
        .map(|told| {
            let wrote = take_step(&mut steps, told);
            let (outcome, moves) = outcome(told);
            Operation {
                sent: nanos(told.sent),
                answered: (outcome != Outcome::Unknown).then(|| nanos(told.told)),
                outcome,
                moves,
                wrote,
                saw: vec![],
            }
        })
        .collect();
    let done = history
        .iter()
        .filter(|op| op.outcome == Outcome::Done && op.moves);
    assert!(done.count() > 0, "nothing was done");
    history.extend(steps.into_iter().map(|step| Operation {
        sent: 0,
        answered: None,
        outcome: Outcome::Unknown,
        moves: true,
        wrote: step.wrote,
        saw: vec![],
    }));
    let accounts = accounts(books).await;
    history.extend(looks.iter().map(|look| Operation {
        sent: nanos(look.sent),
        answered: Some(nanos(look.answered)),
        outcome: Outcome::Done,
        moves: false,
        wrote: vec![],
        saw: vec![Place {
            account: accounts[&look.user],
            line: look.lines,
        }],
    }));
    let found: Vec<String> = check(&history).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{found:#?}");
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

/// The lines that a request wrote.
fn take_step(steps: &mut Vec<Step>, told: &Told) -> Vec<Place> {
    let is_end = [CONFIRM, CANCEL].contains(&told.call.path());
    let ended = told.call.ends();
    let place = steps.iter().position(|step| {
        if is_end {
            step.number == 1 && Some(&step.transfer) == ended.as_ref()
        } else {
            step.number == 0 && step.key == told.call.key()
        }
    });
    place.map_or_else(Vec::new, |place| steps.swap_remove(place).wrote)
}

/// Everything that was ever written, transaction by transaction.
async fn steps(books: &Books) -> Vec<Step> {
    let rows = books
        .rows(
            "SELECT t.id, coalesce(t.note, ''), e.account_id, e.seq,
                 dense_rank() OVER (PARTITION BY t.id ORDER BY e.created_at) - 1
             FROM book_main.entries e JOIN book_main.transfers t ON t.id = e.transfer_id",
        )
        .await;
    let mut steps: HashMap<(String, usize), Step> = HashMap::new();
    for row in rows {
        let [transfer, key, account, line, number] = &row[..] else {
            panic!("{row:?}");
        };
        let number: usize = number.parse().unwrap();
        let step = steps.entry((transfer.clone(), number));
        let step = step.or_insert_with(|| Step {
            key: key.clone(),
            number,
            transfer: transfer.clone(),
            wrote: vec![],
        });
        step.wrote.push(Place {
            account: account.parse().unwrap(),
            line: line.parse().unwrap(),
        });
    }
    steps.into_values().collect()
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
