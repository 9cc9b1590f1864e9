//! Histories that are right until somebody is left out of them.

use std::sync::Arc;

use bursar_domain::{Kind, Reason, Status, Transfer, TransferId};

use super::judge;
use crate::{
    client::Record,
    replica::Cluster,
    request::{Told, What},
    run::lived,
};

/// Within so many seeds everything happens that is looked for.
const SEEDS: u64 = 100;

/// A world in which there is such a transfer, and what its clients know.
fn with(is_such: impl Fn(&Transfer) -> bool) -> (Arc<Cluster>, Vec<Record>, TransferId) {
    let found = (0..SEEDS).find_map(|seed| {
        let (cluster, records) = lived(seed);
        let transfers = cluster.bank.transfers();
        let id = transfers.iter().find(|one| is_such(one))?.id();
        Some((cluster, records, id))
    });
    found.unwrap_or_else(|| panic!("{SEEDS} seeds have no such transfer"))
}

/// What is wrong once what clients know of such a transfer was changed. Before that nothing is.
fn wrong_after(
    is_such: impl Fn(&Transfer) -> bool,
    change: impl Fn(&mut Vec<Record>, TransferId),
) -> Vec<String> {
    let (cluster, mut records, id) = with(is_such);
    judge(&cluster, &records);
    assert_eq!(cluster.world.wrong(), Vec::<String>::new());
    change(&mut records, id);
    judge(&cluster, &records);
    let nobody = format!("R8: nobody asked for what moved {id}");
    let mut wrong = cluster.world.wrong();
    for one in wrong.iter_mut().filter(|one| **one == nobody) {
        "nobody".clone_into(one);
    }
    wrong
}

fn is_withdrawn(one: &Transfer, status: Status) -> bool {
    one.kind() == Kind::Withdrawal && one.status() == status
}

fn is_completed(one: &Transfer) -> bool {
    is_withdrawn(one, Status::Completed)
}

fn ends(record: &Record, id: TransferId) -> bool {
    matches!(&record.request.what, What::Confirm(_, one) | What::Cancel(_, one) if *one == id)
}

fn forget_its_ends(records: &mut Vec<Record>, id: TransferId) {
    records.retain(|record| !ends(record, id));
}

#[test]
fn a_withdrawal_that_nobody_ended_is_named() {
    for status in [Status::Completed, Status::Canceled] {
        let wrong = wrong_after(|one| is_withdrawn(one, status), forget_its_ends);
        assert_eq!(wrong, ["nobody"], "{status:?}");
    }
}

#[test]
fn whoever_was_refused_or_told_that_nothing_happened_has_ended_nothing() {
    for told in [Told::Refused("no".to_owned()), Told::NotExecuted] {
        let deny = |records: &mut Vec<Record>, id: TransferId| {
            for record in records.iter_mut().filter(|record| ends(record, id)) {
                // One with a key would have bound it.
                record.request.key = None;
                for attempt in &mut record.attempts {
                    attempt.told = told.clone();
                }
            }
        };
        assert_eq!(wrong_after(is_completed, deny), ["nobody"], "{told:?}");
    }
}

#[test]
fn whoever_asks_for_the_contrary_has_not_asked_for_it() {
    let turn = |records: &mut Vec<Record>, id: TransferId| {
        for record in records.iter_mut().filter(|record| ends(record, id)) {
            if let What::Confirm(user, _) = record.request.what {
                record.request.what = What::Cancel(user, id);
            }
        }
    };
    let wrong = wrong_after(is_completed, turn);
    assert!(wrong.contains(&"nobody".to_owned()), "{wrong:?}");
}

#[test]
fn an_expiry_needs_nobody() {
    let has_expired = |one: &Transfer| one.reason() == Some(Reason::TransferExpired);
    let wrong = wrong_after(has_expired, forget_its_ends);
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_payment_that_nobody_made_is_named() {
    let is_paid = |one: &Transfer| one.status() == Status::Success;
    let forget = |records: &mut Vec<Record>, _: TransferId| {
        records.retain(|record| !matches!(record.request.what, What::Send(..) | What::Bulk { .. }));
    };
    let wrong = wrong_after(is_paid, forget);
    assert!(wrong.contains(&"nobody".to_owned()), "{wrong:?}");
}
