use std::sync::{Arc, Mutex};

use bursar_domain::{Commit, Status, Transfer};
use bursar_ports::{CommitOutcome, StoreError};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::test_support::{
    ALICE, BOB, Mocks, NOW, btc, committed, in_doubt, inconsistent, overloaded, stale, standby,
    trouble, unavailable,
};

fn deposit(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &btc(), 5, NOW);
    build::deposit(new, ALICE).next
}

fn internal(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &btc(), 5, NOW);
    build::internal(new, ALICE, BOB).next
}

fn settled(transfer: &Transfer) -> Transfer {
    build::step(transfer, &Command::Settle, NOW).next
}

fn unsettled(transfers: Vec<Transfer>) -> Mocks {
    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_list_unsettled()
        .withf(|older_than_ms, limit| *older_than_ms == 1_000 && *limit == 256)
        .times(1)
        .return_once(move |_, _| Ok(transfers));
    mocks
}

#[tokio::test]
async fn nothing_pending_is_nothing_done() {
    let mocks = unsettled(vec![]);
    assert_eq!(mocks.app().settle_pending().await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_left_pending_is_settled_together() {
    let mut mocks = unsettled(vec![deposit(1), internal(2)]);
    let batch = mocks.commits_together(|batch| Ok(batch.into_iter().map(made).collect()));
    assert_eq!(mocks.app().settle_pending().await.unwrap(), 2);
    let expected = [deposit(1), internal(2)]
        .map(|transfer| Commit::new(build::step(&transfer, &Command::Settle, NOW)));
    assert_eq!(batch.all(), expected);
}

/// The batch fails as one; then each is tried alone.
#[tokio::test]
async fn one_that_cannot_be_settled_does_not_stop_the_rest() {
    for error in [overloaded(), unavailable(), in_doubt(), inconsistent()] {
        let mut mocks = unsettled(vec![deposit(1), deposit(2), internal(3)]);
        mocks.commits_together(|_| Err(unavailable()));
        let commits = mocks.commits([trouble(error), committed(), committed()]);
        assert_eq!(mocks.app().settle_pending().await.unwrap(), 3);
        let tried: Vec<i64> = commits
            .all()
            .iter()
            .map(|commit| commit.change.next.id().get())
            .collect();
        assert_eq!(tried, [1, 2, 3]);
    }
}

/// Else the same ones would be all that the next pass sees.
#[tokio::test]
async fn what_cannot_be_settled_makes_room_for_those_behind_it() {
    let mut mocks = unsettled((1..=256).map(deposit).collect());
    mocks.all_but_the_seventh_commit(256);
    assert_eq!(mocks.app().settle_pending().await.unwrap(), 256);
}

/// Nor is anything left alone for what the store does to all.
#[tokio::test]
async fn while_the_store_takes_nothing_all_that_is_pending_waits_for_it() {
    for error in [standby(), overloaded()] {
        let mut mocks = unsettled((1..=256).map(deposit).collect());
        mocks.commits_together(|_| Err(error));
        assert!(mocks.app().settle_pending().await.is_err());
    }
    for error in [standby, overloaded, in_doubt] {
        let mut mocks = unsettled((1..=256).map(deposit).collect());
        mocks.commits_together(|_| Err(unavailable()));
        mocks.commits_each(256, move |_| Err(error()));
        assert_eq!(mocks.app().settle_pending().await.unwrap(), 256);
    }
}

#[tokio::test]
async fn one_that_somebody_else_settled_meanwhile_is_left_alone() {
    let mut mocks = unsettled(vec![deposit(1), deposit(2)]);
    mocks.commits_together(|batch| Ok(one_is_stale(batch)));
    let ended = settled(&deposit(1));
    mocks
        .store
        .expect_find_many()
        .with(eq(vec![build::transfer_id(1)]))
        .times(1)
        .return_once(move |_| Ok(vec![ended]));
    assert_eq!(mocks.app().settle_pending().await.unwrap(), 2);
}

#[tokio::test]
async fn one_that_is_gone_does_not_stop_the_rest() {
    let mut mocks = unsettled(vec![deposit(1), deposit(2)]);
    mocks.commits_together(|batch| Ok(one_is_stale(batch)));
    mocks
        .store
        .expect_find_many()
        .times(1)
        .return_once(|_| Ok(vec![]));
    assert_eq!(mocks.app().settle_pending().await.unwrap(), 2);
}

/// The first one was changed by somebody else.
fn one_is_stale(batch: Vec<Commit>) -> Vec<CommitOutcome> {
    let mut outcomes: Vec<CommitOutcome> = batch.into_iter().map(made).collect();
    outcomes[0] = CommitOutcome::Stale { current: None };
    outcomes
}

fn made(commit: Commit) -> CommitOutcome {
    CommitOutcome::Committed(Box::new(commit.change.next))
}

#[tokio::test]
async fn many_are_settled_in_order_and_in_bounded_batches() {
    let transfers: Vec<Transfer> = (1..=600).map(internal).collect();
    let mut mocks = Mocks::new();
    let sizes = Arc::new(Mutex::new(vec![]));
    let seen = Arc::clone(&sizes);
    mocks
        .store
        .expect_commit()
        .times(3)
        .returning(move |batch| {
            seen.lock().unwrap().push(batch.len());
            Ok(batch.into_iter().map(made).collect())
        });
    let now = mocks.app().settle_all(transfers.clone()).await;
    let expected: Vec<Transfer> = transfers.iter().map(settled).collect();
    assert_eq!(now, expected);
    assert_eq!(*sizes.lock().unwrap(), [256, 256, 88]);
}

/// What is final already stays; what cannot be settled now is told as it was.
#[tokio::test]
async fn many_that_cannot_be_settled_now_are_told_as_they_were() {
    let transfers = vec![settled(&internal(1)), internal(2)];
    let mut mocks = Mocks::new();
    let batch = mocks.commits_together(|_| Err(unavailable()));
    let now = mocks.app().settle_all(transfers.clone()).await;
    assert_eq!(now, transfers);
    assert_eq!(batch.all().len(), 1);
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_an_error() {
    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_list_unsettled()
        .times(1)
        .return_once(|_, _| Err(unavailable()));
    let error = mocks.app().settle_pending().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
}

#[tokio::test]
async fn whoever_settled_it_the_answer_is_the_transfer_as_it_is() {
    for ended in [
        settled(&deposit(1)),
        build::step(
            &deposit(1),
            &build::fail(bursar_domain::Reason::AccountFrozen),
            NOW,
        )
        .next,
    ] {
        let app = Mocks::new().app();
        assert_eq!(app.settle(ended.clone()).await.unwrap(), ended);

        let mut mocks = Mocks::new();
        mocks.commits([stale()]);
        mocks.finds(&ended, 1);
        assert_eq!(mocks.app().settle(deposit(1)).await.unwrap(), ended);
    }
}

#[tokio::test]
async fn a_stale_settlement_is_decided_again_on_what_is_recorded() {
    let mut parts = deposit(1).into_parts();
    parts.version = parts.version.next();
    let newer = Transfer::from_parts(parts);
    let mut mocks = Mocks::new();
    let commits = mocks.commits([stale(), committed()]);
    mocks.finds(&newer, 1);
    let answer = mocks.app().settle(deposit(1)).await.unwrap();
    assert_eq!(answer.status(), Status::Completed);
    let again = commits.all().pop().unwrap();
    assert_eq!(
        again,
        Commit::new(build::step(&newer, &Command::Settle, NOW))
    );
}

#[tokio::test]
async fn five_times_stale_is_left_pending() {
    let mut mocks = Mocks::new();
    let commits = mocks.commits([stale(), stale(), stale(), stale(), stale()]);
    mocks.finds(&deposit(1), 5);
    let answer = mocks.app().settle(deposit(1)).await.unwrap();
    assert_eq!(answer, deposit(1));
    assert_eq!(commits.all().len(), 5);
}

#[tokio::test]
async fn a_withdrawal_never_settles_by_itself() {
    let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    let open = build::withdrawal(new, ALICE).next;
    let app = Mocks::new().app();
    assert_eq!(app.settle(open.clone()).await.unwrap(), open);
}
