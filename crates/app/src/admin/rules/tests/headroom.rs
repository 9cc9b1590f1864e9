//! What a limit leaves.

use super::*;

/// Limits on withdrawals of btc (a day's 10 and an approval), on all of them, and nothing for
/// deposits but an approval.
fn everything() -> Rules {
    let approval = Limits {
        approval_above: Some(build::amount(1)),
        ..Limits::default()
    };
    let btc_limits = Limits {
        approval_above: Some(build::amount(5)),
        ..limits(10)
    };
    Rules {
        limits: [
            ((Kind::Deposit, Some(btc().id)), approval),
            ((Kind::Withdrawal, Some(btc().id)), btc_limits),
            ((Kind::Internal, None), Limits::default()),
        ]
        .into(),
        ..Rules::default()
    }
}

/// Three were used an hour ago.
fn used(mocks: &mut Mocks) {
    let key = |kind| UsageKey {
        user: ALICE,
        kind,
        asset: Some(btc().id),
    };
    let keys = vec![key(Kind::Deposit), key(Kind::Withdrawal)];
    mocks
        .rule_book
        .expect_usage()
        .with(eq(keys))
        .times(1)
        .return_once(|_| {
            let hour_ago = NOW.plus_micros(-3_600_000_000);
            let used = Usage::from_uses(vec![(hour_ago, build::amount(3))]);
            Ok(vec![Usage::default(), used])
        });
}

#[tokio::test]
async fn headroom_is_what_the_uses_leave() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks.has_asset(&btc());
    ruled(&mut mocks, everything());
    used(&mut mocks);
    let reader = operator(Permission::BackofficeRead);
    let headroom = mocks.app().user_headroom(&reader, ALICE).await.unwrap();
    let [deposits, withdrawals] = &headroom[..] else {
        panic!("{headroom:?}");
    };
    assert_eq!(deposits.left, Headroom::default());
    assert_eq!(withdrawals.left.daily, Some(build::amount(7)));
    assert_eq!(
        withdrawals.limits.limits.approval_above,
        Some(build::amount(5))
    );
}

#[tokio::test]
async fn users_do_not_learn_when_a_second_operator_looks() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    ruled(&mut mocks, everything());
    used(&mut mocks);
    let own = alice(Permission::AllowTransfer);
    let headroom = mocks.app().own_headroom(&own).await.unwrap();
    let [withdrawals] = &headroom[..] else {
        panic!("{headroom:?}");
    };
    assert_eq!(withdrawals.limits.limits, limits(10));
    assert_eq!(withdrawals.left.daily, Some(build::amount(7)));
}

#[tokio::test]
async fn a_user_whom_nobody_knows_has_no_headroom() {
    let mut mocks = Mocks::new();
    mocks.knows_no_user(ALICE);
    let answer = mocks.app().user_headroom(&admin(), ALICE).await;
    assert_missing(&answer, Missing::User);
}

#[tokio::test]
async fn an_outage_of_the_uses_or_of_the_directory_is_told() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    ruled(&mut mocks, everything());
    mocks
        .rule_book
        .expect_usage()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let own = alice(Permission::AllowTransfer);
    assert_unavailable(&mocks.app().own_headroom(&own).await);

    let mut mocks = Mocks::new();
    let book = &mut mocks.rule_book;
    book.expect_rules().returning(|| Ok(Arc::default()));
    mocks
        .directory
        .expect_find_user()
        .times(1)
        .return_once(|_| Err(unavailable()));
    mocks
        .directory
        .expect_find_asset()
        .times(2)
        .returning(|_| Err(unavailable()));
    let app = mocks.app();
    assert_unavailable(&app.user_headroom(&admin(), ALICE).await);
    let found = app.find_fees(&admin(), Kind::Deposit, btc().id).await;
    assert_unavailable(&found);
    let found = app.find_limits(&admin(), Kind::Deposit, None).await;
    assert_unavailable(&found);
}
