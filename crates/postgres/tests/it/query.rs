//! Lists of transfers.

mod scan;
mod story;
mod writers;

use bursar_domain::{AssetId, Kind, Status, Timestamp, Transfer};
use bursar_ports::{AccountHistory, InternalFilter, TransferFilter, TransferQuery};
use bursar_postgres::PgQuery;
use uuid::Uuid;

use crate::support::{Fixture, Row, at, insert, user_id};

fn ids(transfers: &[Transfer]) -> Vec<i64> {
    transfers
        .iter()
        .map(|transfer| transfer.id().get())
        .collect()
}

fn history(user: u128) -> AccountHistory {
    AccountHistory {
        user: user_id(user),
        from: None,
        to: None,
        limit: 100,
        offset: 0,
    }
}

fn everything() -> TransferFilter {
    TransferFilter {
        limit: 100,
        ..TransferFilter::default()
    }
}

fn internal(user: u128) -> InternalFilter {
    InternalFilter {
        user: user_id(user),
        status: None,
        asset: None,
        custom_id: None,
        from: None,
        to: None,
        limit: 100,
        offset: 0,
    }
}

async fn fixture(rows: &[Row]) -> (Fixture, PgQuery) {
    let mut fixture = Fixture::new().await;
    insert(&mut fixture, rows).await;
    let query = PgQuery::new(fixture.database.clone());
    (fixture, query)
}

#[tokio::test]
async fn a_users_history_is_newest_first_and_has_no_internal_transfers() {
    let (_fixture, query) = fixture(&[
        Row::deposit(1, 1, 10),
        Row::withdrawal(2, 1, 30),
        Row::deposit(3, 1, 20),
        Row::deposit(4, 1, 20),
        Row::internal(5, 1, 2, 40),
        Row::deposit(6, 2, 50),
    ])
    .await;
    let list = async |filter| ids(&query.list_account_history(filter).await.unwrap());
    assert_eq!(list(history(1)).await, [2, 4, 3, 1]);
    assert_eq!(list(history(3)).await, Vec::<i64>::new());
    let bounded = AccountHistory {
        from: Some(at(10)),
        to: Some(at(20)),
        ..history(1)
    };
    assert_eq!(list(bounded).await, [4, 3, 1]);
    let page = AccountHistory {
        limit: 2,
        offset: 1,
        ..history(1)
    };
    assert_eq!(list(page).await, [4, 3]);
    let past = AccountHistory {
        offset: u64::MAX,
        ..history(1)
    };
    assert_eq!(list(past).await, Vec::<i64>::new());
}

#[tokio::test]
async fn the_back_office_filters_and_counts() {
    let (_fixture, query) = fixture(&[
        Row::deposit(1, 1, 10),
        Row::withdrawal(2, 2, 20),
        Row {
            state: "Failed",
            ..Row::deposit(3, 2, 30)
        },
        Row::internal(4, 1, 2, 40),
        Row::withdrawal(5, 3, 50),
    ])
    .await;
    let list = async |filter| {
        let page = query.list_transfers(filter).await.unwrap();
        assert!(!page.estimated);
        (ids(&page.transfers), page.total)
    };
    let all = everything();
    assert_eq!(list(all.clone()).await, (vec![5, 3, 2, 1], 4));
    let filtered = [
        (
            Some(vec![user_id(1), user_id(2)]),
            None,
            None,
            vec![3, 2, 1],
        ),
        (Some(vec![]), None, None, vec![]),
        (None, Some(Status::AwaitingConfirmation), None, vec![5, 2]),
        (None, Some(Status::Success), None, vec![]),
        (None, None, Some(Kind::Deposit), vec![3, 1]),
        (None, None, Some(Kind::Internal), vec![]),
    ];
    for (users, status, kind, expected) in filtered {
        let total = u64::try_from(expected.len()).unwrap();
        let filter = TransferFilter {
            users,
            status,
            kind,
            ..all.clone()
        };
        assert_eq!(list(filter).await, (expected, total));
    }
    let bounded = TransferFilter {
        from: Some(at(20)),
        to: Some(at(30)),
        ..all.clone()
    };
    assert_eq!(list(bounded).await, (vec![3, 2], 2));
    for (limit, offset, expected, more) in [
        (2, 0, vec![5, 3], true),
        (3, 0, vec![5, 3, 2], true),
        (2, 2, vec![2, 1], false),
        (4, 0, vec![5, 3, 2, 1], false),
        (3, 3, vec![1], false),
        (2, 4, vec![], false),
        (2, u64::MAX, vec![], false),
    ] {
        let filter = TransferFilter {
            limit,
            offset,
            ..all.clone()
        };
        let page = query.list_transfers(filter).await.unwrap();
        let told = (ids(&page.transfers), page.total, page.more);
        assert_eq!(told, (expected, 4, more), "{limit} {offset}");
    }
}

#[tokio::test]
async fn beyond_ten_thousand_the_count_is_an_estimate() {
    let mut fixture = Fixture::new().await;
    let query = PgQuery::new(fixture.database.clone());
    let add = |from: i64, to: i64| {
        format!(
            "INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
             user_id, created_by, created_at, updated_at, entry_refs) \
             SELECT n, 1, 'deposit', 'Completed', 'btc', 8, 1, 0, '{}', 'x', \
             timestamptz '2026-01-01Z' + n * interval '1 second', \
             timestamptz '2026-01-01Z' + n * interval '1 second', '{{}}' \
             FROM generate_series({from}, {to}) AS n",
            Uuid::from_u128(1)
        )
    };
    fixture.run(&add(1, 10_000)).await;
    let page = query.list_transfers(everything()).await.unwrap();
    assert_eq!((page.total, page.estimated), (10_000, false));
    fixture.run(&add(10_001, 12_000)).await;
    fixture.run("ANALYZE book_main.transfers").await;
    let page = query.list_transfers(everything()).await.unwrap();
    assert!(page.estimated);
    assert!((10_001..=14_000).contains(&page.total), "{}", page.total);
    // Each of these pages is full, and only the rows can say which is the last one.
    for (limit, offset, more) in [
        (100, 11_800, true),
        (100, 11_900, false),
        (999, 11_000, true),
        (999, 11_001, false),
    ] {
        let filter = TransferFilter {
            limit,
            offset,
            ..everything()
        };
        let page = query.list_transfers(filter).await.unwrap();
        assert!(page.estimated, "{limit} {offset}");
        let rows = u32::try_from(page.transfers.len()).unwrap();
        assert_eq!((rows, page.more), (limit, more), "{limit} {offset}");
    }
}

#[tokio::test]
async fn a_user_sees_what_it_sent_and_what_it_received_for_good() {
    let pending = Row {
        state: "Pending",
        ..Row::internal(2, 2, 1, 20)
    };
    let rejected = Row {
        state: "Rejected",
        asset: "eth",
        ..Row::internal(3, 1, 2, 30)
    };
    let (_fixture, query) = fixture(&[
        Row {
            custom_id: Some("mine"),
            ..Row::internal(1, 1, 2, 10)
        },
        pending,
        rejected,
        Row {
            custom_id: Some("mine"),
            ..Row::internal(4, 2, 1, 40)
        },
        Row::internal(5, 2, 3, 50),
        Row::deposit(6, 1, 60),
    ])
    .await;
    let list = async |filter| ids(&query.list_internal(filter).await.unwrap());
    assert_eq!(list(internal(1)).await, [4, 3, 1]);
    assert_eq!(list(internal(2)).await, [5, 4, 2, 1]);
    let with_custom_id = |custom_id: &str| InternalFilter {
        custom_id: Some(custom_id.to_owned()),
        ..internal(1)
    };
    assert_eq!(list(with_custom_id("mine")).await, [1]);
    assert_eq!(list(with_custom_id("mi\0ne")).await, Vec::<i64>::new());
    for (status, expected) in [
        (Status::Success, vec![4, 1]),
        (Status::Rejected, vec![3]),
        (Status::Pending, vec![]),
    ] {
        let filter = InternalFilter {
            status: Some(status),
            ..internal(1)
        };
        assert_eq!(list(filter).await, expected, "{status:?}");
    }
    let eth = InternalFilter {
        asset: Some(AssetId::parse("eth").unwrap()),
        ..internal(1)
    };
    assert_eq!(list(eth).await, [3]);
    let page = InternalFilter {
        limit: 2,
        offset: 1,
        ..internal(2)
    };
    assert_eq!(list(page).await, [4, 2]);
}

#[tokio::test]
async fn internal_transfers_are_filtered_by_the_second_they_were_done_in() {
    let done = |id, created: i64, updated_us: i64| Row {
        updated_at: Timestamp::from_micros(at(0).as_micros() + updated_us),
        ..Row::internal(id, 1, 2, created)
    };
    let (_fixture, query) = fixture(&[
        done(1, 1, 10_000_000),
        done(2, 2, 10_999_999),
        done(3, 3, 11_000_000),
        Row {
            state: "Pending",
            updated_at: at(99),
            ..Row::internal(4, 1, 2, 10)
        },
    ])
    .await;
    let list = async |from: Option<Timestamp>, to: Option<Timestamp>| {
        let filter = InternalFilter {
            from,
            to,
            ..internal(1)
        };
        ids(&query.list_internal(filter).await.unwrap())
    };
    assert_eq!(list(Some(at(10)), Some(at(10))).await, [4, 2, 1]);
    assert_eq!(list(Some(at(11)), None).await, [3]);
    assert_eq!(list(None, Some(at(9))).await, Vec::<i64>::new());
    let half = at(10).plus_micros(500_000);
    assert_eq!(list(Some(half), Some(half)).await, [4, 2, 1]);
}
