use bursar_domain::{Operation, Status};
use bursar_ports::{Permission, StoreError};
use bursar_testkit::build;
use mockall::predicate::eq;
use uuid::Uuid;

use super::*;
use crate::test_support::{ALICE, BOB, Mocks, NOW, btc, operator, other_grants, unavailable, usd};

fn id() -> TransferId {
    build::transfer_id(1)
}

fn withdrawal() -> Transfer {
    build::withdrawal(build::new_transfer(id(), &btc(), 5, NOW), ALICE).next
}

fn internal() -> Transfer {
    build::internal(build::new_transfer(id(), &usd(), 5, NOW), ALICE, BOB).next
}

fn line() -> LedgerLine {
    LedgerLine {
        account: bursar_domain::AccountKey::user(ALICE, btc().id),
        seq: 1,
        transfer: id(),
        available_delta: -5,
        held_delta: 5,
        available_after: 0,
        held_after: 5,
        at: NOW,
    }
}

fn callback(number: u128) -> CallbackRecord {
    CallbackRecord {
        id: Uuid::from_u128(number),
        transfer: id(),
        kind: bursar_domain::Kind::Withdrawal,
        operation: Operation::Create,
        url: "https://example.com/a".to_owned(),
        status: Status::AwaitingConfirmation,
        state: bursar_ports::CallbackState::Pending,
        created_at: NOW,
        next_attempt_at: Some(NOW),
        attempts: vec![],
    }
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let story = Mocks::new().app().transfer_story(&grant, id()).await;
        assert!(matches!(story, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn a_story_has_the_transfer_its_lines_and_its_callbacks() {
    for permission in READERS {
        for transfer in [withdrawal(), internal()] {
            let mut mocks = Mocks::new();
            mocks.finds(&transfer, 1);
            mocks
                .query
                .expect_list_entries()
                .with(eq(id()))
                .times(1)
                .return_once(|_| Ok(vec![line()]));
            let of_it = CallbackFilter {
                transfer: Some(id()),
                limit: CALLBACKS_MAX,
                ..CallbackFilter::default()
            };
            let newest_first = vec![callback(2), callback(1)];
            mocks
                .callback_log
                .expect_list()
                .with(eq(of_it))
                .times(1)
                .return_once(|_| Ok(newest_first));
            let app = mocks.app();
            let story = app.transfer_story(&operator(permission), id()).await;
            let expected = TransferStory {
                code: app.code_of(&transfer),
                transfer,
                entries: vec![line()],
                reversals: vec![],
                callbacks: vec![callback(1), callback(2)],
            };
            assert_eq!(story.unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn a_story_has_what_took_the_transfer_back() {
    let mut parts = withdrawal().parts().clone();
    parts.reversed = parts.amount;
    let reversed = Transfer::from_parts(parts);
    let new = build::new_transfer(build::transfer_id(2), &btc(), 5, NOW);
    let reversals = vec![build::deposit(new, ALICE).next];
    let found = reversals.clone();
    let mut mocks = Mocks::new();
    mocks.finds(&reversed, 1);
    let entries = mocks.query.expect_list_entries();
    entries.return_once(|_| Ok(vec![]));
    let callbacks = mocks.callback_log.expect_list();
    callbacks.return_once(|_| Ok(vec![]));
    let list = mocks.store.expect_list_reversals().with(eq(id()));
    list.return_once(|_| Ok(found));
    let grant = operator(Permission::Admin);
    let story = mocks.app().transfer_story(&grant, id()).await;
    assert_eq!(story.unwrap().reversals, reversals);
}

#[test]
fn only_an_internal_transfer_has_a_code() {
    let app = Mocks::new().app();
    assert_eq!(app.code_of(&withdrawal()), None);
    let code = app.code_of(&internal()).unwrap();
    let (named, _) = app.keyring.read_transfer_code(&code).unwrap();
    assert_eq!(named, id());
}

#[tokio::test]
async fn a_transfer_that_does_not_exist_has_no_story() {
    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_find()
        .with(eq(id()))
        .times(1)
        .return_once(|_| Ok(None));
    let grant = operator(Permission::Admin);
    let story = mocks.app().transfer_story(&grant, id()).await;
    assert!(matches!(story, Err(Error::NotFound(Missing::Transfer))));
}

#[tokio::test]
async fn a_story_with_a_part_missing_is_an_error() {
    let mut no_transfer = Mocks::new();
    no_transfer
        .store
        .expect_find()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let mut no_entries = Mocks::new();
    no_entries.finds(&withdrawal(), 1);
    no_entries
        .query
        .expect_list_entries()
        .times(1)
        .return_once(|_| Err(unavailable()));
    no_entries
        .callback_log
        .expect_list()
        .return_once(|_| Ok(vec![]));
    let mut no_callbacks = Mocks::new();
    no_callbacks.finds(&withdrawal(), 1);
    no_callbacks
        .callback_log
        .expect_list()
        .times(1)
        .return_once(|_| Err(unavailable()));
    for mocks in [no_transfer, no_entries, no_callbacks] {
        let grant = operator(Permission::Admin);
        let story = mocks.app().transfer_story(&grant, id()).await;
        assert!(matches!(
            story,
            Err(Error::Store(StoreError::Unavailable(_)))
        ));
    }
}
