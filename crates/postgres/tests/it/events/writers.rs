//! Two stores write, two sequencers number and a reader follows: nothing is lost, nothing comes
//! twice, and nothing comes before what it depends on.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bursar_domain::{
    Command, Commit, Kind, Status, Timestamp, Transfer, TransferId, UserId, Version,
};
use bursar_ports::{Clock, CommitOutcome, Event, EventSequencer, Happening, Step, TransferStore};
use bursar_postgres::{Database, PgEvents, PgStore, SealKeys};
use bursar_testkit::{SequentialIds, build};
use tokio::task::JoinSet;

use super::{everything, page, step};
use crate::support::{Fixture, patient, patient_engine, user_id};

const URL: &str = "https://example.com/hook";
const WRITERS: u128 = 4;
const ROUNDS: usize = 40;

/// A replica's clock, off by some microseconds: nothing in the feed may depend on it.
struct SkewedClock(i64);

impl Clock for SkewedClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(time::OffsetDateTime::now_utc()).plus_micros(self.0)
    }
}

async fn store(fixture: &Fixture, skew: i64) -> Arc<PgStore> {
    let pool = patient(fixture.url());
    let database = Database::connect(pool.clone()).await.unwrap();
    let clock = Arc::new(SkewedClock(skew));
    let (store, _tasks) = PgStore::start(&pool, database, &patient_engine(), clock);
    Arc::new(store)
}

async fn commit(store: &PgStore, commit: Commit) -> Transfer {
    let outcome = store.commit(vec![commit]).await.unwrap().remove(0);
    let CommitOutcome::Committed(transfer) = outcome else {
        panic!("{outcome:?}")
    };
    *transfer
}

/// A user gets money from outside, pays the next one with it, and that one takes it out again: each
/// step is possible only after the one before it, and each goes through another replica.
async fn chain(stores: &[Arc<PgStore>; 2], ids: &SequentialIds, users: [UserId; 2]) {
    let [one, other] = stores;
    let asset = build::asset("usd", 2);
    let new = || {
        let mut new = build::new_transfer(ids.transfer(), &asset, 100, SkewedClock(0).now());
        new.callback_url = Some(URL.to_owned());
        new
    };
    let now = SkewedClock(0).now();
    let opened = commit(one, Commit::new(build::deposit(new(), users[0]))).await;
    let settled = build::step(&opened, &Command::Settle, now);
    commit(other, Commit::new(settled)).await;
    let payment = build::internal(new(), users[0], users[1]).settled_at_once();
    commit(one, Commit::new(payment)).await;
    let held = commit(other, Commit::new(build::withdrawal(new(), users[1]))).await;
    let paid = build::step(&held, &build::confirm(), now);
    commit(one, Commit::new(paid)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_and_whoever_numbers_no_effect_comes_before_its_cause() {
    let mut fixture = Fixture::with_usd().await;
    let stores = [store(&fixture, 0).await, store(&fixture, -50_000).await];
    let ids = Arc::new(SequentialIds::default());
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let (stores, ids) = (stores.clone(), Arc::clone(&ids));
        // Each chain has users of its own: the balance is exactly what came in before.
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                let users = [user_id(2 * number + 1), user_id(2 * number + 2)];
                chain(&stores, &ids, users).await;
            }
        });
    }
    let stop = Arc::new(AtomicBool::default());
    let mut sequencers = JoinSet::new();
    for _ in 0..2 {
        let pool = patient(fixture.url());
        let events = PgEvents::new(Database::connect(pool).await.unwrap(), SealKeys::default());
        let stop = Arc::clone(&stop);
        sequencers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                events.number().await.unwrap();
            }
        });
    }
    let events = PgEvents::new(fixture.database.clone(), SealKeys::default());
    let reader = tokio::spawn({
        let (events, stop) = (events.clone(), Arc::clone(&stop));
        async move {
            let mut seen: Vec<Event> = vec![];
            while !stop.load(Ordering::SeqCst) {
                let after = seen.last().map_or(0, |event| event.number);
                for (event, number) in page(&events, after, 7).await.into_iter().zip(after + 1..) {
                    assert_eq!(event.number, number);
                    seen.push(event);
                }
            }
            seen
        }
    });
    writers.join_all().await;
    stop.store(true, Ordering::SeqCst);
    sequencers.join_all().await;
    let seen = reader.await.unwrap();

    let all = everything(&events).await;
    let steps = usize::try_from(WRITERS).unwrap() * ROUNDS * 5;
    assert_eq!(all.len(), steps);
    let told = |event: &Event| (event.number, step(event).unwrap());
    let first: Vec<_> = all.iter().take(seen.len()).map(told).collect();
    assert_eq!(seen.iter().map(told).collect::<Vec<_>>(), first);

    follows_the_ledger(&mut fixture, &all).await;
    agrees_with_callbacks(&mut fixture, &all).await;
}

/// Whether a step moves money, and if so whether it is the second one of its transfer that does.
fn moves(event: &Event) -> Option<(TransferId, bool)> {
    let Happening::Step(Step {
        transfer, version, ..
    }) = &event.what
    else {
        return None;
    };
    let is_first = *version == Version::FIRST;
    match transfer.kind() {
        Kind::Deposit if is_first => None,
        Kind::Withdrawal => Some((transfer.id(), !is_first)),
        Kind::Deposit | Kind::Internal => Some((transfer.id(), false)),
    }
}

/// Each user's account moved in the order of the feed, and each transfer's versions come in order.
async fn follows_the_ledger(fixture: &mut Fixture, all: &[Event]) {
    let numbers: HashMap<(TransferId, bool), i64> = all
        .iter()
        .filter_map(|event| Some((moves(event)?, event.number)))
        .collect();
    let lines = fixture
        .texts(
            "SELECT account_id || ' ' || transfer_id FROM book_main.entries AS e \
             JOIN book_main.accounts AS a ON a.id = e.account_id WHERE a.owner_kind = 'user' \
             ORDER BY account_id, e.seq",
        )
        .await;
    let mut seen: HashSet<(&str, TransferId)> = HashSet::new();
    let mut last: HashMap<&str, i64> = HashMap::new();
    for line in &lines {
        let (account, id) = line.split_once(' ').unwrap();
        let id = TransferId::try_new(id.parse().unwrap()).unwrap();
        let is_second = !seen.insert((account, id));
        let number = numbers[&(id, is_second)];
        let before = last.insert(account, number).unwrap_or_default();
        assert!(
            before < number,
            "account {account}: {number} after {before}"
        );
    }
    let mut versions: HashMap<TransferId, Version> = HashMap::new();
    for (id, version, _) in all.iter().filter_map(step) {
        let before = versions.insert(id, version).unwrap_or(Version::new(0));
        assert_eq!(before.next(), version, "{id}");
    }
}

/// Every state that a callback tells has exactly one event, and every state after the first of a
/// deposit, which nobody is called about, has a callback.
async fn agrees_with_callbacks(fixture: &mut Fixture, all: &[Event]) {
    let rows = "SELECT transfer_id || ' ' || status FROM book_main.callbacks";
    let mut called = fixture.texts(rows).await;
    let mut told: Vec<String> = all
        .iter()
        .filter_map(step)
        .filter(|(_, _, status)| *status != Status::Pending)
        .map(|(id, _, status)| format!("{id} {}", status.as_str()))
        .collect();
    called.sort();
    told.sort();
    assert_eq!(told, called);
}
