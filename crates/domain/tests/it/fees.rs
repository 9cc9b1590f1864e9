//! What transfers cost, and when that is decided.

use bursar_domain::{
    Amount, BulkMode, Command, FeeSchedule, Kind, OnRefusal, Percent, Reason, Recipient, Status,
    ledger::{self, Books, BulkVerdict, Verdict},
};

use crate::{
    bulks::bulk,
    rulebook::{flat, opened, percent, priced, reason_of, set_fee},
    sample::{
        ALICE, BOB, CAROL, NOW, amount, applied, balance, books_with, confirm, fees, id, new,
        payment_with_fee, settle, settle_all, step, world,
    },
};

/// Deposits cost 3, withdrawals 5 percent, internal transfers 1 percent but at least 2, and 4 more.
fn schedules() -> [(Kind, FeeSchedule); 3] {
    let internal = FeeSchedule {
        min: amount(2),
        absolute: amount(4),
        ..percent(1)
    };
    [
        (Kind::Deposit, flat(3)),
        (Kind::Withdrawal, percent(5)),
        (Kind::Internal, internal),
    ]
}

/// Alice has 1000.
fn dear_books() -> Books {
    let mut books = books_with(1_000);
    for (kind, schedule) in schedules() {
        set_fee(&mut books, kind, schedule);
    }
    books
}

/// What the collected fees come to.
fn collected(books: &Books) -> i128 {
    books.accounts.get(&fees()).expect("it exists").available
}

/// What makes a transfer of each kind final.
fn ending(kind: Kind) -> Command {
    match kind {
        Kind::Deposit | Kind::Internal => Command::Settle,
        Kind::Withdrawal => confirm(None),
    }
}

/// Alice's balance, Bob's, and what was collected.
type Balances = ((i128, i128), i128, i128);

fn balances(books: &Books) -> Balances {
    (
        balance(books, ALICE),
        balance(books, BOB).0,
        collected(books),
    )
}

#[test]
fn every_kind_costs_what_its_schedule_says_from_the_moment_it_is_made() {
    let table: [(Kind, i128, i128, Balances, Balances); 5] = [
        (
            Kind::Deposit,
            100,
            3,
            ((1_000, 0), 0, 0),
            ((1_097, 0), 0, 3),
        ),
        (
            Kind::Withdrawal,
            100,
            5,
            ((895, 105), 0, 0),
            ((895, 0), 0, 5),
        ),
        // Half a unit goes up.
        (Kind::Withdrawal, 10, 1, ((989, 11), 0, 0), ((989, 0), 0, 1)),
        (
            Kind::Internal,
            300,
            7,
            ((1_000, 0), 0, 0),
            ((693, 0), 300, 7),
        ),
        (
            Kind::Internal,
            100,
            6,
            ((1_000, 0), 0, 0),
            ((894, 0), 100, 6),
        ),
    ];
    for (kind, units, fee, between, after) in table {
        let mut books = dear_books();
        let open = applied(settle(&mut books, opened(kind, priced(1, units)))).next;
        assert_eq!(open.parts().fee, amount(fee), "{kind:?}");
        assert_eq!(open.parts().amount, amount(units), "{kind:?}");
        assert_eq!(balances(&books), between, "{kind:?}");
        let done = applied(settle(&mut books, step(&open, &ending(kind)))).next;
        assert_eq!(done.parts().fee, amount(fee), "{kind:?}");
        assert_eq!(balances(&books), after, "{kind:?}");

        let mut at_once = dear_books();
        let change = opened(kind, priced(1, units)).settled_at_once();
        let made = applied(settle(&mut at_once, change)).next;
        assert_eq!(made.parts().fee, amount(fee), "{kind:?}");
        let should = if kind == Kind::Withdrawal {
            between
        } else {
            after
        };
        assert_eq!(balances(&at_once), should, "{kind:?}");
    }
}

#[test]
fn whoever_is_exempt_pays_nothing_and_a_given_fee_stays() {
    for (kind, _) in schedules() {
        for fee in [0, 1] {
            let mut books = dear_books();
            let change = opened(kind, new(1, 100, fee)).settled_at_once();
            let made = applied(settle(&mut books, change)).next;
            assert_eq!(made.parts().fee, amount(fee), "{kind:?}");
        }
    }
}

#[test]
fn a_schedule_is_for_its_kind_and_asset_alone() {
    let mut books = books_with(1_000);
    set_fee(&mut books, Kind::Internal, flat(7));
    crate::rulebook::change_rules(&mut books, |rules| {
        let other = crate::rulebook::usd();
        rules.fees.insert((Kind::Deposit, other), flat(7));
    });
    for kind in [Kind::Deposit, Kind::Withdrawal] {
        let number = if kind == Kind::Deposit { 1 } else { 2 };
        let made = applied(settle(&mut books, opened(kind, priced(number, 100)))).next;
        assert_eq!(made.parts().fee, Amount::ZERO, "{kind:?}");
    }
}

#[test]
fn a_fee_that_eats_the_deposit_refuses_it_and_nothing_moves() {
    for (fee, eaten) in [(99, false), (100, true), (101, true)] {
        for at_once in [false, true] {
            let mut books = books_with(1_000);
            set_fee(&mut books, Kind::Deposit, flat(fee));
            let before = books.accounts.clone();
            let change = opened(Kind::Deposit, priced(1, 100));
            let change = if at_once {
                change.settled_at_once()
            } else {
                change
            };
            let verdict = settle(&mut books, change);
            let refused = eaten.then_some(Reason::FeeExceedsAmount);
            assert_eq!(reason_of(&verdict), refused, "{fee}");
            assert_eq!(books.versions.contains_key(&id(1)), !eaten, "{fee}");
            if eaten {
                assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
                assert_eq!(books.accounts, before);
            }
        }
    }
}

#[test]
fn a_fee_is_fixed_at_creation_whatever_becomes_of_the_schedule() {
    for (kind, schedule) in schedules() {
        let mut books = dear_books();
        let before = schedule.fee_on(amount(100)).expect("it is small");
        let open = applied(settle(&mut books, opened(kind, priced(1, 100)))).next;
        set_fee(&mut books, kind, flat(50));
        let done = applied(settle(&mut books, step(&open, &ending(kind)))).next;
        assert_eq!(done.parts().fee, before, "{kind:?}");
        assert_eq!(collected(&books), before.units(), "{kind:?}");
        let next = applied(settle(&mut books, opened(kind, priced(2, 100)))).next;
        assert_eq!(next.parts().fee, amount(50), "{kind:?}");
    }
}

#[test]
fn funds_must_cover_the_fee_that_the_schedule_adds() {
    for (kind, most) in [(Kind::Withdrawal, 952), (Kind::Internal, 986)] {
        for (units, reason) in [(most, None), (most + 1, Some(Reason::BalanceInsufficient))] {
            let mut books = dear_books();
            let change = opened(kind, priced(1, units)).settled_at_once();
            let verdict = settle(&mut books, change);
            assert_eq!(reason_of(&verdict), reason, "{kind:?} {units}");
        }
    }
}

#[test]
fn a_rejected_transfer_shows_the_fee_it_would_have_cost_in_one_step_or_two() {
    let mut apart = dear_books();
    let open = applied(settle(&mut apart, opened(Kind::Internal, priced(1, 1_000)))).next;
    let apart = applied(settle(&mut apart, step(&open, &Command::Settle))).next;
    let mut at_once = dear_books();
    let change = opened(Kind::Internal, priced(1, 1_000)).settled_at_once();
    let at_once = applied(settle(&mut at_once, change)).next;
    for rejected in [apart, at_once] {
        assert_eq!(rejected.reason(), Some(Reason::BalanceInsufficient));
        assert_eq!(rejected.parts().fee, amount(14));
    }
}

#[test]
fn what_no_account_can_hold_with_its_fee_is_refused_or_rejected() {
    let most = Amount::MAX.units();
    for schedule in [
        flat(1),
        FeeSchedule {
            absolute: amount(1),
            ..percent(100)
        },
    ] {
        let mut books = books_with(1_000);
        for kind in [Kind::Withdrawal, Kind::Internal] {
            set_fee(&mut books, kind, schedule);
            let change = opened(kind, priced(1, most));
            let reason = Some(Reason::BalanceInsufficient);
            assert_eq!(reason_of(&settle(&mut books, change)), reason, "{kind:?}");
        }
        let at_once = opened(Kind::Internal, priced(2, most)).settled_at_once();
        assert_eq!(at_once.on_refusal, OnRefusal::Record);
        let rejected = applied(settle(&mut books, at_once)).next;
        assert_eq!(rejected.status(), Status::Rejected);
        assert_eq!(balance(&books, ALICE), (1_000, 0));
    }
}

/// Alice pays Bob, who pays Carol with it; the last one is not covered.
fn chain() -> Vec<bursar_domain::Change> {
    [(ALICE, BOB, 900), (BOB, CAROL, 800), (BOB, CAROL, 90)]
        .into_iter()
        .zip(1..)
        .map(|((from, to, units), number)| {
            payment_with_fee(priced(number, units), from, Recipient::Id(to)).settled_at_once()
        })
        .collect()
}

#[test]
fn an_independent_bulk_costs_what_its_items_cost_one_by_one() {
    let (mut together, mut apart) = (dear_books(), dear_books());
    let singly: Vec<_> = settle_all(&mut apart, chain())
        .into_iter()
        .map(applied)
        .collect();
    let charged: Vec<(Status, i128)> = singly
        .iter()
        .map(|applied| (applied.next.status(), applied.next.parts().fee.units()))
        .collect();
    let expected = [
        (Status::Success, 13),
        (Status::Success, 12),
        (Status::Rejected, 6),
    ];
    assert_eq!(charged, expected);
    let bulk = bulk(chain(), BulkMode::Independent);
    let verdict = ledger::settle_bulk(&mut together, &bulk, NOW);
    assert_eq!(verdict, BulkVerdict::Applied(singly));
    assert_eq!(together.accounts, apart.accounts);
    assert_eq!(collected(&together), 25);
}

#[test]
fn an_atomic_bulk_collects_every_fee_or_none() {
    let mut books = dear_books();
    let before = books.accounts.clone();
    let refused = ledger::settle_bulk(&mut books, &bulk(chain(), BulkMode::Atomic), NOW);
    let reasons = vec![None, None, Some(Reason::BalanceInsufficient)];
    let (unable, unseen) = (vec![], vec![]);
    let expected = BulkVerdict::Refused {
        reasons,
        unable,
        unseen,
    };
    assert_eq!(refused, expected);
    assert_eq!(books.accounts, before);
    let mut covered = chain();
    covered.truncate(2);
    let made = ledger::settle_bulk(&mut books, &bulk(covered, BulkMode::Atomic), NOW);
    assert!(matches!(made, BulkVerdict::Applied(_)), "{made:?}");
    assert_eq!(collected(&books), 25);
    let world = books.accounts.get(&world()).expect("it exists").available;
    let users: i128 = [ALICE, BOB, CAROL]
        .map(|user| balance(&books, user).0)
        .iter()
        .sum();
    assert_eq!(users + 25 + world, 0);
}

#[test]
fn a_percentage_is_told_in_the_parts_that_it_is_made_of() {
    for parts in [0, 1, 150_000_000] {
        let percent = Percent::try_from_parts(parts);
        assert_eq!(percent.map(Percent::parts), Ok(parts));
    }
}
