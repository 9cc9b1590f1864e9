//! Times: never back for a user, whatever the clocks say.

use bursar_domain::{
    Change, Command, Commit, Recipient, Timestamp, Transfer, UserId,
    ledger::{self, Books},
};

use crate::sample::{
    ALICE, BOB, CAROL, NOW, account, applied, books_with, fees, new, nobody, payment, step,
    withdrawal, world,
};

fn settle_at(books: &mut Books, change: Change, now: Timestamp) -> Transfer {
    applied(ledger::settle(books, &[Commit::new(change)], now).remove(0)).next
}

fn credit(number: i64, user: UserId) -> Change {
    Transfer::deposit(new(number, 10, 1), user)
        .expect("the fee is less")
        .settled_at_once()
}

fn stamped(books: &Books, account: bursar_domain::AccountKey) -> Timestamp {
    books.accounts.get(&account).expect("it exists").stamped_at
}

#[test]
fn a_change_is_stamped_with_the_time_it_is_decided_at() {
    let mut books = books_with(100);
    let later = NOW.plus_micros(70);
    let pending = settle_at(&mut books, payment(1, ALICE, Recipient::Id(BOB), 1), NOW);
    assert_eq!(
        (pending.parts().created_at, pending.parts().updated_at),
        (NOW, NOW)
    );
    let settled = settle_at(&mut books, step(&pending, &Command::Settle), later);
    assert_eq!(
        (settled.parts().created_at, settled.parts().updated_at),
        (NOW, later)
    );
    assert_eq!(settled.done_at(), Some(later));
}

#[test]
fn a_clock_that_runs_behind_moves_on_by_microseconds() {
    let mut books = books_with(100);
    let times: Vec<Timestamp> = [0, -5_000_000, -9_000_000, 1, 900]
        .into_iter()
        .zip(1..)
        .map(|(shift, number)| {
            settle_at(&mut books, credit(number, ALICE), NOW.plus_micros(shift))
                .parts()
                .created_at
        })
        .collect();
    let expected = [0, 1, 2, 3, 900].map(|shift| NOW.plus_micros(shift));
    assert_eq!(times, expected);
}

#[test]
fn two_changes_of_one_user_in_one_batch_have_two_times() {
    let mut books = books_with(100);
    let batch = [credit(1, ALICE), credit(2, ALICE)].map(Commit::new);
    let times: Vec<Timestamp> = ledger::settle(&mut books, &batch, NOW)
        .into_iter()
        .map(|verdict| applied(verdict).next.parts().created_at)
        .collect();
    assert_eq!(times, [NOW, NOW.tick()]);
}

#[test]
fn a_fast_clock_drags_its_users_along_and_nobody_else() {
    let mut books = books_with(100);
    let ahead = NOW.plus_micros(60_000_000);
    let paid = payment(1, ALICE, Recipient::Id(BOB), 1).settled_at_once();
    assert_eq!(settle_at(&mut books, paid, ahead).parts().created_at, ahead);
    let named = settle_at(&mut books, credit(2, BOB), NOW)
        .parts()
        .created_at;
    assert_eq!(
        named,
        ahead.tick(),
        "what was received is in the recipient's history"
    );
    let other = settle_at(&mut books, credit(3, CAROL), NOW)
        .parts()
        .created_at;
    assert_eq!(other, NOW, "the accounts of the system carry no time");
    for system in [world(), fees()] {
        assert_eq!(stamped(&books, system), Timestamp::EPOCH);
    }
}

#[test]
fn rejected_ones_are_in_the_history_and_kept_refusals_are_not() {
    let mut books = books_with(100);
    let rejected = payment(1, ALICE, nobody(), 1).settled_at_once();
    let rejected = settle_at(&mut books, rejected, NOW);
    assert_eq!(rejected.done_at(), Some(NOW));
    assert_eq!(stamped(&books, account(ALICE)), NOW);
    let refused = [Commit::new(withdrawal(2, 1_000, 0))];
    let verdicts = ledger::settle(&mut books, &refused, NOW.plus_micros(50));
    assert!(matches!(
        verdicts.as_slice(),
        [ledger::Verdict::Refused { .. }]
    ));
    assert_eq!(stamped(&books, account(ALICE)), NOW);
}
