use bursar_domain::{User, UserId};
use bursar_ports::Permission;
use bursar_testkit::build;
use mockall::predicate::eq;

use super::READERS;
use crate::{
    Error,
    test_support::{ALICE, BOB, Mocks, assert_unavailable, operator, other_grants, unavailable},
};

const BOTH: [UserId; 2] = [ALICE, BOB];

#[tokio::test]
async fn only_an_admin_or_a_reader_learns_names() {
    for grant in other_grants(&READERS) {
        let error = Mocks::new().app().name_users(&grant, BOTH.to_vec()).await;
        assert!(matches!(error, Err(Error::Forbidden(Permission::Admin))));
    }
}

async fn both(mocks: Mocks, permission: Permission) -> Result<Vec<User>, Error> {
    let grant = operator(permission);
    mocks.app().name_users(&grant, BOTH.to_vec()).await
}

#[tokio::test]
async fn whoever_is_known_is_named() {
    for permission in READERS {
        let mut mocks = Mocks::new();
        let directory = &mut mocks.directory;
        let known = directory.expect_find_users().with(eq(BOTH.to_vec()));
        known.return_once(|_| Ok(vec![build::user(ALICE)]));
        assert_eq!(both(mocks, permission).await.unwrap(), [build::user(ALICE)]);
    }
}

#[tokio::test]
async fn a_directory_that_cannot_answer_is_an_outage() {
    let mut mocks = Mocks::new();
    let directory = &mut mocks.directory;
    directory
        .expect_find_users()
        .return_once(|_| Err(unavailable()));
    assert_unavailable(&both(mocks, Permission::Admin).await);
}
