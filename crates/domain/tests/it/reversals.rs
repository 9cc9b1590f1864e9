//! Transfers that are taken back, in full or in part.

use bursar_domain::{
    ActorId, Amount, CallbackDraft, Change, CodeSalt, Expected, Kind, NewTransfer, Operation,
    Posting, Recipient, Reversal, ReversalTerms, Scale, Status, Subscriber, Terms, Transfer,
    ledger::{Applied, Books},
};

use crate::{
    rulebook::{opened, usd},
    sample::{
        ALICE, BOB, HOOK, account, amount, applied, balance, books_with, confirm, fees, id, line,
        new, settle, step, world,
    },
};

pub(crate) fn terms(covers: Option<i128>, returns_fee: bool) -> ReversalTerms {
    ReversalTerms {
        covers: covers.map(amount),
        returns_fee,
        salt: CodeSalt::new([8; 10]),
    }
}

/// What an operator asks with: the amount, the fee, the URL and the terms do not count.
pub(crate) fn asked(number: i64) -> NewTransfer {
    NewTransfer {
        created_by: ActorId::new("reverser"),
        callback_url: Some("https://example.com/ignored".to_owned()),
        terms: Terms {
            pays_fee: true,
            expires_at: Some(crate::sample::NOW),
            approval_expires_at: Some(crate::sample::NOW),
        },
        ..new(number, 77, 7)
    }
}

pub(crate) fn reverse(
    of: &Transfer,
    number: i64,
    covers: Option<i128>,
    returns_fee: bool,
) -> Change {
    let change = of.reversal(asked(number), terms(covers, returns_fee));
    change.expect("there is enough left")
}

/// A transfer of 100 with a fee of 10 that went through; Alice had 1000, Bob gets the internal one.
pub(crate) fn done(kind: Kind) -> (Books, Transfer) {
    let mut books = books_with(1_000);
    let change = opened(kind, new(1, 100, 10)).settled_at_once();
    let mut done = applied(settle(&mut books, change)).next;
    if kind == Kind::Withdrawal {
        done = applied(settle(&mut books, step(&done, &confirm(None)))).next;
    }
    (books, done)
}

/// Applies a reversal; the reversal, and the transfer as it then is.
pub(crate) fn take_back(books: &mut Books, change: Change) -> (Applied, Transfer) {
    let applied = applied(settle(books, change));
    let linked = applied.linked.clone().expect("the original changes too");
    assert_eq!(linked.next.version(), linked.expected.next());
    (applied, linked.next)
}

/// How much is taken back, whether the fee goes back too, and what that moves.
type Lines = (Option<i128>, bool, Vec<Posting>);

fn assert_lines(kind: Kind, table: Vec<Lines>) {
    for (covers, returns_fee, lines) in table {
        let (_, original) = done(kind);
        let change = reverse(&original, 2, covers, returns_fee);
        assert_eq!(change.postings, lines, "{covers:?} {returns_fee}");
        let sum: i128 = lines.iter().map(|line| line.available + line.held).sum();
        assert_eq!(sum, 0, "{covers:?} {returns_fee}");
    }
}

#[test]
fn of_a_deposit_what_the_user_got_goes_back_outside() {
    let (a, w, f) = (account(ALICE), world(), fees());
    let with_fee =
        |user, units, fee: i128| vec![line(a, user, 0), line(w, units, 0), line(f, -fee, 0)];
    let without = |units: i128| vec![line(a, -units, 0), line(w, units, 0)];
    assert_lines(
        Kind::Deposit,
        vec![
            (None, true, with_fee(-90, 100, 10)),
            (None, false, without(90)),
            (Some(50), true, with_fee(-45, 50, 5)),
            (Some(50), false, without(45)),
            (Some(1), true, without(1)),
            (Some(1), false, without(1)),
        ],
    );
}

#[test]
fn of_a_withdrawal_what_left_comes_back_with_the_fee_if_that_is_returned() {
    let (a, w, f) = (account(ALICE), world(), fees());
    let with_fee = |units: i128, fee: i128| {
        let back = line(a, units + fee, 0);
        vec![line(w, -units, 0), back, line(f, -fee, 0)]
    };
    let without = |units: i128| vec![line(w, -units, 0), line(a, units, 0)];
    assert_lines(
        Kind::Withdrawal,
        vec![
            (None, true, with_fee(100, 10)),
            (None, false, without(100)),
            (Some(25), true, with_fee(25, 2)),
            (Some(25), false, without(25)),
        ],
    );
}

#[test]
fn of_an_internal_transfer_whoever_was_paid_pays_and_the_fee_comes_from_the_fees() {
    let (a, b, f) = (account(ALICE), account(BOB), fees());
    let with_fee = |units: i128, fee: i128| {
        let back = line(a, units + fee, 0);
        vec![line(b, -units, 0), back, line(f, -fee, 0)]
    };
    let without = |units: i128| vec![line(b, -units, 0), line(a, units, 0)];
    assert_lines(
        Kind::Internal,
        vec![
            (None, true, with_fee(100, 10)),
            (None, false, without(100)),
            (Some(99), true, with_fee(99, 9)),
            (Some(1), true, without(1)),
            (Some(99), false, without(99)),
        ],
    );
}

#[test]
fn taking_back_in_full_leaves_everybody_as_before_but_for_a_fee_that_is_kept() {
    for kind in Kind::ALL {
        for (returns_fee, kept) in [(true, 0), (false, 10)] {
            let (mut books, original) = done(kind);
            let (_, original) = take_back(&mut books, reverse(&original, 2, None, returns_fee));
            let [alice, bob] = [ALICE, BOB].map(|user| balance(&books, user));
            // Of a deposit the user never had the fee.
            let paid = if kind == Kind::Deposit { 0 } else { kept };
            assert_eq!((alice, bob), ((1_000 - paid, 0), (0, 0)), "{kind:?}");
            assert_eq!(books.accounts[&fees()].available, kept, "{kind:?}");
            assert_eq!(original.parts().reversed, amount(100));
        }
    }
}

#[test]
fn a_reversal_is_a_final_transfer_the_other_way_that_costs_nothing_and_both_know() {
    for (kind, reversed_kind, status, owner) in [
        (Kind::Deposit, Kind::Withdrawal, Status::Completed, ALICE),
        (Kind::Withdrawal, Kind::Deposit, Status::Completed, ALICE),
        (Kind::Internal, Kind::Internal, Status::Success, BOB),
    ] {
        let (mut books, original) = done(kind);
        let change = reverse(&original, 2, Some(60), true);
        assert_eq!(change.expected, Expected::Absent);
        let (applied, after) = take_back(&mut books, change);
        let reversal = &applied.next;
        assert_eq!(
            (reversal.kind(), reversal.status()),
            (reversed_kind, status)
        );
        assert_eq!(reversal.owner(), owner);
        let parts = reversal.parts();
        let figures = (parts.amount, parts.fee, parts.reversed);
        assert_eq!(figures, (amount(60), Amount::ZERO, Amount::ZERO));
        assert_eq!((&parts.callback_url, parts.expires_at), (&None, None));
        assert_eq!(parts.created_by, ActorId::new("reverser"));
        let link = Reversal {
            of: id(1),
            covers: amount(60),
            fee_returned: amount(6),
        };
        assert_eq!(parts.reversal, Some(link));
        assert_eq!(after.parts().reversed, amount(60));
        assert_eq!(after.status(), original.status(), "it stays what it is");
        assert_eq!(after.done_at(), original.done_at(), "since when it was");
        assert_eq!(books.versions.get(&id(1)), Some(&after.version()));
        assert_eq!(books.versions.get(&id(2)), Some(&reversal.version()));
    }
    let (mut books, original) = done(Kind::Internal);
    let (applied, _) = take_back(&mut books, reverse(&original, 2, None, true));
    let bursar_domain::Body::Internal {
        recipient,
        custom_id,
        ..
    } = &applied.next.parts().body
    else {
        panic!("an internal transfer is taken back by one: {applied:?}");
    };
    assert_eq!((recipient, custom_id), (&Recipient::Id(ALICE), &None));
}

#[test]
fn whatever_is_asked_for_a_reversal_is_of_the_originals_asset() {
    for kind in Kind::ALL {
        let (_, original) = done(kind);
        let other = NewTransfer {
            asset: usd(),
            scale: Scale::MAX,
            ..asked(2)
        };
        let change = original.reversal(other, terms(None, true));
        assert_eq!(change, Ok(reverse(&original, 2, None, true)), "{kind:?}");
    }
}

#[test]
fn the_urls_of_the_original_hear_of_both_and_nobody_elses() {
    let told = |operation, subscriber: &Subscriber, status| CallbackDraft {
        operation,
        url: HOOK.to_owned(),
        subscriber: subscriber.clone(),
        status,
        error: None,
    };
    let client = Subscriber::Client(ActorId::new("operator"));
    for (kind, subscriber, status) in [
        (Kind::Deposit, client.clone(), Status::Completed),
        (Kind::Withdrawal, client, Status::Completed),
        // Whoever was paid gave no URL and hears nothing.
        (Kind::Internal, Subscriber::User(ALICE), Status::Success),
    ] {
        let (mut books, original) = done(kind);
        let change = reverse(&original, 2, Some(60), true);
        let (applied, _) = take_back(&mut books, change);
        let of_reversal = told(Operation::Create, &subscriber, status);
        assert_eq!(applied.callbacks, [of_reversal], "{kind:?}");
        let linked = applied.linked.expect("the original changes too");
        let of_original = told(Operation::Reverse, &subscriber, status);
        assert_eq!(linked.callbacks, [of_original], "{kind:?}");
        let mut parts = original.into_parts();
        parts.callback_url = None;
        let change = reverse(&Transfer::from_parts(parts), 3, None, true);
        assert_eq!(change.callbacks, []);
        assert_eq!(change.linked.expect("the original").callbacks, []);
    }
}
