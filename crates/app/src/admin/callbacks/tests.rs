use std::sync::atomic::{AtomicU64, Ordering};

use bursar_domain::{Kind, Operation, Status};
use bursar_ports::{CallbackState, StoreError};
use mockall::{Sequence, predicate::eq};

use super::*;
use crate::test_support::{Mocks, NOW, audited, operator, other_grants, unavailable};

const ID: Uuid = Uuid::from_u128(1);

fn dead() -> CallbackRecord {
    CallbackRecord {
        id: ID,
        transfer: bursar_testkit::build::transfer_id(1),
        kind: Kind::Deposit,
        operation: Operation::Settle,
        url: "https://example.com/a".to_owned(),
        status: Status::Completed,
        state: CallbackState::Dead,
        created_at: NOW,
        next_attempt_at: None,
        attempts: vec![],
    }
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let app = Mocks::new().app();
        let listed = app.list_callbacks(&grant, CallbackFilter::default()).await;
        assert!(matches!(listed, Err(Error::Forbidden(Permission::Admin))));
        let found = app.find_callback(&grant, ID).await;
        assert!(matches!(found, Err(Error::Forbidden(Permission::Admin))));
    }
    for grant in other_grants(&[Permission::Admin]) {
        let app = Mocks::new().app();
        let one = app.replay_callback(&grant, ID).await;
        assert!(matches!(one, Err(Error::Forbidden(Permission::Admin))));
        let many = app.replay_callbacks(&grant, Replayable::Dead, NOW).await;
        assert!(matches!(many, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn whoever_may_read_finds_callbacks() {
    for permission in READERS {
        let mut mocks = Mocks::new();
        let filter = CallbackFilter {
            state: Some(CallbackState::Dead),
            limit: 7,
            ..CallbackFilter::default()
        };
        let asked = mocks.callback_log.expect_list().with(eq(filter.clone()));
        asked.times(1).return_once(|_| Ok(vec![dead()]));
        let found = mocks.callback_log.expect_find().with(eq(ID)).times(2);
        let mut answers = [None, Some(dead())];
        found.returning(move |_| Ok(answers.last_mut().and_then(Option::take)));
        let (app, grant) = (mocks.app(), operator(permission));
        assert_eq!(app.list_callbacks(&grant, filter).await.unwrap(), [dead()]);
        assert_eq!(app.find_callback(&grant, ID).await.unwrap(), dead());
        let gone = app.find_callback(&grant, ID).await;
        assert!(matches!(gone, Err(Error::NotFound(Missing::Callback))));
    }
}

#[tokio::test]
async fn what_came_of_a_replay_is_told() {
    let replayed = async |answer: Replay| {
        let mut mocks = Mocks::new();
        let audit = audited("callback.replay", &format!("callback:{ID}"));
        let replay = mocks.callback_log.expect_replay();
        let replay = replay.with(eq(ID), eq(NOW), eq(audit));
        replay.times(1).return_once(|_, _, _| Ok(answer));
        let grant = operator(Permission::Admin);
        mocks.app().replay_callback(&grant, ID).await
    };
    assert_eq!(replayed(Replay::Due(dead())).await.unwrap(), dead());
    let unknown = replayed(Replay::Unknown).await;
    assert!(matches!(unknown, Err(Error::NotFound(Missing::Callback))));
    let overtaken = replayed(Replay::Overtaken).await;
    assert!(matches!(
        overtaken,
        Err(Error::Conflict(Conflict::CallbackOvertaken))
    ));
}

#[tokio::test]
async fn all_since_a_time_are_replayed_in_parts_at_one_time() {
    let mut mocks = Mocks::new();
    let left = AtomicU64::new(2_300);
    let target = format!("callbacks:succeeded:{}", NOW.to_micros_text());
    let audit = audited("callbacks.replay", &target);
    let succeeded = eq(Replayable::Succeeded);
    mocks
        .callback_log
        .expect_replay_since()
        .with(succeeded, eq(NOW), eq(NOW), eq(1_000), eq(audit))
        .times(3)
        .returning(move |_, _, _, limit, _| {
            let some = left.load(Ordering::SeqCst).min(u64::from(limit));
            left.fetch_sub(some, Ordering::SeqCst);
            Ok(some)
        });
    let grant = operator(Permission::Admin);
    let replayed = mocks.app();
    let replayed = replayed.replay_callbacks(&grant, Replayable::Succeeded, NOW);
    assert_eq!(replayed.await.unwrap(), 2_300);
}

#[tokio::test]
async fn trouble_of_the_store_is_told() {
    let mut mocks = Mocks::new();
    let replay = mocks.callback_log.expect_replay_since();
    replay.returning(|_, _, _, _, _| Err(StoreError::Overloaded));
    let grant = operator(Permission::Admin);
    let app = mocks.app();
    let replayed = app.replay_callbacks(&grant, Replayable::Dead, NOW).await;
    assert!(matches!(
        replayed,
        Err(Error::Store(StoreError::Overloaded))
    ));
}

#[tokio::test]
async fn what_breaks_off_half_way_is_not_said_to_have_done_nothing() {
    let mut mocks = Mocks::new();
    let mut order = Sequence::new();
    for some in [Ok(1_000), Err(unavailable())] {
        let replay = mocks.callback_log.expect_replay_since().times(1);
        replay
            .in_sequence(&mut order)
            .return_once(move |_, _, _, _, _| some);
    }
    let grant = operator(Permission::Admin);
    let app = mocks.app();
    let replayed = app.replay_callbacks(&grant, Replayable::Dead, NOW).await;
    assert!(matches!(
        replayed,
        Err(Error::Store(StoreError::OutcomeUnknown(_)))
    ));
}
