//! The order of the event feed, and its names.

use std::collections::{BTreeMap, BTreeSet};

use bursar_domain::{
    Kind, Status, Timestamp, TransferId, Version,
    feed::{JournalEntry, event_type, in_causal_order},
};
use proptest::{prelude::*, sample::Index};
use uuid::Uuid;

use crate::{properties::config, sample::NOW};

fn entry(number: u128, micros: i64, steps: &[(i64, i32)]) -> JournalEntry {
    let steps = steps.iter().map(|(transfer, version)| {
        let transfer = TransferId::try_new(*transfer).expect("a valid id");
        (transfer, Version::new(*version))
    });
    JournalEntry {
        id: Uuid::from_u128(number),
        locked_at: NOW.plus_micros(micros),
        steps: steps.collect(),
    }
}

fn order(entries: Vec<JournalEntry>) -> Vec<u128> {
    let ordered = in_causal_order(entries).into_iter();
    ordered.map(|entry| entry.id.as_u128()).collect()
}

#[test]
fn entries_come_in_the_order_of_their_locks() {
    let entries = vec![
        entry(1, 30, &[(1, 2)]),
        entry(2, 10, &[(1, 1), (2, 1)]),
        entry(4, 20, &[(3, 1)]),
        entry(3, 20, &[]),
    ];
    assert_eq!(order(entries), [2, 3, 4, 1]);
}

#[test]
fn a_clock_that_was_set_back_puts_no_version_before_the_one_it_came_from() {
    let entries = vec![
        entry(1, 50, &[(1, 1)]),
        entry(2, 30, &[(1, 2), (2, 1)]),
        entry(3, 10, &[(2, 2)]),
        entry(4, 20, &[(9, 1)]),
        entry(5, 60, &[(9, 2)]),
    ];
    assert_eq!(order(entries), [4, 1, 2, 3, 5]);
}

#[test]
fn entries_that_contradict_each_other_all_come_once() {
    let entries = vec![
        entry(1, 10, &[(1, 2), (2, 1)]),
        entry(2, 20, &[(1, 1), (2, 2)]),
        entry(3, 30, &[(2, 3)]),
        entry(4, 5, &[(3, 1), (3, 2)]),
    ];
    assert_eq!(order(entries), [4, 1, 2, 3]);
}

#[test]
fn every_status_of_every_kind_has_a_name_of_its_own() {
    let all = Kind::ALL.into_iter().flat_map(|kind| {
        let statuses = kind.statuses().iter();
        statuses.map(move |status| event_type(kind, *status, Version::FIRST, false))
    });
    let all: Vec<String> = all.collect();
    assert_eq!(
        all,
        [
            "deposit.created",
            "deposit.completed",
            "deposit.failed",
            "withdrawal.created",
            "withdrawal.completed",
            "withdrawal.failed",
            "withdrawal.canceled",
            "internal.created",
            "internal.succeeded",
            "internal.rejected",
        ]
    );
    let later = Version::FIRST.next();
    let confirmed = event_type(Kind::Withdrawal, Status::AwaitingConfirmation, later, false);
    assert_eq!(confirmed, "withdrawal.confirmed");
    for (kind, status, reversed) in [
        (Kind::Deposit, Status::Completed, "deposit.reversed"),
        (Kind::Withdrawal, Status::Completed, "withdrawal.reversed"),
        (Kind::Internal, Status::Success, "internal.reversed"),
    ] {
        assert_eq!(event_type(kind, status, later, true), reversed);
    }
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert!(Status::ALL.iter().all(|status| {
        let kinds = Kind::ALL.iter();
        kinds
            .into_iter()
            .any(|kind| kind.statuses().contains(status))
    }));
}

/// What batches depend on: an account or a transfer, by number.
const THINGS: usize = 6;

/// Batches in the order in which they were committed, each with what it locks: two that lock the
/// same thing depend on each other, the later one on the earlier one.
fn histories() -> impl Strategy<Value = Vec<BTreeSet<usize>>> {
    let locks = proptest::collection::btree_set(0..THINGS, 1..3);
    proptest::collection::vec(locks, 1..24)
}

fn depends(later: &BTreeSet<usize>, earlier: &BTreeSet<usize>) -> bool {
    !later.is_disjoint(earlier)
}

/// Each batch as the journal tells it: a thing is a transfer, and every batch that locks it makes
/// its next version. Times go up along dependencies and are anything else where there is none.
fn journal(history: &[BTreeSet<usize>], delays: &[i64]) -> Vec<JournalEntry> {
    let mut versions: BTreeMap<usize, i32> = BTreeMap::new();
    let mut times: Vec<i64> = vec![];
    let mut entries = vec![];
    for (number, (locks, delay)) in history.iter().zip(delays).enumerate() {
        let earlier = history.iter().take(number).zip(&times);
        let causes = earlier.filter(|(cause, _)| depends(locks, cause));
        let at = causes.map(|(_, at)| *at).max().unwrap_or(0) + delay;
        times.push(at);
        let steps: Vec<(i64, i32)> = locks
            .iter()
            .map(|thing| {
                let version = versions.entry(*thing).or_default();
                *version += 1;
                (i64::try_from(*thing).expect("small") + 1, *version)
            })
            .collect();
        entries.push(entry(u128::try_from(number).expect("small"), at, &steps));
    }
    entries
}

/// Numbers everything, as sequencers do that see more and more: in each round some more batches
/// have become visible, with everything that they depend on, and a chunk of what is visible and has
/// no number gets one.
fn numbered(
    history: &[BTreeSet<usize>],
    entries: &[JournalEntry],
    looks: &[Index],
    chunk: usize,
) -> Vec<usize> {
    let mut visible: BTreeSet<usize> = BTreeSet::new();
    let mut numbers: Vec<usize> = vec![];
    let mut looks = looks.iter();
    while numbers.len() < history.len() {
        let unseen: Vec<usize> = (0..history.len())
            .filter(|number| !visible.contains(number))
            .collect();
        if !unseen.is_empty() {
            let seen = looks.next().map_or(0, |look| look.index(unseen.len()));
            see(
                history,
                *unseen.get(seen).expect("it is one of them"),
                &mut visible,
            );
        }
        let mut waiting: Vec<JournalEntry> = visible
            .iter()
            .filter(|number| !numbers.contains(number))
            .filter_map(|number| entries.get(*number).cloned())
            .collect();
        waiting.sort_by_key(|entry| (entry.locked_at, entry.id));
        waiting.truncate(chunk);
        waiting.reverse();
        let ordered = in_causal_order(waiting).into_iter();
        numbers.extend(ordered.map(|entry| usize::try_from(entry.id.as_u128()).expect("small")));
    }
    numbers
}

/// A snapshot that sees an effect sees its causes.
fn see(history: &[BTreeSet<usize>], number: usize, visible: &mut BTreeSet<usize>) {
    if !visible.insert(number) {
        return;
    }
    let locks = history.get(number).expect("it is there");
    for (cause, earlier) in history.iter().enumerate().take(number) {
        if depends(locks, earlier) {
            see(history, cause, visible);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_becomes_visible_when_no_effect_comes_before_its_cause(
        history in histories(),
        delays in proptest::collection::vec(1_i64..50, 24),
        looks in proptest::collection::vec(any::<Index>(), 24),
        chunk in 1_usize..8,
    ) {
        let entries = journal(&history, &delays);
        let numbers = numbered(&history, &entries, &looks, chunk);
        let all: BTreeSet<usize> = numbers.iter().copied().collect();
        prop_assert_eq!(numbers.len(), history.len());
        prop_assert_eq!(all.len(), history.len());
        for (place, later) in numbers.iter().enumerate() {
            for earlier in numbers.iter().skip(place + 1) {
                let depends = depends(&history[*later], &history[*earlier]);
                prop_assert!(!depends || later < earlier, "{later} before {earlier}");
            }
        }
    }

    #[test]
    fn whatever_the_clock_says_a_transfer_s_versions_come_in_order(
        history in histories(),
        delays in proptest::collection::vec(1_i64..50, 24),
        clock in proptest::collection::vec(0_i64..9, 24),
    ) {
        let mut entries = journal(&history, &delays);
        for (entry, at) in entries.iter_mut().zip(clock) {
            entry.locked_at = Timestamp::EPOCH.plus_micros(at);
        }
        let mut versions: BTreeMap<TransferId, Version> = BTreeMap::new();
        for entry in in_causal_order(entries) {
            for (transfer, version) in entry.steps {
                let before = versions.insert(transfer, version).unwrap_or(Version::new(0));
                prop_assert_eq!(before.next(), version);
            }
        }
    }
}
