use std::sync::Arc;

use bursar_domain::{AccountKey, Amount, Kind, Limits, Rules, Timestamp, UserStatus};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::test_support::{
    ALICE, BOB, Mocks, assert_unavailable, audited, btc, operator, other_grants, rated,
    unavailable, usd,
};

fn admin() -> Grant {
    operator(Permission::Admin)
}

#[tokio::test]
async fn only_an_admin_writes() {
    for grant in other_grants(&[Permission::Admin]) {
        let app = Mocks::new().app();
        for error in [
            app.put_asset(&grant, btc(), Expected::Anything)
                .await
                .unwrap_err(),
            app.put_user(&grant, build::user(ALICE)).await.unwrap_err(),
            app.put_rate(&grant, btc().id, 2.into(), None, Expected::Anything)
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
        for error in [
            app.find_asset(&grant, btc().id).await.unwrap_err(),
            app.list_assets(&grant).await.unwrap_err(),
            app.find_user(&grant, ALICE).await.unwrap_err(),
            app.list_users(&grant, None, None, 10).await.unwrap_err(),
            app.find_rate(&grant, btc().id).await.unwrap_err(),
            app.list_user_balances(&grant, ALICE).await.unwrap_err(),
            app.list_system_balances(&grant).await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::Forbidden(Permission::Admin)));
        }
    }
}

#[tokio::test]
async fn an_asset_is_written_unless_its_scale_is_in_use_or_it_is_another_one_by_now() {
    let was = Expected::Exactly(Some(btc()));
    for outcome in [PutAsset::Written, PutAsset::ScaleInUse, PutAsset::Overtaken] {
        let answered = outcome.clone();
        let mut mocks = Mocks::new();
        mocks
            .directory
            .expect_put_asset()
            .with(
                eq(btc()),
                eq(was.clone()),
                eq(audited("asset.put", "asset:btc")),
            )
            .times(1)
            .return_once(|_, _, _| Ok(answered));
        let app = mocks.app();
        let answer = app.put_asset(&admin(), btc(), was.clone()).await;
        match outcome {
            PutAsset::Written => assert_eq!(answer.unwrap(), btc()),
            PutAsset::ScaleInUse => assert!(matches!(answer, Err(Error::ScaleInUse))),
            PutAsset::Overtaken => assert!(matches!(answer, Err(Error::Overtaken))),
        }
    }
}

/// Limits over all assets stand in the root asset's smallest units.
#[tokio::test]
async fn the_root_assets_scale_is_in_use_while_there_are_limits_over_all_assets() {
    let daily = Limits {
        daily: Amount::try_from_units(100).ok(),
        ..Limits::default()
    };
    for (limits, scale, is_refused) in [
        (daily, 6, true),
        (daily, 2, false),
        (Limits::default(), 6, false),
    ] {
        let mut mocks = Mocks::new();
        let rules = Rules {
            limits: [((Kind::Internal, None), limits)].into(),
            ..Rules::default()
        };
        mocks
            .rule_book
            .expect_rules()
            .return_once(|| Ok(Arc::new(rules)));
        mocks
            .directory
            .expect_find_asset()
            .returning(|_| Ok(Some(usd())));
        mocks
            .directory
            .expect_put_asset()
            .times(usize::from(!is_refused))
            .returning(|_, _, _| Ok(PutAsset::Written));
        let asset = build::asset("usd", scale);
        let answer = mocks.app();
        let answer = answer.put_asset(&admin(), asset, Expected::Anything).await;
        assert_eq!(
            matches!(answer, Err(Error::ScaleInUse)),
            is_refused,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn assets_and_users_are_found_or_not() {
    for permission in READERS {
        let reader = operator(permission);
        let mut mocks = Mocks::new();
        mocks.has_asset(&btc());
        mocks.has_user(build::user(ALICE));
        mocks
            .directory
            .expect_find_asset()
            .with(eq(usd().id))
            .times(1)
            .return_once(|_| Ok(None));
        mocks.knows_no_user(BOB);
        let app = mocks.app();
        assert_eq!(app.find_asset(&reader, btc().id).await.unwrap(), btc());
        let missing = app.find_asset(&reader, usd().id).await;
        assert!(matches!(missing, Err(Error::NotFound(Missing::Asset))));
        let found = app.find_user(&reader, ALICE).await.unwrap();
        assert_eq!(found, build::user(ALICE));
        let missing = app.find_user(&reader, BOB).await;
        assert!(matches!(missing, Err(Error::NotFound(Missing::User))));
    }
}

#[tokio::test]
async fn lists_are_the_directory_s() {
    let page = || UserPage {
        users: vec![build::user(BOB)],
        more: true,
    };
    for permission in READERS {
        let mut mocks = Mocks::new();
        mocks
            .directory
            .expect_list_assets()
            .times(1)
            .return_once(|| Ok(vec![btc(), usd()]));
        mocks
            .directory
            .expect_list_users()
            .with(eq(Some("bob".to_owned())), eq(Some(ALICE)), eq(7))
            .times(1)
            .return_once(move |_, _, _| Ok(page()));
        let app = mocks.app();
        let reader = operator(permission);
        assert_eq!(app.list_assets(&reader).await.unwrap(), [btc(), usd()]);
        let search = Some("bob".to_owned());
        let listed = app.list_users(&reader, search, Some(ALICE), 7).await;
        assert_eq!(listed.unwrap(), page());
    }
}

#[tokio::test]
async fn whoever_is_found_by_an_id_is_on_the_page_behind_the_ids_before() {
    for (after, is_there) in [
        (None, true),
        (Some(UserId::new(Uuid::nil())), true),
        (Some(ALICE), false),
        (Some(UserId::new(Uuid::max())), false),
    ] {
        let mut mocks = Mocks::new();
        mocks.has_user(build::user(ALICE));
        let reader = operator(Permission::BackofficeRead);
        let search = Some(ALICE.to_string());
        let listed = mocks.app().list_users(&reader, search, after, 7).await;
        let listed = listed.unwrap();
        assert_eq!(
            (listed.users.len(), listed.more),
            (usize::from(is_there), false)
        );
    }
}

#[tokio::test]
async fn a_user_is_written_unless_its_name_or_address_is_taken() {
    for outcome in [
        PutUser::Written,
        PutUser::UsernameTaken,
        PutUser::EmailTaken,
    ] {
        let mut mocks = Mocks::new();
        let told = outcome.clone();
        let audit = audited("user.put", &format!("user:{ALICE}"));
        mocks
            .directory
            .expect_put_user()
            .with(eq(build::user(ALICE)), eq(audit))
            .times(1)
            .return_once(|_, _| Ok(told));
        let answer = mocks.app().put_user(&admin(), build::user(ALICE)).await;
        match outcome {
            PutUser::Written => assert_eq!(answer.unwrap(), build::user(ALICE)),
            PutUser::UsernameTaken => assert!(matches!(answer, Err(Error::UsernameTaken))),
            PutUser::EmailTaken => assert!(matches!(answer, Err(Error::EmailTaken))),
        }
    }
}

/// The fields and codes that writing a user is refused for, with nothing written.
async fn wrong_fields(user: User) -> Vec<(String, String)> {
    let answer = Mocks::new().app().put_user(&admin(), user).await;
    let Err(Error::Invalid(fields)) = answer else {
        panic!("{answer:?}");
    };
    assert!(fields.iter().all(|field| !field.detail.is_empty()));
    fields
        .into_iter()
        .map(|field| (field.field, field.code.into_owned()))
        .collect()
}

#[tokio::test]
async fn a_user_s_wrong_field_is_named() {
    let user = || build::user(ALICE);
    for (user, field, code) in [
        (
            User {
                username: "a@b".to_owned(),
                ..user()
            },
            "username",
            "username.invalid",
        ),
        (
            User {
                username: BOB.to_string(),
                ..user()
            },
            "username",
            "username.is_id",
        ),
        (
            User {
                email: "nowhere".to_owned(),
                ..user()
            },
            "email",
            "email.invalid",
        ),
        (
            User {
                roles: vec![String::new()],
                ..user()
            },
            "roles",
            "roles.invalid",
        ),
    ] {
        assert_eq!(
            wrong_fields(user).await,
            [(field.to_owned(), code.to_owned())]
        );
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_user_is_named() {
    let user = User {
        id: ALICE,
        username: String::new(),
        email: "nowhere".to_owned(),
        roles: vec![String::new()],
        status: UserStatus::Active,
    };
    let fields = wrong_fields(user).await;
    let names: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(names, ["username", "email", "roles"]);
}

/// Bitcoin and, if given, the root asset exist.
fn with_assets(root: Option<Asset>) -> Mocks {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    mocks
        .directory
        .expect_find_asset()
        .with(eq(usd().id))
        .returning(move |_| Ok(root.clone()));
    mocks
}

#[tokio::test]
async fn a_rate_is_found_once_somebody_said_it() {
    // Also before the root asset itself exists.
    for root in [Some(usd()), None] {
        let mut mocks = with_assets(root);
        mocks
            .directory
            .expect_find_rate()
            .with(eq(btc().id))
            .times(1)
            .return_once(|_| Ok(Some(rated(60_000))));
        let rate = mocks.app().find_rate(&admin(), btc().id).await.unwrap();
        assert_eq!(rate, rated(60_000));
    }
    let mut mocks = with_assets(Some(usd()));
    mocks
        .directory
        .expect_find_rate()
        .times(1)
        .return_once(|_| Ok(None));
    let rate = mocks.app().find_rate(&admin(), btc().id).await;
    assert!(matches!(rate, Err(Error::NotFound(Missing::Rate))));
}

#[tokio::test]
async fn the_root_asset_is_worth_itself_and_an_unknown_asset_nothing() {
    let app = with_assets(Some(usd())).app();
    let rate = app.find_rate(&admin(), usd().id).await.unwrap();
    assert_eq!(rate.rate, BigDecimal::from(1));
    let app = with_assets(None).app();
    for rate in [
        app.find_rate(&admin(), usd().id).await,
        app.put_rate(&admin(), usd().id, 1.into(), None, Expected::Anything)
            .await,
    ] {
        assert!(matches!(rate, Err(Error::NotFound(Missing::Asset))));
    }
}

#[tokio::test]
async fn a_positive_rate_is_written() {
    for (asset, rate, source) in [(btc(), 60_000, Some("feed")), (usd(), 1, None)] {
        let mut mocks = with_assets(Some(usd()));
        let audit = audited("rate.put", &format!("rate:{}", asset.id));
        mocks
            .directory
            .expect_put_rate()
            .with(
                eq(asset.id),
                eq(BigDecimal::from(rate)),
                eq(source.unwrap_or("credential-1").to_owned()),
                eq(Expected::Anything),
                eq(audit),
            )
            .times(1)
            .return_once(|_, rate, _, _, _| Ok(PutRate::Written(rated(rate))));
        let app = mocks.app();
        let source = source.map(str::to_owned);
        let written = app
            .put_rate(&admin(), asset.id, rate.into(), source, Expected::Anything)
            .await;
        assert_eq!(written.unwrap(), rated(rate));
    }
}

#[tokio::test]
async fn a_rate_that_makes_no_sense_is_not_written() {
    for (asset, rate) in [(btc(), 0), (btc(), -1), (usd(), 2), (usd(), 0)] {
        let app = with_assets(Some(usd())).app();
        let answer = app
            .put_rate(&admin(), asset.id, rate.into(), None, Expected::Anything)
            .await;
        let Err(Error::Invalid(fields)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(fields.len(), 1);
        assert_eq!(fields[0].field, "rate");
        assert_eq!(fields[0].code, "rate.invalid");
    }
}

#[tokio::test]
async fn the_balances_of_a_known_user_are_shown() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks
        .query
        .expect_list_user_balances()
        .with(eq(ALICE))
        .times(1)
        .return_once(|_| Ok(vec![]));
    mocks
        .directory
        .expect_list_assets()
        .times(1)
        .return_once(|| Ok(vec![btc()]));
    let grant = operator(Permission::BackofficeRead);
    let shown = mocks.app().list_user_balances(&grant, ALICE).await;
    let nothing = UserBalance {
        asset: btc(),
        available: Amount::ZERO,
        held: Amount::ZERO,
        updated_at: None,
    };
    assert_eq!(shown.unwrap(), [nothing]);
}

#[tokio::test]
async fn an_unknown_user_has_no_balances() {
    let mut mocks = Mocks::new();
    mocks.knows_no_user(ALICE);
    let shown = mocks.app().list_user_balances(&admin(), ALICE).await;
    assert!(matches!(shown, Err(Error::NotFound(Missing::User))));
}

fn world(asset: &Asset) -> AccountBalance {
    AccountBalance {
        account: AccountKey::world(asset.id),
        available: -7,
        held: 0,
        updated_at: Timestamp::EPOCH,
    }
}

#[tokio::test]
async fn system_accounts_are_shown_with_their_assets_also_below_zero() {
    let balances = vec![world(&usd()), world(&btc())];
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_list_assets()
        .return_once(|| Ok(vec![btc(), usd()]));
    mocks
        .query
        .expect_list_system_balances()
        .times(1)
        .return_once(|| Ok(balances));
    let grant = operator(Permission::BackofficeRead);
    let shown = mocks.app().list_system_balances(&grant).await.unwrap();
    assert_eq!(shown, [(world(&usd()), usd()), (world(&btc()), btc())]);
}

/// The world has dollars, and the list has bitcoin alone.
fn with_dollars_unlisted() -> Mocks {
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_list_assets()
        .return_once(|| Ok(vec![btc()]));
    mocks
        .query
        .expect_list_system_balances()
        .return_once(|| Ok(vec![world(&usd())]));
    mocks
}

#[tokio::test]
async fn an_account_of_no_known_asset_is_an_internal_error() {
    let mut mocks = with_dollars_unlisted();
    mocks
        .directory
        .expect_find_assets()
        .return_once(|_| Ok(vec![]));
    let shown = mocks.app().list_system_balances(&admin()).await;
    assert!(matches!(shown, Err(Error::Internal(_))));
}

/// Another replica has just made it, and the list is some seconds old.
#[tokio::test]
async fn a_system_account_of_an_asset_that_the_list_does_not_have_yet_is_shown() {
    let mut mocks = with_dollars_unlisted();
    mocks.has_asset(&usd());
    let shown = mocks.app().list_system_balances(&admin()).await.unwrap();
    assert_eq!(shown, [(world(&usd()), usd())]);
}

#[tokio::test]
async fn a_directory_that_cannot_answer_is_an_error() {
    let mut mocks = Mocks::new();
    let directory = &mut mocks.directory;
    directory
        .expect_put_asset()
        .returning(|_, _, _| Err(unavailable()));
    directory
        .expect_put_user()
        .returning(|_, _| Err(unavailable()));
    directory
        .expect_find_asset()
        .returning(|_| Err(unavailable()));
    directory
        .expect_list_assets()
        .returning(|| Err(unavailable()));
    directory
        .expect_find_user()
        .returning(|_| Err(unavailable()));
    directory
        .expect_list_users()
        .returning(|_, _, _| Err(unavailable()));
    mocks
        .query
        .expect_list_system_balances()
        .returning(|| Ok(vec![]));
    let app = mocks.app();
    let grant = admin();
    assert_unavailable(&app.put_asset(&grant, btc(), Expected::Anything).await);
    assert_unavailable(&app.put_user(&grant, build::user(ALICE)).await);
    assert_unavailable(&app.find_asset(&grant, btc().id).await);
    assert_unavailable(&app.list_assets(&grant).await);
    assert_unavailable(&app.find_user(&grant, ALICE).await);
    assert_unavailable(&app.list_users(&grant, None, None, 1).await);
    assert_unavailable(&app.find_rate(&grant, btc().id).await);
    assert_unavailable(
        &app.put_rate(&grant, btc().id, 2.into(), None, Expected::Anything)
            .await,
    );
    assert_unavailable(&app.list_user_balances(&grant, ALICE).await);
    assert_unavailable(&app.list_system_balances(&grant).await);
}

#[tokio::test]
async fn rates_and_balances_that_cannot_be_had_are_an_error() {
    let mut mocks = with_assets(Some(usd()));
    mocks.has_user(build::user(ALICE));
    mocks
        .directory
        .expect_find_rate()
        .returning(|_| Err(unavailable()));
    mocks
        .directory
        .expect_put_rate()
        .returning(|_, _, _, _, _| Err(unavailable()));
    mocks
        .directory
        .expect_list_assets()
        .returning(|| Ok(vec![btc()]));
    mocks
        .query
        .expect_list_user_balances()
        .returning(|_| Err(unavailable()));
    mocks
        .query
        .expect_list_system_balances()
        .returning(|| Err(unavailable()));
    let app = mocks.app();
    let grant = admin();
    assert_unavailable(&app.find_rate(&grant, btc().id).await);
    assert_unavailable(
        &app.put_rate(&grant, btc().id, 2.into(), None, Expected::Anything)
            .await,
    );
    assert_unavailable(&app.list_user_balances(&grant, ALICE).await);
    assert_unavailable(&app.list_system_balances(&grant).await);
}
