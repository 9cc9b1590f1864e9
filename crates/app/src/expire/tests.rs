use bursar_domain::{AssetId, Limit, OverLimit, Reason, Room, Scale, Transfer};
use bursar_testkit::build;
use mockall::predicate::eq;
use uuid::Uuid;

use super::*;
use crate::test_support::{
    ALICE, Mocks, NOW, btc, committed, in_doubt, inconsistent, overloaded, standby, trouble,
    unavailable,
};

/// A withdrawal whose time is up.
fn held(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &btc(), 5, NOW);
    let mut parts = build::withdrawal(new, ALICE).next.into_parts();
    parts.expires_at = Some(NOW);
    Transfer::from_parts(parts)
}

fn due(transfers: Vec<Transfer>) -> Mocks {
    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_list_expired()
        .withf(|limit| *limit == 256)
        .times(1)
        .return_once(move |_| Ok(transfers));
    mocks
}

fn made(commit: Commit) -> CommitOutcome {
    CommitOutcome::Committed(Box::new(commit.change.next))
}

/// The feed is told of each withdrawal whose time is nearly up; those that moved on are passed over.
#[tokio::test]
async fn the_feed_hears_of_what_will_expire() {
    let mut mocks = Mocks::new();
    mocks.transfers.expiring_notice_ms = 3_600_000;
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    mocks
        .events
        .expect_list_expiring()
        .with(eq(3_600_000), eq(256))
        .times(1)
        .return_once(move |_, _| Ok(vec![(one, held(1)), (other, held(2))]));
    let expected = Notice {
        id: one,
        topic: "withdrawal.expiring",
        at: NOW,
        about: Some((held(1).id(), held(1).version())),
        data: [("expires_at".to_owned(), NOW.to_micros_text())].into(),
    };
    mocks
        .events
        .expect_append()
        .with(eq(expected))
        .times(1)
        .return_once(|_| Ok(true));
    mocks
        .events
        .expect_append()
        .withf(move |notice| notice.id == other)
        .times(1)
        .return_once(|_| Ok(false));
    assert_eq!(mocks.app().tell_expiring().await.unwrap(), 1);
}

#[tokio::test]
async fn trouble_in_telling_is_left_for_the_next_pass() {
    let mut mocks = Mocks::new();
    mocks
        .events
        .expect_list_expiring()
        .return_once(|_, _| Err(unavailable()));
    assert!(mocks.app().tell_expiring().await.is_err());
    let mut mocks = Mocks::new();
    mocks
        .events
        .expect_list_expiring()
        .return_once(|_, _| Ok(vec![(Uuid::nil(), held(1))]));
    mocks
        .events
        .expect_append()
        .return_once(|_| Err(unavailable()));
    assert!(mocks.app().tell_expiring().await.is_err());
}

#[tokio::test]
async fn one_that_cannot_be_told_of_does_not_keep_the_others_from_it() {
    let mut mocks = Mocks::new();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    mocks
        .events
        .expect_list_expiring()
        .return_once(move |_, _| Ok(vec![(one, held(1)), (other, held(2))]));
    mocks.events.expect_append().times(2).returning(move |it| {
        if it.id == one {
            Err(unavailable())
        } else {
            Ok(true)
        }
    });
    assert!(mocks.app().tell_expiring().await.is_err());
}

#[tokio::test]
async fn nothing_due_is_nothing_done() {
    assert_eq!(due(vec![]).app().expire_due().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_due_ends_together() {
    let mut mocks = due(vec![held(1), held(2)]);
    let batch = mocks.commits_together(|batch| Ok(batch.into_iter().map(made).collect()));
    assert_eq!(mocks.app().expire_due().await.unwrap(), 2);
    let expected = [held(1), held(2)]
        .map(|transfer| Commit::new(build::step(&transfer, &Command::Expire, NOW)));
    assert_eq!(batch.all(), expected);
    let ended = &batch.all()[0].change.next;
    assert_eq!(ended.reason(), Some(Reason::TransferExpired));
}

#[tokio::test]
async fn what_ended_meanwhile_is_left_alone() {
    let ended = build::step(&held(1), &build::cancel(), NOW).next;
    let mocks = due(vec![ended]);
    assert_eq!(mocks.app().expire_due().await.unwrap(), 0);
}

#[tokio::test]
async fn where_nothing_ended_the_next_pass_waits_for_its_time() {
    let reason = Reason::AccountFrozen;
    let room = Room {
        over: OverLimit {
            limit: Limit::Daily,
            left: build::amount(1),
            returns_at: None,
        },
        asset: AssetId::parse("btc").unwrap(),
        scale: Scale::try_new(8).unwrap(),
    };
    let original = build::transfer_id(9);
    for outcome in [
        CommitOutcome::Stale { current: None },
        CommitOutcome::ReadOnly,
        CommitOutcome::Refused { reason },
        CommitOutcome::RefusalReplayed { reason },
        CommitOutcome::OverLimit { reason, room },
        CommitOutcome::Replayed { original },
        CommitOutcome::KeyReused {
            original: None,
            fields: vec![],
        },
    ] {
        let mut mocks = due(vec![held(1)]);
        mocks.commits_together(move |_| Ok(vec![outcome]));
        assert_eq!(mocks.app().expire_due().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn what_others_hold_up_does_not_hide_what_ended() {
    let mut mocks = due(vec![held(1), held(2)]);
    mocks.commits_together(|mut batch| {
        let ended = made(batch.remove(1));
        Ok(vec![CommitOutcome::Stale { current: None }, ended])
    });
    assert_eq!(mocks.app().expire_due().await.unwrap(), 2);
}

/// The batch fails as one; then each is tried alone.
#[tokio::test]
async fn one_that_cannot_be_ended_does_not_stop_the_rest() {
    for error in [overloaded(), unavailable(), in_doubt(), inconsistent()] {
        let mut mocks = due(vec![held(1), held(2), held(3)]);
        mocks.commits_together(|_| Err(unavailable()));
        let commits = mocks.commits([trouble(error), committed(), committed()]);
        assert_eq!(mocks.app().expire_due().await.unwrap(), 3);
        assert_eq!(commits.all().len(), 3);
    }
}

/// Else the same ones would be all that the next pass sees.
#[tokio::test]
async fn what_cannot_be_ended_makes_room_for_those_behind_it() {
    let mut mocks = due((1..=256).map(held).collect());
    mocks.all_but_the_seventh_commit(256);
    assert_eq!(mocks.app().expire_due().await.unwrap(), 256);
}

/// Nor is anything left alone for what the store does to all.
#[tokio::test]
async fn while_the_store_takes_nothing_all_that_is_due_waits_for_it() {
    for error in [standby(), overloaded()] {
        let mut mocks = due((1..=256).map(held).collect());
        mocks.commits_together(|_| Err(error));
        assert!(mocks.app().expire_due().await.is_err());
    }
    for error in [standby, overloaded, in_doubt] {
        let mut mocks = due((1..=256).map(held).collect());
        mocks.commits_together(|_| Err(unavailable()));
        mocks.commits_each(256, move |_| Err(error()));
        assert!(mocks.app().expire_due().await.is_err());
    }
}

#[tokio::test]
async fn an_outage_is_told() {
    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_list_expired()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let error = mocks.app().expire_due().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));

    let mut mocks = due(vec![held(1)]);
    mocks.commits_together(|_| Err(in_doubt()));
    let error = mocks.app().expire_due().await.unwrap_err();
    assert!(matches!(error, StoreError::OutcomeUnknown(_)));

    let mut mocks = due(vec![held(1), held(2)]);
    mocks.commits_together(|_| Err(in_doubt()));
    mocks.commits([trouble(unavailable()), trouble(unavailable())]);
    let error = mocks.app().expire_due().await.unwrap_err();
    assert!(matches!(error, StoreError::OutcomeUnknown(_)));
}
