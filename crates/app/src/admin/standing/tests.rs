use bursar_ports::StoreError;
use bursar_testkit::build;

use super::*;
use crate::test_support::{ALICE, Mocks, assert_unavailable, operator, other_grants, unavailable};

const FROZEN: UserStatus = UserStatus::Frozen;

async fn freeze(mocks: Mocks) -> Result<User, Error> {
    let grant = operator(Permission::Admin);
    mocks
        .app()
        .set_user_status(&grant, ALICE, FROZEN, "stolen phone")
        .await
}

fn writing(answer: Result<PutUser, StoreError>) -> Mocks {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks.directory.expect_put_user().return_once(|_, _| answer);
    mocks
}

#[tokio::test]
async fn only_an_admin_stops_users() {
    for grant in other_grants(&[Permission::Admin]) {
        let app = Mocks::new().app();
        let error = app.set_user_status(&grant, ALICE, FROZEN, "why").await;
        assert!(matches!(error, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn nothing_but_the_status_changes_and_the_reason_is_kept() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    let put = mocks.directory.expect_put_user().times(1);
    put.return_once(|user, audit| {
        assert_eq!(user.status, FROZEN);
        assert_eq!(
            (audit.action, audit.target.as_str()),
            ("user.put", format!("user:{ALICE}").as_str())
        );
        let after = audit.after.unwrap();
        assert!(after.contains(r#""reason":"stolen phone""#), "{after}");
        assert!(after.contains(r#""status":"Frozen""#), "{after}");
        Ok(PutUser::Written)
    });
    let frozen = freeze(mocks).await.unwrap();
    let wanted = User {
        status: FROZEN,
        ..build::user(ALICE)
    };
    assert_eq!(frozen, wanted);
}

#[tokio::test]
async fn whoever_does_not_exist_cannot_be_stopped() {
    let mut mocks = Mocks::new();
    mocks.knows_no_user(ALICE);
    let error = freeze(mocks).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(Missing::User)));
}

#[tokio::test]
async fn a_name_that_was_taken_meanwhile_is_said() {
    let error = freeze(writing(Ok(PutUser::UsernameTaken)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::UsernameTaken));
    let error = freeze(writing(Ok(PutUser::EmailTaken))).await.unwrap_err();
    assert!(matches!(error, Error::EmailTaken));
}

#[tokio::test]
async fn a_directory_that_cannot_answer_is_an_outage() {
    assert_unavailable(&freeze(writing(Err(unavailable()))).await);
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_find_user()
        .return_once(|_| Err(unavailable()));
    assert_unavailable(&freeze(mocks).await);
}
