//! Every state against every command.

use std::collections::HashSet;

use bursar_domain::{
    ActorId, Body, Command, Confirmation, Decision, DepositState, Expected, InternalState,
    PayoutRoute, Reason, Recipient, Review, Stage, Status, Transfer, WithdrawalState,
};

use crate::{
    rulebook::{DIGEST, SECOND, approve, confirm_by_gateway, reject},
    sample::{ALICE, BOB, NOW, cancel, confirm, deposit, payment, withdrawal},
};

/// The states, of any kind. What a second operator approved is another state here, because
/// approving it again is no mistake; so is what failed for each reason that a command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Pending,
    AwaitingConfirmation,
    AwaitingApproval,
    PayingOut,
    ApprovedPayingOut,
    Completed,
    ApprovedCompleted,
    Canceled,
    Failed(Reason),
    Success,
    Rejected(Reason),
}

/// The commands; failing is two of them, because a failed transfer knows its own reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Settle,
    Confirm,
    ConfirmByGateway,
    Approve,
    ApproveByGateway,
    Reject,
    PaidOut,
    Cancel,
    Expire,
    /// For the reason that the failed states of the table have.
    Fail,
    FailOtherwise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    To(State),
    AlreadyApplied,
    Illegal,
}

use Answer::{AlreadyApplied, Illegal, To};
use Asked::{
    Approve, ApproveByGateway, Cancel, Confirm, ConfirmByGateway, Expire, Fail, FailOtherwise,
    PaidOut, Reject, Settle,
};
use State::{
    ApprovedCompleted, ApprovedPayingOut, AwaitingApproval, AwaitingConfirmation, Canceled,
    Completed, Failed, PayingOut, Pending, Rejected, Success,
};

const COMMANDS: [Asked; 11] = [
    Settle,
    Confirm,
    ConfirmByGateway,
    Approve,
    ApproveByGateway,
    Reject,
    PaidOut,
    Cancel,
    Expire,
    Fail,
    FailOtherwise,
];

/// The reason that failed and rejected transfers of the table have.
const REASON: Reason = Reason::AccountFrozen;
const OTHER: Reason = Reason::PayoutRefused;
const REVIEWED: Reason = Reason::ApprovalRejected;
const UNAPPROVED: Reason = Reason::ApprovalExpired;
const EXPIRED: Reason = Reason::TransferExpired;

/// A state, and what it answers to each command; the rest is illegal.
type Row = (State, &'static [(Asked, Answer)]);

const DEPOSIT: [Row; 7] = [
    (
        Pending,
        &[
            (Settle, To(Completed)),
            (Fail, To(Failed(REASON))),
            (FailOtherwise, To(Failed(OTHER))),
        ],
    ),
    (
        AwaitingApproval,
        &[
            (Settle, AlreadyApplied),
            (Approve, To(ApprovedCompleted)),
            (ApproveByGateway, To(ApprovedCompleted)),
            (Reject, To(Failed(REVIEWED))),
            (Expire, To(Failed(UNAPPROVED))),
            (Fail, To(Failed(REASON))),
            (FailOtherwise, To(Failed(OTHER))),
        ],
    ),
    (Completed, &[(Settle, AlreadyApplied)]),
    (
        ApprovedCompleted,
        &[
            (Settle, AlreadyApplied),
            (Approve, AlreadyApplied),
            (ApproveByGateway, AlreadyApplied),
        ],
    ),
    (Failed(REASON), &[(Fail, AlreadyApplied)]),
    (Failed(REVIEWED), &[(Reject, AlreadyApplied)]),
    (Failed(UNAPPROVED), &[(Expire, AlreadyApplied)]),
];

const WITHDRAWAL: [Row; 11] = [
    (
        AwaitingConfirmation,
        &[
            (Confirm, To(Completed)),
            (ConfirmByGateway, To(PayingOut)),
            (Cancel, To(Canceled)),
            (Expire, To(Failed(EXPIRED))),
            (Fail, To(Failed(REASON))),
            (FailOtherwise, To(Failed(OTHER))),
        ],
    ),
    (
        AwaitingApproval,
        &[
            (Confirm, AlreadyApplied),
            (ConfirmByGateway, AlreadyApplied),
            (Approve, To(ApprovedCompleted)),
            (ApproveByGateway, To(ApprovedPayingOut)),
            (Reject, To(Failed(REVIEWED))),
            (Cancel, To(Canceled)),
            (Expire, To(Failed(UNAPPROVED))),
            (Fail, To(Failed(REASON))),
            (FailOtherwise, To(Failed(OTHER))),
        ],
    ),
    (
        PayingOut,
        &[
            (Confirm, AlreadyApplied),
            (ConfirmByGateway, AlreadyApplied),
            (PaidOut, To(Completed)),
            (Fail, To(Failed(REASON))),
            (FailOtherwise, To(Failed(OTHER))),
        ],
    ),
    (
        ApprovedPayingOut,
        &[
            (Confirm, AlreadyApplied),
            (ConfirmByGateway, AlreadyApplied),
            (Approve, AlreadyApplied),
            (ApproveByGateway, AlreadyApplied),
            (PaidOut, To(ApprovedCompleted)),
            (Fail, To(Failed(REASON))),
            (FailOtherwise, To(Failed(OTHER))),
        ],
    ),
    (
        Completed,
        &[
            (Confirm, AlreadyApplied),
            (ConfirmByGateway, AlreadyApplied),
            (PaidOut, AlreadyApplied),
        ],
    ),
    (
        ApprovedCompleted,
        &[
            (Confirm, AlreadyApplied),
            (ConfirmByGateway, AlreadyApplied),
            (Approve, AlreadyApplied),
            (ApproveByGateway, AlreadyApplied),
            (PaidOut, AlreadyApplied),
        ],
    ),
    (Canceled, &[(Cancel, AlreadyApplied)]),
    (Failed(REASON), &[(Fail, AlreadyApplied)]),
    (Failed(REVIEWED), &[(Reject, AlreadyApplied)]),
    (Failed(UNAPPROVED), &[(Expire, AlreadyApplied)]),
    (Failed(EXPIRED), &[(Expire, AlreadyApplied)]),
];

const INTERNAL: [Row; 3] = [
    (
        Pending,
        &[
            (Settle, To(Success)),
            (Fail, To(Rejected(REASON))),
            (FailOtherwise, To(Rejected(OTHER))),
        ],
    ),
    (Success, &[(Settle, AlreadyApplied)]),
    (Rejected(REASON), &[(Fail, AlreadyApplied)]),
];

fn command_by(asked: Asked, second: &str) -> Command {
    match asked {
        Settle => Command::Settle,
        Confirm => confirm(None),
        ConfirmByGateway => confirm_by_gateway(None),
        Approve => approve(second, PayoutRoute::Manual),
        ApproveByGateway => approve(second, PayoutRoute::Gateway),
        Reject => reject(second),
        PaidOut => Command::PaidOut,
        Cancel => cancel(None),
        Expire => Command::Expire,
        Fail => Command::Fail { reason: REASON },
        FailOtherwise => Command::Fail { reason: OTHER },
    }
}

const fn is_review(asked: Asked) -> bool {
    matches!(asked, Approve | ApproveByGateway | Reject)
}

fn somebody() -> ActorId {
    ActorId::new("confirmer")
}

fn deposit_in(state: State) -> Transfer {
    let deposit_state = match state {
        Pending => DepositState::Pending,
        AwaitingApproval => DepositState::AwaitingApproval,
        Completed | ApprovedCompleted => DepositState::Completed,
        Failed(reason) => DepositState::Failed { reason },
        AwaitingConfirmation | PayingOut | ApprovedPayingOut | Canceled | Success | Rejected(_) => {
            panic!("no state of a deposit")
        }
    };
    let body = Body::Deposit {
        user: ALICE,
        state: deposit_state,
    };
    with_body(&deposit(1, 100, 3).next, body, state)
}

fn withdrawal_in(state: State) -> Transfer {
    let by = somebody();
    let withdrawal_state = match state {
        AwaitingConfirmation => WithdrawalState::AwaitingConfirmation,
        AwaitingApproval => WithdrawalState::AwaitingApproval,
        PayingOut | ApprovedPayingOut => WithdrawalState::PayingOut,
        Completed | ApprovedCompleted => WithdrawalState::Completed { by },
        Canceled => WithdrawalState::Canceled { by },
        Failed(reason) => WithdrawalState::Failed { reason },
        Pending | Success | Rejected(_) => panic!("no state of a withdrawal"),
    };
    let body = Body::Withdrawal {
        user: ALICE,
        state: withdrawal_state,
    };
    with_body(&withdrawal(1, 100, 3).next, body, state)
}

fn internal_in(state: State) -> Transfer {
    let internal_state = match state {
        Pending => InternalState::Pending,
        Success => InternalState::Success,
        Rejected(reason) => InternalState::Rejected { reason },
        AwaitingConfirmation | AwaitingApproval | PayingOut | ApprovedPayingOut | Completed
        | ApprovedCompleted | Canceled | Failed(_) => panic!("no state of an internal transfer"),
    };
    let transfer = payment(1, ALICE, Recipient::Id(BOB), 100).next;
    let mut body = transfer.parts().body.clone();
    if let Body::Internal { state: had, .. } = &mut body {
        *had = internal_state;
    }
    with_body(&transfer, body, state)
}

/// The transfer in a state, with whoever confirmed and reviewed it on the way there.
fn with_body(transfer: &Transfer, body: Body, state: State) -> Transfer {
    let mut parts = transfer.parts().clone();
    let is_withdrawal = matches!(body, Body::Withdrawal { .. });
    parts.body = body;
    let confirmed = is_withdrawal && state != AwaitingConfirmation;
    parts.confirmed = confirmed.then(|| Confirmation {
        by: somebody(),
        callback_url: None,
    });
    let reviewed =
        matches!(state, ApprovedCompleted | ApprovedPayingOut) || state == Failed(REVIEWED);
    parts.review = reviewed.then(|| Review {
        by: ActorId::new(SECOND),
        digest: DIGEST,
    });
    Transfer::from_parts(parts)
}

/// The state of the table that a transfer is in.
fn state_of(transfer: &Transfer) -> State {
    let approved = transfer.parts().review.is_some();
    match (transfer.status(), transfer.stage()) {
        (Status::Pending | Status::AwaitingConfirmation, Some(Stage::Approval)) => AwaitingApproval,
        (Status::AwaitingConfirmation, Some(Stage::Payout)) if approved => ApprovedPayingOut,
        (Status::AwaitingConfirmation, Some(Stage::Payout)) => PayingOut,
        (Status::AwaitingConfirmation, None) => AwaitingConfirmation,
        (Status::Pending, _) => Pending,
        (Status::Completed, _) if approved => ApprovedCompleted,
        (Status::Completed, _) => Completed,
        (Status::Canceled, _) => Canceled,
        (Status::Success, _) => Success,
        (Status::Failed, _) => Failed(transfer.reason().expect("it failed")),
        (Status::Rejected, _) => Rejected(transfer.reason().expect("it was rejected")),
    }
}

/// Makes a transfer in a state.
type InState = fn(State) -> Transfer;

fn assert_table(table: &[Row], transfer_in: InState) {
    let states: HashSet<State> = table.iter().map(|(state, _)| *state).collect();
    assert_eq!(states.len(), table.len(), "no state twice");
    for (state, answers) in table {
        let asked: HashSet<Asked> = answers.iter().map(|(asked, _)| *asked).collect();
        assert_eq!(asked.len(), answers.len(), "{state:?}: no command twice");
        let transfer = transfer_in(*state);
        assert_eq!(state_of(&transfer), *state);
        for asked in COMMANDS {
            let cell = answers.iter().find(|(command, _)| *command == asked);
            let expected = cell.map_or(Illegal, |(_, answer)| *answer);
            assert_cell(&transfer, asked, expected);
        }
    }
}

fn assert_cell(transfer: &Transfer, asked: Asked, expected: Answer) {
    let (state, later) = (state_of(transfer), NOW.plus_micros(9));
    let command = command_by(asked, SECOND);
    let answer = transfer.decide(&command, later);
    let what = format!("{state:?} × {asked:?}: {answer:?}");
    match answer {
        Ok(Decision::Apply(change)) => {
            assert_eq!(To(state_of(&change.next)), expected, "{what}");
            assert!(!transfer.status().is_final(), "{what}");
            assert_eq!(change.expected, Expected::At(transfer.version()), "{what}");
            assert_eq!(change.next.version(), transfer.version().next(), "{what}");
            assert_eq!(change.next.parts().created_at, NOW, "{what}");
            assert_eq!(change.next.parts().updated_at, later, "{what}");
            assert_eq!(change.next.parts().expires_at, None, "{what}");
            let repeated = change.next.decide(&command, later);
            assert_eq!(repeated, Ok(Decision::AlreadyApplied), "{what}");
            if is_review(asked) {
                assert_second(transfer, &change.next, asked);
            }
        }
        Ok(Decision::AlreadyApplied) => assert_eq!(AlreadyApplied, expected, "{what}"),
        Err(illegal) => {
            assert_eq!(Illegal, expected, "{what}");
            assert_eq!(
                (illegal.id, illegal.status),
                (transfer.id(), transfer.status()),
                "{what}"
            );
        }
    }
}

/// Who reviews is recorded, and is neither who made the transfer nor who confirmed it.
fn assert_second(transfer: &Transfer, reviewed: &Transfer, asked: Asked) {
    let review = Review {
        by: ActorId::new(SECOND),
        digest: DIGEST,
    };
    assert_eq!(reviewed.parts().review, Some(review), "{asked:?}");
    let confirmer = transfer.parts().confirmed.as_ref().map(|had| &had.by);
    for by in [Some(&transfer.parts().created_by), confirmer]
        .into_iter()
        .flatten()
    {
        assert!(transfer.was_made_by(by));
        let own = transfer.decide(&command_by(asked, by.as_str()), NOW);
        assert!(own.is_err(), "{by:?} × {asked:?}: {own:?}");
    }
    assert!(!transfer.was_made_by(&ActorId::new(SECOND)));
}

#[test]
fn every_deposit_state_answers_every_command() {
    assert_table(&DEPOSIT, deposit_in);
}

#[test]
fn every_withdrawal_state_answers_every_command() {
    assert_table(&WITHDRAWAL, withdrawal_in);
}

#[test]
fn every_internal_state_answers_every_command() {
    assert_table(&INTERNAL, internal_in);
}

#[test]
fn the_states_that_never_change_are_the_final_ones() {
    let tables: [(&[Row], InState); 3] = [
        (&DEPOSIT, deposit_in),
        (&WITHDRAWAL, withdrawal_in),
        (&INTERNAL, internal_in),
    ];
    for (table, transfer_in) in tables {
        for (state, answers) in table {
            let changes = answers.iter().any(|(_, answer)| matches!(answer, To(_)));
            let is_final = transfer_in(*state).status().is_final();
            assert_eq!(changes, !is_final, "{state:?}");
        }
    }
}

/// Nobody else's word stands in for that of whoever confirmed.
#[test]
fn what_nobody_confirmed_is_neither_approved_nor_paid_out() {
    for (state, asked) in [
        (AwaitingApproval, Approve),
        (AwaitingApproval, ApproveByGateway),
        (PayingOut, PaidOut),
    ] {
        let mut parts = withdrawal_in(state).into_parts();
        parts.confirmed = None;
        let answer = Transfer::from_parts(parts).decide(&command_by(asked, SECOND), NOW);
        assert!(answer.is_err(), "{state:?} × {asked:?}: {answer:?}");
    }
}

#[test]
fn an_illegal_command_says_who_is_what_and_what_was_asked() {
    let canceled = withdrawal_in(Canceled);
    for (asked, participle) in [
        (Settle, "settled"),
        (Confirm, "confirmed"),
        (Approve, "approved"),
        (Reject, "rejected"),
        (PaidOut, "paid out"),
        (Expire, "expired"),
        (Fail, "failed"),
    ] {
        let error = canceled.decide(&command_by(asked, SECOND), NOW);
        let error = error.expect_err("cancelled").to_string();
        let expected = format!("transfer 1 is Canceled and cannot be {participle}");
        assert_eq!(error, expected);
    }
    let paying_out = withdrawal_in(PayingOut).decide(&cancel(None), NOW);
    assert_eq!(
        paying_out.expect_err("under way").to_string(),
        "transfer 1 is AwaitingConfirmation and cannot be canceled"
    );
    assert_eq!(canceled.finished_by(), Some(&somebody()));
    let approved = withdrawal_in(ApprovedCompleted);
    assert_eq!(approved.finished_by(), Some(&somebody()), "not the second");
}
