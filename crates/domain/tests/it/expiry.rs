//! What nobody confirmed or approved in time.

use bursar_domain::{
    ActorId, Change, Command, Decision, Kind, NewTransfer, PayoutRoute, Reason, Status, Terms,
    Timestamp, Transfer,
    ledger::{Books, Verdict},
};

use crate::{
    rulebook::{SECOND, approve, confirm_by_gateway, opened, strict_books},
    sample::{ALICE, NOW, applied, balance, books_with, cancel, confirm, new, settle, step},
};

const HOLD_ENDS: Timestamp = NOW.plus_micros(1_000);
const DEPOSIT_ENDS: Timestamp = NOW.plus_micros(2_000);
const APPROVAL_ENDS: Timestamp = NOW.plus_micros(3_000);

fn expiring(kind: Kind, number: i64) -> Change {
    let new = NewTransfer {
        terms: Terms {
            pays_fee: false,
            expires_at: Some(HOLD_ENDS),
            approval_expires_at: Some(DEPOSIT_ENDS),
        },
        ..new(number, 100, 0)
    };
    opened(kind, new)
}

fn confirm_until(route: PayoutRoute) -> Command {
    Command::Confirm {
        by: ActorId::new("confirmer"),
        callback_url: None,
        route,
        approval_expires_at: Some(APPROVAL_ENDS),
    }
}

fn send(books: &mut Books, change: Change) -> Transfer {
    applied(settle(books, change)).next
}

fn expires(transfer: &Transfer) -> Option<Timestamp> {
    transfer.parts().expires_at
}

#[test]
fn only_what_waits_for_somebody_expires() {
    for (kind, at_once, expected, waiting) in [
        (Kind::Deposit, false, None, Some(DEPOSIT_ENDS)),
        (Kind::Deposit, true, None, Some(DEPOSIT_ENDS)),
        (Kind::Withdrawal, false, Some(HOLD_ENDS), Some(HOLD_ENDS)),
        (Kind::Internal, false, None, None),
        (Kind::Internal, true, None, None),
    ] {
        let change = expiring(kind, 1);
        let change = if at_once {
            change.settled_at_once()
        } else {
            change
        };
        let freely = send(&mut books_with(1_000), change.clone());
        assert_eq!(expires(&freely), expected, "{kind:?} {at_once}");
        let strictly = send(&mut strict_books(0), change);
        assert_eq!(expires(&strictly), waiting, "{kind:?} {at_once}");
    }
}

#[test]
fn a_confirm_that_waits_has_a_time_of_its_own_and_a_payout_none() {
    for route in [PayoutRoute::Manual, PayoutRoute::Gateway] {
        let mut books = strict_books(0);
        let open = send(&mut books, expiring(Kind::Withdrawal, 1));
        let waiting = send(&mut books, step(&open, &confirm_until(route)));
        assert_eq!(expires(&waiting), Some(APPROVAL_ENDS));
        let approved = send(&mut books, step(&waiting, &approve(SECOND, route)));
        assert_eq!(expires(&approved), None, "{route:?}");
        let mut books = books_with(1_000);
        let open = send(&mut books, expiring(Kind::Withdrawal, 1));
        let confirmed = send(&mut books, step(&open, &confirm_until(route)));
        assert_eq!(expires(&confirmed), None, "{route:?}");
    }
}

#[test]
fn a_hold_that_nobody_confirmed_goes_back_and_stays_so() {
    let mut books = books_with(1_000);
    let open = send(&mut books, expiring(Kind::Withdrawal, 1));
    assert_eq!(balance(&books, ALICE), (900, 100));
    let expired = send(&mut books, step(&open, &Command::Expire));
    assert_eq!(expired.status(), Status::Failed);
    assert_eq!(expired.reason(), Some(Reason::TransferExpired));
    assert_eq!(balance(&books, ALICE), (1_000, 0));
    let again = expired.decide(&Command::Expire, NOW);
    assert_eq!(again, Ok(Decision::AlreadyApplied));
    for command in [confirm(None), confirm_by_gateway(None), cancel(None)] {
        assert!(expired.decide(&command, NOW).is_err(), "{command:?}");
    }
}

#[test]
fn an_approval_that_expires_says_so_of_deposits_and_withdrawals() {
    let mut books = strict_books(0);
    let deposit = send(&mut books, expiring(Kind::Deposit, 1));
    let open = send(&mut books, expiring(Kind::Withdrawal, 2));
    let withdrawal = send(&mut books, step(&open, &confirm_until(PayoutRoute::Manual)));
    for waiting in [deposit, withdrawal] {
        let expired = send(&mut books, step(&waiting, &Command::Expire));
        assert_eq!(expired.status(), Status::Failed);
        assert_eq!(expired.reason(), Some(Reason::ApprovalExpired));
        let late = expired.decide(&approve(SECOND, PayoutRoute::Manual), NOW);
        assert!(late.is_err(), "{late:?}");
    }
    assert_eq!(balance(&books, ALICE), (1_000, 0));
}

#[test]
fn what_settles_by_itself_never_expires() {
    for kind in [Kind::Deposit, Kind::Internal] {
        let mut books = books_with(1_000);
        let pending = send(&mut books, expiring(kind, 1));
        assert!(pending.decide(&Command::Expire, NOW).is_err(), "{kind:?}");
        let done = send(&mut books, step(&pending, &Command::Settle));
        assert!(done.decide(&Command::Expire, NOW).is_err(), "{kind:?}");
    }
}

#[test]
fn a_confirm_racing_the_expiry_has_one_winner() {
    for (first, second) in [
        (confirm_until(PayoutRoute::Manual), Command::Expire),
        (confirm_until(PayoutRoute::Gateway), Command::Expire),
        (Command::Expire, confirm_until(PayoutRoute::Manual)),
    ] {
        for mut books in [books_with(1_000), strict_books(0)] {
            let open = send(&mut books, expiring(Kind::Withdrawal, 1));
            let (first, second) = (step(&open, &first), step(&open, &second));
            let won = send(&mut books, first);
            let after = books.accounts.clone();
            let current = Some(won.version());
            assert_eq!(settle(&mut books, second), Verdict::Stale { current });
            assert_eq!(books.accounts, after);
        }
    }
}
