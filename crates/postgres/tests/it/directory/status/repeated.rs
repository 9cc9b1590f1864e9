//! A release that was cut off between the directory and the book, and is asked for again.

use bursar_domain::{User, UserStatus};
use bursar_ports::{Directory as _, Expected, SetStatus, StoreError};
use bursar_postgres::PgDirectory;

use super::{account_creation, directory, statuses, with_status, write};
use crate::support::{Fixture, draft, run, user};

const ACTIVE: UserStatus = UserStatus::Active;
const FROZEN: UserStatus = UserStatus::Frozen;
/// A stop that the book has taken, and that the directory is not told of yet.
const STOP: &str = "UPDATE book_main.owners SET status = 'Frozen', revision = revision + 1";

/// A user, with one account, whose release the directory shows and the book has not taken, and what was
/// shown to whoever asked for it.
async fn released_by_half(fixture: &mut Fixture, directory: &PgDirectory) -> (User, Expected<i64>) {
    let anna = user(1, "anna");
    write(directory, &with_status(&anna, FROZEN)).await;
    fixture.run(&account_creation(1, 1)).await;
    let revision = directory.status_revision(anna.id).await.unwrap();
    let shown = Expected::Exactly(revision.unwrap());
    fixture
        .run(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'told to'; END $$;
             CREATE TRIGGER a_refusal BEFORE UPDATE ON book_main.owners
             EXECUTE FUNCTION public.refuse()",
        )
        .await;
    let set = directory.set_status(anna.id, FROZEN, ACTIVE, shown, draft());
    let set = set.await;
    assert!(matches!(set, Err(StoreError::OutcomeUnknown(_))), "{set:?}");
    // Nor does whoever repeats it meanwhile know more.
    let set = directory.set_status(anna.id, FROZEN, ACTIVE, shown, draft());
    let set = set.await;
    assert!(matches!(set, Err(StoreError::OutcomeUnknown(_))), "{set:?}");
    fixture
        .run("DROP TRIGGER a_refusal ON book_main.owners")
        .await;
    let found = statuses(fixture, 1).await;
    assert_eq!(found, ["Active", "Frozen", "Frozen"]);
    (anna, shown)
}

#[tokio::test]
async fn whoever_repeats_a_release_completes_it() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let (anna, shown) = released_by_half(&mut fixture, &directory).await;
    let told = "SELECT count(*)::text FROM directory.audit_log";
    let before = fixture.text(told).await;
    let set = directory.set_status(anna.id, FROZEN, ACTIVE, shown, draft());
    assert_eq!(set.await.unwrap(), SetStatus::Written(anna.clone()));
    assert_eq!(statuses(&mut fixture, 1).await, ["Active"; 3]);
    // What people see is as it was, and has been told.
    assert_eq!(fixture.text(told).await, before);

    let set = directory.set_status(anna.id, FROZEN, ACTIVE, shown, draft());
    assert_eq!(set.await.unwrap(), SetStatus::Overtaken);
    assert_eq!(statuses(&mut fixture, 1).await, ["Active"; 3]);
    let frozen = with_status(&anna, FROZEN);
    let set = directory.set_status(anna.id, ACTIVE, FROZEN, shown, draft());
    assert_eq!(set.await.unwrap(), SetStatus::Written(frozen));
    assert_eq!(statuses(&mut fixture, 1).await, ["Frozen"; 3]);
}

#[tokio::test]
async fn a_release_that_is_repeated_leaves_a_stop_that_came_after_it() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let (anna, shown) = released_by_half(&mut fixture, &directory).await;
    fixture.run(STOP).await;
    let set = directory.set_status(anna.id, FROZEN, ACTIVE, shown, draft());
    assert_eq!(set.await.unwrap(), SetStatus::Overtaken);
    let found = statuses(&mut fixture, 1).await;
    assert_eq!(found, ["Active", "Frozen", "Frozen"]);

    let frozen = with_status(&anna, FROZEN);
    let set = directory.set_status(anna.id, ACTIVE, FROZEN, shown, draft());
    assert_eq!(set.await.unwrap(), SetStatus::Written(frozen));
    assert_eq!(statuses(&mut fixture, 1).await, ["Frozen"; 3]);
}

/// The book shows the old stop when it is read, and the new one when it is to be released.
#[tokio::test]
async fn a_release_that_is_repeated_leaves_a_stop_that_is_being_committed() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let (anna, shown) = released_by_half(&mut fixture, &directory).await;
    let mut stopper = fixture.connect().await;
    run(&mut stopper, &format!("BEGIN; {STOP}")).await;
    let id = anna.id;
    let set = tokio::spawn(async move {
        let set = directory.set_status(id, FROZEN, ACTIVE, shown, draft());
        set.await
    });
    fixture.until_somebody_waits().await;
    run(&mut stopper, "COMMIT").await;
    assert_eq!(set.await.unwrap().unwrap(), SetStatus::Overtaken);
    let found = statuses(&mut fixture, 1).await;
    assert_eq!(found, ["Active", "Frozen", "Frozen"]);
}
