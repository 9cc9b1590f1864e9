//! What keeps a payout from being ordered for now.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const STOPPED: [(UserStatus, &str); 2] = [
    (UserStatus::Frozen, "frozen"),
    (UserStatus::Terminated, "terminated"),
];

#[tokio::test]
async fn what_an_operator_stopped_is_not_asked_for_whoever_owns_it() {
    for owner in UserStatus::ALL {
        let mut schedule = postponing("stopped", 5_000, false);
        let stopped = PayoutClearance {
            owner,
            is_stopped: true,
        };
        says(stopped, &mut schedule);
        let mocks = mocks(MockPayoutGateway::new(), schedule);
        let outcome = mocks.app().pay_out(due(under_way(), 0)).await;
        assert_eq!(outcome.unwrap(), "stopped");
    }
}

/// Up to 32 are claimed at once, and the last of them may be ordered seconds later.
#[tokio::test]
async fn a_stop_that_comes_after_the_claim_holds_up_what_was_claimed() {
    let (gateway, mut schedule) = claiming(vec![due(under_way(), 0).claimed]);
    let stop = Arc::new(AtomicBool::new(false));
    let in_force = Arc::clone(&stop);
    schedule.expect_clearance().times(1).returning(move |_, _| {
        Ok(PayoutClearance {
            is_stopped: in_force.load(Ordering::SeqCst),
            ..CLEAR
        })
    });
    schedule
        .expect_postpone()
        .withf(|postponed| postponed.outcome == "stopped" && !postponed.was_tried)
        .times(1)
        .return_once(|_| Ok(true));
    let app = mocks(gateway, schedule).app();
    let mut claimed = app.claim_payouts(5).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let outcome = app.pay_out(claimed.remove(0)).await;
    assert_eq!(outcome.unwrap(), "stopped");
}

/// Whether or not the gateway was asked before: as with a stop, nobody asks it again for now.
#[tokio::test]
async fn what_is_of_a_user_who_was_stopped_is_not_asked_for() {
    for (owner, word) in STOPPED {
        for attempts in [0, 9] {
            let mut schedule = postponing(word, 5_000, false);
            says(PayoutClearance { owner, ..CLEAR }, &mut schedule);
            let mocks = mocks(MockPayoutGateway::new(), schedule);
            let outcome = mocks.app().pay_out(due(under_way(), attempts)).await;
            assert_eq!(outcome.unwrap(), word);
        }
    }
}

#[tokio::test]
async fn while_nobody_knows_what_stands_against_an_order_nothing_is_asked_for() {
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_clearance()
        .times(1)
        .return_once(|_, _| Err(unavailable()));
    let mocks = mocks(MockPayoutGateway::new(), schedule);
    let outcome = mocks.app().pay_out(due(under_way(), 0)).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))));
}

/// Its lease may end while it is asked for: it is left for the next claim.
#[tokio::test]
async fn what_was_claimed_long_ago_is_not_asked_for() {
    let mut schedule = MockPayoutSchedule::new();
    says(CLEAR, &mut schedule);
    let mocks = mocks(MockPayoutGateway::new(), schedule);
    let mut late = due(under_way(), 0);
    late.claimed_at = NOW.plus_micros(-5_000_001);
    assert_eq!(mocks.app().pay_out(late).await.unwrap(), "late");
}

#[tokio::test]
async fn what_is_still_in_time_to_the_microsecond_is_asked_for() {
    let schedule = postponing("under_way", 5_000, true);
    let mocks = asking(PayoutAnswer::UnderWay, schedule);
    let mut just_in_time = due(under_way(), 0);
    just_in_time.claimed_at = NOW.plus_micros(-5_000_000);
    let outcome = mocks.app().pay_out(just_in_time).await;
    assert_eq!(outcome.unwrap(), "under_way");
}

/// Else an order would begin late that was in time before the question.
#[tokio::test]
async fn the_time_that_the_question_for_what_stands_against_it_took_counts() {
    let mut mocks = Mocks::new();
    let clock = Arc::clone(&mocks.clock);
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_clearance()
        .times(1)
        .return_once(move |_, _| {
            clock.advance_ms(5_001);
            Ok(CLEAR)
        });
    mocks.payouts = Some(Payouts {
        gateway: Arc::new(MockPayoutGateway::new()),
        schedule: Arc::new(schedule),
    });
    let outcome = mocks.app().pay_out(due(under_way(), 0)).await;
    assert_eq!(outcome.unwrap(), "late");
}
