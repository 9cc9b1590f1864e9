//! What a deposit or withdrawal needs before it is committed. What becomes of the commit:
//! `commit::tests`.

use bursar_domain::{Body, DepositState, Reason, RootRate, WithdrawalState};
use bursar_ports::{MockIdSource, StoreError};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::super::*;
use crate::test_support::{
    ALICE, Mocks, btc, committed, operator, other_grants, plain, rated, trouble, unavailable, usd,
};

fn request() -> OpenRequest {
    OpenRequest {
        user: ALICE,
        asset: btc().id,
        amount: DecimalAmount::parse("1.5").unwrap(),
        comment: Some("by phone".to_owned()),
        callback_url: Some("https://example.com/a".to_owned()),
    }
}

fn writer() -> Grant {
    operator(Permission::BackofficeWrite)
}

/// The outcomes of a deposit and of a withdrawal over the ports that `make` makes.
async fn both(make: impl Fn() -> Mocks, request: OpenRequest) -> [Error; 2] {
    let deposit = make()
        .app()
        .deposit(&writer(), request.clone(), plain())
        .await;
    let withdrawal = make().app().withdraw(&writer(), request, plain()).await;
    [deposit.unwrap_err(), withdrawal.unwrap_err()]
}

/// Users and assets are known; the rate of bitcoin is what is given.
fn known(rate: Option<i32>) -> Mocks {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks.has_asset(&btc());
    mocks.has_asset(&usd());
    mocks
        .directory
        .expect_find_rate()
        .with(eq(btc().id))
        .returning(move |_| Ok(rate.map(rated)));
    mocks
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&[Permission::BackofficeWrite]) {
        let app = Mocks::new().app();
        let missing = Permission::BackofficeWrite;
        let deposit = app.deposit(&grant, request(), plain()).await;
        assert!(matches!(deposit, Err(Error::Forbidden(wanted)) if wanted == missing));
        let withdrawal = app.withdraw(&grant, request(), plain()).await;
        assert!(matches!(withdrawal, Err(Error::Forbidden(wanted)) if wanted == missing));
    }
}

#[tokio::test]
async fn an_unknown_user_or_asset_is_not_found() {
    let nobody = || {
        let mut mocks = Mocks::new();
        mocks.knows_no_user(ALICE);
        mocks
    };
    for error in both(nobody, request()).await {
        assert!(matches!(error, Error::NotFound(Missing::User)));
    }
    let no_asset = || {
        let mut mocks = Mocks::new();
        mocks.has_user(build::user(ALICE));
        mocks
            .directory
            .expect_find_asset()
            .with(eq(btc().id))
            .times(1)
            .return_once(|_| Ok(None));
        mocks
    };
    for error in both(no_asset, request()).await {
        assert!(matches!(error, Error::NotFound(Missing::Asset)));
    }
}

#[tokio::test]
async fn decimals_that_the_asset_does_not_have_are_refused_and_not_rounded() {
    let mocks = || {
        let mut mocks = Mocks::new();
        mocks.has_user(build::user(ALICE));
        mocks.has_asset(&btc());
        mocks
    };
    let request = OpenRequest {
        amount: DecimalAmount::parse("0.123456789").unwrap(),
        ..request()
    };
    for error in both(mocks, request).await {
        let Error::Invalid(fields) = error else {
            panic!("{error:?}");
        };
        let detail = "must have at most 8 decimals";
        let expected = FieldError::new("amount", "amount.too_precise", detail);
        assert_eq!(fields, [expected]);
    }
}

#[tokio::test]
async fn a_directory_that_cannot_answer_is_an_error() {
    let no_user = || {
        let mut mocks = Mocks::new();
        mocks
            .directory
            .expect_find_user()
            .times(1)
            .return_once(|_| Err(unavailable()));
        mocks
    };
    let no_asset = || {
        let mut mocks = Mocks::new();
        mocks.has_user(build::user(ALICE));
        mocks
            .directory
            .expect_find_asset()
            .times(1)
            .return_once(|_| Err(unavailable()));
        mocks
    };
    let no_rate = || {
        let mut mocks = Mocks::new();
        mocks.has_user(build::user(ALICE));
        mocks.has_asset(&btc());
        mocks
            .directory
            .expect_find_rate()
            .times(1)
            .return_once(|_| Err(unavailable()));
        mocks
    };
    let no_root = || {
        let mut mocks = Mocks::new();
        mocks.has_user(build::user(ALICE));
        mocks.has_asset(&btc());
        mocks
            .directory
            .expect_find_rate()
            .return_once(|_| Ok(Some(rated(2))));
        mocks
            .directory
            .expect_find_asset()
            .with(eq(usd().id))
            .times(1)
            .return_once(|_| Err(unavailable()));
        mocks
    };
    let makers: [fn() -> Mocks; 4] = [no_user, no_asset, no_rate, no_root];
    for make in makers {
        for error in both(make, request()).await {
            assert!(matches!(error, Error::Store(StoreError::Unavailable(_))));
        }
    }
}

#[tokio::test]
async fn without_an_id_there_is_no_transfer() {
    let mocks = || {
        let mut mocks = known(None);
        let mut ids = MockIdSource::new();
        ids.expect_next_transfer_id()
            .times(1)
            .return_once(|| Err(unavailable()));
        mocks.ids = std::sync::Arc::new(ids);
        mocks
    };
    for error in both(mocks, request()).await {
        assert!(matches!(error, Error::Store(StoreError::Unavailable(_))));
    }
}

#[tokio::test]
async fn what_was_asked_is_what_is_committed() {
    let mut mocks = known(None);
    let commits = mocks.commits([committed()]);
    let _spawned = mocks.one_task();
    mocks
        .app()
        .deposit(&writer(), request(), plain())
        .await
        .unwrap();
    let mut withdrawing = known(None);
    let withdrawals = withdrawing.commits([committed()]);
    withdrawing
        .app()
        .withdraw(&writer(), request(), plain())
        .await
        .unwrap();

    let (deposit, withdrawal) = (commits.only().change, withdrawals.only().change);
    for change in [&deposit, &withdrawal] {
        let parts = change.next.parts();
        assert_eq!(parts.id, build::transfer_id(1));
        assert_eq!((parts.asset, parts.scale), (btc().id, btc().scale));
        assert_eq!(parts.amount, build::amount(150_000_000));
        assert_eq!(parts.note.as_deref(), Some("by phone"));
        assert_eq!(parts.callback_url.as_deref(), Some("https://example.com/a"));
        assert_eq!(parts.created_by.as_str(), "credential-1");
        assert_eq!(parts.root_rate, None, "none known");
    }
    let (user, state) = (ALICE, DepositState::Pending);
    assert_eq!(deposit.next.parts().body, Body::Deposit { user, state });
    assert_eq!(deposit.callbacks, vec![], "told when it settles");
    let state = WithdrawalState::AwaitingConfirmation;
    assert_eq!(
        withdrawal.next.parts().body,
        Body::Withdrawal { user, state }
    );
    assert_eq!(withdrawal.callbacks.len(), 1);
    assert_eq!(
        withdrawal.callbacks[0].operation,
        bursar_domain::Operation::Create
    );
}

#[tokio::test]
async fn the_rate_of_the_moment_is_frozen_into_the_transfer() {
    let mut mocks = known(Some(60_000));
    let commits = mocks.commits([committed()]);
    mocks
        .app()
        .withdraw(&writer(), request(), plain())
        .await
        .unwrap();
    let expected = RootRate {
        asset: usd().id,
        scale: usd().scale,
        rate: 60_000.into(),
        source: Some("an exchange".to_owned()),
        rated_at: Some(rated(0).rated_at),
    };
    assert_eq!(commits.only().change.next.parts().root_rate, Some(expected));
}

#[tokio::test]
async fn the_root_asset_is_worth_itself_whatever_the_rates_say() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks.has_asset(&usd());
    let commits = mocks.commits([committed()]);
    let request = OpenRequest {
        asset: usd().id,
        ..request()
    };
    mocks
        .app()
        .withdraw(&writer(), request, plain())
        .await
        .unwrap();
    let rate = commits.only().change.next.into_parts().root_rate.unwrap();
    assert_eq!((rate.asset, rate.rate), (usd().id, 1.into()));
}

#[tokio::test]
async fn a_root_asset_that_does_not_exist_yet_gives_no_rate() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks.has_asset(&btc());
    mocks
        .directory
        .expect_find_asset()
        .with(eq(usd().id))
        .times(1)
        .return_once(|_| Ok(None));
    mocks
        .directory
        .expect_find_rate()
        .return_once(|_| Ok(Some(rated(2))));
    let commits = mocks.commits([committed()]);
    mocks
        .app()
        .withdraw(&writer(), request(), plain())
        .await
        .unwrap();
    assert_eq!(commits.only().change.next.parts().root_rate, None);
}

#[tokio::test]
async fn the_ledger_s_refusal_of_a_waiting_deposit_refuses_it_as_a_whole() {
    let mut mocks = known(None);
    mocks.commits([crate::test_support::outcome(
        bursar_ports::CommitOutcome::Refused {
            reason: Reason::AccountFrozen,
        },
    )]);
    let answer = mocks
        .app()
        .deposit(&writer(), request(), crate::test_support::wait())
        .await;
    assert!(matches!(
        answer,
        Err(Error::Refused {
            reason: Reason::AccountFrozen,
            replayed: false
        })
    ));
}

#[tokio::test]
async fn trouble_with_the_commit_starts_no_settlement() {
    let mut mocks = known(None);
    mocks.commits([trouble(unavailable())]);
    let answer = mocks.app().deposit(&writer(), request(), plain()).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}
