//! Who may see which internal transfer, and what of it.

use bursar_domain::{AccountKey, CodeSalt, Command, Reason, Transfer, UserId};
use bursar_ports::{AccountBalance, InternalFilter, Permission, StoreError};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::super::*;
use crate::{
    Error, Grant, Missing,
    test_support::{ALICE, BOB, Mocks, NOW, alice, btc, operator, other_grants, unavailable, usd},
};

/// Number 1, pending.
fn between(sender: UserId, recipient: UserId) -> Transfer {
    let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    build::internal(new, sender, recipient).next
}

fn succeeded(transfer: &Transfer) -> Transfer {
    build::step(transfer, &Command::Settle, NOW).next
}

fn rejected(transfer: &Transfer) -> Transfer {
    let command = build::fail(Reason::BalanceInsufficient);
    build::step(transfer, &command, NOW).next
}

fn viewer() -> Grant {
    alice(Permission::AllowTransfer)
}

/// Alice looks for a transfer by the code that it has.
async fn seen(transfer: &Transfer) -> Result<InternalView, Error> {
    let mut mocks = Mocks::new();
    mocks.finds(transfer, 1);
    let app = mocks.app();
    let code = app.code_of(transfer).unwrap();
    app.find_internal(&viewer(), &code).await
}

fn filter() -> InternalFilter {
    InternalFilter {
        user: BOB,
        status: Some(bursar_domain::Status::Success),
        asset: Some(btc().id),
        custom_id: Some("my-1".to_owned()),
        from: Some(NOW),
        to: Some(NOW.tick()),
        limit: 7,
        offset: 3,
    }
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&[Permission::AllowTransfer]) {
        let app = Mocks::new().app();
        let found = app.find_internal(&grant, "TRF").await;
        let wanted = Permission::AllowTransfer;
        assert!(matches!(found, Err(Error::Forbidden(missing)) if missing == wanted));
        let listed = app.list_internal(&grant, filter()).await;
        assert!(matches!(listed, Err(Error::Forbidden(missing)) if missing == wanted));
    }
    for grant in other_grants(&[Permission::AllowBalance]) {
        let balances = Mocks::new().app().own_balances(&grant).await;
        assert!(matches!(
            balances,
            Err(Error::Forbidden(Permission::AllowBalance))
        ));
    }
}

#[tokio::test]
async fn a_credential_without_a_user_sees_nobody_s_money() {
    let app = Mocks::new().app();
    let grant = operator(Permission::AllowTransfer);
    let found = app.find_internal(&grant, "TRF").await;
    assert!(matches!(found, Err(Error::NoUser)));
    let listed = app.list_internal(&grant, filter()).await;
    assert!(matches!(listed, Err(Error::NoUser)));
    let balances = app.own_balances(&operator(Permission::AllowBalance)).await;
    assert!(matches!(balances, Err(Error::NoUser)));
}

#[tokio::test]
async fn the_sender_sees_its_transfer_wherever_it_stands() {
    let pending = between(ALICE, BOB);
    for transfer in [pending.clone(), succeeded(&pending), rejected(&pending)] {
        let view = seen(&transfer).await.unwrap();
        assert!(view.seen_by_sender);
        assert_eq!(view.transfer, transfer);
        assert!(view.code.starts_with("TRF"));
    }
}

#[tokio::test]
async fn the_recipient_sees_a_transfer_once_it_has_the_money() {
    let pending = between(BOB, ALICE);
    let view = seen(&succeeded(&pending)).await.unwrap();
    assert!(!view.seen_by_sender, "no custom_id, no callback_url");
    for transfer in [rejected(&pending), pending] {
        let view = seen(&transfer).await;
        assert!(matches!(view, Err(Error::NotFound(Missing::Transfer))));
    }
}

#[tokio::test]
async fn others_see_nothing() {
    let others = between(BOB, build::user_id(0xc));
    for transfer in [succeeded(&others), others] {
        let view = seen(&transfer).await;
        assert!(matches!(view, Err(Error::NotFound(Missing::Transfer))));
    }
}

#[tokio::test]
async fn a_code_that_names_nothing_is_not_found_without_a_look() {
    for code in ["", "TRF", "TRF123456", "1"] {
        let view = Mocks::new().app().find_internal(&viewer(), code).await;
        assert!(matches!(view, Err(Error::NotFound(Missing::Transfer))));
    }
}

#[tokio::test]
async fn a_code_with_the_right_id_and_another_salt_is_not_found() {
    let transfer = between(ALICE, BOB);
    let mut mocks = Mocks::new();
    mocks.finds(&transfer, 1);
    let app = mocks.app();
    let guessed = app
        .keyring
        .transfer_code(transfer.id(), &CodeSalt::new([0xee; 10]));
    assert_ne!(Some(&guessed), app.code_of(&transfer).as_ref());
    let view = app.find_internal(&viewer(), &guessed).await;
    assert!(matches!(view, Err(Error::NotFound(Missing::Transfer))));
}

#[tokio::test]
async fn a_code_of_no_transfer_or_of_another_kind_is_not_found() {
    let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    for stored in [None, Some(build::deposit(new, ALICE).next)] {
        let mut mocks = Mocks::new();
        mocks
            .store
            .expect_find()
            .with(eq(build::transfer_id(1)))
            .times(1)
            .return_once(move |_| Ok(stored));
        let app = mocks.app();
        let code = app.code_of(&between(ALICE, BOB)).unwrap();
        let view = app.find_internal(&viewer(), &code).await;
        assert!(matches!(view, Err(Error::NotFound(Missing::Transfer))));
    }
}

#[tokio::test]
async fn the_list_is_the_caller_s_whatever_the_filter_says() {
    let (sent, received) = (between(ALICE, BOB), succeeded(&between(BOB, ALICE)));
    let rows = vec![sent.clone(), received.clone()];
    let mut mocks = Mocks::new();
    mocks
        .query
        .expect_list_internal()
        .with(eq(InternalFilter {
            user: ALICE,
            ..filter()
        }))
        .times(1)
        .return_once(|_| Ok(rows));
    let listed = mocks.app().list_internal(&viewer(), filter()).await;
    let listed = listed.unwrap();
    assert_eq!(listed[0].transfer, sent);
    assert!(listed[0].seen_by_sender);
    assert_eq!(listed[1].transfer, received);
    assert!(!listed[1].seen_by_sender);
}

#[tokio::test]
async fn a_list_with_another_kind_in_it_is_an_internal_error() {
    let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    let rows = vec![build::deposit(new, ALICE).next];
    let mut mocks = Mocks::new();
    mocks.query.expect_list_internal().return_once(|_| Ok(rows));
    let listed = mocks.app().list_internal(&viewer(), filter()).await;
    assert!(matches!(listed, Err(Error::Internal(_))));
}

#[tokio::test]
async fn a_store_that_cannot_answer_is_an_error() {
    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_find()
        .times(1)
        .return_once(|_| Err(unavailable()));
    mocks
        .query
        .expect_list_internal()
        .times(1)
        .return_once(|_| Err(unavailable()));
    mocks
        .query
        .expect_list_user_balances()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let app = mocks.app();
    let code = app.code_of(&between(ALICE, BOB)).unwrap();
    let found = app.find_internal(&viewer(), &code).await;
    assert!(matches!(
        found,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
    let listed = app.list_internal(&viewer(), filter()).await;
    assert!(matches!(
        listed,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
    let balances = app.own_balances(&alice(Permission::AllowBalance)).await;
    assert!(matches!(
        balances,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}

fn account(asset: &Asset, available: i128, held: i128, updated_at: Timestamp) -> AccountBalance {
    AccountBalance {
        account: AccountKey::user(ALICE, asset.id),
        available,
        held,
        updated_at,
    }
}

/// Alice's balances when the store has these accounts and the directory these assets.
async fn balances(
    accounts: Vec<AccountBalance>,
    assets: Result<Vec<Asset>, StoreError>,
) -> Result<Vec<UserBalance>, Error> {
    let mut mocks = Mocks::new();
    mocks
        .query
        .expect_list_user_balances()
        .with(eq(ALICE))
        .times(1)
        .return_once(|_| Ok(accounts));
    mocks
        .directory
        .expect_list_assets()
        .times(1)
        .return_once(|| assets);
    let grant = alice(Permission::AllowBalance);
    mocks.app().own_balances(&grant).await
}

#[tokio::test]
async fn every_asset_is_shown_also_those_that_the_user_has_nothing_of() {
    let eth = build::asset("eth", 18);
    let accounts = vec![
        account(&usd(), 150, 50, NOW),
        account(&eth, 0, 0, Timestamp::EPOCH),
    ];
    let assets = vec![btc(), eth.clone(), usd()];
    let shown = balances(accounts, Ok(assets)).await.unwrap();
    let nothing = |asset: Asset| UserBalance {
        asset,
        available: Amount::ZERO,
        held: Amount::ZERO,
        updated_at: None,
    };
    let some = UserBalance {
        asset: usd(),
        available: build::amount(150),
        held: build::amount(50),
        updated_at: Some(NOW),
    };
    assert_eq!(shown, [nothing(btc()), nothing(eth), some]);
}

/// Another replica has just made it, and the list is some seconds old.
#[tokio::test]
async fn a_balance_of_an_asset_that_the_list_does_not_have_yet_is_shown_in_its_place() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    mocks
        .directory
        .expect_list_assets()
        .times(1)
        .return_once(|| Ok(vec![usd()]));
    let of_usd = account(&usd(), 1, 0, NOW);
    let accounts = vec![of_usd, account(&btc(), 150, 50, NOW)];
    mocks
        .query
        .expect_list_user_balances()
        .return_once(|_| Ok(accounts));
    let grant = alice(Permission::AllowBalance);
    let shown = mocks.app().own_balances(&grant).await.unwrap();
    let some = |asset, available, held| UserBalance {
        asset,
        available: build::amount(available),
        held: build::amount(held),
        updated_at: Some(NOW),
    };
    assert_eq!(shown, [some(btc(), 150, 50), some(usd(), 1, 0)]);
}

#[tokio::test]
async fn the_assets_that_the_list_does_not_have_yet_may_be_out_of_reach() {
    let mut mocks = Mocks::new();
    let directory = &mut mocks.directory;
    directory.expect_list_assets().returning(|| Ok(vec![]));
    directory
        .expect_find_assets()
        .returning(|_| Err(unavailable()));
    mocks
        .query
        .expect_list_user_balances()
        .return_once(|_| Ok(vec![account(&btc(), 1, 0, NOW)]));
    let grant = alice(Permission::AllowBalance);
    let shown = mocks.app().own_balances(&grant).await;
    assert!(matches!(
        shown,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}

#[tokio::test]
async fn a_balance_that_cannot_be_is_an_internal_error() {
    let over = Amount::MAX.units() + 1;
    for (available, held) in [(-1, 0), (0, -1), (over, 0), (0, over)] {
        let accounts = vec![account(&btc(), available, held, NOW)];
        let shown = balances(accounts, Ok(vec![btc()])).await;
        assert!(matches!(shown, Err(Error::Internal(_))));
    }
}

#[tokio::test]
async fn a_directory_that_cannot_list_assets_is_an_error() {
    let shown = balances(vec![], Err(unavailable())).await;
    assert!(matches!(
        shown,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}
