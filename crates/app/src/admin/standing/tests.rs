use bursar_ports::StoreError;
use bursar_testkit::build;

use super::*;
use crate::test_support::{ALICE, Mocks, assert_unavailable, operator, other_grants, unavailable};

const ACTIVE: UserStatus = UserStatus::Active;
const FROZEN: UserStatus = UserStatus::Frozen;
const SHOWN: Expected<i64> = Expected::Exactly(7);

async fn freeze(answer: Result<SetStatus, StoreError>) -> Result<User, Error> {
    let mut mocks = Mocks::new();
    let set = mocks.directory.expect_set_status().times(1);
    set.return_once(|id, was, status, shown, audit| {
        let asked = (id, was, status, shown);
        assert_eq!(asked, (ALICE, ACTIVE, FROZEN, SHOWN));
        assert_eq!(
            (audit.action, audit.target.as_str()),
            ("user.put", format!("user:{ALICE}").as_str())
        );
        assert_eq!(audit.before.as_deref(), Some(r#"{"status":"Active"}"#));
        let after = r#"{"reason":"stolen phone","status":"Frozen"}"#;
        assert_eq!(audit.after.as_deref(), Some(after));
        answer
    });
    let grant = operator(Permission::Admin);
    let app = mocks.app();
    let frozen = app.set_user_status(&grant, ALICE, ACTIVE, FROZEN, SHOWN, "stolen phone");
    frozen.await
}

#[tokio::test]
async fn only_an_admin_stops_users() {
    for grant in other_grants(&[Permission::Admin]) {
        let app = Mocks::new().app();
        let error = app.set_user_status(&grant, ALICE, ACTIVE, FROZEN, SHOWN, "why");
        let error = error.await;
        assert!(matches!(error, Err(Error::Forbidden(Permission::Admin))));
        let error = app.status_revision(&grant, ALICE).await;
        assert!(matches!(error, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn nothing_but_the_status_changes_and_the_reason_is_kept() {
    let wanted = User {
        status: FROZEN,
        ..build::user(ALICE)
    };
    let frozen = freeze(Ok(SetStatus::Written(wanted.clone()))).await;
    assert_eq!(frozen.unwrap(), wanted);
}

#[tokio::test]
async fn whoever_does_not_exist_cannot_be_stopped() {
    let error = freeze(Ok(SetStatus::Unknown)).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(Missing::User)));
}

#[tokio::test]
async fn a_status_that_changed_meanwhile_is_not_overwritten() {
    let error = freeze(Ok(SetStatus::Overtaken)).await.unwrap_err();
    assert!(matches!(error, Error::Overtaken));
}

#[tokio::test]
async fn a_directory_that_cannot_answer_is_an_outage() {
    assert_unavailable(&freeze(Err(unavailable())).await);
}

async fn revision(answer: Result<Option<i64>, StoreError>) -> Result<i64, Error> {
    let mut mocks = Mocks::new();
    let asked = mocks.directory.expect_status_revision().times(1);
    asked.return_once(|id| {
        assert_eq!(id, ALICE);
        answer
    });
    let grant = operator(Permission::Admin);
    mocks.app().status_revision(&grant, ALICE).await
}

#[tokio::test]
async fn which_change_a_status_is_of_is_told() {
    assert_eq!(revision(Ok(Some(7))).await.unwrap(), 7);
    let error = revision(Ok(None)).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(Missing::User)));
    assert_unavailable(&revision(Err(unavailable())).await);
}
