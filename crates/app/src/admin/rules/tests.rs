mod headroom;
mod reading;
mod stops;

use std::sync::Arc;

use bursar_domain::{Amount, Percent, Rules, Usage};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::test_support::{
    ALICE, Mocks, NOW, alice, assert_unavailable, audited, btc, operator, other_grants,
    unavailable, usd,
};

fn admin() -> Grant {
    operator(Permission::Admin)
}

fn decimal(text: &str) -> DecimalAmount {
    DecimalAmount::parse(text).unwrap()
}

fn fees() -> NewFees {
    NewFees {
        percent: decimal("0.5"),
        min: decimal("0.0001"),
        max: Some(decimal("1")),
        absolute: DecimalAmount::ZERO,
    }
}

fn schedule() -> FeeSchedule {
    FeeSchedule {
        percent: Percent::try_from_decimal(decimal("0.5")).unwrap(),
        min: build::amount(10_000),
        max: Some(build::amount(100_000_000)),
        absolute: Amount::ZERO,
    }
}

const NO_LIMITS: NewLimits = NewLimits {
    min_amount: None,
    max_amount: None,
    daily: None,
    monthly: None,
    approval_above: None,
};

fn daily(text: &str) -> NewLimits {
    NewLimits {
        daily: Some(decimal(text)),
        ..NO_LIMITS
    }
}

fn limits(daily: i128) -> Limits {
    Limits {
        daily: Some(build::amount(daily)),
        ..Limits::default()
    }
}

fn assert_missing<T: std::fmt::Debug>(answer: &Result<T, Error>, what: Missing) {
    assert!(
        matches!(answer, Err(Error::NotFound(missing)) if *missing == what),
        "{answer:?}"
    );
}

/// The codes of wrong fields.
fn codes<T: std::fmt::Debug>(answer: Result<T, Error>) -> Vec<String> {
    let Err(Error::Invalid(errors)) = answer else {
        panic!("{answer:?}");
    };
    errors.iter().map(|error| error.code.to_string()).collect()
}

/// The rule book has these rules.
fn ruled(mocks: &mut Mocks, rules: Rules) {
    mocks
        .rule_book
        .expect_rules()
        .times(1)
        .return_once(move || Ok(Arc::new(rules)));
}

fn nowhere(mocks: &mut Mocks, asset: AssetId) {
    mocks
        .directory
        .expect_find_asset()
        .with(eq(asset))
        .returning(|_| Ok(None));
}

#[tokio::test]
async fn only_an_admin_decides() {
    for grant in other_grants(&[Permission::Admin]) {
        let app = Mocks::new().app();
        let (kind, asset) = (Kind::Withdrawal, btc().id);
        for error in [
            app.put_fees(&grant, kind, asset, fees(), Expected::Anything)
                .await
                .unwrap_err(),
            app.put_limits(&grant, kind, None, NO_LIMITS, Expected::Anything)
                .await
                .unwrap_err(),
            app.stop(&grant, StopScope::ReadOnly, "why".to_owned())
                .await
                .unwrap_err(),
            app.lift_stop(&grant, StopScope::ReadOnly, Expected::Anything)
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(error, Error::Forbidden(Permission::Admin)));
        }
    }
}

#[tokio::test]
async fn only_an_admin_or_a_reader_reads() {
    for grant in other_grants(&READERS) {
        let app = Mocks::new().app();
        let (kind, asset) = (Kind::Withdrawal, btc().id);
        for error in [
            app.find_fees(&grant, kind, asset).await.unwrap_err(),
            app.find_limits(&grant, kind, None).await.unwrap_err(),
            app.user_headroom(&grant, ALICE).await.unwrap_err(),
            app.list_stops(&grant).await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::Forbidden(Permission::Admin)));
        }
    }
}

#[tokio::test]
async fn only_a_user_who_may_transfer_sees_its_own_limits() {
    for grant in other_grants(&[Permission::AllowTransfer]) {
        let error = Mocks::new().app().own_headroom(&grant).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden(Permission::AllowTransfer)));
    }
    let nobody = operator(Permission::AllowTransfer);
    let error = Mocks::new().app().own_headroom(&nobody).await.unwrap_err();
    assert!(matches!(error, Error::NoUser));
}

#[tokio::test]
async fn fees_are_written_in_smallest_units() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    mocks
        .rule_book
        .expect_put_fees()
        .with(
            eq(Kind::Internal),
            eq(btc().unit()),
            eq(schedule()),
            eq(Expected::Anything),
            eq(audited("fees.put", "fees:internal:btc")),
        )
        .times(1)
        .return_once(|_, _, _, _, _| Ok(PutRule::Written));
    let app = mocks.app();
    let put = app
        .put_fees(
            &admin(),
            Kind::Internal,
            btc().id,
            fees(),
            Expected::Anything,
        )
        .await;
    let expected = Fees {
        kind: Kind::Internal,
        asset: btc(),
        schedule: schedule(),
    };
    assert_eq!(put.unwrap(), expected);
}

#[tokio::test]
async fn everything_wrong_with_fees_is_told_at_once() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    let app = mocks.app();
    let wrong = NewFees {
        percent: decimal("100.1"),
        min: decimal("0.000000001"),
        max: Some(decimal("0.000000001")),
        absolute: decimal("0.000000001"),
    };
    let answer = app
        .put_fees(&admin(), Kind::Deposit, btc().id, wrong, Expected::Anything)
        .await;
    let expected = [
        "percent.invalid",
        "min.too_precise",
        "max.too_precise",
        "absolute.too_precise",
    ];
    assert_eq!(codes(answer), expected);
    let crossed = NewFees {
        min: decimal("2"),
        ..fees()
    };
    let answer = app
        .put_fees(
            &admin(),
            Kind::Deposit,
            btc().id,
            crossed,
            Expected::Anything,
        )
        .await;
    assert_eq!(codes(answer), ["max.below_min"]);
}

#[tokio::test]
async fn fees_are_shown_and_are_none_when_nobody_said() {
    for permission in READERS {
        let reader = operator(permission);
        for (rules, schedule) in [
            (
                Rules {
                    fees: [((Kind::Internal, btc().id), schedule())].into(),
                    ..Rules::default()
                },
                schedule(),
            ),
            (Rules::default(), FeeSchedule::default()),
        ] {
            let mut mocks = Mocks::new();
            mocks.has_asset(&btc());
            ruled(&mut mocks, rules);
            let app = mocks.app();
            let found = app.find_fees(&reader, Kind::Internal, btc().id).await;
            assert_eq!(found.unwrap().schedule, schedule);
        }
    }
}

#[tokio::test]
async fn limits_are_written_in_the_units_that_they_are_counted_in() {
    for (asset, counted_in, units, target) in [
        (Some(btc().id), btc(), 150_000_000, "limits:withdrawal:btc"),
        (None, usd(), 150, "limits:withdrawal"),
    ] {
        let mut mocks = Mocks::new();
        mocks.has_asset(&counted_in);
        mocks
            .rule_book
            .expect_put_limits()
            .with(
                eq(Kind::Withdrawal),
                eq(asset),
                eq(limits(units)),
                eq(counted_in.unit()),
                eq(Expected::Anything),
                eq(audited("limits.put", target)),
            )
            .times(1)
            .return_once(|_, _, _, _, _, _| Ok(PutRule::Written));
        let app = mocks.app();
        let put = app
            .put_limits(
                &admin(),
                Kind::Withdrawal,
                asset,
                daily("1.5"),
                Expected::Anything,
            )
            .await;
        let expected = KindLimits {
            kind: Kind::Withdrawal,
            asset,
            counted_in,
            limits: limits(units),
        };
        assert_eq!(put.unwrap(), expected);
    }
}

#[tokio::test]
async fn everything_wrong_with_limits_is_told_at_once() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&usd());
    let app = mocks.app();
    let tiny = Some(decimal("0.001"));
    let wrong = NewLimits {
        min_amount: tiny,
        max_amount: tiny,
        daily: tiny,
        monthly: tiny,
        approval_above: tiny,
    };
    let expected = [
        "min_amount.too_precise",
        "max_amount.too_precise",
        "daily.too_precise",
        "monthly.too_precise",
        "approval_above.too_precise",
    ];
    let answer = app
        .put_limits(&admin(), Kind::Withdrawal, None, wrong, Expected::Anything)
        .await;
    assert_eq!(codes(answer), expected);
    let crossed = NewLimits {
        min_amount: Some(decimal("2")),
        max_amount: Some(decimal("1")),
        ..NO_LIMITS
    };
    let answer = app
        .put_limits(
            &admin(),
            Kind::Withdrawal,
            None,
            crossed,
            Expected::Anything,
        )
        .await;
    assert_eq!(codes(answer), ["max_amount.below_min"]);
    let everything = NewLimits {
        monthly: Some(decimal("1")),
        approval_above: Some(decimal("1")),
        ..daily("1")
    };
    let answer = app
        .put_limits(
            &admin(),
            Kind::Deposit,
            None,
            everything,
            Expected::Anything,
        )
        .await;
    let expected = ["daily.not_for_deposits", "monthly.not_for_deposits"];
    assert_eq!(codes(answer), expected);
    let answer = app
        .put_limits(
            &admin(),
            Kind::Internal,
            None,
            everything,
            Expected::Anything,
        )
        .await;
    assert_eq!(codes(answer), ["approval_above.not_for_internal"]);
}

#[tokio::test]
async fn limits_are_shown_and_are_none_when_nobody_said() {
    for permission in READERS {
        let reader = operator(permission);
        for (rules, limits) in [
            (
                Rules {
                    limits: [((Kind::Withdrawal, None), limits(7))].into(),
                    ..Rules::default()
                },
                limits(7),
            ),
            (Rules::default(), Limits::default()),
        ] {
            let mut mocks = Mocks::new();
            mocks.has_asset(&usd());
            ruled(&mut mocks, rules);
            let app = mocks.app();
            let found = app.find_limits(&reader, Kind::Withdrawal, None).await;
            let found = found.unwrap();
            assert_eq!((found.counted_in, found.limits), (usd(), limits));
        }
    }
}

/// Whatever the root asset is by now.
#[tokio::test]
async fn limits_over_all_assets_are_shown_in_the_asset_that_they_were_set_in() {
    let eur = build::asset("eur", 4);
    let rescaled = build::asset("eur", 6).unit();
    for (limits, set_in, counted_in) in [
        (limits(7), Some(eur.unit()), &eur),
        (limits(7), Some(rescaled), &usd()),
        (limits(7), None, &usd()),
        (Limits::default(), Some(eur.unit()), &usd()),
    ] {
        let kind = Kind::Withdrawal;
        let mut mocks = Mocks::new();
        mocks.has_asset(&usd());
        mocks.has_asset(&eur);
        let rules = Rules {
            limits: [((kind, None), limits)].into(),
            root_units: set_in.map(|unit| (kind, unit)).into_iter().collect(),
            ..Rules::default()
        };
        ruled(&mut mocks, rules);
        let found = mocks.app().find_limits(&admin(), kind, None).await;
        let found = found.unwrap();
        assert_eq!((&found.counted_in, found.limits), (counted_in, limits));
    }
}

#[tokio::test]
async fn an_asset_that_nobody_knows_has_no_rules() {
    let mut mocks = Mocks::new();
    nowhere(&mut mocks, btc().id);
    let book = &mut mocks.rule_book;
    book.expect_rules().returning(|| Ok(Arc::default()));
    let app = mocks.app();
    let (kind, asset) = (Kind::Withdrawal, btc().id);
    let put = app
        .put_fees(&admin(), kind, asset, fees(), Expected::Anything)
        .await;
    assert_missing(&put, Missing::Asset);
    let found = app.find_fees(&admin(), kind, asset).await;
    assert_missing(&found, Missing::Asset);
    let put = app
        .put_limits(&admin(), kind, Some(asset), NO_LIMITS, Expected::Anything)
        .await;
    assert_missing(&put, Missing::Asset);
    let found = app.find_limits(&admin(), kind, Some(asset)).await;
    assert_missing(&found, Missing::Asset);
    let scope = StopScope::Outgoing(asset);
    let stopped = app.stop(&admin(), scope, "why".to_owned()).await;
    assert_missing(&stopped, Missing::Asset);
}

#[tokio::test]
async fn an_outage_of_the_rule_book_is_told() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    mocks.has_asset(&usd());
    mocks.has_user(build::user(ALICE));
    let book = &mut mocks.rule_book;
    book.expect_rules().returning(|| Err(unavailable()));
    book.expect_put_fees()
        .returning(|_, _, _, _, _| Err(unavailable()));
    book.expect_put_limits()
        .returning(|_, _, _, _, _, _| Err(unavailable()));
    book.expect_list_stops().returning(|| Err(unavailable()));
    book.expect_stop().returning(|_, _| Err(unavailable()));
    book.expect_lift().returning(|_, _, _| Err(unavailable()));
    let app = mocks.app();
    let (kind, asset) = (Kind::Withdrawal, btc().id);
    assert_unavailable(
        &app.put_fees(&admin(), kind, asset, fees(), Expected::Anything)
            .await,
    );
    assert_unavailable(&app.find_fees(&admin(), kind, asset).await);
    assert_unavailable(
        &app.put_limits(&admin(), kind, None, NO_LIMITS, Expected::Anything)
            .await,
    );
    assert_unavailable(&app.find_limits(&admin(), kind, None).await);
    assert_unavailable(&app.user_headroom(&admin(), ALICE).await);
    assert_unavailable(&app.list_stops(&admin()).await);
    let scope = StopScope::ReadOnly;
    assert_unavailable(&app.stop(&admin(), scope, "why".to_owned()).await);
    assert_unavailable(&app.lift_stop(&admin(), scope, Expected::Anything).await);
}

#[tokio::test]
async fn nothing_is_written_in_a_scale_that_the_asset_has_no_more() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    let book = &mut mocks.rule_book;
    book.expect_put_fees()
        .returning(|_, _, _, _, _| Ok(PutRule::OtherScale));
    book.expect_put_limits()
        .returning(|_, _, _, _, _, _| Ok(PutRule::OtherScale));
    let (app, admin, kind, btc) = (mocks.app(), admin(), Kind::Deposit, btc().id);
    let fees = app.put_fees(&admin, kind, btc, fees(), Expected::Anything);
    assert_unavailable(&fees.await);
    let limits = app.put_limits(&admin, kind, Some(btc), NO_LIMITS, Expected::Anything);
    assert_unavailable(&limits.await);
}

#[tokio::test]
async fn what_is_another_rule_by_now_is_not_overwritten() {
    let (was, none) = (
        Expected::Exactly(schedule()),
        Expected::Exactly(Limits::default()),
    );
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    mocks.has_asset(&usd());
    let book = &mut mocks.rule_book;
    book.expect_put_fees()
        .withf(move |_, _, _, expected, _| *expected == was)
        .returning(|_, _, _, _, _| Ok(PutRule::Overtaken));
    book.expect_put_limits()
        .withf(move |_, _, _, _, expected, _| *expected == none)
        .returning(|_, _, _, _, _, _| Ok(PutRule::Overtaken));
    let (app, admin) = (mocks.app(), admin());
    let fees = app.put_fees(&admin, Kind::Deposit, btc().id, fees(), was);
    assert!(matches!(fees.await, Err(Error::Overtaken)));
    let limits = app.put_limits(&admin, Kind::Deposit, None, NO_LIMITS, none);
    assert!(matches!(limits.await, Err(Error::Overtaken)));
}
