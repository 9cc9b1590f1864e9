use std::sync::atomic::{AtomicI64, Ordering};

use bursar_domain::DepositState;
use bursar_ports::{
    CallbackSecret, DueLane, DueLanes, LaneShare, MockCallbackSecrets, MockClock, MockIdSource,
    MockNotifier, MockOutbox, Notification, SealedSecret, StoredCallbackSecret,
};
use mockall::{Sequence, predicate::eq};

use super::*;
use crate::{
    callback_body::tests::{deposit, keyring},
    dispatch::DispatchLimits,
};

const LOW: [u8; 32] = [0; 32];
const HIGH: [u8; 32] = [0xff; 32];

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A clock that shows each of these times once, in order.
fn clock(times: &[i64]) -> MockClock {
    let mut clock = MockClock::new();
    let mut order = Sequence::new();
    for &time in times {
        clock
            .expect_now()
            .times(1)
            .in_sequence(&mut order)
            .return_const(at(time));
    }
    clock
}

fn pass(outbox: MockOutbox, notifier: MockNotifier, clock: MockClock) -> CallbackPass {
    let mut ids = MockIdSource::new();
    ids.expect_random_bytes().return_const(LOW);
    CallbackPass {
        outbox: Arc::new(outbox),
        notifier: Arc::new(notifier),
        secrets: Arc::new(secrets(&[3])),
        clock: Arc::new(clock),
        ids: Arc::new(ids),
        keyring: Arc::new(keyring()),
    }
}

/// Secrets of these bytes.
fn stored(bytes: &[u8]) -> Vec<StoredCallbackSecret> {
    let of_bytes = |byte: &u8| {
        let (id, keyring) = (uuid::Uuid::from_u128((*byte).into()), keyring());
        let owner = bursar_ports::SecretOwner::CallbackSecret(id).to_string();
        StoredCallbackSecret {
            id,
            subscriber: claimed(0).subscriber,
            secret: keyring.seal(&[*byte; 32], &owner, LOW).unwrap(),
            created_at: at(0),
            expires_at: None,
            revoked_at: None,
        }
    };
    bytes.iter().map(of_bytes).collect()
}

/// Everybody's secrets are those of these bytes.
fn secrets(bytes: &[u8]) -> MockCallbackSecrets {
    let active = stored(bytes);
    let mut secrets = MockCallbackSecrets::new();
    secrets
        .expect_find_active()
        .withf(|subscriber, _| *subscriber == claimed(0).subscriber)
        .returning(move |_, _| Ok(active.clone()));
    secrets
}

fn claimed(attempts: u32) -> ClaimedCallback {
    ClaimedCallback {
        attempts,
        ..deposit(DepositState::Completed)
    }
}

/// One that was claimed at 0 and is to be tried, and nothing special about it.
fn attempt(callback: ClaimedCallback) -> Attempt {
    let (ticket, is_last_call) = dispatch().begin(&callback, at(0));
    Attempt {
        callback,
        ticket,
        claimed_at: at(0),
        is_last_call,
    }
}

fn dispatch() -> Dispatch {
    Dispatch::new(DispatchLimits::default())
}

fn due() -> DueLane {
    DueLane {
        lane: claimed(0).lane,
        is_final: true,
        due_at: at(1),
    }
}

/// Delivers a callback that was tried `attempts` times before to a receiver with this outcome, from
/// 1.000 s to 1.250 s, and returns what was recorded.
async fn recorded(attempts: u32, outcome: Result<Delivered, Undelivered>) -> AttemptRecord {
    let mut notifier = MockNotifier::new();
    notifier.expect_notify().times(1).return_const(outcome);
    let mut outbox = MockOutbox::new();
    let (send, receive) = std::sync::mpsc::channel();
    outbox
        .expect_record_attempt()
        .times(1)
        .returning(move |attempt| {
            send.send(attempt).unwrap();
            Ok(true)
        });
    let pass = pass(outbox, notifier, clock(&[1_000_000, 1_000_000, 1_250_999]));
    let delivery = pass.deliver(attempt(claimed(attempts))).await;
    delivery.recorded.unwrap();
    assert_eq!(delivery.reception, Reception::of(outcome));
    receive.recv().unwrap()
}

fn answered(http_status: u16, retry_after_ms: Option<i64>) -> Result<Delivered, Undelivered> {
    Err(Undelivered::Answered {
        http_status,
        retry_after_ms,
    })
}

#[tokio::test]
async fn what_is_due_is_claimed_for_half_a_minute_as_it_is_shared_out() {
    let mut outbox = MockOutbox::new();
    outbox
        .expect_due_lanes()
        .with(eq(at(7)), eq(None), eq(vec![]))
        .times(1)
        .returning(|_, _, _| {
            Ok(DueLanes {
                lanes: vec![due()],
                next: None,
            })
        });
    let share = LaneShare {
        lane: due().lane,
        places: 1,
    };
    outbox
        .expect_claim_due()
        .with(eq(at(7)), eq(30_000), eq(vec![share]))
        .times(1)
        .returning(|_, _, _| Ok(vec![claimed(0)]));
    let pass = pass(outbox, MockNotifier::new(), clock(&[7, 8]));
    let mut dispatch = dispatch();
    let look = pass.claim(&mut dispatch).await.unwrap();
    let [attempt] = &look.attempts[..] else {
        panic!("{look:?}");
    };
    assert_eq!(attempt.callback, claimed(0));
    assert!(!attempt.is_last_call);
    assert_eq!(attempt.claimed_at, at(7));
    assert_eq!(look.again_in, None);
    assert_eq!(dispatch.under_way(), 1);
    pass.lose(&mut dispatch, attempt.ticket);
    assert_eq!(dispatch.under_way(), 0);
}

#[tokio::test]
async fn nothing_due_is_nothing_claimed() {
    let mut outbox = MockOutbox::new();
    outbox
        .expect_due_lanes()
        .returning(|_, _, _| Ok(DueLanes::default()));
    let pass = pass(outbox, MockNotifier::new(), clock(&[7]));
    let look = pass.claim(&mut dispatch()).await.unwrap();
    assert_eq!((look.attempts.len(), look.again_in), (0, None));
}

#[tokio::test]
async fn a_look_that_did_not_see_everything_is_followed_by_one_that_goes_on() {
    let mut outbox = MockOutbox::new();
    let mut order = Sequence::new();
    let lane = due().lane;
    for (after, next) in [(None, Some(lane.clone())), (Some(lane), None)] {
        outbox
            .expect_due_lanes()
            .with(eq(at(7)), eq(after), eq(vec![]))
            .times(1)
            .in_sequence(&mut order)
            .return_once(|_, _, _| {
                Ok(DueLanes {
                    lanes: vec![],
                    next,
                })
            });
    }
    let pass = pass(outbox, MockNotifier::new(), clock(&[7, 7]));
    let mut dispatch = dispatch();
    let first = pass.claim(&mut dispatch).await.unwrap();
    assert_eq!(first.again_in, Some(Duration::ZERO));
    let second = pass.claim(&mut dispatch).await.unwrap();
    assert_eq!(second.again_in, None);
}

#[tokio::test]
async fn an_outbox_that_cannot_answer_is_an_error() {
    let mut outbox = MockOutbox::new();
    outbox
        .expect_due_lanes()
        .returning(|_, _, _| Err(StoreError::Overloaded));
    outbox
        .expect_enqueue_due()
        .returning(|_, _| Err(StoreError::Overloaded));
    outbox
        .expect_figures()
        .returning(|_| Err(StoreError::Overloaded));
    let pass = pass(outbox, MockNotifier::new(), clock(&[7, 7, 7]));
    let look = pass.claim(&mut dispatch()).await;
    assert!(matches!(look, Err(StoreError::Overloaded)));
    assert!(matches!(pass.enqueue().await, Err(StoreError::Overloaded)));
    assert!(matches!(pass.figures().await, Err(StoreError::Overloaded)));
}

#[tokio::test]
async fn a_full_load_into_the_queue_may_not_have_been_all() {
    for (enqueued, more) in [(0, false), (499, false), (500, true)] {
        let mut outbox = MockOutbox::new();
        outbox
            .expect_enqueue_due()
            .with(eq(at(7)), eq(500))
            .return_once(move |_, _| Ok(enqueued));
        let pass = pass(outbox, MockNotifier::new(), clock(&[7]));
        assert_eq!(pass.enqueue().await.unwrap(), more);
    }
}

#[tokio::test]
async fn what_is_not_tried_is_given_back() {
    let mut outbox = MockOutbox::new();
    outbox
        .expect_release()
        .with(eq(vec![(claimed(0).id, claimed(0).lease)]))
        .times(1)
        .returning(|_| Ok(()));
    let pass = pass(outbox, MockNotifier::new(), clock(&[]));
    pass.release(vec![attempt(claimed(0))]).await.unwrap();
}

#[tokio::test]
async fn the_figures_tell_for_how_long_the_oldest_has_waited() {
    for (oldest, waited) in [(None, 0), (Some(at(3)), 4), (Some(at(9)), 0)] {
        let mut outbox = MockOutbox::new();
        outbox.expect_figures().return_once(move |_| {
            Ok(QueueFigures {
                due: 2,
                oldest_due_at: oldest,
            })
        });
        let pass = pass(outbox, MockNotifier::new(), clock(&[7]));
        let (figures, age) = pass.figures().await.unwrap();
        assert_eq!((figures.due, age), (2, Duration::from_micros(waited)));
    }
}

#[tokio::test]
async fn the_notifier_gets_the_url_the_constant_id_the_time_the_body_and_the_secrets() {
    let mut notifier = MockNotifier::new();
    notifier
        .expect_notify()
        .with(eq(Notification {
            url: "https://example.com/callbacks".to_owned(),
            webhook_id: "00000000-0000-0000-0000-000000000001".to_owned(),
            at: at(1),
            body: callback_body::render(&claimed(3), &keyring()),
            secrets: vec![CallbackSecret([5; 32]), CallbackSecret([4; 32])],
        }))
        .times(1)
        .return_const(Ok(Delivered { http_status: 200 }));
    let mut outbox = MockOutbox::new();
    outbox.expect_record_attempt().returning(|_| Ok(true));
    let mut pass = pass(outbox, notifier, clock(&[1, 2, 3]));
    pass.secrets = Arc::new(secrets(&[5, 4]));
    let delivery = pass.deliver(attempt(claimed(3))).await;
    delivery.recorded.unwrap();
}

#[tokio::test]
async fn what_nothing_can_sign_is_not_sent_but_tried_again() {
    let mut secrets = MockCallbackSecrets::new();
    secrets.expect_find_active().returning(|subscriber, _| {
        let secret = SealedSecret {
            key_id: "gone".to_owned(),
            bytes: vec![],
        };
        Ok(vec![StoredCallbackSecret {
            id: uuid::Uuid::nil(),
            subscriber,
            secret,
            created_at: at(0),
            expires_at: None,
            revoked_at: None,
        }])
    });
    let mut outbox = MockOutbox::new();
    outbox
        .expect_record_attempt()
        .withf(|attempt| {
            let retried = Verdict::RetryAt(at(2 + 4_000_000));
            (attempt.outcome, attempt.http_status) == ("unsigned", None)
                && attempt.verdict == retried
        })
        .times(1)
        .returning(|_| Ok(true));
    let mut pass = pass(outbox, MockNotifier::new(), clock(&[1, 2]));
    pass.secrets = Arc::new(secrets);
    let delivery = pass.deliver(attempt(claimed(0))).await;
    delivery.recorded.unwrap();
}

#[tokio::test]
async fn secrets_that_cannot_be_read_leave_the_claim_to_run_out() {
    let mut secrets = MockCallbackSecrets::new();
    secrets
        .expect_find_active()
        .returning(|_, _| Err(StoreError::Overloaded));
    let mut pass = pass(MockOutbox::new(), MockNotifier::new(), clock(&[1, 2]));
    pass.secrets = Arc::new(secrets);
    let delivery = pass.deliver(attempt(claimed(0))).await;
    assert!(delivery.recorded.is_err());
    assert_eq!(delivery.reception, Reception::Unheard);
}

/// Reading the secrets takes until 15.000001 s after the claim: somebody else may soon have it.
#[tokio::test]
async fn what_would_be_posted_late_in_its_lease_is_given_back_untried() {
    for (answer, given_back) in [(Ok(()), true), (Err(StoreError::Overloaded), false)] {
        let time = Arc::new(AtomicI64::new(1_000_000));
        let mut clock = MockClock::new();
        let shown = Arc::clone(&time);
        clock
            .expect_now()
            .returning(move || at(shown.load(Ordering::SeqCst)));
        let mut slow = MockCallbackSecrets::new();
        slow.expect_find_active().times(1).returning(move |_, _| {
            time.store(15_000_001, Ordering::SeqCst);
            Ok(stored(&[3]))
        });
        let mut outbox = MockOutbox::new();
        outbox
            .expect_release()
            .with(eq(vec![(claimed(9).id, claimed(9).lease)]))
            .times(1)
            .return_once(move |_| answer);
        let mut pass = pass(outbox, MockNotifier::new(), clock);
        pass.secrets = Arc::new(slow);
        // After what would have been its last attempt it would be dead.
        let delivery = pass.deliver(attempt(claimed(9))).await;
        assert_eq!(delivery.reception, Reception::Unheard);
        assert_eq!(delivery.outcome, "late");
        assert_eq!(delivery.verdict, Verdict::RetryAt(at(1_000_000)));
        assert_eq!(delivery.given_up, 0);
        assert_eq!(delivery.recorded.is_ok(), given_back);
    }
}

#[tokio::test]
async fn what_is_still_in_time_is_posted() {
    let mut notifier = MockNotifier::new();
    notifier
        .expect_notify()
        .times(1)
        .return_const(Ok(Delivered { http_status: 200 }));
    let mut outbox = MockOutbox::new();
    outbox
        .expect_record_attempt()
        .times(1)
        .returning(|_| Ok(true));
    let times = clock(&[1_000_000, 15_000_000, 16_000_000]);
    let pass = pass(outbox, notifier, times);
    let delivery = pass.deliver(attempt(claimed(0))).await;
    assert_eq!(delivery.outcome, "delivered");
    delivery.recorded.unwrap();
}

#[tokio::test]
async fn a_success_is_recorded_and_ends_it() {
    let record = recorded(4, Ok(Delivered { http_status: 204 })).await;
    assert_eq!(
        record,
        AttemptRecord {
            id: claimed(0).id,
            lease: claimed(0).lease,
            at: at(1_000_000),
            duration_ms: 250,
            http_status: Some(204),
            outcome: "delivered",
            verdict: Verdict::Succeeded,
        }
    );
}

#[tokio::test]
async fn every_failure_is_recorded_in_one_word_and_tried_again() {
    let retry = Verdict::RetryAt(at(1_250_999 + 4_000_000));
    for (outcome, http_status, word) in [
        (answered(500, None), Some(500), "answered"),
        (answered(301, None), Some(301), "answered"),
        (Err(Undelivered::Timeout), None, "timeout"),
        (Err(Undelivered::Dns), None, "dns"),
        (Err(Undelivered::Denied), None, "denied"),
        (Err(Undelivered::Connect), None, "connect"),
        (Err(Undelivered::Tls), None, "tls"),
        (Err(Undelivered::Broken), None, "broken"),
        (Err(Undelivered::TooLarge), None, "too_large"),
        (Err(Undelivered::Forbidden), None, "forbidden"),
    ] {
        let record = recorded(0, outcome).await;
        assert_eq!(record.http_status, http_status);
        assert_eq!(record.outcome, word);
        assert_eq!(record.verdict, retry, "{word}");
    }
}

#[tokio::test]
async fn gone_is_dead_at_once() {
    let record = recorded(0, answered(410, Some(1))).await;
    assert_eq!(record.verdict, Verdict::Dead);
    assert_eq!(record.http_status, Some(410));
}

#[tokio::test]
async fn after_the_last_step_it_is_dead() {
    let record = recorded(8, answered(500, None)).await;
    assert!(matches!(record.verdict, Verdict::RetryAt(_)));
    let record = recorded(9, answered(500, Some(1))).await;
    assert_eq!(record.verdict, Verdict::Dead);
}

#[tokio::test]
async fn retry_after_is_honoured_between_one_and_two_steps() {
    for (asked_ms, waited_ms) in [(0, 5_000), (7_500, 7_500), (i64::MAX, 10_000)] {
        let record = recorded(0, answered(429, Some(asked_ms))).await;
        let expected = at(1_250_999).plus_micros(waited_ms * 1_000);
        assert_eq!(record.verdict, Verdict::RetryAt(expected));
    }
}

#[tokio::test]
async fn a_lost_claim_is_no_error_and_a_store_that_cannot_answer_is_one() {
    for (answer, expected) in [(Ok(false), true), (Err(StoreError::Overloaded), false)] {
        let mut notifier = MockNotifier::new();
        notifier
            .expect_notify()
            .return_const(Ok(Delivered { http_status: 200 }));
        let mut outbox = MockOutbox::new();
        outbox.expect_record_attempt().return_once(move |_| answer);
        let pass = pass(outbox, notifier, clock(&[1, 1, 2]));
        let delivery = pass.deliver(attempt(claimed(0))).await;
        assert_eq!(delivery.recorded.is_ok(), expected);
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_gives_no_negative_duration() {
    let mut notifier = MockNotifier::new();
    notifier
        .expect_notify()
        .return_const(Ok(Delivered { http_status: 200 }));
    let mut outbox = MockOutbox::new();
    outbox
        .expect_record_attempt()
        .withf(|attempt| attempt.duration_ms == 0)
        .times(1)
        .returning(|_| Ok(true));
    let pass = pass(outbox, notifier, clock(&[9_000_000, 9_000_000, 1_000_000]));
    let delivery = pass.deliver(attempt(claimed(0))).await;
    delivery.recorded.unwrap();
}

#[test]
fn the_schedule_is_the_contracts_with_a_fifth_of_jitter_either_way() {
    let minutes = [5, 30, 120, 300, 600, 840, 1_200, 1_440].map(|minutes| minutes * 60_000);
    let steps: Vec<i64> = std::iter::once(5_000).chain(minutes).collect();
    for (attempts, step) in (0..).zip(steps) {
        assert_eq!(wait_ms(attempts, None, LOW), Some(step * 4 / 5));
        assert_eq!(wait_ms(attempts, None, HIGH), Some(step * 6 / 5));
        let mut middle = LOW;
        middle[0] = 0x80;
        assert_eq!(wait_ms(attempts, None, middle), Some(step));
    }
    assert_eq!(wait_ms(9, None, LOW), None);
    assert_eq!(wait_ms(u32::MAX, None, LOW), None);
}

/// Delivers a callback that is this old, to a receiver with this outcome, as the last call or not.
async fn last_call(age_ms: i64, outcome: Result<Delivered, Undelivered>, last: bool) -> Delivery {
    let now = claimed(0).due_since.plus_micros(age_ms * 1_000);
    let mut notifier = MockNotifier::new();
    notifier.expect_notify().return_const(outcome);
    let mut outbox = MockOutbox::new();
    outbox.expect_record_attempt().returning(|_| Ok(true));
    let created_before = now.plus_micros(-SCHEDULE_MS * 1_000);
    outbox
        .expect_give_up()
        .with(eq(claimed(0).lane), eq(created_before), eq(now))
        .returning(|_, _, _| Ok(3));
    let pass = pass(outbox, notifier, clock(&[now.as_micros(); 3]));
    let attempt = Attempt {
        claimed_at: now,
        is_last_call: last,
        ..attempt(claimed(1))
    };
    pass.deliver(attempt).await
}

#[tokio::test]
async fn what_waited_behind_an_open_breaker_ends_with_the_schedule() {
    let old = SCHEDULE_MS;
    let timeout = Err(Undelivered::Timeout);
    let ended = last_call(old, timeout, true).await;
    assert_eq!((ended.verdict, ended.given_up), (Verdict::Dead, 3));
    for (age_ms, outcome, last) in [
        (old - 1, timeout, true),
        (old, timeout, false),
        (old, answered(400, None), true),
    ] {
        let delivery = last_call(age_ms, outcome, last).await;
        assert!(matches!(delivery.verdict, Verdict::RetryAt(_)));
        assert_eq!(delivery.given_up, 0);
    }
    let taken = last_call(old, Ok(Delivered { http_status: 200 }), true).await;
    assert_eq!((taken.verdict, taken.given_up), (Verdict::Succeeded, 0));
    assert_eq!(taken.lag_ms, old);
    // Just over ninety hours and a half.
    assert_eq!(SCHEDULE_MS.div_euclid(MINUTE_MS), 5_442);
}
