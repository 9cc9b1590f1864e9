//! Every state against every command.

use std::collections::HashSet;

use bursar_domain::{
    ActorId, Body, Command, Decision, DepositState, Expected, InternalState, Reason, Recipient,
    Status, Transfer, WithdrawalState,
};

use crate::sample::{ALICE, BOB, NOW, cancel, confirm, deposit, payment, withdrawal};

/// The commands; failing is two of them, because a failed transfer knows its own reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Settle,
    Confirm,
    Cancel,
    /// For the reason that the failed state of the table has.
    Fail,
    FailOtherwise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    To(Status),
    AlreadyApplied,
    Illegal,
}

use Answer::{AlreadyApplied, Illegal, To};
use Asked::{Cancel, Confirm, Fail, FailOtherwise, Settle};
use Status::{AwaitingConfirmation, Canceled, Completed, Failed, Pending, Rejected, Success};

type Row = (Status, Asked, Answer);

const DEPOSIT: [Row; 15] = [
    (Pending, Settle, To(Completed)),
    (Pending, Confirm, Illegal),
    (Pending, Cancel, Illegal),
    (Pending, Fail, To(Failed)),
    (Pending, FailOtherwise, To(Failed)),
    (Completed, Settle, AlreadyApplied),
    (Completed, Confirm, Illegal),
    (Completed, Cancel, Illegal),
    (Completed, Fail, Illegal),
    (Completed, FailOtherwise, Illegal),
    (Failed, Settle, Illegal),
    (Failed, Confirm, Illegal),
    (Failed, Cancel, Illegal),
    (Failed, Fail, AlreadyApplied),
    (Failed, FailOtherwise, Illegal),
];

const WITHDRAWAL: [Row; 20] = [
    (AwaitingConfirmation, Settle, Illegal),
    (AwaitingConfirmation, Confirm, To(Completed)),
    (AwaitingConfirmation, Cancel, To(Canceled)),
    (AwaitingConfirmation, Fail, To(Failed)),
    (AwaitingConfirmation, FailOtherwise, To(Failed)),
    (Completed, Settle, Illegal),
    (Completed, Confirm, AlreadyApplied),
    (Completed, Cancel, Illegal),
    (Completed, Fail, Illegal),
    (Completed, FailOtherwise, Illegal),
    (Failed, Settle, Illegal),
    (Failed, Confirm, Illegal),
    (Failed, Cancel, Illegal),
    (Failed, Fail, AlreadyApplied),
    (Failed, FailOtherwise, Illegal),
    (Canceled, Settle, Illegal),
    (Canceled, Confirm, Illegal),
    (Canceled, Cancel, AlreadyApplied),
    (Canceled, Fail, Illegal),
    (Canceled, FailOtherwise, Illegal),
];

const INTERNAL: [Row; 15] = [
    (Pending, Settle, To(Success)),
    (Pending, Confirm, Illegal),
    (Pending, Cancel, Illegal),
    (Pending, Fail, To(Rejected)),
    (Pending, FailOtherwise, To(Rejected)),
    (Success, Settle, AlreadyApplied),
    (Success, Confirm, Illegal),
    (Success, Cancel, Illegal),
    (Success, Fail, Illegal),
    (Success, FailOtherwise, Illegal),
    (Rejected, Settle, Illegal),
    (Rejected, Confirm, Illegal),
    (Rejected, Cancel, Illegal),
    (Rejected, Fail, AlreadyApplied),
    (Rejected, FailOtherwise, Illegal),
];

/// The reason that failed and rejected transfers of the table have.
const REASON: Reason = Reason::AccountFrozen;

fn command(asked: Asked) -> Command {
    match asked {
        Settle => Command::Settle,
        Confirm => confirm(None),
        Cancel => cancel(None),
        Fail => Command::Fail { reason: REASON },
        FailOtherwise => Command::Fail {
            reason: Reason::PayoutRefused,
        },
    }
}

fn deposit_in(status: Status) -> Transfer {
    let state = if status == Pending {
        DepositState::Pending
    } else if status == Completed {
        DepositState::Completed
    } else {
        DepositState::Failed { reason: REASON }
    };
    with_body(
        &deposit(1, 100, 3).next,
        Body::Deposit { user: ALICE, state },
    )
}

fn withdrawal_in(status: Status) -> Transfer {
    let by = ActorId::new("somebody else");
    let state = if status == AwaitingConfirmation {
        WithdrawalState::AwaitingConfirmation
    } else if status == Completed {
        WithdrawalState::Completed { by }
    } else if status == Canceled {
        WithdrawalState::Canceled { by }
    } else {
        WithdrawalState::Failed { reason: REASON }
    };
    with_body(
        &withdrawal(1, 100, 3).next,
        Body::Withdrawal { user: ALICE, state },
    )
}

fn internal_in(status: Status) -> Transfer {
    let state = if status == Pending {
        InternalState::Pending
    } else if status == Success {
        InternalState::Success
    } else {
        InternalState::Rejected { reason: REASON }
    };
    let transfer = payment(1, ALICE, Recipient::Id(BOB), 100).next;
    let mut body = transfer.parts().body.clone();
    if let Body::Internal { state: had, .. } = &mut body {
        *had = state;
    }
    with_body(&transfer, body)
}

fn with_body(transfer: &Transfer, body: Body) -> Transfer {
    let mut parts = transfer.parts().clone();
    parts.body = body;
    Transfer::from_parts(parts)
}

fn assert_table(table: &[Row], states: usize, transfer_in: fn(Status) -> Transfer) {
    let cells: HashSet<_> = table
        .iter()
        .map(|(state, asked, _)| (state, asked))
        .collect();
    assert_eq!(cells.len(), table.len(), "no cell twice");
    assert_eq!(cells.len(), states * 5, "every cell");
    for (status, asked, expected) in table {
        let transfer = transfer_in(*status);
        assert_eq!(transfer.status(), *status);
        assert_cell(&transfer, *asked, *expected);
    }
}

fn assert_cell(transfer: &Transfer, asked: Asked, expected: Answer) {
    let (status, later) = (transfer.status(), NOW.plus_micros(9));
    let answer = transfer.decide(&command(asked), later);
    let what = format!("{status:?} × {asked:?}: {answer:?}");
    match answer {
        Ok(Decision::Apply(change)) => {
            assert_eq!(To(change.next.status()), expected, "{what}");
            assert!(!status.is_final(), "{what}");
            assert_eq!(change.expected, Expected::At(transfer.version()), "{what}");
            assert_eq!(change.next.version(), transfer.version().next(), "{what}");
            assert_eq!(change.next.parts().created_at, NOW, "{what}");
            assert_eq!(change.next.parts().updated_at, later, "{what}");
            let repeated = change.next.decide(&command(asked), later);
            assert_eq!(repeated, Ok(Decision::AlreadyApplied), "{what}");
        }
        Ok(Decision::AlreadyApplied) => assert_eq!(AlreadyApplied, expected, "{what}"),
        Err(illegal) => {
            assert_eq!(Illegal, expected, "{what}");
            assert_eq!(
                (illegal.id, illegal.status),
                (transfer.id(), status),
                "{what}"
            );
        }
    }
}

#[test]
fn every_deposit_state_answers_every_command() {
    assert_table(&DEPOSIT, 3, deposit_in);
}

#[test]
fn every_withdrawal_state_answers_every_command() {
    assert_table(&WITHDRAWAL, 4, withdrawal_in);
}

#[test]
fn every_internal_state_answers_every_command() {
    assert_table(&INTERNAL, 3, internal_in);
}

#[test]
fn the_states_that_never_change_are_the_final_ones() {
    for (table, pending) in [
        (DEPOSIT.as_slice(), Pending),
        (WITHDRAWAL.as_slice(), AwaitingConfirmation),
        (INTERNAL.as_slice(), Pending),
    ] {
        for (status, _, answer) in table {
            assert_eq!(status.is_final(), *status != pending);
            assert!(!(status.is_final() && matches!(answer, To(_))));
        }
    }
}

#[test]
fn an_illegal_command_says_who_is_what_and_what_was_asked() {
    let canceled = withdrawal_in(Canceled);
    let error = canceled.decide(&confirm(None), NOW).expect_err("cancelled");
    assert_eq!(
        error.to_string(),
        "transfer 1 is Canceled and cannot be confirmed"
    );
    assert_eq!(canceled.finished_by(), Some(&ActorId::new("somebody else")));
}
