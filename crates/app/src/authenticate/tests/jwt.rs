//! Bearer tokens that another issuer signed.

use bursar_domain::UserId;
use bursar_ports::{MockTokenVerifier, Permission, StoreError, VerifiedToken};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::super::*;
use crate::test_support::{ALICE, Mocks, unavailable};

const JWT: &str = "header.claims.signature";

fn verified(user: Option<UserId>) -> VerifiedToken {
    VerifiedToken {
        subject: "settlement".to_owned(),
        id: Some("id-1".to_owned()),
        user,
        permissions: vec![Permission::BackofficeRead, Permission::AllowTransfer],
    }
}

fn answering(answer: Result<Option<VerifiedToken>, StoreError>) -> Mocks {
    let mut verifier = MockTokenVerifier::new();
    verifier
        .expect_verify()
        .with(eq(JWT.to_owned()))
        .times(1)
        .return_once(|_| answer);
    let mut mocks = Mocks::new();
    mocks.token_verifier = Some(verifier);
    mocks
}

#[tokio::test]
async fn a_jwt_without_a_user_is_its_subject_s() {
    let app = answering(Ok(Some(verified(None)))).app();
    let principal = app.authenticate_bearer(JWT).await.unwrap();
    assert_eq!(principal.subject, "settlement");
    assert_eq!(principal.user, None);
    assert_eq!(principal.origin, Origin::with("jwt:id-1"));
    assert!(principal.grant(Permission::BackofficeRead).is_ok());
}

#[tokio::test]
async fn a_jwt_without_a_name_is_just_a_jwt() {
    let nameless = VerifiedToken {
        id: None,
        ..verified(None)
    };
    let app = answering(Ok(Some(nameless))).app();
    let principal = app.authenticate_bearer(JWT).await.unwrap();
    assert_eq!(principal.origin, Origin::with("jwt"));
}

#[tokio::test]
async fn a_jwt_of_a_user_acts_for_that_user_alone() {
    let mut mocks = answering(Ok(Some(verified(Some(ALICE)))));
    mocks.has_user(build::user(ALICE));
    let principal = mocks.app().authenticate_bearer(JWT).await.unwrap();
    assert_eq!(principal.user, Some(ALICE));
    assert!(principal.grant(Permission::AllowTransfer).is_ok());
    let office = principal.grant(Permission::BackofficeRead);
    assert!(matches!(office, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn a_jwt_of_nobody_here_is_no_operator_s() {
    let mut mocks = answering(Ok(Some(verified(Some(ALICE)))));
    mocks.directory.expect_find_user().return_once(|_| Ok(None));
    let answer = mocks.app().authenticate_bearer(JWT).await;
    assert!(matches!(answer, Err(Error::NoUser)), "{answer:?}");
}

#[tokio::test]
async fn a_jwt_that_does_not_verify_is_an_invalid_token() {
    let answer = answering(Ok(None)).app().authenticate_bearer(JWT).await;
    let invalid = matches!(answer, Err(Error::Unauthenticated(AuthError::TokenInvalid)));
    assert!(invalid, "{answer:?}");
}

#[tokio::test]
async fn a_jwt_that_cannot_be_verified_is_trouble_and_not_a_refusal() {
    let app = answering(Err(unavailable())).app();
    let answer = app.authenticate_bearer(JWT).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
    let mut mocks = answering(Ok(Some(verified(Some(ALICE)))));
    let find = mocks.directory.expect_find_user();
    find.return_once(|_| Err(unavailable()));
    let answer = mocks.app().authenticate_bearer(JWT).await;
    assert!(matches!(answer, Err(Error::Store(_))));
}

/// Mocks refuse what nobody expects of them, so each way is the only one.
#[tokio::test]
async fn our_own_tokens_are_never_verified_as_jwts_nor_jwts_looked_up() {
    let mut mocks = Mocks::new();
    mocks.token_verifier = Some(MockTokenVerifier::new());
    let find = mocks.credentials.expect_find_token();
    find.times(1).return_once(|_| Ok(None));
    let own = mocks.app().authenticate_bearer("bur_x.y.z").await;
    assert!(matches!(own, Err(Error::Unauthenticated(_))));

    let mut mocks = Mocks::new();
    let find = mocks.credentials.expect_find_token();
    find.times(1).return_once(|_| Ok(None));
    let not_accepted = mocks.app().authenticate_bearer(JWT).await;
    assert!(matches!(not_accepted, Err(Error::Unauthenticated(_))));
}
