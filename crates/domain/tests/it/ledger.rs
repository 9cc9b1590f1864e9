//! Versions, entries, and changes that come twice.

use bursar_domain::{Entry, Expected, Recipient, Status, TransferId, Version, ledger::Verdict};

use crate::sample::{
    ALICE, BOB, NOW, account, applied, balance, books_with, cancel, confirm, deposit, fees, id,
    new, payment, payment_with_fee, settle, settle_all, step, withdrawal,
};

#[test]
fn entries_are_numbered_per_account_and_show_the_balances_after() {
    let mut books = books_with(100);
    let open = applied(settle(&mut books, withdrawal(1, 40, 2)));
    let held = Entry {
        account: account(ALICE),
        seq: 1,
        transfer: id(1),
        available_delta: -42,
        held_delta: 42,
        available_after: 58,
        held_after: 42,
        at: NOW,
    };
    assert_eq!(open.entries, [held]);
    let paid = applied(settle(&mut books, step(&open.next, &confirm(None))));
    let numbers: Vec<_> = paid.entries.iter().map(|e| (e.account, e.seq)).collect();
    let world = crate::sample::world();
    assert_eq!(numbers, [(account(ALICE), 2), (world, 1), (fees(), 1)]);
    let after: Vec<_> = paid
        .entries
        .iter()
        .map(|entry| (entry.available_after, entry.held_after))
        .collect();
    assert_eq!(after, [(58, 0), (-60, 0), (2, 0)]);
    let times = paid
        .entries
        .iter()
        .all(|e| e.at == paid.next.parts().updated_at);
    assert!(times, "an entry has its transfer's time");
}

#[test]
fn a_change_for_another_version_is_stale() {
    let mut books = books_with(100);
    let open = applied(settle(&mut books, withdrawal(1, 40, 0))).next;
    let (confirmed, canceled) = (step(&open, &confirm(None)), step(&open, &cancel(None)));
    let verdicts = settle_all(&mut books, vec![canceled, confirmed.clone()]);
    let statuses: Vec<bool> = verdicts
        .iter()
        .map(|verdict| matches!(verdict, Verdict::Applied(_)))
        .collect();
    assert_eq!(statuses, [true, false]);
    let current = Some(Version::FIRST.next());
    assert_eq!(verdicts.last(), Some(&Verdict::Stale { current }));
    assert_eq!(balance(&books, ALICE), (100, 0));

    books.versions.clear();
    assert_eq!(
        settle(&mut books, confirmed),
        Verdict::Stale { current: None }
    );
}

#[test]
fn a_creation_that_is_there_already_has_landed() {
    let mut books = books_with(100);
    let change = payment(1, ALICE, Recipient::Id(BOB), 10).settled_at_once();
    let verdicts = settle_all(&mut books, vec![change.clone(), change.clone()]);
    assert!(matches!(verdicts.first(), Some(Verdict::Applied(_))));
    assert_eq!(verdicts.last(), Some(&Verdict::Landed));
    assert_eq!(settle(&mut books, change), Verdict::Landed);
    assert_eq!(balance(&books, BOB), (10, 0));
}

#[test]
fn one_batch_may_take_a_transfer_through_its_whole_life() {
    let mut books = books_with(100);
    let open = withdrawal(1, 40, 2);
    let done = step(&open.next, &confirm(None));
    let told = done
        .next
        .acknowledge(&confirm(Some("https://example.com")), None);
    let verdicts = settle_all(&mut books, vec![open, done, told]);
    let versions: Vec<i32> = verdicts
        .into_iter()
        .map(|verdict| applied(verdict).next.version().get())
        .collect();
    assert_eq!(versions, [1, 2, 2]);
    assert_eq!(balance(&books, ALICE), (58, 0));
}

#[test]
fn an_acknowledgement_writes_callbacks_and_nothing_else() {
    let mut books = books_with(100);
    let open = applied(settle(&mut books, withdrawal(1, 40, 0))).next;
    let done = applied(settle(&mut books, step(&open, &confirm(None)))).next;
    let before = books.clone();
    let url = Some("https://example.com/again");
    let repeated = done.acknowledge(&confirm(url), None);
    let written = applied(settle(&mut books, repeated.clone()));
    assert_eq!(written.next, done, "neither version nor time changes");
    assert_eq!(
        (written.entries, written.callbacks),
        (vec![], repeated.callbacks)
    );
    assert_eq!(books.accounts, before.accounts);
    assert_eq!(books.versions, before.versions);

    let late = open.acknowledge(&cancel(url), Some("no".to_owned()));
    let current = Some(done.version());
    assert_eq!(settle(&mut books, late), Verdict::Stale { current });
}

#[test]
fn creation_and_settlement_at_once_end_where_two_steps_end() {
    let url = |fee| payment_with_fee(new(1, 40, fee), ALICE, Recipient::Id(BOB));
    for (create, units) in [(url(3), 100), (url(3), 42), (deposit(1, 40, 3), 0)] {
        let mut stepwise = books_with(units);
        let pending = applied(settle(&mut stepwise, create.clone())).next;
        let settled = step(&pending, &bursar_domain::Command::Settle);
        let settled = applied(settle(&mut stepwise, settled));
        let mut at_once = books_with(units);
        let done = applied(settle(&mut at_once, create.settled_at_once()));
        assert_eq!(done.next.version(), Version::FIRST);
        assert_eq!(done.next.status(), settled.next.status());
        assert_eq!(done.next.reason(), settled.next.reason());
        assert_eq!(done.callbacks, settled.callbacks);
        assert_eq!(done.next.parts().created_at, done.next.parts().updated_at);
        let moved = |entries: &[Entry]| -> Vec<_> {
            let line = |entry: &Entry| (entry.account, entry.available_delta, entry.held_delta);
            entries.iter().map(line).collect()
        };
        assert_eq!(moved(&done.entries), moved(&settled.entries));
        assert_eq!(balance(&at_once, ALICE), balance(&stepwise, ALICE));
    }
}

#[test]
fn a_new_transfer_expects_to_be_new() {
    let change = deposit(9, 5, 0);
    assert_eq!(change.expected, Expected::Absent);
    assert_eq!(change.next.version(), Version::FIRST);
    assert_eq!(change.next.status(), Status::Pending);
    assert_eq!(Some(change.next.id()), TransferId::try_new(9).ok());
    assert!(change.writes_transfer());
}
