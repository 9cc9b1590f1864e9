//! The books: what moved, and what every balance is.

use std::collections::BTreeMap;

use bursar_domain::{AccountKey, Entry, Status, Transfer, TransferId, Version};

use crate::{
    bank::Bank,
    directory::{assets, users},
};

/// Every account there may be.
pub(super) fn accounts() -> Vec<AccountKey> {
    let mut all = vec![];
    for asset in assets() {
        let of_users = users().into_iter();
        all.extend(of_users.map(|user| AccountKey::user(user.id, asset.id)));
        all.extend([AccountKey::world(asset.id), AccountKey::fees(asset.id)]);
    }
    all
}

/// R3 and R4, which must hold at every moment.
pub(crate) fn books_hold(bank: &Bank) {
    let open: Vec<Transfer> = bank
        .transfers()
        .into_iter()
        .filter(|one| one.status() == Status::AwaitingConfirmation)
        .collect();
    for asset in assets() {
        let mut sum = 0;
        for account in accounts().into_iter().filter(|one| one.asset == asset.id) {
            let view = bank.books.balance(account);
            sum += view.available + view.held;
            lines_add_up(bank, account);
            let Some(user) = account.owner.user() else {
                continue;
            };
            if view.available < 0 || view.held < 0 {
                let wrong = format!("R4: {account:?} has {view:?}");
                bank.world.complain(wrong);
            }
            let theirs = open.iter().filter(|one| one.owner() == user);
            let theirs = theirs.filter(|one| one.parts().asset == asset.id);
            let held: i128 = theirs
                .map(|one| one.parts().amount.units() + one.parts().fee.units())
                .sum();
            if held != view.held {
                let wrong = format!("R4: {account:?} holds {} instead of {held}", view.held);
                bank.world.complain(wrong);
            }
        }
        if sum != 0 {
            let wrong = format!("R3: the accounts of {} sum to {sum}", asset.id.as_str());
            bank.world.complain(wrong);
        }
    }
}

/// Lines are numbered without a gap, and each goes on where the one before it ended.
fn lines_add_up(bank: &Bank, account: AccountKey) {
    let mut before = (0, 0, 0);
    for line in bank.books.entries(account) {
        let Entry {
            seq,
            available_delta,
            held_delta,
            available_after,
            held_after,
            ..
        } = line;
        let due = (
            before.0 + 1,
            before.1 + available_delta,
            before.2 + held_delta,
        );
        before = (seq, available_after, held_after);
        if before != due {
            let wrong = format!("R3: {line:?} follows {due:?}");
            bank.world.complain(wrong);
        }
    }
    let view = bank.books.balance(account);
    if before != (view.seq, view.available, view.held) {
        let wrong = format!("R3: {account:?} has {view:?} and its lines say {before:?}");
        bank.world.complain(wrong);
    }
}

/// R5, and that money moved for every transfer as its state says.
pub(super) fn lives_are_right(bank: &Bank) {
    let mut lives: BTreeMap<TransferId, Vec<(Version, Status)>> = BTreeMap::new();
    for (id, version, status) in bank.books.steps() {
        lives.entry(id).or_default().push((version, status));
    }
    for (id, life) in &lives {
        let ended = life.iter().position(|(_, status)| status.is_final());
        let goes_on = ended.is_some_and(|ended| ended + 1 < life.len());
        let versions = life.iter().map(|(version, _)| version.get());
        let in_order = versions.zip(1..).all(|(version, number)| version == number);
        if goes_on || !in_order {
            bank.world
                .complain(format!("R5: {id} went through {life:?}"));
        }
    }
    let mut sums: BTreeMap<TransferId, i128> = BTreeMap::new();
    let mut paid: BTreeMap<TransferId, i128> = BTreeMap::new();
    for account in accounts() {
        for line in bank.books.entries(account) {
            let moved = line.available_delta + line.held_delta;
            *sums.entry(line.transfer).or_default() += moved;
            if moved > 0 {
                *paid.entry(line.transfer).or_default() += moved;
            }
        }
    }
    for transfer in bank.transfers() {
        let id = transfer.id();
        let sum = sums.get(&id).copied().unwrap_or_default();
        let is_done = matches!(transfer.status(), Status::Completed | Status::Success);
        let due = if is_done {
            transfer.parts().amount.units()
        } else {
            0
        };
        let moved = paid.get(&id).copied().unwrap_or_default();
        if sum != 0 || moved != due {
            let status = transfer.status().as_str();
            let wrong = format!("R3: {id} is {status} and moved {moved} instead of {due}");
            bank.world.complain(wrong);
        }
        if !transfer.status().is_final() {
            bank.world.complain(format!("{id} is still open"));
        }
    }
}
