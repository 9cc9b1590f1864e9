//! What may be taken back, how much of it, and what stands in the way.

use bursar_domain::{
    Amount, Change, Command, Kind, Limits, PayoutRoute, Reason, Recipient, UserStatus,
    ledger::Verdict,
};
use proptest::prelude::*;

use crate::{
    properties::config,
    reversals::{asked, done, reverse, take_back, terms},
    rulebook::{SECOND, approve, flat, opened, reason_of, set_approval, set_fee, set_limits, used},
    sample::{
        ALICE, BOB, CAROL, account, amount, applied, balance, balance_mut, books_with, btc,
        confirm, fees, id, new, payment_with_fee, set_status, settle, settle_all, step,
    },
};

#[test]
fn never_more_than_is_left_is_taken_back() {
    for kind in Kind::ALL {
        let (mut books, original) = done(kind);
        for (covers, allowed) in [(101, false), (0, false), (100, true), (1, true)] {
            let answer = original.reversal(asked(2), terms(Some(covers), true));
            let expected = if allowed {
                None
            } else {
                Some(Reason::ReversalExceeds)
            };
            assert_eq!(answer.err(), expected, "{kind:?} {covers}");
        }
        let (_, original) = take_back(&mut books, reverse(&original, 2, Some(70), true));
        let more = original.reversal(asked(3), terms(Some(31), true));
        assert_eq!(more, Err(Reason::ReversalExceeds));
        let (rest, original) = take_back(&mut books, reverse(&original, 3, None, true));
        assert_eq!(rest.next.parts().amount, amount(30), "all that is left");
        for covers in [None, Some(1)] {
            let more = original.reversal(asked(4), terms(covers, true));
            assert_eq!(more, Err(Reason::ReversalExceeds));
        }
        assert_eq!(books.accounts[&fees()].available, 0);
    }
}

#[test]
fn only_what_went_through_is_taken_back_and_no_reversal_is() {
    let fail = Command::Fail {
        reason: Reason::PayoutRefused,
    };
    for kind in Kind::ALL {
        let open = opened(kind, new(1, 100, 10)).next;
        let failed = step(&open, &fail).next;
        for transfer in [open, failed] {
            let answer = transfer.reversal(asked(2), terms(None, true));
            assert_eq!(answer, Err(Reason::ReversalExceeds), "{kind:?}");
        }
        let (mut books, original) = done(kind);
        let (applied, _) = take_back(&mut books, reverse(&original, 2, Some(10), true));
        let answer = applied.next.reversal(asked(3), terms(None, true));
        assert_eq!(answer, Err(Reason::ReversalExceeds), "{kind:?}");
    }
}

#[test]
fn two_reversals_at_once_have_one_winner() {
    for kind in Kind::ALL {
        let (mut books, original) = done(kind);
        let changes = vec![
            reverse(&original, 2, Some(60), true),
            reverse(&original, 3, Some(60), true),
        ];
        let verdicts = settle_all(&mut books, changes);
        assert_eq!(reason_of(&verdicts[0]), None, "{kind:?}");
        let current = Some(original.version().next());
        assert_eq!(verdicts[1], Verdict::Stale { current }, "{kind:?}");
        assert!(!books.versions.contains_key(&id(3)), "{kind:?}");
        books.versions.remove(&id(1));
        let unread = settle(&mut books, reverse(&original, 4, Some(1), true));
        assert_eq!(unread, Verdict::Stale { current: None });
    }
}

#[test]
fn the_very_same_reversal_has_landed() {
    let (mut books, original) = done(Kind::Deposit);
    let change = reverse(&original, 2, Some(60), true);
    let first = settle(&mut books, change.clone());
    assert_eq!(reason_of(&first), None);
    let after = books.accounts.clone();
    assert_eq!(settle(&mut books, change), Verdict::Landed);
    assert_eq!(books.accounts, after);
}

#[test]
fn whoever_was_paid_must_have_the_money_but_may_be_frozen() {
    for (kind, payer) in [(Kind::Deposit, ALICE), (Kind::Internal, BOB)] {
        for status in UserStatus::ALL {
            let (mut books, original) = done(kind);
            for user in [ALICE, BOB] {
                set_status(&mut books, user, status);
            }
            // Of the deposit 90 came in, of the internal transfer 100.
            let had = if kind == Kind::Deposit { 90 } else { 100 };
            let moved = balance(&books, payer).0 - (had - 1);
            balance_mut(&mut books, account(payer)).available -= moved;
            balance_mut(&mut books, account(CAROL)).available += moved;
            let before = books.accounts.clone();
            let reason = Reason::BalanceInsufficient;
            let short = settle(&mut books, reverse(&original, 2, None, true));
            assert_eq!(short, Verdict::Refused { reason }, "{kind:?} {status:?}");
            assert_eq!(books.accounts, before);
            let version = books.versions.get(&id(1)).copied();
            assert_eq!(version, Some(original.version()), "nothing is linked");
            balance_mut(&mut books, account(payer)).available += 1;
            balance_mut(&mut books, account(CAROL)).available -= 1;
            let covered = settle(&mut books, reverse(&original, 2, None, true));
            assert_eq!(reason_of(&covered), None, "{kind:?} {status:?}");
            assert_eq!(balance(&books, payer).0, 0);
        }
    }
}

#[test]
fn what_comes_back_must_fit() {
    for kind in [Kind::Withdrawal, Kind::Internal] {
        for (room, reason) in [(110, None), (109, Some(Reason::BalanceOverflow))] {
            let (mut books, original) = done(kind);
            balance_mut(&mut books, account(ALICE)).available = Amount::MAX.units() - room;
            let verdict = settle(&mut books, reverse(&original, 2, None, true));
            assert_eq!(reason_of(&verdict), reason, "{kind:?} {room}");
        }
    }
}

#[test]
fn no_fee_limit_or_approval_is_asked_of_a_reversal_and_it_frees_no_room() {
    for kind in Kind::ALL {
        let mut books = books_with(1_000);
        for limited in [Kind::Withdrawal, Kind::Internal] {
            let limits = Limits {
                daily: Some(amount(100)),
                ..Limits::default()
            };
            set_limits(&mut books, limited, Some(btc()), limits);
        }
        let change = opened(kind, new(1, 100, 10)).settled_at_once();
        let mut original = applied(settle(&mut books, change)).next;
        if kind == Kind::Withdrawal {
            original = applied(settle(&mut books, step(&original, &confirm(None)))).next;
        }
        for strict in Kind::ALL {
            let limits = Limits {
                min_amount: Some(amount(1_000)),
                max_amount: Some(amount(1)),
                daily: Some(amount(0)),
                monthly: Some(amount(0)),
                approval_above: Some(amount(0)),
            };
            set_limits(&mut books, strict, Some(btc()), limits);
            set_limits(&mut books, strict, None, limits);
            set_fee(&mut books, strict, flat(5));
        }
        let before = books.usage.clone();
        let (applied, _) = take_back(&mut books, reverse(&original, 2, None, true));
        assert_eq!(applied.next.parts().fee, Amount::ZERO, "{kind:?}");
        assert_eq!(books.usage, before, "{kind:?}");
        if kind == Kind::Withdrawal {
            assert_eq!(
                used(&books, kind, Some(btc())),
                100,
                "it was moved all the same"
            );
        }
    }
}

#[test]
fn what_was_approved_is_taken_back_like_anything_else() {
    let mut books = books_with(1_000);
    set_approval(&mut books, Kind::Deposit, 0);
    let waiting = applied(settle(&mut books, opened(Kind::Deposit, new(1, 100, 10)))).next;
    let too_early = waiting.reversal(asked(2), terms(None, true));
    assert_eq!(too_early, Err(Reason::ReversalExceeds));
    let second = approve(SECOND, PayoutRoute::Manual);
    let done = applied(settle(&mut books, step(&waiting, &second))).next;
    let (_, after) = take_back(&mut books, reverse(&done, 2, None, true));
    assert_eq!(after.parts().review, done.parts().review);
    assert_eq!(balance(&books, ALICE), (1_000, 0));
}

#[test]
fn a_part_of_a_deposit_that_was_all_fee_has_nothing_to_take_back() {
    let mut books = books_with(0);
    let change = opened(Kind::Deposit, new(1, 2, 1)).settled_at_once();
    let original = applied(settle(&mut books, change)).next;
    let (_, original) = take_back(&mut books, reverse(&original, 2, Some(1), false));
    assert_eq!(balance(&books, ALICE), (0, 0));
    let rest = original.reversal(asked(3), terms(None, false));
    assert_eq!(
        rest,
        Err(Reason::ReversalExceeds),
        "its user has nothing of it"
    );
}

/// Parts of a whole, in per mille of what is left, and whether the fee goes back with each.
fn parts() -> impl Strategy<Value = Vec<(i128, bool)>> {
    proptest::collection::vec((1..=1_000_i128, any::<bool>()), 1..12)
}

proptest! {
    #![proptest_config(config())]

    /// Whatever the parts are, each sums to zero, together they come to the amount, and the shares
    /// of the fee to the fee.
    #[test]
    fn any_parts_come_to_the_whole_and_their_fees_to_its_fee(
        units in 2..5_000_i128, fee in 0..5_000_i128, kind in 0..3_usize, parts in parts(),
    ) {
        let kind = Kind::ALL[kind];
        let fee = fee % units;
        let mut books = books_with(20_000);
        let change = payment_or(kind, units, fee).settled_at_once();
        let mut original = applied(settle(&mut books, change)).next;
        if kind == Kind::Withdrawal {
            original = applied(settle(&mut books, step(&original, &confirm(None)))).next;
        }
        let (mut shares, mut returned) = (0, 0);
        let mut covered = 0;
        for (number, (share, returns_fee)) in (2..).zip(parts.into_iter().chain([(1_000, true)])) {
            let covers = ((units - covered) * share / 1_000).max(1);
            let answer = original.reversal(asked(number), terms(Some(covers), returns_fee));
            let Ok(change) = answer else {
                // Nothing is left, or a part that was all fee.
                prop_assert!(covered == units || (kind == Kind::Deposit && !returns_fee));
                continue;
            };
            let sum: i128 = change.postings.iter().map(|line| line.available + line.held).sum();
            prop_assert_eq!(sum, 0);
            let due = fee * (covered + covers) / units - fee * covered / units;
            let (applied, after) = take_back(&mut books, change);
            let link = applied.next.parts().reversal.expect("it is one");
            prop_assert_eq!(link.covers, amount(covers));
            prop_assert_eq!(link.fee_returned.units(), if returns_fee { due } else { 0 });
            covered += covers;
            shares += due;
            returned += link.fee_returned.units();
            prop_assert_eq!(after.parts().reversed, amount(covered));
            prop_assert!(covered <= units);
            original = after;
        }
        prop_assert_eq!(covered, units, "the last part is all that was left");
        prop_assert_eq!(shares, fee);
        prop_assert_eq!(books.accounts[&fees()].available, fee - returned);
        let kept = if kind == Kind::Deposit { 0 } else { fee - returned };
        prop_assert_eq!(balance(&books, ALICE), (20_000 - kept, 0));
        prop_assert_eq!(balance(&books, BOB), (0, 0));
    }
}

fn payment_or(kind: Kind, units: i128, fee: i128) -> Change {
    match kind {
        Kind::Internal => payment_with_fee(new(1, units, fee), ALICE, Recipient::Id(BOB)),
        Kind::Deposit | Kind::Withdrawal => opened(kind, new(1, units, fee)),
    }
}
