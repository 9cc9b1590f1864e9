//! In which unit limits over all assets are set, and what is worth something in another one.

use bursar_domain::{Kind, Limit, Limits, Reason, Stage, Unit, Usage, UsageKey, ledger::Books};

use crate::{
    limits::{most_in, rated_new, send},
    rulebook::{opened, rated_in, reason_of, set_limits, set_root_unit, unit, usd, used},
    sample::{
        ALICE, NOW, amount, applied, asset_id, books_with, cancel, confirm, new, settle, step,
    },
};

fn eur() -> Unit {
    unit(asset_id("eur"), 2)
}

/// Units that limits may be set in, and whether they count what is worth something in cents.
fn units() -> [(Option<Unit>, bool); 4] {
    [
        (None, true),
        (Some(unit(usd(), 2)), true),
        (Some(unit(usd(), 6)), false),
        (Some(eur()), false),
    ]
}

fn set(books: &mut Books, kind: Kind, limits: Limits, unit: Option<Unit>) {
    set_limits(books, kind, None, limits);
    set_root_unit(books, kind, unit);
}

#[test]
fn what_is_worth_something_in_another_unit_has_no_value() {
    for (unit, counts) in units() {
        for kind in Kind::ALL {
            for limit in [Limit::MinAmount, Limit::MaxAmount] {
                let mut books = books_with(1_000);
                // One unit is worth two cents.
                set(&mut books, kind, most_in(limit, 200), unit);
                let verdict = send(&mut books, kind, 1, 100, NOW);
                let reason = (!counts).then_some(Reason::RateUnknown);
                assert_eq!(reason_of(&verdict), reason, "{kind:?} {limit:?} {unit:?}");
            }
        }
    }
}

#[test]
fn the_unit_of_one_kind_is_none_of_another() {
    let mut books = books_with(1_000);
    let most = most_in(Limit::MaxAmount, 200);
    set(&mut books, Kind::Withdrawal, most, Some(eur()));
    set_limits(&mut books, Kind::Internal, None, most);
    let withdrawal = send(&mut books, Kind::Withdrawal, 1, 100, NOW);
    assert_eq!(reason_of(&withdrawal), Some(Reason::RateUnknown));
    let payment = send(&mut books, Kind::Internal, 2, 100, NOW);
    assert_eq!(reason_of(&payment), None);
}

#[test]
fn a_second_operator_is_asked_for_what_is_worth_something_in_another_unit() {
    let limits = Limits {
        approval_above: Some(amount(200)),
        ..Limits::default()
    };
    for (unit, counts) in units() {
        let mut books = books_with(1_000);
        let open = opened(Kind::Withdrawal, rated_new(1, 100));
        let open = applied(settle(&mut books, open)).next;
        set(&mut books, Kind::Withdrawal, limits, unit);
        assert_eq!(books.rules.asks_second(&open), !counts, "{unit:?}");
        let confirmed = applied(settle(&mut books, step(&open, &confirm(None)))).next;
        let waits = confirmed.stage() == Some(Stage::Approval);
        assert_eq!(waits, !counts, "{unit:?}");
    }
}

#[test]
fn what_does_not_count_gives_nothing_back() {
    let (kind, asset) = (Kind::Withdrawal, None);
    for (unit, counts) in units() {
        let mut books = books_with(1_000);
        let early = applied(send(&mut books, kind, 1, 70, NOW)).next;
        let most = most_in(Limit::Daily, 10_000_000);
        set(&mut books, kind, most, unit);
        // As a store counts what was made before the limit.
        let counted = if counts { 140 } else { 0 };
        let user = ALICE;
        let uses = vec![(early.parts().created_at, amount(counted))];
        let usage = Usage::from_uses(uses);
        books.usage.insert(UsageKey { user, kind, asset }, usage);
        let next = match unit {
            Some(unit) => rated_in(new(2, 50, 0), unit),
            None => rated_new(2, 50),
        };
        let next = applied(settle(&mut books, opened(kind, next))).next;
        let reserved = used(&books, kind, asset) - counted;
        assert!(reserved > 0, "{unit:?}");
        // Both were made at once, so that what one gives back could be the other's.
        for (ended, left) in [(early, reserved), (next, 0)] {
            let canceled = settle(&mut books, step(&ended, &cancel(None)));
            assert_eq!(reason_of(&canceled), None);
            assert_eq!(used(&books, kind, asset), left, "{unit:?}");
        }
    }
}
