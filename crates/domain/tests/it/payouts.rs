//! A withdrawal that a gateway pays out.

use bursar_domain::{
    ActorId, Command, Decision, PayoutRoute, Reason, Stage, Status, Transfer, UserStatus,
    ledger::{Books, Verdict},
};

use crate::{
    rulebook::{SECOND, approve, confirm_by_gateway, reject, set_outgoing_stop},
    sample::{
        ALICE, NOW, account, applied, balance, books_with, cancel, confirm, fees, line, set_status,
        settle, step, withdrawal, world,
    },
};

/// Alice has 1000, of which 100 and a fee of 3 are being paid out.
fn under_way() -> (Books, Transfer) {
    let mut books = books_with(1_000);
    let open = applied(settle(&mut books, withdrawal(1, 100, 3))).next;
    let handed_over = applied(settle(&mut books, step(&open, &confirm_by_gateway(None))));
    assert_eq!(
        (handed_over.entries, handed_over.callbacks),
        (vec![], vec![])
    );
    (books, handed_over.next)
}

#[test]
fn a_payout_under_way_shows_as_awaiting_confirmation_and_keeps_its_hold() {
    let (books, transfer) = under_way();
    assert_eq!(transfer.status(), Status::AwaitingConfirmation);
    assert_eq!(transfer.stage(), Some(Stage::Payout));
    assert_eq!(transfer.finished_by(), None);
    assert_eq!(transfer.done_at(), None);
    assert_eq!(balance(&books, ALICE), (897, 103));
}

#[test]
fn it_can_no_longer_be_cancelled_rejected_or_expire_and_confirming_again_is_no_news() {
    let (_, transfer) = under_way();
    let approved = approve(SECOND, PayoutRoute::Manual);
    for command in [cancel(None), reject(SECOND), approved, Command::Expire] {
        let answer = transfer.decide(&command, NOW);
        assert!(answer.is_err(), "{command:?}: {answer:?}");
    }
    for command in [confirm(None), confirm_by_gateway(None)] {
        let again = transfer.decide(&command, NOW);
        assert_eq!(again, Ok(Decision::AlreadyApplied));
    }
}

#[test]
fn what_was_paid_out_leaves_the_hold_whatever_became_of_its_owner() {
    for status in UserStatus::ALL {
        let (mut books, transfer) = under_way();
        set_status(&mut books, ALICE, status);
        set_outgoing_stop(&mut books, true);
        let change = step(&transfer, &Command::PaidOut);
        let lines = [
            line(account(ALICE), 0, -103),
            line(world(), 100, 0),
            line(fees(), 3, 0),
        ];
        assert_eq!(
            (change.premises.as_slice(), change.postings.as_slice()),
            ([].as_slice(), lines.as_slice())
        );
        let done = applied(settle(&mut books, change)).next;
        assert_eq!(done.status(), Status::Completed);
        assert_eq!(done.finished_by(), Some(&ActorId::new("confirmer")));
        assert_eq!(balance(&books, ALICE), (897, 0), "{status:?}");
    }
}

#[test]
fn what_could_not_be_paid_out_returns_its_hold() {
    for status in UserStatus::ALL {
        let (mut books, transfer) = under_way();
        set_status(&mut books, ALICE, status);
        let reason = Reason::PayoutRefused;
        let failed = applied(settle(
            &mut books,
            step(&transfer, &Command::Fail { reason }),
        ));
        assert_eq!(failed.next.reason(), Some(reason));
        assert_eq!(balance(&books, ALICE), (1_000, 0), "{status:?}");
        let late = failed.next.decide(&Command::PaidOut, NOW);
        assert!(late.is_err(), "{late:?}");
    }
}

#[test]
fn nothing_is_handed_over_for_a_stopped_owner_or_asset() {
    let opened = || {
        let mut books = books_with(1_000);
        let open = applied(settle(&mut books, withdrawal(1, 100, 3))).next;
        (books, step(&open, &confirm_by_gateway(None)))
    };
    for (status, reason) in [
        (UserStatus::Frozen, Reason::AccountFrozen),
        (UserStatus::Terminated, Reason::AccountTerminated),
    ] {
        let (mut books, change) = opened();
        set_status(&mut books, ALICE, status);
        assert_eq!(settle(&mut books, change), Verdict::Refused { reason });
    }
    let (mut books, change) = opened();
    set_outgoing_stop(&mut books, true);
    let reason = Reason::OutgoingStopped;
    assert_eq!(settle(&mut books, change), Verdict::Refused { reason });
    assert_eq!(balance(&books, ALICE), (897, 103));
}
