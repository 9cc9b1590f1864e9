//! Exports.

use std::{collections::BTreeMap, time::Duration};

use bursar_domain::{AssetId, Kind, Status, Transfer};
use bursar_ports::{EntryFilter, Exports, LedgerOwner, StoreError, TransferQuery, TransferScan};
use bursar_testkit::build;

use super::{Line, Scene, entries, exports_with, fold, goes_back, opened, rest};
use crate::support::{PATIENCE, user_id};

async fn transfers(scene: &Scene, scan: TransferScan) -> Vec<Transfer> {
    let pages = scene.exports.open_transfers(scan).await.unwrap();
    rest(opened(pages).expect("there is a place")).await
}

/// The list, page by page.
async fn listed(scene: &Scene, scan: &TransferScan) -> Vec<Transfer> {
    let (mut all, mut after) = (vec![], None);
    loop {
        let part = TransferScan {
            after,
            limit: 11,
            ..scan.clone()
        };
        let slice = scene.query.scan_transfers(part).await.unwrap();
        all.extend(slice.transfers);
        after = slice.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn an_export_of_transfers_is_the_list() {
    let scene = Scene::lived_in().await;
    let all = TransferScan::default;
    let everything = listed(&scene, &all()).await;
    let middle = everything[everything.len() / 2].parts();
    let scans = [
        all(),
        TransferScan {
            kind: Some(Kind::Internal),
            ..all()
        },
        TransferScan {
            status: Some(Status::Completed),
            ..all()
        },
        TransferScan {
            users: Some(vec![user_id(1)]),
            asset: Some(build::asset_id("btc")),
            ..all()
        },
        TransferScan {
            from: Some(middle.created_at),
            amount_min: Some(middle.amount),
            asset: Some(middle.asset),
            ..all()
        },
        TransferScan {
            id: Some(middle.id),
            ..all()
        },
    ];
    for scan in scans {
        let expected = listed(&scene, &scan).await;
        assert!(!expected.is_empty(), "{scan:?}");
        assert_eq!(transfers(&scene, scan.clone()).await, expected, "{scan:?}");
    }
    let nobody = TransferScan {
        users: Some(vec![]),
        ..all()
    };
    assert_eq!(transfers(&scene, nobody).await, []);
}

#[tokio::test]
async fn an_export_of_entries_is_the_ledger_account_by_account() {
    let mut scene = Scene::lived_in().await;
    let all = scene.lines().await;
    assert!(goes_back(&all), "system accounts' times go back");
    let mut times: Vec<_> = all.iter().map(|line| line.at).collect();
    times.sort_unstable();
    let owners = [
        None,
        Some(LedgerOwner::User(user_id(1))),
        Some(LedgerOwner::User(user_id(99))),
        Some(LedgerOwner::System),
    ];
    let windows = [
        (None, None),
        (Some(times[times.len() / 4]), None),
        (Some(times[times.len() / 4]), Some(times[times.len() / 2])),
        (None, Some(times[0].plus_micros(-1))),
    ];
    for owner in owners {
        for asset in [None, Some(build::asset_id("usd"))] {
            for (from, to) in windows {
                let filter = EntryFilter {
                    owner,
                    asset,
                    from,
                    to,
                };
                let matches = |line: &&Line| {
                    let user = line.account.owner.user();
                    let is_owned = match owner {
                        None => true,
                        Some(LedgerOwner::User(wanted)) => user == Some(wanted),
                        Some(LedgerOwner::System) => user.is_none(),
                    };
                    is_owned
                        && asset.is_none_or(|asset| asset == line.account.asset)
                        && from.is_none_or(|from| line.at >= from)
                        && to.is_none_or(|to| line.at <= to)
                };
                let expected: Vec<Line> = all.iter().filter(matches).cloned().collect();
                let exported = rest(entries(&scene.exports, filter.clone()).await).await;
                let exported: Vec<Line> = exported.iter().map(Line::of).collect();
                assert_eq!(exported, expected, "{filter:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_export_is_of_the_moment_it_began_whatever_is_written_meanwhile() {
    let mut scene = Scene::lived_in().await;
    let lines = scene.lines().await;
    let list = listed(&scene, &TransferScan::default()).await;
    let filter = EntryFilter::default();
    let ledger = entries(&scene.exports, filter.clone()).await;
    let scan = TransferScan::default();
    let transfers = scene.exports.open_transfers(scan).await.unwrap();
    let transfers = opened(transfers).expect("there is a place");
    scene.live(60).await;
    assert!(scene.lines().await.len() > lines.len());
    let exported: Vec<Line> = rest(ledger).await.iter().map(Line::of).collect();
    assert_eq!(exported, lines);
    assert_eq!(rest(transfers).await, list);
    let mut sums: BTreeMap<AssetId, i128> = BTreeMap::new();
    for (account, holding) in fold(&exported) {
        *sums.entry(account.asset).or_default() += holding.available + holding.held;
    }
    assert_eq!(sums.len(), 2);
    assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
}

#[tokio::test]
async fn all_lines_add_up_to_the_balances() {
    let mut scene = Scene::lived_in().await;
    let exported = rest(entries(&scene.exports, EntryFilter::default()).await).await;
    let exported: Vec<Line> = exported.iter().map(Line::of).collect();
    let sums = fold(&exported).into_iter().map(|(account, holding)| {
        let owner = account
            .owner
            .user()
            .map_or("null".to_owned(), |user| user.to_string());
        let (asset, available, held) = (account.asset, holding.available, holding.held);
        format!("{asset} {owner} {available} {held}")
    });
    let mut sums: Vec<String> = sums.collect();
    sums.sort();
    let balances = "SELECT concat_ws(' ', asset, \
                    CASE owner_kind WHEN 'user' THEN owner::text ELSE 'null' END, \
                    sum(available), sum(held)) FROM book_main.accounts WHERE seq > 0 \
                    GROUP BY asset, owner_kind, \
                    CASE owner_kind WHEN 'user' THEN owner::text ELSE 'null' END";
    let mut balances = scene.fixture.texts(balances).await;
    balances.sort();
    assert_eq!(sums, balances);
}

#[tokio::test]
async fn one_export_too_many_is_refused_until_another_has_ended() {
    let scene = Scene::lived_in().await;
    let exports = exports_with(&scene, |pool| pool.exports_at_once = 1).await;
    let filter = EntryFilter::default();
    let mut first = entries(&exports, filter.clone()).await;
    assert!(first.next_page().await.unwrap().is_some());
    assert!(opened(exports.open_entries(filter.clone()).await.unwrap()).is_none());
    let scan = TransferScan::default();
    assert!(opened(exports.open_transfers(scan).await.unwrap()).is_none());
    drop(first);
    let again = entries(&exports, filter).await;
    assert!(!rest(again).await.is_empty());
}

/// How many transactions wait for their client.
const IDLE: &str = "SELECT count(*)::text FROM pg_stat_activity \
                    WHERE datname = current_database() AND state = 'idle in transaction'";

async fn until_none_is_idle(scene: &mut Scene) {
    let wait = async {
        while scene.fixture.text(IDLE).await != "0" {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.expect("the transaction goes on");
}

#[tokio::test]
async fn when_the_reader_has_gone_the_transaction_ends() {
    let mut scene = Scene::lived_in().await;
    let mut export = entries(&scene.exports, EntryFilter::default()).await;
    assert!(export.next_page().await.unwrap().is_some());
    assert_eq!(scene.fixture.text(IDLE).await, "1");
    drop(export);
    until_none_is_idle(&mut scene).await;
}

#[tokio::test]
async fn a_reader_that_pauses_for_too_long_loses_its_place_and_learns_it() {
    let mut scene = Scene::lived_in().await;
    let exports = exports_with(&scene, |pool| {
        pool.exports_at_once = 1;
        pool.export_pause = Duration::from_millis(50);
    });
    let exports = exports.await;
    let mut first = entries(&exports, EntryFilter::default()).await;
    until_none_is_idle(&mut scene).await;
    let late = first.next_page().await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    entries(&exports, EntryFilter::default()).await;
}

#[tokio::test]
async fn an_export_ends_when_its_time_is_over() {
    let mut scene = Scene::lived_in().await;
    let exports = exports_with(&scene, |pool| {
        pool.export_timeout = Duration::from_millis(50);
    })
    .await;
    let mut first = entries(&exports, EntryFilter::default()).await;
    until_none_is_idle(&mut scene).await;
    let late = first.next_page().await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
}

#[tokio::test]
async fn an_export_that_breaks_off_never_looks_complete() {
    let mut scene = Scene::lived_in().await;
    let mut export = entries(&scene.exports, EntryFilter::default()).await;
    let cut = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
               WHERE datname = current_database() AND state = 'idle in transaction'";
    assert_eq!(scene.fixture.text(cut).await, "true");
    for _ in 0..3 {
        let next = export.next_page().await;
        assert!(matches!(next, Err(StoreError::Unavailable(_))), "{next:?}");
    }
}
