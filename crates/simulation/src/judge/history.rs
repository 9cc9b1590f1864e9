//! R7: what was answered and seen could have happened one after the other.

use std::collections::BTreeMap;

use bursar_audit::history::{Lack, Operation, Outcome, Place, check, unfounded};
use bursar_domain::{AccountKey, Entry, Reason, Status, Transfer, TransferId};

use super::{books::accounts, ends};
use crate::{
    bank::Bank,
    client::Record,
    directory::assets,
    request::{Request, Told, What},
};

/// The lines of each transfer, as they were written: what made it, and what ended it.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) made: Vec<Place>,
    pub(super) ended: Vec<Place>,
}

pub(super) fn judge(bank: &Bank, records: &[Record]) {
    let numbers: BTreeMap<AccountKey, u64> = accounts().into_iter().zip(0..).collect();
    let mut lines: BTreeMap<TransferId, Lines> = BTreeMap::new();
    for account in accounts() {
        for entry in bank.books.entries(account) {
            let place = Place {
                account: numbers[&account],
                line: u64::try_from(entry.seq).unwrap(),
            };
            let of = lines.entry(entry.transfer).or_default();
            if is_hold(&entry) {
                of.made.push(place);
            } else {
                of.ended.push(place);
            }
        }
    }
    let mut operations = vec![];
    for record in records {
        operations.extend(of_request(bank, record, &mut lines, &numbers));
    }
    let seen = operations.iter().filter(|one| !one.saw.is_empty()).count();
    if seen > 0 {
        bank.world.see("statements read and judged");
    }
    operations.extend(ends::judge(bank, records, lines));
    bank.world
        .see_many("operations judged for one order", operations.len());
    for anomaly in check(&operations) {
        let those = anomaly.operations.iter();
        let those: Vec<&Operation> = those.map(|number| &operations[*number]).collect();
        bank.world.complain(format!("R7: {anomaly}: {those:?}"));
    }
    judge_lacks(bank, records, &operations, &numbers);
}

/// Whoever was refused for lack of money lacked it.
fn judge_lacks(
    bank: &Bank,
    records: &[Record],
    operations: &[Operation],
    numbers: &BTreeMap<AccountKey, u64>,
) {
    let lacks = records.iter().filter_map(|record| lack(record, numbers));
    let lacks: Vec<Lack> = lacks.collect();
    if !lacks.is_empty() {
        let world = &bank.world;
        world.see_many("refusals for lack of money judged", lacks.len());
    }
    let states = numbers.iter().map(|(account, number)| {
        let entries = bank.books.entries(*account);
        let after = entries.iter().map(|entry| entry.available_after);
        (*number, [0].into_iter().chain(after).collect())
    });
    let states: BTreeMap<u64, Vec<i128>> = states.collect();
    for one in unfounded(&lacks, operations, |account| {
        Some(&states.get(&account)?[..])
    }) {
        let lack = &lacks[one.lack];
        bank.world.complain(format!("R7: {lack:?}: {one}"));
    }
}

/// What somebody was said not to have.
fn lack(record: &Record, numbers: &BTreeMap<AccountKey, u64>) -> Option<Lack> {
    let (What::Withdraw(sum) | What::Send(sum, _)) = &record.request.what else {
        return None;
    };
    let certain = record.certain()?;
    let reason = Reason::BalanceInsufficient;
    let is_lack = match &certain.told {
        Told::Refused(code) => code == reason.code(),
        Told::Made(made) => made
            .iter()
            .flatten()
            .any(|one| one.reason() == Some(reason)),
        Told::NotExecuted | Told::Unknown | Told::Saw(_) | Told::Broken(_) => false,
    };
    let asset = assets().into_iter().find(|one| one.id == sum.asset)?;
    is_lack.then(|| Lack {
        sent: record.attempts[0].sent,
        answered: certain.answered,
        account: numbers[&AccountKey::user(sum.user, sum.asset)],
        units: asset.scale.units_per_one() * i128::from(sum.whole),
    })
}

const fn is_hold(entry: &Entry) -> bool {
    entry.held_delta > 0
}

/// What a request is in a history, with the lines of what it made. The items of a bulk that nobody waits
/// for are settled one by one, at different times.
fn of_request(
    bank: &Bank,
    record: &Record,
    lines: &mut BTreeMap<TransferId, Lines>,
    numbers: &BTreeMap<AccountKey, u64>,
) -> Vec<Operation> {
    let request = &record.request;
    let Some(first) = record.attempts.first() else {
        return vec![];
    };
    let sent = first.sent;
    let certain = record.certain();
    let mut operation = Operation {
        sent,
        answered: certain.map(|attempt| attempt.answered),
        outcome: Outcome::Unknown,
        moves: false,
        wrote: vec![],
        saw: vec![],
    };
    match (&request.what, certain.map(|attempt| &attempt.told)) {
        (What::Read(user), Some(Told::Saw(saw))) => {
            operation.outcome = Outcome::Done;
            let mine = numbers
                .iter()
                .filter(|(account, _)| account.owner.user() == Some(*user));
            operation.saw = mine
                .map(|(account, number)| {
                    let line = saw.iter().find(|(asset, _)| *asset == account.asset);
                    Place {
                        account: *number,
                        line: line.map_or(0, |(_, seq)| u64::try_from(*seq).unwrap()),
                    }
                })
                .collect();
            return vec![operation];
        }
        (What::Confirm(..) | What::Cancel(..) | What::Read(_), _) => return vec![],
        (_, Some(Told::Refused(_))) => operation.outcome = Outcome::Refused,
        (_, Some(Told::Made(made))) if made.iter().flatten().all(is_settled) => {
            operation.outcome = Outcome::Done;
            operation.moves = made.iter().flatten().any(moves);
        }
        // What was answered as pending is settled later, by whomever.
        (_, _) => operation.answered = None,
    }
    let is_bulk = matches!(request.what, What::Bulk { .. });
    let is_withdrawal = matches!(request.what, What::Withdraw(_));
    let is_one_by_one = is_bulk && !request.wait;
    let mut operations = vec![];
    for transfer in made_by(bank, request) {
        let mut wrote = vec![];
        if let Some(of) = lines.get_mut(&transfer.id()) {
            wrote.append(&mut of.made);
            if !is_withdrawal {
                wrote.append(&mut of.ended);
            }
        }
        if is_one_by_one {
            operations.push(Operation {
                moves: operation.outcome == Outcome::Done && moves(&transfer),
                wrote,
                ..operation.clone()
            });
        } else {
            operation.wrote.append(&mut wrote);
        }
    }
    if operations.is_empty() {
        operations.push(operation);
    }
    operations
}

/// The transfers that a request has made.
fn made_by(bank: &Bank, request: &Request) -> impl Iterator<Item = Transfer> {
    let tag = request.tag();
    let item_tag = format!("{tag}.");
    bank.transfers().into_iter().filter(move |transfer| {
        let note = transfer.parts().note.as_deref().unwrap_or_default();
        note == tag || note.starts_with(&item_tag)
    })
}

fn is_settled(transfer: &Transfer) -> bool {
    transfer.status() != Status::Pending
}

fn moves(transfer: &Transfer) -> bool {
    matches!(
        transfer.status(),
        Status::AwaitingConfirmation | Status::Completed | Status::Success
    )
}
