//! What keeps a payout from being ordered for now.

use bursar_domain::Rules;
use bursar_ports::MockRuleBook;

use super::*;

const STOPPED: [(UserStatus, &str); 2] = [
    (UserStatus::Frozen, "frozen"),
    (UserStatus::Terminated, "terminated"),
];

#[tokio::test]
async fn what_an_operator_stopped_is_not_asked_for() {
    let schedule = postponing("stopped", 5_000, false);
    let mocks = mocks(MockPayoutGateway::new(), schedule);
    let mut stopped = due(under_way(), 0);
    stopped.is_stopped = true;
    assert_eq!(mocks.app().pay_out(stopped).await.unwrap(), "stopped");
}

/// Whether or not the gateway was asked before: as with a stop, nobody asks it again for now.
#[tokio::test]
async fn what_is_of_a_user_who_was_stopped_is_not_asked_for() {
    for (status, word) in STOPPED {
        for attempts in [0, 9] {
            let mut schedule = postponing(word, 5_000, false);
            owned_by_one_who_is(status, &mut schedule);
            let mocks = mocks(MockPayoutGateway::new(), schedule);
            let outcome = mocks.app().pay_out(due(under_way(), attempts)).await;
            assert_eq!(outcome.unwrap(), word);
        }
    }
}

#[tokio::test]
async fn while_nobody_knows_whether_the_owner_was_stopped_nothing_is_asked_for() {
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_owner_status()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let mocks = mocks(MockPayoutGateway::new(), schedule);
    let outcome = mocks.app().pay_out(due(under_way(), 0)).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))));
}

/// Its lease may end while it is asked for: it is left for the next claim.
#[tokio::test]
async fn what_was_claimed_long_ago_is_not_asked_for() {
    let mut schedule = MockPayoutSchedule::new();
    owned_by_one_who_is(UserStatus::Active, &mut schedule);
    let mocks = mocks(MockPayoutGateway::new(), schedule);
    let mut late = due(under_way(), 0);
    late.claimed_at = NOW.plus_micros(-5_000_001);
    assert_eq!(mocks.app().pay_out(late).await.unwrap(), "late");
}

/// Else an order would begin late that was in time before the question.
#[tokio::test]
async fn the_time_that_the_question_for_the_owners_status_took_counts() {
    let mut mocks = Mocks::new();
    let clock = Arc::clone(&mocks.clock);
    let mut schedule = MockPayoutSchedule::new();
    schedule
        .expect_owner_status()
        .times(1)
        .return_once(move |_| {
            clock.advance_ms(5_001);
            Ok(UserStatus::Active)
        });
    mocks.payouts = Some(Payouts {
        gateway: Arc::new(MockPayoutGateway::new()),
        schedule: Arc::new(schedule),
    });
    let outcome = mocks.app().pay_out(due(under_way(), 0)).await;
    assert_eq!(outcome.unwrap(), "late");
}

#[tokio::test]
async fn stops_hold_up_what_they_stop() {
    let mut all = Rules::default();
    all.stops.read_only = true;
    let mut of_btc = Rules::default();
    of_btc.stops.outgoing.insert(btc().id);
    let mut of_others = Rules::default();
    of_others.stops.outgoing.insert(build::asset_id("eth"));
    for (rules, stopped) in [
        (Rules::default(), false),
        (of_others, false),
        (of_btc, true),
        (all, true),
    ] {
        let (gateway, schedule) = claiming(vec![due(under_way(), 0).claimed]);
        let mut mocks = mocks(gateway, schedule);
        let mut rule_book = MockRuleBook::new();
        rule_book
            .expect_rules()
            .times(1)
            .return_once(move || Ok(Arc::new(rules)));
        mocks.rule_book = rule_book;
        let claimed = mocks.app().claim_payouts(5).await.unwrap();
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].is_stopped, stopped);
    }
}
