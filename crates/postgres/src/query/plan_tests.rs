//! Each list is served by the index that was made for it.

use bursar_domain::{AssetId, Kind, Status, Timestamp, UserId};
use bursar_ports::{AccountHistory, InternalFilter, TransferFilter};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use uuid::Uuid;

use super::{
    backoffice::{account_history, page},
    internal::visible,
};
use crate::{explain::read_by, testing::TestDatabase};

/// Some thousand transfers of 500 users, half of them internal, in the proportions of a real
/// exchange: nearly all of them are final.
const FILL: &str = "
    INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, user_id,
        recipient_id, code_salt, custom_id, created_by, finished_by, created_at, updated_at,
        entry_refs)
    SELECT n, 1, kind,
        CASE kind WHEN 'internal' THEN CASE WHEN n % 200 = 0 THEN 'Pending' ELSE 'Success' END
            WHEN 'withdrawal' THEN
                CASE WHEN n % 97 = 0 THEN 'AwaitingConfirmation' ELSE 'Completed' END
            ELSE 'Completed' END,
        CASE n % 3 WHEN 0 THEN 'btc' WHEN 1 THEN 'eth' ELSE 'usd' END, 8, 1000, 0,
        lpad(to_hex(n % 500), 32, '0')::uuid,
        CASE kind WHEN 'internal' THEN lpad(to_hex(n * 7 % 500), 32, '0')::uuid END,
        CASE kind WHEN 'internal' THEN '\\x00112233445566778899'::bytea END,
        'custom ' || n, 'someone', CASE kind WHEN 'withdrawal' THEN 'someone' END,
        timestamptz '2026-01-01Z' + n * interval '1 second',
        timestamptz '2026-01-01Z' + n * interval '1 second', '{}'
    FROM (
        SELECT n, CASE WHEN n % 4 = 0 THEN 'deposit' WHEN n % 4 = 1 THEN 'withdrawal'
            ELSE 'internal' END AS kind
        FROM generate_series(1, 20000) AS n
    ) AS numbers;
    ANALYZE book_main.transfers";

async fn filled() -> (TestDatabase, AsyncPgConnection) {
    let database = TestDatabase::create().await;
    let mut connection = AsyncPgConnection::establish(database.url()).await.unwrap();
    connection.batch_execute(FILL).await.unwrap();
    (database, connection)
}

fn user(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[tokio::test]
async fn a_users_history_is_a_range_of_its_index() {
    let (_database, mut connection) = filled().await;
    let all = AccountHistory {
        user: user(4),
        from: None,
        to: None,
        limit: 100,
        offset: 0,
    };
    let bounded = AccountHistory {
        from: Some(time("2026-01-01T01:00:00Z")),
        to: Some(time("2026-01-01T02:00:00Z")),
        ..all.clone()
    };
    for filter in [all, bounded] {
        let read = read_by(&mut connection, account_history(&filter)).await;
        assert_eq!(read, ["transfers_account_history_idx"], "{filter:?}");
    }
}

#[tokio::test]
async fn the_back_offices_list_is_a_range_of_its_index() {
    let (_database, mut connection) = filled().await;
    let all = TransferFilter {
        limit: 100,
        ..TransferFilter::default()
    };
    let bounded = TransferFilter {
        from: Some(time("2026-01-01T01:00:00Z")),
        to: Some(time("2026-01-01T02:00:00Z")),
        kind: Some(Kind::Deposit),
        ..all.clone()
    };
    let completed = TransferFilter {
        status: Some(Status::Completed),
        offset: 300,
        ..all.clone()
    };
    for filter in [all.clone(), bounded, completed] {
        let read = read_by(&mut connection, page(&filter)).await;
        assert_eq!(read, ["transfers_backoffice_list_idx"], "{filter:?}");
    }
    let waiting = TransferFilter {
        status: Some(Status::AwaitingConfirmation),
        ..all.clone()
    };
    let read = read_by(&mut connection, page(&waiting)).await;
    assert_eq!(read, ["transfers_backoffice_state_idx"]);
    for users in [1, 3] {
        let of_few = TransferFilter {
            users: Some((0..users).map(|n| user(n * 4)).collect()),
            ..all.clone()
        };
        let read = read_by(&mut connection, page(&of_few)).await;
        assert_eq!(read, ["transfers_account_history_idx"], "{users} users");
    }
}

#[tokio::test]
async fn internal_transfers_are_ranges_of_what_was_sent_and_received() {
    let (_database, mut connection) = filled().await;
    let all = InternalFilter {
        user: user(3),
        status: None,
        asset: None,
        custom_id: None,
        from: None,
        to: None,
        limit: 100,
        offset: 0,
    };
    let filtered = InternalFilter {
        asset: AssetId::parse("btc").ok(),
        from: Some(time("2026-01-01T01:00:00Z")),
        to: Some(time("2026-01-01T02:00:00Z")),
        ..all.clone()
    };
    for filter in [all.clone(), filtered] {
        let read = read_by(&mut connection, visible(&filter)).await;
        let expected = ["transfers_received_idx", "transfers_sent_idx"];
        assert_eq!(read, expected, "{filter:?}");
    }
    let own = InternalFilter {
        custom_id: Some("custom 3".to_owned()),
        ..all
    };
    let read = read_by(&mut connection, visible(&own)).await;
    assert_eq!(read, ["transfers_sent_idx"]);
}
