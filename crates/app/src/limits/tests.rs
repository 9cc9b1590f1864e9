use std::sync::Arc;

use bursar_ports::{MockRateLimiter, StoreError};

use super::*;
use crate::test_support::{ALICE, Mocks, alice, operator, other_grants, unavailable};

const CALLS: [InternalCall; 3] = [InternalCall::Create, InternalCall::List, InternalCall::Get];

fn grant() -> Grant {
    alice(Permission::AllowTransfer)
}

/// Alice by an access key with a limit of its own.
fn by_key(subject: &str, requests_per_minute: u32) -> Grant {
    let principal = Principal {
        subject: subject.to_owned(),
        user: Some(ALICE),
        permissions: vec![Permission::AllowTransfer],
        requests_per_minute: Some(requests_per_minute),
        origin: crate::Origin::with(format!("access_key:{subject}")),
    };
    principal.grant(Permission::AllowTransfer).unwrap()
}

async fn admitted(app: &App, grant: &Grant, call: InternalCall, units: u32) -> bool {
    let admission = app.admit(grant, call, units).await.unwrap();
    admission.require().is_ok()
}

fn refusal(admission: Admission) -> RateLimited {
    match admission.require() {
        Err(Error::RateLimited(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn six_hundred_of_each_call_are_let_through_a_minute() {
    let mocks = Mocks::new();
    let clock = Arc::clone(&mocks.clock);
    let app = mocks.app();
    for call in CALLS {
        for left in (0..600).rev() {
            let admission = app.admit(&grant(), call, 1).await.unwrap();
            let expected = Standing {
                quota: 600,
                remaining: left,
                reset_s: 60,
            };
            assert_eq!(admission.standing, expected);
            assert!(admission.require().is_ok());
        }
        let refused = app.admit(&grant(), call, 1).await.unwrap();
        assert_eq!(refused.standing.remaining, 0);
        let expected = RateLimited {
            limit: Limit::Requests,
            retry_after_s: 60,
        };
        assert_eq!(refusal(refused), expected);
    }
    clock.advance_ms(59_001);
    let refused = app.admit(&grant(), CALLS[0], 1).await.unwrap();
    assert_eq!(refusal(refused).retry_after_s, 1);
    clock.advance_ms(999);
    for call in CALLS {
        assert!(admitted(&app, &grant(), call, 600).await);
    }
}

#[tokio::test]
async fn a_user_s_credentials_share_a_limit_and_a_key_s_own_number_is_its_own() {
    let app = Mocks::new().app();
    let token = |subject: &str| {
        let principal = Principal {
            subject: subject.to_owned(),
            requests_per_minute: None,
            ..by_key("", 1).principal().clone()
        };
        principal.grant(Permission::AllowTransfer).unwrap()
    };
    assert!(admitted(&app, &token("one"), InternalCall::Get, 400).await);
    assert!(admitted(&app, &token("two"), InternalCall::Get, 200).await);
    assert!(!admitted(&app, &token("one"), InternalCall::Get, 1).await);
    for (key, limit) in [("small", 2), ("large", 5_000)] {
        let key = by_key(key, limit);
        assert!(admitted(&app, &key, InternalCall::Get, limit).await);
        let refused = app.admit(&key, InternalCall::Get, 1).await.unwrap();
        assert_eq!(refused.standing.quota, limit);
        assert_eq!(refusal(refused).limit, Limit::Requests);
    }
}

#[tokio::test]
async fn a_bulk_takes_a_unit_for_each_item_or_none() {
    let app = Mocks::new().app();
    assert!(admitted(&app, &grant(), InternalCall::Create, 590).await);
    let refused = app.admit(&grant(), InternalCall::Create, 11).await.unwrap();
    assert_eq!(refused.standing.remaining, 10);
    assert_eq!(refusal(refused).limit, Limit::Requests);
    // What a whole minute has room for is only too early.
    let early = app.admit(&grant(), InternalCall::Create, 600).await;
    assert_eq!(refusal(early.unwrap()).limit, Limit::Requests);
    assert!(admitted(&app, &grant(), InternalCall::Create, 10).await);
    let never = app
        .admit(&grant(), InternalCall::Create, 601)
        .await
        .unwrap();
    assert_eq!(refusal(never).limit, Limit::RequestTooLarge);
}

#[tokio::test]
async fn looking_takes_nothing_and_needs_no_permission() {
    let app = Mocks::new().app();
    for grant in other_grants(&[Permission::AllowTransfer]) {
        let standing = app.standing(grant.principal(), InternalCall::List).await;
        let expected = Standing {
            quota: 600,
            remaining: 600,
            reset_s: 0,
        };
        assert_eq!(standing.unwrap(), expected);
    }
}

#[tokio::test]
async fn only_a_user_with_the_permission_is_admitted() {
    let app = Mocks::new().app();
    for grant in other_grants(&[Permission::AllowTransfer]) {
        let answer = app.admit(&grant, InternalCall::List, 1).await;
        assert!(matches!(answer, Err(Error::Forbidden(_))), "{answer:?}");
    }
    let nobody = operator(Permission::AllowTransfer);
    let answer = app.admit(&nobody, InternalCall::List, 1).await;
    assert!(matches!(answer, Err(Error::NoUser)), "{answer:?}");
}

#[tokio::test]
async fn limits_that_cannot_be_reached_admit_nobody() {
    let mut limiter = MockRateLimiter::new();
    limiter
        .expect_take()
        .times(1)
        .return_once(|_, _, _| Err(unavailable()));
    limiter
        .expect_peek()
        .times(1)
        .return_once(|_, _, _| Err(unavailable()));
    let mut mocks = Mocks::new();
    mocks.limiter = Arc::new(limiter);
    let app = mocks.app();
    let answer = app.admit(&grant(), InternalCall::List, 1).await;
    let standing = app.standing(grant().principal(), InternalCall::List).await;
    for error in [answer.unwrap_err(), standing.unwrap_err()] {
        assert!(matches!(error, Error::Store(StoreError::Unavailable(_))));
    }
}

#[test]
fn every_limit_has_a_code_and_a_sentence_of_its_own() {
    let limits = [
        (Limit::Requests, "exceeded"),
        (Limit::RequestTooLarge, "request_too_large"),
        (Limit::FailedRecipients, "failed_recipients"),
        (Limit::FailedCredentials, "failed_credentials"),
        (Limit::CallbackTests, "callback_tests"),
        (Limit::Exports, "exports"),
    ];
    let mut sentences = std::collections::HashSet::new();
    for (limit, code) in limits {
        assert_eq!(limit.code(), format!("rate_limit.{code}"));
        assert!(limit.message().len() > 20 && sentences.insert(limit.message()));
    }
}
