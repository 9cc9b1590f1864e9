//! R8: what no request made was asked for all the same. Withdrawals are ended by whoever confirms or
//! cancels them, and by nobody when their time is up.

use std::collections::BTreeMap;

use bursar_audit::history::{Operation, Outcome};
use bursar_domain::{Kind, Status, Transfer, TransferId};

use super::history::Lines;
use crate::{
    bank::Bank,
    client::Record,
    request::{Told, What},
};

/// The ends of withdrawals, out of the lines that are left when each request has those of what it made.
///
/// Of several who asked for the same end, any may have written it, between when the first of them asked
/// and when the first of them was told.
pub(super) fn judge(
    bank: &Bank,
    records: &[Record],
    lines: BTreeMap<TransferId, Lines>,
) -> Vec<Operation> {
    let mut operations = vec![];
    for (id, Lines { made, ended }) in lines {
        if made.is_empty() && ended.is_empty() {
            continue;
        }
        let since = match bank.transfer(id) {
            Some(transfer) if made.is_empty() => since(bank, records, &transfer),
            Some(_) | None => None,
        };
        if since.is_none() {
            let wrong = format!("R8: nobody asked for what moved {id}");
            bank.world.complain(wrong);
        }
        operations.push(Operation {
            sent: since.unwrap_or(0),
            answered: told(records, id),
            outcome: Outcome::Unknown,
            moves: true,
            wrote: [made, ended].concat(),
            saw: vec![],
        });
    }
    if !operations.is_empty() {
        let world = &bank.world;
        world.see_many("ends of withdrawals judged", operations.len());
    }
    operations
}

/// Since when somebody may have ended a withdrawal as it ended; none when nobody may.
fn since(bank: &Bank, records: &[Record], ended: &Transfer) -> Option<u64> {
    if ended.kind() != Kind::Withdrawal {
        return None;
    }
    if bank.has_expired(ended) {
        return Some(0);
    }
    let (status, id) = (ended.status(), ended.id());
    let asks_for_it = |record: &&Record| {
        matches!(
            (status, &record.request.what),
            (Status::Completed, What::Confirm(_, one)) | (Status::Canceled, What::Cancel(_, one))
                if *one == id
        )
    };
    let asked = records.iter().filter(asks_for_it);
    let asked = asked.filter(|record| record.may_have_happened());
    let sent = asked.filter_map(|record| record.attempts.first());
    sent.map(|attempt| attempt.sent).min()
}

/// When the first of those who asked for an end of it was told of one.
fn told(records: &[Record], id: TransferId) -> Option<u64> {
    let asked = records.iter().filter(|record| {
        let what = &record.request.what;
        matches!(what, What::Confirm(_, one) | What::Cancel(_, one) if *one == id)
    });
    let tells = |told: &Told| matches!(told, Told::Made(made) if made.iter().flatten().any(|one| one.status().is_final()));
    let told = asked.flat_map(|record| &record.attempts);
    let told = told.filter(|attempt| tells(&attempt.told));
    told.map(|attempt| attempt.answered).min()
}
