//! One test for every outcome of every port.

mod held_up;

use std::sync::Arc;

use bursar_domain::{Commit, PayoutRoute, Status};
use bursar_ports::{CommitOutcome, LeaseToken, MockPayoutGateway, MockPayoutSchedule};
use bursar_testkit::build;
use mockall::predicate::eq;
use uuid::Uuid;

use super::*;
use crate::test_support::{
    ALICE, Mocks, NOW, Scripted, btc, committed, in_doubt, stale, trouble, unavailable,
};

const LEASE: LeaseToken = LeaseToken(Uuid::from_u128(7));
const TRY_MS: i64 = 3_000;

fn open() -> Transfer {
    let mut new = build::new_transfer(build::transfer_id(1), &btc(), 150_000_000, NOW);
    new.note = Some("rent".to_owned());
    build::withdrawal(new, ALICE).next
}

fn under_way() -> Transfer {
    let confirm = Command::Confirm {
        by: bursar_domain::ActorId::new("operator"),
        callback_url: None,
        route: PayoutRoute::Gateway,
        approval_expires_at: None,
    };
    build::step(&open(), &confirm, NOW).next
}

fn ended(end: PayoutEnd) -> Transfer {
    build::step(&under_way(), &end.command(), NOW).next
}

fn canceled() -> Transfer {
    let cancel = Command::Cancel {
        by: bursar_domain::ActorId::new("operator"),
        callback_url: None,
    };
    build::step(&open(), &cancel, NOW).next
}

fn due(transfer: Transfer, attempts: u32) -> DuePayout {
    DuePayout {
        claimed: ClaimedPayout {
            transfer,
            lease: LEASE,
            attempts,
        },
        claimed_at: NOW,
    }
}

fn refused() -> PayoutAnswer {
    PayoutAnswer::Refused {
        detail: Some("no such address".to_owned()),
    }
}

/// A gateway that is asked once and answers this.
fn answering(answer: PayoutAnswer) -> MockPayoutGateway {
    let mut gateway = MockPayoutGateway::new();
    gateway
        .expect_pay()
        .with(eq(order(&under_way(), NOW)))
        .times(1)
        .return_once(move |_| answer);
    gateway
}

/// A schedule that is told once that the payout has ended.
fn ending() -> MockPayoutSchedule {
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_end()
        .with(eq(build::transfer_id(1)))
        .times(1)
        .return_once(|_| Ok(()));
    schedule
}

/// A schedule that is told once that the payout is due again, about then.
fn postponing(outcome: &'static str, step_ms: i64, was_tried: bool) -> MockPayoutSchedule {
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_postpone()
        .withf(move |postponed| {
            let about = step_ms * 4 / 5..=step_ms * 6 / 5;
            postponed.id == build::transfer_id(1)
                && postponed.lease == LEASE
                && postponed.outcome == outcome
                && postponed.was_tried == was_tried
                && about.contains(&postponed.wait_ms)
        })
        .times(1)
        .return_once(|_| Ok(true));
    schedule
}

fn mocks(gateway: MockPayoutGateway, schedule: MockPayoutSchedule) -> Mocks {
    let mut mocks = Mocks::new();
    mocks.payouts = Some(Payouts {
        gateway: Arc::new(gateway),
        schedule: Arc::new(schedule),
    });
    mocks
}

/// The same for a payout that nothing stands against, so that the gateway is asked once.
fn asking(answer: PayoutAnswer, mut schedule: MockPayoutSchedule) -> Mocks {
    says(CLEAR, &mut schedule);
    mocks(answering(answer), schedule)
}

/// Nothing stands against an order.
const CLEAR: PayoutClearance = PayoutClearance {
    owner: UserStatus::Active,
    is_stopped: false,
};

/// A schedule that is asked once what stands against an order, and says this.
fn says(clearance: PayoutClearance, schedule: &mut MockPayoutSchedule) {
    schedule
        .expect_clearance()
        .with(eq(ALICE), eq(btc().id))
        .times(1)
        .return_once(move |_, _| Ok(clearance));
}

fn read_only() -> Scripted {
    Box::new(|_| Ok(CommitOutcome::ReadOnly))
}

#[test]
fn an_order_says_what_is_to_be_paid_and_nothing_else() {
    let order = order(&under_way(), NOW);
    assert_eq!(
        order,
        PayoutOrder {
            id: build::transfer_id(1),
            asset: btc().id,
            amount: "1.5".to_owned(),
            user: ALICE,
            comment: Some("rent".to_owned()),
            created_at: NOW,
            at: NOW,
        }
    );
}

#[test]
fn waits_grow_to_five_minutes_and_stay_there_for_ever() {
    let shortest = |attempts| wait_ms(attempts, [0; 32]);
    let longest = |attempts| wait_ms(attempts, [255; 32]);
    for (attempts, step) in [
        (0, 5_000),
        (1, 30_000),
        (2, 120_000),
        (3, 300_000),
        (4, 300_000),
        (1_000_000, 300_000),
        (u32::MAX, 300_000),
    ] {
        assert_eq!(shortest(attempts), step * 4 / 5);
        assert_eq!(longest(attempts), step * 6 / 5);
    }
}

#[test]
fn withdrawals_are_paid_out_where_there_is_a_gateway() {
    assert!(!Mocks::new().app().pays_out());
    let with_gateway = mocks(MockPayoutGateway::new(), MockPayoutSchedule::new());
    assert!(with_gateway.app().pays_out());
}

#[test]
fn ends_have_the_names_of_the_wire() {
    assert_eq!(PayoutEnd::Paid.as_str(), "paid");
    assert_eq!(PayoutEnd::Refused.as_str(), "refused");
}

#[tokio::test]
async fn what_is_paid_completes_and_what_is_refused_fails() {
    for (answer, end, word, status) in [
        (
            PayoutAnswer::Paid,
            PayoutEnd::Paid,
            "paid",
            Status::Completed,
        ),
        (refused(), PayoutEnd::Refused, "refused", Status::Failed),
    ] {
        let mut mocks = asking(answer, ending());
        let commits = mocks.commits([committed()]);
        let outcome = mocks.app().pay_out(due(under_way(), 0)).await.unwrap();
        assert_eq!(outcome, word);
        let change = build::step(&under_way(), &end.command(), NOW);
        assert_eq!(change.next.status(), status);
        assert_eq!(commits.all(), [Commit::new(change)]);
    }
}

#[tokio::test]
async fn what_is_not_certain_is_asked_again_and_changes_nothing() {
    let unknown = PayoutAnswer::Unknown { what: "timeout" };
    for (answer, attempts, word, step_ms) in [
        (PayoutAnswer::UnderWay, 0, "under_way", 5_000),
        (PayoutAnswer::UnderWay, 9, "under_way", 300_000),
        (unknown.clone(), 0, "timeout", 5_000),
        (unknown.clone(), 1, "timeout", 30_000),
        (unknown, 2, "timeout", 120_000),
    ] {
        let mocks = asking(answer, postponing(word, step_ms, true));
        let outcome = mocks.app().pay_out(due(under_way(), attempts)).await;
        assert_eq!(outcome.unwrap(), word);
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_asked_again() {
    for trouble in [trouble(unavailable()), trouble(in_doubt()), read_only()] {
        let schedule = postponing("unrecorded", 5_000, true);
        let mut mocks = asking(PayoutAnswer::Paid, schedule);
        mocks.commits([trouble]);
        let outcome = mocks.app().pay_out(due(under_way(), 0)).await.unwrap();
        assert_eq!(outcome, "unrecorded");
    }
}

#[tokio::test]
async fn whoever_ended_it_the_same_way_meanwhile_it_has_ended() {
    let mut mocks = asking(PayoutAnswer::Paid, ending());
    mocks.commits([stale()]);
    mocks.finds(&ended(PayoutEnd::Paid), 1);
    let outcome = mocks.app().pay_out(due(under_way(), 0)).await.unwrap();
    assert_eq!(outcome, "paid");
}

#[tokio::test]
async fn a_contradiction_leaves_what_is_final_and_is_not_asked_again() {
    for (answer, said_before) in [
        (PayoutAnswer::Paid, PayoutEnd::Refused),
        (refused(), PayoutEnd::Paid),
    ] {
        let mut mocks = asking(answer, ending());
        mocks.commits([stale()]);
        mocks.finds(&ended(said_before), 1);
        let outcome = mocks.app().pay_out(due(under_way(), 0)).await.unwrap();
        assert_eq!(outcome, "contradicted");
    }
}

#[tokio::test]
async fn what_has_ended_is_not_asked_for() {
    let mocks = mocks(MockPayoutGateway::new(), ending());
    let outcome = mocks.app().pay_out(due(ended(PayoutEnd::Paid), 0)).await;
    assert_eq!(outcome.unwrap(), "ended");
}

#[tokio::test]
async fn a_schedule_that_cannot_answer_is_an_error() {
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_postpone()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let mocks = asking(PayoutAnswer::UnderWay, schedule);
    let outcome = mocks.app().pay_out(due(under_way(), 0)).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))));
}

fn claiming(claimed: Vec<ClaimedPayout>) -> (MockPayoutGateway, MockPayoutSchedule) {
    let mut gateway = MockPayoutGateway::new();
    gateway.expect_try_max_ms().return_const(TRY_MS);
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_claim_due()
        .with(eq(TRY_MS + 10_000), eq(5))
        .times(1)
        .return_once(move |_, _| Ok(claimed));
    (gateway, schedule)
}

#[tokio::test]
async fn a_lease_is_longer_than_a_try() {
    let (gateway, schedule) = claiming(vec![]);
    let claimed = mocks(gateway, schedule).app().claim_payouts(5).await;
    assert!(claimed.unwrap().is_empty());
}

#[tokio::test]
async fn without_a_gateway_nothing_is_claimed_and_nobody_is_believed() {
    let app = Mocks::new().app();
    assert!(app.claim_payouts(5).await.unwrap().is_empty());
    assert!(matches!(
        app.from_gateway(&message()),
        Err(Error::Unauthenticated(AuthError::SignatureInvalid))
    ));
}

fn message() -> SignedMessage {
    SignedMessage {
        id: "1".to_owned(),
        timestamp: "2".to_owned(),
        signature: "v1,3".to_owned(),
        body: b"{}".to_vec(),
    }
}

#[tokio::test]
async fn only_what_the_gateway_signed_is_believed() {
    for genuine in [true, false] {
        let mut gateway = MockPayoutGateway::new();
        gateway
            .expect_is_genuine()
            .with(eq(message()), eq(NOW))
            .times(1)
            .return_const(genuine);
        let app = mocks(gateway, MockPayoutSchedule::new()).app();
        assert_eq!(app.from_gateway(&message()).is_ok(), genuine);
    }
}

fn said(end: PayoutEnd) -> PayoutResult {
    PayoutResult {
        transfer: Some(build::transfer_id(1)),
        end,
        detail: None,
    }
}

#[tokio::test]
async fn the_gateways_own_word_ends_a_payout() {
    for (end, status) in [
        (PayoutEnd::Paid, Status::Completed),
        (PayoutEnd::Refused, Status::Failed),
    ] {
        let mut mocks = mocks(MockPayoutGateway::new(), ending());
        mocks.finds(&under_way(), 1);
        let commits = mocks.commits([committed()]);
        let result = mocks.app().payout_result(&FromGateway(()), said(end)).await;
        assert_eq!(result.unwrap().status(), status);
        let change = build::step(&under_way(), &end.command(), NOW);
        assert_eq!(commits.all(), [Commit::new(change)]);
    }
}

#[tokio::test]
async fn the_same_word_again_changes_nothing() {
    for end in [PayoutEnd::Paid, PayoutEnd::Refused] {
        let mut mocks = mocks(MockPayoutGateway::new(), ending());
        mocks.finds(&ended(end), 1);
        let result = mocks.app().payout_result(&FromGateway(()), said(end)).await;
        assert_eq!(result.unwrap(), ended(end));
    }
}

#[tokio::test]
async fn a_word_against_what_is_final_is_a_conflict() {
    for (transfer, end, conflict) in [
        (
            ended(PayoutEnd::Paid),
            PayoutEnd::Refused,
            Conflict::AlreadyCompleted,
        ),
        (
            ended(PayoutEnd::Refused),
            PayoutEnd::Paid,
            Conflict::AlreadyFailed,
        ),
        (canceled(), PayoutEnd::Paid, Conflict::AlreadyCanceled),
        (canceled(), PayoutEnd::Refused, Conflict::AlreadyCanceled),
        (open(), PayoutEnd::Paid, Conflict::PayoutNotUnderWay),
        (open(), PayoutEnd::Refused, Conflict::PayoutNotUnderWay),
    ] {
        let mut mocks = mocks(MockPayoutGateway::new(), MockPayoutSchedule::new());
        mocks.finds(&transfer, 1);
        let result = mocks.app().payout_result(&FromGateway(()), said(end)).await;
        assert!(
            matches!(&result, Err(Error::Conflict(found)) if *found == conflict),
            "{result:?}"
        );
    }
}

/// It may have been this very word, if the answer to its COMMIT was lost.
#[tokio::test]
async fn nobody_says_that_nothing_happened_once_somebody_was_faster() {
    for end in [PayoutEnd::Paid, PayoutEnd::Refused] {
        let mut mocks = mocks(MockPayoutGateway::new(), MockPayoutSchedule::new());
        mocks.finds_or_fails(vec![Err(unavailable()), Ok(Some(under_way()))]);
        mocks.commits([stale()]);
        let result = mocks.app().payout_result(&FromGateway(()), said(end)).await;
        let Err(Error::OutcomeUnknown { transfer, .. }) = &result else {
            panic!("{result:?}");
        };
        assert_eq!(*transfer, Original::Id(under_way().id()));
    }
}

#[tokio::test]
async fn a_word_about_nothing_is_refused() {
    let nothing = PayoutResult {
        transfer: None,
        ..said(PayoutEnd::Paid)
    };
    let app = mocks(MockPayoutGateway::new(), MockPayoutSchedule::new()).app();
    let result = app.payout_result(&FromGateway(()), nothing).await;
    assert!(matches!(result, Err(Error::NotFound(Missing::Transfer))));

    let mut mocks = mocks(MockPayoutGateway::new(), MockPayoutSchedule::new());
    mocks.store.expect_find().times(1).return_once(|_| Ok(None));
    let result = mocks
        .app()
        .payout_result(&FromGateway(()), said(PayoutEnd::Paid))
        .await;
    assert!(matches!(result, Err(Error::NotFound(Missing::Transfer))));
}

/// It is found to have ended when it comes up.
#[tokio::test]
async fn a_schedule_that_keeps_an_ended_payout_hurts_nobody() {
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_end()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let mut mocks = mocks(MockPayoutGateway::new(), schedule);
    mocks.finds(&under_way(), 1);
    mocks.commits([committed()]);
    let result = mocks
        .app()
        .payout_result(&FromGateway(()), said(PayoutEnd::Paid))
        .await;
    assert_eq!(result.unwrap().status(), Status::Completed);
}
