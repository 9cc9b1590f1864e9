use bursar_domain::DepositState;
use bursar_ports::{
    CallbackSecret, MockCallbackSecrets, MockClock, MockIdSource, MockNotifier, MockOutbox,
    SealedSecret, StoredCallbackSecret,
};
use mockall::{Sequence, predicate::eq};

use super::*;
use crate::callback_body::tests::{deposit, keyring};

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

/// Everybody's secrets are those of these bytes.
fn secrets(bytes: &[u8]) -> MockCallbackSecrets {
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
    let active: Vec<_> = bytes.iter().map(of_bytes).collect();
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
    let pass = pass(outbox, notifier, clock(&[1_000_000, 1_250_999]));
    pass.deliver(claimed(attempts)).await.unwrap();
    receive.recv().unwrap()
}

fn answered(http_status: u16, retry_after_ms: Option<i64>) -> Result<Delivered, Undelivered> {
    Err(Undelivered::Answered {
        http_status,
        retry_after_ms,
    })
}

#[tokio::test]
async fn what_is_due_is_claimed_for_half_a_minute() {
    let mut outbox = MockOutbox::new();
    outbox
        .expect_claim_due()
        .with(eq(at(7)), eq(30_000), eq(16))
        .times(1)
        .returning(|_, _, _| Ok(vec![claimed(0)]));
    let pass = pass(outbox, MockNotifier::new(), clock(&[7]));
    assert_eq!(pass.claim(16).await.unwrap(), vec![claimed(0)]);
}

#[tokio::test]
async fn nothing_due_is_nothing_claimed() {
    let mut outbox = MockOutbox::new();
    outbox.expect_claim_due().returning(|_, _, _| Ok(vec![]));
    let pass = pass(outbox, MockNotifier::new(), clock(&[7]));
    assert_eq!(pass.claim(16).await.unwrap(), vec![]);
}

#[tokio::test]
async fn an_outbox_that_cannot_answer_is_an_error() {
    let mut outbox = MockOutbox::new();
    outbox
        .expect_claim_due()
        .returning(|_, _, _| Err(StoreError::Overloaded));
    let pass = pass(outbox, MockNotifier::new(), clock(&[7]));
    assert!(matches!(pass.claim(16).await, Err(StoreError::Overloaded)));
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
    let mut pass = pass(outbox, notifier, clock(&[1, 2]));
    pass.secrets = Arc::new(secrets(&[5, 4]));
    pass.deliver(claimed(3)).await.unwrap();
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
    pass.deliver(claimed(0)).await.unwrap();
}

#[tokio::test]
async fn secrets_that_cannot_be_read_leave_the_claim_to_run_out() {
    let mut secrets = MockCallbackSecrets::new();
    secrets
        .expect_find_active()
        .returning(|_, _| Err(StoreError::Overloaded));
    let mut pass = pass(MockOutbox::new(), MockNotifier::new(), clock(&[1]));
    pass.secrets = Arc::new(secrets);
    assert!(pass.deliver(claimed(0)).await.is_err());
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
        let pass = pass(outbox, notifier, clock(&[1, 2]));
        assert_eq!(pass.deliver(claimed(0)).await.is_ok(), expected);
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
    let pass = pass(outbox, notifier, clock(&[9_000_000, 1_000_000]));
    pass.deliver(claimed(0)).await.unwrap();
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
