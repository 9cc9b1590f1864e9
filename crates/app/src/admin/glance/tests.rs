use bursar_domain::ActorId;
use bursar_ports::{Permission, Taking};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::test_support::{Mocks, NOW, assert_unavailable, operator, other_grants, unavailable};

fn ids() -> Vec<TransferId> {
    vec![build::transfer_id(1), build::transfer_id(2)]
}

#[tokio::test]
async fn only_an_admin_or_a_reader_looks() {
    for grant in other_grants(&READERS) {
        let app = Mocks::new().app();
        let error = app.takings(&grant, ids()).await;
        assert!(matches!(error, Err(Error::Forbidden(Permission::Admin))));
        let error = app.books_state(&grant);
        assert!(matches!(error, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn who_is_at_what_is_told() {
    let mut mocks = Mocks::new();
    let until = NOW.plus_micros(60_000_000);
    let listed = mocks.work_queue.expect_list_takings();
    listed.with(eq(ids()), eq(NOW)).return_once(move |_, _| {
        Ok(vec![Taking {
            transfer: build::transfer_id(2),
            version: Version::FIRST,
            by: ActorId::new("olga"),
            taken_at: NOW,
            until,
        }])
    });
    let grant = operator(Permission::Admin);
    let taken = mocks.app().takings(&grant, ids()).await.unwrap();
    let wanted = Taken {
        by: ActorId::new("olga"),
        since: NOW,
        until,
    };
    assert_eq!(taken, [(build::transfer_id(2), Version::FIRST, wanted)]);
}

#[tokio::test]
async fn a_queue_that_cannot_answer_is_an_outage() {
    let mut mocks = Mocks::new();
    let listed = mocks.work_queue.expect_list_takings();
    listed.return_once(|_, _| Err(unavailable()));
    let grant = operator(Permission::Admin);
    assert_unavailable(&mocks.app().takings(&grant, ids()).await);
}

#[test]
fn a_process_that_has_not_looked_says_nothing_of_the_books() {
    let app = Mocks::new().app();
    let seen = app.books_state(&operator(Permission::BackofficeRead));
    assert_eq!(seen.unwrap(), None);
}
