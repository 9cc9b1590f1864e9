//! How a status reaches the book.

mod repeated;

use std::sync::Arc;

use bursar_domain::UserStatus;
use bursar_ports::{Directory, Expected, PutUser, SetStatus, StoreError};
use uuid::Uuid;

use super::{account_creation, directory, with_status, write};
use crate::support::{Fixture, draft, run, user, user_id};

/// The status in the directory, in the book, and on each account.
async fn statuses(fixture: &mut Fixture, number: u128) -> Vec<String> {
    let id = Uuid::from_u128(number);
    let mut statuses = vec![];
    for query in [
        format!("SELECT status FROM directory.users WHERE id = '{id}'"),
        format!("SELECT status FROM book_main.owners WHERE id = '{id}'"),
        format!("SELECT status FROM book_main.accounts WHERE owner = '{id}'"),
    ] {
        statuses.extend(fixture.texts(&query).await);
    }
    statuses
}

#[tokio::test]
async fn a_status_reaches_every_account() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = user(1, "anna");
    write(&directory, &anna).await;
    fixture.run(&account_creation(1, 1)).await;
    fixture.run(&account_creation(2, 1)).await;
    fixture.run(&account_creation(3, 2)).await;
    for status in [
        UserStatus::Frozen,
        UserStatus::Terminated,
        UserStatus::Active,
        UserStatus::Frozen,
        UserStatus::Active,
    ] {
        write(&directory, &with_status(&anna, status)).await;
        assert_eq!(statuses(&mut fixture, 1).await, [status.as_str(); 4]);
    }
    let others = "SELECT status FROM book_main.accounts WHERE id = 3";
    assert_eq!(fixture.text(others).await, "Active");
}

#[tokio::test]
async fn an_account_made_after_a_stop_is_stopped() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    write(
        &directory,
        &with_status(&user(1, "anna"), UserStatus::Frozen),
    )
    .await;
    fixture.run(&account_creation(1, 1)).await;
    assert_eq!(statuses(&mut fixture, 1).await, ["Frozen"; 3]);
}

#[tokio::test]
async fn a_stop_waits_for_an_account_in_the_making_and_stops_it() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = user(1, "anna");
    write(&directory, &anna).await;
    let mut creator = fixture.connect().await;
    run(&mut creator, &format!("BEGIN; {}", account_creation(1, 1))).await;
    let frozen = with_status(&anna, UserStatus::Frozen);
    let stop = tokio::spawn(async move { directory.put_user(frozen, draft()).await });
    fixture.until_somebody_waits().await;
    run(&mut creator, "COMMIT").await;
    assert_eq!(stop.await.unwrap().unwrap(), PutUser::Written);
    assert_eq!(statuses(&mut fixture, 1).await, ["Frozen"; 3]);
}

#[tokio::test]
async fn a_stop_waits_for_money_on_its_way() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = user(1, "anna");
    write(&directory, &anna).await;
    fixture.run(&account_creation(1, 1)).await;
    let mut spender = fixture.connect().await;
    let lock = "BEGIN; SELECT id FROM book_main.accounts WHERE id = 1 FOR NO KEY UPDATE; \
                UPDATE book_main.accounts SET available = 7, seq = 1 WHERE id = 1";
    run(&mut spender, lock).await;
    let frozen = with_status(&anna, UserStatus::Frozen);
    let stop = tokio::spawn(async move { directory.put_user(frozen, draft()).await });
    fixture.until_somebody_waits().await;
    run(&mut spender, "COMMIT").await;
    assert_eq!(stop.await.unwrap().unwrap(), PutUser::Written);
    let account = "SELECT status || available FROM book_main.accounts WHERE id = 1";
    assert_eq!(fixture.text(account).await, "Frozen7");
}

#[tokio::test]
async fn a_release_does_not_undo_a_stop_it_did_not_know_of() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = user(1, "anna");
    let frozen = with_status(&anna, UserStatus::Frozen);
    write(&directory, &frozen).await;
    fixture.run(&account_creation(1, 1)).await;
    // The release has read the book and is held up before it writes the directory.
    let mut holder = fixture.connect().await;
    run(
        &mut holder,
        "BEGIN; SELECT id FROM directory.users FOR UPDATE",
    )
    .await;
    let replica = directory.clone();
    let release = tokio::spawn(async move { replica.put_user(anna, draft()).await });
    fixture.until_somebody_waits().await;
    let replica = self::directory(&fixture);
    let stop = tokio::spawn(async move { replica.put_user(frozen, draft()).await });
    let revision = "SELECT revision::text FROM book_main.owners";
    while fixture.text(revision).await != "2" {
        tokio::task::yield_now().await;
    }
    run(&mut holder, "COMMIT").await;
    assert_eq!(release.await.unwrap().unwrap(), PutUser::Written);
    assert_eq!(stop.await.unwrap().unwrap(), PutUser::Written);
    assert_eq!(statuses(&mut fixture, 1).await, ["Frozen"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_and_book_agree_whoever_races() {
    let mut fixture = Fixture::new().await;
    let replicas = [0; 3].map(|_| Arc::new(directory(&fixture)));
    let anna = user(1, "anna");
    write(&replicas[0], &anna).await;
    for round in 0..20 {
        let wanted = [
            UserStatus::Frozen,
            UserStatus::Active,
            UserStatus::Terminated,
        ];
        let mut tasks = vec![];
        for (replica, status) in replicas.iter().zip(wanted) {
            let (replica, changed) = (Arc::clone(replica), with_status(&anna, status));
            tasks.push(tokio::spawn(async move {
                replica.put_user(changed, draft()).await
            }));
        }
        let mut creator = fixture.connect().await;
        run(
            &mut creator,
            &format!("BEGIN; {} COMMIT", account_creation(round + 1, 1)),
        )
        .await;
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), PutUser::Written);
        }
        let statuses = statuses(&mut fixture, 1).await;
        assert!(statuses.iter().all(|s| *s == statuses[0]), "{statuses:?}");
        write(&replicas[0], &anna).await;
        assert_eq!(self::statuses(&mut fixture, 1).await[0], "Active");
    }
}

#[tokio::test]
async fn a_status_that_is_set_reaches_every_account() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    write(&directory, &user(1, "anna")).await;
    fixture.run(&account_creation(1, 1)).await;
    let (active, frozen) = (UserStatus::Active, UserStatus::Frozen);
    for (was, status) in [(active, frozen), (frozen, active)] {
        let set = directory.set_status(user_id(1), was, status, Expected::Anything, draft());
        let set = set.await.unwrap();
        assert!(matches!(set, SetStatus::Written(_)), "{set:?}");
        assert_eq!(statuses(&mut fixture, 1).await, [status.as_str(); 3]);
    }
}

/// Who was let go on and stopped again looks as before, and is not let go on by whoever saw the first
/// stop.
#[tokio::test]
async fn a_release_leaves_a_stop_that_came_after_the_one_that_was_shown() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = user(1, "anna");
    write(&directory, &anna).await;
    fixture.run(&account_creation(1, 1)).await;
    let (active, frozen) = (UserStatus::Active, UserStatus::Frozen);
    let set = async |was, status, shown| {
        let set = directory.set_status(anna.id, was, status, shown, draft());
        set.await.unwrap()
    };
    let shown = async || {
        let revision = directory.status_revision(anna.id).await.unwrap();
        Expected::Exactly(revision.unwrap())
    };
    let is_frozen = SetStatus::Written(with_status(&anna, frozen));
    let is_active = SetStatus::Written(anna.clone());
    assert_eq!(set(active, frozen, Expected::Anything).await, is_frozen);
    let first = shown().await;
    assert_eq!(set(frozen, active, first).await, is_active);
    // Whoever stops a user by an old page errs on the safe side.
    assert_eq!(set(active, frozen, first).await, is_frozen);
    let second = shown().await;
    assert_eq!(set(frozen, active, first).await, SetStatus::Overtaken);
    assert_eq!(statuses(&mut fixture, 1).await, ["Frozen"; 3]);
    assert_eq!(set(frozen, active, second).await, is_active);
    assert_eq!(statuses(&mut fixture, 1).await, ["Active"; 3]);
    assert_eq!(directory.status_revision(user_id(2)).await.unwrap(), None);
}

/// A stop that has reached the book alone is not released by somebody who saw another one, and the
/// book's stop for good is not weakened by a freeze that comes after it.
#[tokio::test]
async fn a_status_that_the_book_alone_knows_of_is_not_overwritten() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = user(1, "anna");
    let terminate = "UPDATE book_main.owners SET status = 'Terminated', revision = revision + 1";
    for (was, status) in [
        (UserStatus::Frozen, UserStatus::Active),
        (UserStatus::Active, UserStatus::Frozen),
    ] {
        write(&directory, &with_status(&anna, was)).await;
        let owned = "SELECT count(*)::text FROM book_main.owners";
        if fixture.text(owned).await == "0" {
            fixture.run(&account_creation(1, 1)).await;
        }
        fixture.run(terminate).await;
        let set = directory.set_status(anna.id, was, status, Expected::Anything, draft());
        assert_eq!(set.await.unwrap(), SetStatus::Overtaken);
        let found = statuses(&mut fixture, 1).await;
        assert_eq!(found[..2], [was.as_str(), "Terminated"]);
    }
}

/// Whoever repeats what was cut off half way completes it.
#[tokio::test]
async fn a_stop_that_the_book_has_taken_already_is_completed() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = user(1, "anna");
    write(&directory, &anna).await;
    fixture.run(&account_creation(1, 1)).await;
    fixture
        .run("UPDATE book_main.owners SET status = 'Frozen', revision = revision + 1")
        .await;
    let (was, status) = (UserStatus::Active, UserStatus::Frozen);
    let set = directory.set_status(anna.id, was, status, Expected::Anything, draft());
    let frozen = with_status(&anna, status);
    assert_eq!(set.await.unwrap(), SetStatus::Written(frozen));
    assert_eq!(statuses(&mut fixture, 1).await, ["Frozen"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_and_book_agree_whoever_expects_what_and_races() {
    let mut fixture = Fixture::new().await;
    let replicas = [0; 4].map(|_| Arc::new(directory(&fixture)));
    let anna = user(1, "anna");
    let (active, frozen) = (UserStatus::Active, UserStatus::Frozen);
    write(&replicas[0], &anna).await;
    fixture.run(&account_creation(1, 1)).await;
    for _ in 0..20 {
        let mut tasks = vec![];
        for (replica, (was, status)) in replicas.iter().zip([
            (active, frozen),
            (frozen, active),
            (active, frozen),
            (active, UserStatus::Terminated),
        ]) {
            let replica = Arc::clone(replica);
            tasks.push(tokio::spawn(async move {
                let any = Expected::Anything;
                let set = replica.set_status(user_id(1), was, status, any, draft());
                set.await
            }));
        }
        for task in tasks {
            let _set = task.await.unwrap().unwrap();
        }
        let statuses = statuses(&mut fixture, 1).await;
        assert!(statuses.iter().all(|s| *s == statuses[0]), "{statuses:?}");
        write(&replicas[0], &anna).await;
        assert_eq!(self::statuses(&mut fixture, 1).await, ["Active"; 3]);
    }
}

/// The book stops a user before the directory says so, and the directory says so before the book lets a
/// user go on: when the second cannot be, nobody may say that nothing happened.
#[tokio::test]
async fn a_change_that_is_done_by_half_is_in_doubt() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = user(1, "anna");
    write(&directory, &anna).await;
    let refuse = "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE 'told to'; END $$;
         CREATE TRIGGER a_refusal BEFORE UPDATE ON";
    fixture
        .run(&format!(
            "{refuse} directory.users EXECUTE FUNCTION public.refuse()"
        ))
        .await;
    let (active, frozen) = (UserStatus::Active, UserStatus::Frozen);
    let in_doubt = |error: &StoreError| matches!(error, StoreError::OutcomeUnknown(_));
    let set = directory.set_status(anna.id, active, frozen, Expected::Anything, draft());
    let set = set.await;
    assert!(set.as_ref().is_err_and(in_doubt), "{set:?}");
    let put = directory
        .put_user(with_status(&anna, frozen), draft())
        .await;
    assert!(put.as_ref().is_err_and(in_doubt), "{put:?}");
    assert_eq!(statuses(&mut fixture, 1).await, ["Active", "Frozen"]);

    fixture
        .run("DROP TRIGGER a_refusal ON directory.users")
        .await;
    write(&directory, &with_status(&anna, frozen)).await;
    fixture
        .run(
            "CREATE TRIGGER a_refusal BEFORE UPDATE ON book_main.owners
             EXECUTE FUNCTION public.refuse()",
        )
        .await;
    let set = directory.set_status(anna.id, frozen, active, Expected::Anything, draft());
    let set = set.await;
    assert!(set.as_ref().is_err_and(in_doubt), "{set:?}");
    let put = directory.put_user(anna, draft()).await;
    assert!(put.as_ref().is_err_and(in_doubt), "{put:?}");
    assert_eq!(statuses(&mut fixture, 1).await, ["Active", "Frozen"]);
}
