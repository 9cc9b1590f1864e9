use bursar_domain::{AccountKey, Amount, CodeSalt, Kind};
use bursar_ports::{LedgerLine, Permission, Statement};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::test_support::{ALICE, Mocks, NOW, btc, operator, other_grants, unavailable, usd};

fn reader() -> Grant {
    operator(Permission::BackofficeRead)
}

fn filter() -> StatementFilter {
    StatementFilter {
        user: ALICE,
        asset: None,
        from: None,
        to: Some(NOW),
        after: None,
        limit: 3,
    }
}

fn record(salt: Option<CodeSalt>) -> LedgerRecord {
    LedgerRecord {
        line: LedgerLine {
            account: AccountKey::user(ALICE, btc().id),
            seq: 1,
            transfer: build::transfer_id(7),
            available_delta: -5,
            held_delta: 5,
            available_after: 0,
            held_after: 5,
            at: NOW,
        },
        scale: btc().scale,
        kind: Kind::Internal,
        salt,
    }
}

fn account(asset: &Asset) -> StatementAccount {
    StatementAccount {
        asset: asset.id,
        opening: Holding {
            available: 5,
            held: 0,
        },
        closing: Holding {
            available: 0,
            held: 5,
        },
        lines: 1,
    }
}

fn balance(account: AccountKey) -> AccountBalance {
    AccountBalance {
        account,
        available: 5,
        held: 1,
        updated_at: NOW,
    }
}

/// Alice, two assets, and this page.
fn with_page(mocks: &mut Mocks, filter: &StatementFilter, page: Statement) {
    mocks.has_user(build::user(ALICE));
    mocks.has_asset(&btc());
    let directory = &mut mocks.directory;
    directory
        .expect_list_assets()
        .returning(|| Ok(vec![btc(), usd()]));
    mocks
        .query
        .expect_read_statement()
        .with(eq(filter.clone()))
        .times(1)
        .return_once(|_| Ok(page));
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let app = Mocks::new().app();
        let forbidden = |error| matches!(error, Error::Forbidden(Permission::Admin));
        assert!(forbidden(
            app.read_statement(&grant, filter()).await.unwrap_err()
        ));
        let of_user = app.list_user_balances_at(&grant, ALICE, NOW).await;
        assert!(forbidden(of_user.unwrap_err()));
        let of_system = app.list_system_balances_at(&grant, NOW).await;
        assert!(forbidden(of_system.unwrap_err()));
    }
}

#[tokio::test]
async fn a_statement_has_its_accounts_with_their_assets_and_its_lines_with_their_codes() {
    let salt = CodeSalt::new([3; 10]);
    let next = StatementPlace {
        asset: btc().id,
        seq: 2,
        last: 9,
    };
    for permission in READERS {
        let page = Statement {
            accounts: vec![account(&btc()), account(&usd())],
            lines: vec![record(None), record(Some(salt))],
            next: Some(next),
        };
        let mut mocks = Mocks::new();
        with_page(&mut mocks, &filter(), page);
        let app = mocks.app();
        let read = app.read_statement(&operator(permission), filter()).await;
        let code = app.keyring.transfer_code(build::transfer_id(7), &salt);
        let coded = |salt, code| CodedLine {
            record: record(salt),
            code,
        };
        let expected = UserStatement {
            accounts: vec![(account(&btc()), btc()), (account(&usd()), usd())],
            lines: vec![coded(None, None), coded(Some(salt), Some(code))],
            next: Some(next),
        };
        assert_eq!(read.unwrap(), expected);
    }
}

#[tokio::test]
async fn an_account_that_nothing_touched_has_a_statement_too() {
    let of_btc = StatementFilter {
        asset: Some(btc().id),
        ..filter()
    };
    let mut mocks = Mocks::new();
    with_page(&mut mocks, &of_btc, Statement::default());
    let read = mocks.app().read_statement(&reader(), of_btc).await.unwrap();
    let untouched = StatementAccount {
        opening: Holding::default(),
        closing: Holding::default(),
        lines: 0,
        ..account(&btc())
    };
    assert_eq!(read.accounts, [(untouched, btc())]);
    // Of all assets, nothing is said about those that were never touched.
    let mut mocks = Mocks::new();
    with_page(&mut mocks, &filter(), Statement::default());
    let read = mocks.app().read_statement(&reader(), filter()).await;
    assert_eq!(read.unwrap(), UserStatement::default());
}

#[tokio::test]
async fn whoever_or_whatever_does_not_exist_has_no_statement() {
    let mut mocks = Mocks::new();
    mocks.directory.expect_find_user().returning(|_| Ok(None));
    let app = mocks.app();
    let unknown = app.read_statement(&reader(), filter()).await;
    assert!(matches!(unknown, Err(Error::NotFound(Missing::User))));
    let unknown = app.list_user_balances_at(&reader(), ALICE, NOW).await;
    assert!(matches!(unknown, Err(Error::NotFound(Missing::User))));
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks.directory.expect_find_asset().returning(|_| Ok(None));
    let of_btc = StatementFilter {
        asset: Some(btc().id),
        ..filter()
    };
    let unknown = mocks.app().read_statement(&reader(), of_btc).await;
    assert!(matches!(unknown, Err(Error::NotFound(Missing::Asset))));
}

#[tokio::test]
async fn balances_of_the_past_are_shown_as_those_of_now() {
    let owner = LedgerOwner::User(ALICE);
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks
        .directory
        .expect_list_assets()
        .returning(|| Ok(vec![btc(), usd()]));
    mocks
        .query
        .expect_list_balances_at()
        .with(eq(owner), eq(NOW))
        .times(1)
        .return_once(|_, _| Ok(vec![balance(AccountKey::user(ALICE, btc().id))]));
    mocks
        .query
        .expect_list_balances_at()
        .with(eq(LedgerOwner::System), eq(NOW))
        .times(1)
        .return_once(|_, _| Ok(vec![balance(AccountKey::world(usd().id))]));
    let app = mocks.app();
    let own = app.list_user_balances_at(&reader(), ALICE, NOW).await;
    let amount = |units| Amount::try_from_units(units).unwrap();
    let of = |asset, available, held, updated_at| UserBalance {
        asset,
        available: amount(available),
        held: amount(held),
        updated_at,
    };
    // Also what it had nothing of.
    assert_eq!(
        own.unwrap(),
        [of(btc(), 5, 1, Some(NOW)), of(usd(), 0, 0, None)]
    );
    let system = app.list_system_balances_at(&reader(), NOW).await;
    let world = balance(AccountKey::world(usd().id));
    assert_eq!(system.unwrap(), [(world, usd())]);
}

/// Another replica has just made them, and the list is some seconds old.
#[tokio::test]
async fn accounts_of_assets_that_the_list_does_not_have_yet_are_shown() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks.has_asset(&btc());
    mocks.has_asset(&usd());
    mocks
        .directory
        .expect_list_assets()
        .returning(|| Ok(vec![]));
    let page = Statement {
        accounts: vec![account(&btc())],
        ..Statement::default()
    };
    mocks
        .query
        .expect_read_statement()
        .return_once(|_| Ok(page));
    let system = [AccountKey::fees(usd().id), AccountKey::world(usd().id)].map(balance);
    let expected = system.clone().map(|balance| (balance, usd()));
    mocks
        .query
        .expect_list_balances_at()
        .with(eq(LedgerOwner::System), eq(NOW))
        .return_once(|_, _| Ok(Vec::from(system)));
    let app = mocks.app();
    let read = app.read_statement(&reader(), filter()).await.unwrap();
    assert_eq!(read.accounts, [(account(&btc()), btc())]);
    // Each is looked for once, however many accounts are of it.
    let system = app.list_system_balances_at(&reader(), NOW).await.unwrap();
    assert_eq!(system, expected);
}

#[tokio::test]
async fn an_account_of_no_known_asset_is_an_internal_error() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    let directory = &mut mocks.directory;
    directory.expect_list_assets().returning(|| Ok(vec![]));
    directory.expect_find_assets().returning(|_| Ok(vec![]));
    let page = Statement {
        accounts: vec![account(&btc())],
        ..Statement::default()
    };
    mocks
        .query
        .expect_read_statement()
        .return_once(|_| Ok(page));
    mocks
        .query
        .expect_list_balances_at()
        .returning(|_, _| Ok(vec![balance(AccountKey::world(usd().id))]));
    let app = mocks.app();
    let read = app.read_statement(&reader(), filter()).await;
    assert!(matches!(read, Err(Error::Internal(_))));
    let system = app.list_system_balances_at(&reader(), NOW).await;
    assert!(matches!(system, Err(Error::Internal(_))));
}

#[tokio::test]
async fn what_cannot_be_had_is_an_error() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks
        .directory
        .expect_list_assets()
        .returning(|| Ok(vec![]));
    mocks
        .query
        .expect_read_statement()
        .returning(|_| Err(unavailable()));
    mocks
        .query
        .expect_list_balances_at()
        .returning(|_, _| Err(unavailable()));
    let app = mocks.app();
    let gone = |error| matches!(error, Error::Store(_));
    assert!(gone(
        app.read_statement(&reader(), filter()).await.unwrap_err()
    ));
    let own = app.list_user_balances_at(&reader(), ALICE, NOW).await;
    assert!(gone(own.unwrap_err()));
    let system = app.list_system_balances_at(&reader(), NOW).await;
    assert!(gone(system.unwrap_err()));
}
