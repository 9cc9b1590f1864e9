//! Lists while transfers are being made: what was there when a scan began comes exactly once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bursar_domain::{Commit, Kind, Status, Timestamp, Transfer, UserId};
use bursar_ports::{
    AccountHistory, Clock, CommitOutcome, InternalFilter, TransferFilter, TransferQuery,
    TransferScan, TransferStore,
};
use bursar_postgres::{EngineTasks, PgQuery, PgStore};
use bursar_testkit::{SequentialIds, build};
use tokio::task::JoinSet;

use super::{everything, history, ids, internal};
use crate::support::{Fixture, patient, patient_engine, user_id};

const WRITERS: u128 = 4;
const SCANS: usize = 12;
/// The user that all lists of one user are about; everybody pays it and is paid by it.
const HUB: u128 = 1;

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(time::OffsetDateTime::now_utc())
    }
}

/// A book with some transfers, and what is needed to make more.
struct Scene {
    fixture: Fixture,
    query: PgQuery,
    store: Arc<PgStore>,
    ids: Arc<SequentialIds>,
    _tasks: EngineTasks,
}

impl Scene {
    async fn new() -> Self {
        let fixture = Fixture::with_usd().await;
        let (store, tasks) = PgStore::start(
            &patient(fixture.url()),
            fixture.database.clone(),
            &patient_engine(),
            Arc::new(SystemClock),
        );
        let scene = Self {
            query: PgQuery::new(fixture.database.clone()),
            fixture,
            store: Arc::new(store),
            ids: Arc::default(),
            _tasks: tasks,
        };
        for round in 0..30 {
            make_some(&scene.store, &scene.ids, 2 + round % WRITERS).await;
        }
        scene
    }

    /// Starts the writers. They go on until the flag is set and say how many rounds they made.
    fn write(&self) -> (JoinSet<usize>, Arc<AtomicBool>) {
        let stop = Arc::new(AtomicBool::default());
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let (store, ids, stop) = (self.store.clone(), self.ids.clone(), stop.clone());
            writers.spawn(async move {
                let mut rounds = 0;
                while !stop.load(Ordering::SeqCst) {
                    make_some(&store, &ids, 2 + number).await;
                    rounds += 1;
                }
                rounds
            });
        }
        (writers, stop)
    }

    /// The ids of what has been committed and fits a condition.
    async fn committed(&mut self, condition: &str) -> BTreeSet<i64> {
        let query = format!("SELECT id::text FROM book_main.transfers WHERE {condition}");
        let rows = self.fixture.texts(&query).await;
        rows.iter().map(|id| id.parse().unwrap()).collect()
    }
}

async fn commit(store: &PgStore, commit: Commit) -> Transfer {
    let outcome = store.commit(vec![commit]).await.unwrap().remove(0);
    let CommitOutcome::Committed(transfer) = outcome else {
        panic!("{outcome:?}")
    };
    *transfer
}

/// One of each: a deposit that settles later, a withdrawal that is confirmed or cancelled, a payment
/// in either direction and one that is rejected.
async fn make_some(store: &PgStore, ids: &SequentialIds, other: u128) {
    let (hub, other) = (user_id(HUB), user_id(other));
    let now = SystemClock.now();
    let new = |units| build::new_transfer(ids.transfer(), &build::asset("usd", 2), units, now);
    for user in [hub, other] {
        let opened = commit(store, Commit::new(build::deposit(new(1_000), user))).await;
        let settled = build::step(&opened, &bursar_domain::Command::Settle, now);
        commit(store, Commit::new(settled)).await;
    }
    let held = commit(store, Commit::new(build::withdrawal(new(5), hub))).await;
    let finish = if held.id().get() % 2 == 0 {
        build::confirm()
    } else {
        build::cancel()
    };
    commit(store, Commit::new(build::step(&held, &finish, now))).await;
    for (from, to, units) in [(hub, other, 7), (other, hub, 9), (other, hub, 1_000_000)] {
        let payment = build::internal(new(units), from, to).settled_at_once();
        commit(store, Commit::new(payment)).await;
    }
}

/// Every page of a keyset list.
async fn scanned(query: &PgQuery, scan: TransferScan) -> Vec<i64> {
    let mut all = vec![];
    let mut after = None;
    loop {
        let slice = TransferScan {
            after,
            ..scan.clone()
        };
        let slice = query.scan_transfers(slice).await.unwrap();
        all.extend(ids(&slice.transfers));
        after = slice.next;
        if after.is_none() {
            return all;
        }
    }
}

fn once(rows: &[i64]) -> BTreeSet<i64> {
    let set: BTreeSet<i64> = rows.iter().copied().collect();
    assert_eq!(set.len(), rows.len(), "a row came twice");
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyset_list_shows_what_was_there_exactly_once_while_transfers_are_made() {
    let mut scene = Scene::new().await;
    let (writers, stop) = scene.write();
    let page = |limit| TransferScan {
        limit,
        ..TransferScan::default()
    };
    let mut grown = 0;
    for round in 0.. {
        // Writers may begin late on a busy machine.
        if round >= SCANS && grown > 0 {
            break;
        }
        assert!(round < 1_000 * SCANS, "nothing was written meanwhile");
        // What can no longer change its status is what a scan by status promises.
        let (scan, condition) = match round % 4 {
            0 => (page(17), "true".to_owned()),
            1 => (
                TransferScan {
                    status: Some(Status::Completed),
                    ..page(13)
                },
                "state = 'Completed'".to_owned(),
            ),
            2 => (
                TransferScan {
                    users: Some(vec![user_id(HUB)]),
                    ..page(19)
                },
                format!(
                    "user_id = '{hub}' OR recipient_id = '{hub}' AND state = 'Success'",
                    hub = user_id(HUB)
                ),
            ),
            _ => (
                TransferScan {
                    kind: Some(Kind::Internal),
                    asset: Some(build::asset_id("usd")),
                    ..page(11)
                },
                "kind = 'internal'".to_owned(),
            ),
        };
        let before = scene.committed(&condition).await;
        let rows = scanned(&scene.query, scan.clone()).await;
        let shown = once(&rows);
        let missing: Vec<_> = before.difference(&shown).collect();
        assert!(missing.is_empty(), "{scan:?} misses {missing:?}");
        grown += scene.committed(&condition).await.len() - before.len();
    }
    stop.store(true, Ordering::SeqCst);
    writers.join_all().await;
}

/// Every page of a list with offsets.
async fn paged(limit: u64, page: impl AsyncFn(u64) -> Vec<i64>) -> Vec<i64> {
    let mut all = vec![];
    loop {
        let rows = page(u64::try_from(all.len()).unwrap()).await;
        let last = u64::try_from(rows.len()).unwrap() < limit;
        all.extend(rows);
        if last {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_with_offsets_show_a_window_in_the_past_exactly_once_while_transfers_are_made() {
    let mut scene = Scene::new().await;
    let hub: UserId = user_id(HUB);
    // The internal list's window is made of whole seconds: the next one is not in it.
    let last = SystemClock.now();
    while SystemClock.now().floor_second() == last.floor_second() {
        tokio::task::yield_now().await;
    }
    let to = Some(last);
    let own = format!("kind <> 'internal' AND user_id = '{hub}'");
    let own = scene.committed(&own).await;
    let backoffice = scene.committed("kind <> 'internal'").await;
    let visible = format!(
        "kind = 'internal' AND (user_id = '{hub}' OR recipient_id = '{hub}' AND state = 'Success')"
    );
    let visible = scene.committed(&visible).await;
    let before = scene.committed("true").await.len();
    let (writers, stop) = scene.write();
    while scene.committed("true").await.len() == before {
        tokio::task::yield_now().await;
    }
    let query = &scene.query;
    for limit in [7_u32, 11, 13, 5] {
        let pages = u64::from(limit);
        let rows = paged(pages, async |offset| {
            let filter = AccountHistory {
                to,
                limit,
                offset,
                ..history(HUB)
            };
            ids(&query.list_account_history(filter).await.unwrap())
        });
        assert_eq!(once(&rows.await), own);
        let rows = paged(pages, async |offset| {
            let filter = TransferFilter {
                to,
                limit,
                offset,
                ..everything()
            };
            let page = query.list_transfers(filter).await.unwrap();
            assert_eq!(page.total, u64::try_from(backoffice.len()).unwrap());
            ids(&page.transfers)
        });
        assert_eq!(once(&rows.await), backoffice);
        let rows = paged(pages, async |offset| {
            let filter = InternalFilter {
                to,
                limit,
                offset,
                ..internal(HUB)
            };
            ids(&query.list_internal(filter).await.unwrap())
        });
        assert_eq!(once(&rows.await), visible);
    }
    stop.store(true, Ordering::SeqCst);
    let rounds: usize = writers.join_all().await.into_iter().sum();
    assert!(rounds > 0, "nothing was written meanwhile");
}
