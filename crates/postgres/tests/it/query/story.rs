//! Balances and the story of a transfer.

use bursar_domain::{AccountKey, AssetId, Owner, Timestamp, TransferId};
use bursar_ports::{StoreError, TransferQuery};
use bursar_postgres::PgQuery;
use uuid::Uuid;

use super::fixture;
use crate::support::{Fixture, Row, at, user_id};

/// Deposit 1 of user 1: world, user and fees.
async fn with_ledger() -> (Fixture, PgQuery) {
    let (mut fixture, query) = fixture(&[Row {
        entry_refs: "{101,1,1,2,100,1}",
        ..Row::deposit(1, 1, 10)
    }])
    .await;
    let (user, nobody) = (Uuid::from_u128(1), Uuid::nil());
    let ledger = format!(
        "INSERT INTO book_main.accounts \
           (id, owner_kind, owner, asset, available, held, seq, status, stamped_at) VALUES \
           (1, 'user', '{user}', 'btc', 90, 5, 2, 'Active', '{t}'), \
           (2, 'user', '{user}', 'a-b', 0, 0, 0, 'Active', 'epoch'), \
           (100, 'fees', '{nobody}', 'btc', 10, 0, 1, 'Active', 'epoch'), \
           (101, 'world', '{nobody}', 'btc', \
            -99999999999999999999999999999999999999, 0, 1, 'Active', 'epoch'); \
         INSERT INTO book_main.entries (account_id, seq, transfer_id, available_delta, held_delta, \
           available_after, held_after, created_at) VALUES \
           (1, 1, 7, 0, 5, 0, 5, '{s}'), (1, 2, 1, 90, 0, 90, 5, '{t}'), \
           (100, 1, 1, 10, 0, 10, 0, '{t}'), (101, 1, 1, -100, 0, -100, 0, '{t}')",
        s = at(5),
        t = at(10)
    );
    fixture.run(&ledger).await;
    (fixture, query)
}

#[tokio::test]
async fn balances_tell_when_they_last_changed() {
    let (mut fixture, query) = with_ledger().await;
    let balances = query.list_user_balances(user_id(1)).await.unwrap();
    let told: Vec<_> = balances
        .iter()
        .map(|b| {
            (
                b.account.asset.to_string(),
                b.available,
                b.held,
                b.updated_at,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("a-b".to_owned(), 0, 0, Timestamp::EPOCH),
            ("btc".to_owned(), 90, 5, at(10)),
        ]
    );
    assert_eq!(query.list_user_balances(user_id(2)).await.unwrap(), []);
    let system = query.list_system_balances().await.unwrap();
    let told: Vec<_> = system
        .iter()
        .map(|b| (b.account.owner, b.available))
        .collect();
    let owed = 10_i128.pow(38) - 1;
    assert_eq!(told, [(Owner::Fees, 10), (Owner::World, -owed)]);
    fixture
        .run("SET session_replication_role = replica; DELETE FROM book_main.entries WHERE account_id = 1")
        .await;
    let error = query.list_user_balances(user_id(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Inconsistent { .. }), "{error}");
}

#[tokio::test]
async fn what_was_earned_in_fees_is_the_sum_of_its_rows() {
    let (mut fixture, query) = with_ledger().await;
    let another_row = format!(
        "INSERT INTO book_main.accounts (id, owner_kind, owner, asset, available, held, seq, \
           status, stamped_at) VALUES \
           (102, 'fees', '00000000-0000-0000-0000-00000000000f', 'btc', 32, 0, 1, 'Active', 'epoch'); \
         INSERT INTO book_main.entries (account_id, seq, transfer_id, available_delta, held_delta, \
           available_after, held_after, created_at) VALUES (102, 1, 8, 32, 0, 32, 0, '{}')",
        at(20)
    );
    fixture.run(&another_row).await;
    let system = query.list_system_balances().await.unwrap();
    let told: Vec<_> = system
        .iter()
        .map(|b| (b.account.owner, b.available, b.updated_at))
        .collect();
    let owed = 10_i128.pow(38) - 1;
    assert_eq!(
        told,
        [(Owner::Fees, 42, at(20)), (Owner::World, -owed, at(10))]
    );
}

#[tokio::test]
async fn ledger_lines_come_in_the_order_they_were_written() {
    let (mut fixture, query) = with_ledger().await;
    let one = TransferId::try_new(1).unwrap();
    let lines = query.list_entries(one).await.unwrap();
    let btc = AssetId::parse("btc").unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.account, line.seq, line.available_delta, line.at))
        .collect();
    assert_eq!(
        told,
        [
            (AccountKey::world(btc), 1, -100, at(10)),
            (AccountKey::user(user_id(1), btc), 2, 90, at(10)),
            (AccountKey::fees(btc), 1, 10, at(10)),
        ]
    );
    let unknown = TransferId::try_new(2).unwrap();
    assert_eq!(query.list_entries(unknown).await.unwrap(), []);
    fixture
        .run("SET session_replication_role = replica; DELETE FROM book_main.entries WHERE account_id = 100")
        .await;
    let error = query.list_entries(one).await.unwrap_err();
    assert!(matches!(error, StoreError::Inconsistent { .. }), "{error}");
}
