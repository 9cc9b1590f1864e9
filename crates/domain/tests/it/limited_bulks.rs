//! Limits in bulks: each item sees what the ones before it used, and a group that is refused used
//! nothing.

use bursar_domain::{
    Bulk, BulkMode, Change, Kind, Limits, Reason, Recipient, UserId,
    ledger::{self, Books, BulkVerdict},
};

use crate::{
    rulebook::{rated, set_limits, settle_at, used},
    sample::{
        ALICE, BOB, NOW, amount, applied, balance, books_with, btc, new, nobody, payment_with_fee,
    },
};

/// Alice has 1000 and may send 100 a day, in units as in the root asset.
fn limited_books() -> Books {
    let mut books = books_with(1_000);
    for (scope, most) in [(Some(btc()), 100), (None, 200)] {
        let limits = Limits {
            daily: Some(amount(most)),
            ..Limits::default()
        };
        set_limits(&mut books, Kind::Internal, scope, limits);
    }
    books
}

fn payments(payments: &[(Recipient, i128)]) -> Vec<Change> {
    let from: UserId = ALICE;
    (1..)
        .zip(payments)
        .map(|(number, (to, units))| {
            payment_with_fee(rated(new(number, *units, 0)), from, to.clone()).settled_at_once()
        })
        .collect()
}

fn bob() -> Recipient {
    Recipient::Id(BOB)
}

fn settle(books: &mut Books, mode: BulkMode, changes: Vec<Change>) -> BulkVerdict {
    let bulk = Bulk {
        changes,
        mode,
        unable_max: None,
        idempotency: None,
    };
    ledger::settle_bulk(books, &bulk, NOW)
}

#[test]
fn an_independent_bulk_is_limited_like_its_items_one_by_one() {
    let items = [
        (bob(), 60),
        (bob(), 41),
        (nobody(), 30),
        (bob(), 40),
        (bob(), 1),
    ];
    let (mut together, mut apart) = (limited_books(), limited_books());
    let singly: Vec<_> = payments(&items)
        .into_iter()
        .map(|change| applied(settle_at(&mut apart, change, NOW)))
        .collect();
    let reasons: Vec<_> = singly.iter().map(|applied| applied.next.reason()).collect();
    let (over, unable) = (Some(Reason::LimitDaily), Some(Reason::RecipientUnavailable));
    assert_eq!(reasons, [None, over, unable, None, over]);
    let verdict = settle(&mut together, BulkMode::Independent, payments(&items));
    assert_eq!(verdict, BulkVerdict::Applied(singly));
    assert_eq!(together.usage, apart.usage);
    assert_eq!(used(&together, Kind::Internal, Some(btc())), 100);
    assert_eq!(used(&together, Kind::Internal, None), 200);
}

#[test]
fn an_atomic_bulk_that_is_refused_used_nothing() {
    for (items, reasons, unable) in [
        (
            vec![(bob(), 60), (bob(), 41), (bob(), 40)],
            vec![None, Some(Reason::LimitDaily), None],
            vec![],
        ),
        // What is told of the others does not depend on who can be paid.
        (
            vec![(nobody(), 60), (bob(), 41), (bob(), 40)],
            vec![None, Some(Reason::LimitDaily), None],
            vec![0],
        ),
        (vec![(bob(), 60), (nobody(), 40)], vec![None, None], vec![1]),
    ] {
        let mut books = limited_books();
        let before = books.clone();
        let verdict = settle(&mut books, BulkMode::Atomic, payments(&items));
        let unseen = vec![];
        let expected = BulkVerdict::Refused {
            reasons,
            unable,
            unseen,
        };
        assert_eq!(verdict, expected);
        assert_eq!(books.usage, before.usage);
        assert_eq!(books.accounts, before.accounts);
        assert_eq!(books.versions, before.versions);
    }
}

#[test]
fn an_atomic_bulk_within_the_limits_uses_them() {
    let mut books = limited_books();
    let items = [(bob(), 60), (bob(), 40)];
    let verdict = settle(&mut books, BulkMode::Atomic, payments(&items));
    assert!(matches!(verdict, BulkVerdict::Applied(_)), "{verdict:?}");
    assert_eq!(used(&books, Kind::Internal, Some(btc())), 100);
    assert_eq!(balance(&books, BOB), (100, 0));
}

#[test]
fn a_bulk_with_too_many_recipients_who_cannot_be_paid_used_nothing() {
    let mut books = limited_books();
    let before = books.usage.clone();
    let bulk = Bulk {
        changes: payments(&[(bob(), 60), (nobody(), 10), (nobody(), 10)]),
        mode: BulkMode::Independent,
        unable_max: Some(1),
        idempotency: None,
    };
    let verdict = ledger::settle_bulk(&mut books, &bulk, NOW);
    let (unable, unseen) = (2, vec![]);
    assert_eq!(verdict, BulkVerdict::TooManyUnable { unable, unseen });
    assert_eq!(books.usage, before);
}
