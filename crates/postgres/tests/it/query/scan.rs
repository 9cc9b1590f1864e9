//! Transfers of every kind, as an operator looks for them.

use bursar_domain::{Amount, AssetId, Kind, Status};
use bursar_ports::{TransferQuery, TransferScan};
use bursar_postgres::PgQuery;
use bursar_testkit::build;

use super::{fixture, ids};
use crate::support::{Fixture, Row, at, user_id};

fn everything() -> TransferScan {
    TransferScan {
        limit: 100,
        ..TransferScan::default()
    }
}

fn of_users(users: &[u128]) -> TransferScan {
    TransferScan {
        users: Some(users.iter().copied().map(user_id).collect()),
        ..everything()
    }
}

fn by_id(id: i64) -> TransferScan {
    TransferScan {
        id: Some(build::transfer_id(id)),
        ..everything()
    }
}

fn by_custom_id(custom_id: &str) -> TransferScan {
    TransferScan {
        custom_id: Some(custom_id.to_owned()),
        ..everything()
    }
}

/// What a scan finds on all its pages.
async fn found(query: &PgQuery, scan: TransferScan) -> Vec<i64> {
    let mut all = vec![];
    let mut after = scan.after;
    for _ in 0..100 {
        let scan = TransferScan {
            after,
            ..scan.clone()
        };
        let slice = query.scan_transfers(scan).await.unwrap();
        all.extend(ids(&slice.transfers));
        let Some(next) = slice.next else {
            return all;
        };
        after = Some(next);
    }
    panic!("the pages have no end: {all:?}");
}

async fn some() -> (Fixture, PgQuery) {
    let state = |state, row| Row { state, ..row };
    fixture(&[
        Row::deposit(1, 1, 10),
        Row::withdrawal(2, 1, 20),
        state("Completed", Row::withdrawal(3, 2, 30)),
        state("Failed", Row::deposit(4, 2, 30)),
        state("Canceled", Row::withdrawal(5, 2, 30)),
        Row {
            custom_id: Some("mine"),
            asset: "eth",
            ..Row::internal(6, 1, 2, 40)
        },
        state("Pending", Row::internal(7, 2, 1, 50)),
        state("Rejected", Row::internal(8, 2, 1, 60)),
        Row {
            custom_id: Some("mine"),
            ..Row::internal(9, 2, 3, 60)
        },
        state("Pending", Row::deposit(10, 3, 5)),
    ])
    .await
}

#[tokio::test]
async fn transfers_of_every_kind_and_status_are_listed_newest_first() {
    let (_fixture, query) = some().await;
    let newest_first = [9, 8, 7, 6, 5, 4, 3, 2, 1, 10];
    assert_eq!(found(&query, everything()).await, newest_first);
    for limit in [1, 2, 3, 9, 10] {
        let pages = TransferScan {
            limit,
            ..everything()
        };
        assert_eq!(found(&query, pages).await, newest_first, "{limit}");
    }
}

#[tokio::test]
async fn a_full_page_that_is_the_last_has_no_next_one() {
    let (_fixture, query) = some().await;
    for (limit, more) in [(9, true), (10, false), (11, false)] {
        let scan = TransferScan {
            limit,
            ..everything()
        };
        let slice = query.scan_transfers(scan).await.unwrap();
        assert_eq!(slice.next.is_some(), more, "{limit}");
    }
}

#[tokio::test]
async fn kinds_and_statuses_are_filtered() {
    let (_fixture, query) = some().await;
    for (kind, status, expected) in [
        (Some(Kind::Deposit), None, vec![4, 1, 10]),
        (Some(Kind::Withdrawal), None, vec![5, 3, 2]),
        (Some(Kind::Internal), None, vec![9, 8, 7, 6]),
        (None, Some(Status::Pending), vec![7, 10]),
        (None, Some(Status::AwaitingConfirmation), vec![2]),
        (None, Some(Status::Completed), vec![3, 1]),
        (None, Some(Status::Failed), vec![4]),
        (None, Some(Status::Canceled), vec![5]),
        (None, Some(Status::Success), vec![9, 6]),
        (None, Some(Status::Rejected), vec![8]),
        (Some(Kind::Deposit), Some(Status::Pending), vec![10]),
        (Some(Kind::Deposit), Some(Status::Success), vec![]),
    ] {
        let scan = TransferScan {
            kind,
            status,
            ..everything()
        };
        assert_eq!(found(&query, scan).await, expected, "{kind:?} {status:?}");
    }
}

#[tokio::test]
async fn a_user_has_its_own_transfers_and_what_it_received_for_good() {
    let (_fixture, query) = some().await;
    let many: Vec<u128> = (1..=9).collect();
    let strangers: Vec<u128> = (10..30).collect();
    for (users, expected) in [
        (&[1][..], vec![6, 2, 1]),
        (&[2], vec![9, 8, 7, 6, 5, 4, 3]),
        (&[3], vec![9, 10]),
        // What one sent to the other comes once.
        (&[1, 2], vec![9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (&[1, 1], vec![6, 2, 1]),
        (&many, vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 10]),
        (&strangers, vec![]),
        (&[9], vec![]),
        (&[], vec![]),
    ] {
        for limit in [1, 2, 100] {
            let scan = TransferScan {
                limit,
                ..of_users(users)
            };
            assert_eq!(found(&query, scan).await, expected, "{users:?}");
        }
    }
    for (users, kind, status, expected) in [
        (&[1][..], Some(Kind::Internal), None, vec![6]),
        (&[1], Some(Kind::Deposit), None, vec![1]),
        (&[2], None, Some(Status::Success), vec![9, 6]),
        (&many, None, Some(Status::Success), vec![9, 6]),
        (&many, Some(Kind::Withdrawal), None, vec![5, 3, 2]),
    ] {
        let scan = TransferScan {
            kind,
            status,
            ..of_users(users)
        };
        assert_eq!(found(&query, scan).await, expected, "{users:?}");
    }
}

#[tokio::test]
async fn one_transfer_is_found_by_what_names_it() {
    let (_fixture, query) = some().await;
    assert_eq!(found(&query, by_id(6)).await, [6]);
    assert_eq!(found(&query, by_id(11)).await, Vec::<i64>::new());
    assert_eq!(found(&query, by_custom_id("mine")).await, [9, 6]);
    assert_eq!(
        found(&query, by_custom_id("mi\0ne")).await,
        Vec::<i64>::new()
    );
}

#[tokio::test]
async fn what_names_a_transfer_and_other_filters_must_all_match() {
    let (_fixture, query) = some().await;
    let mine = || by_custom_id("mine");
    let of = |scan: TransferScan, user| TransferScan {
        users: Some(vec![user_id(user)]),
        ..scan
    };
    let of_kind = |kind| TransferScan {
        kind: Some(kind),
        ..by_id(6)
    };
    let eth = TransferScan {
        asset: AssetId::parse("eth").ok(),
        ..mine()
    };
    let late = TransferScan {
        from: Some(at(50)),
        ..mine()
    };
    let early = TransferScan {
        to: Some(at(50)),
        ..mine()
    };
    for (scan, expected) in [
        (of_kind(Kind::Internal), vec![6]),
        (of_kind(Kind::Deposit), vec![]),
        (of(by_id(6), 2), vec![6]),
        (of(by_id(6), 3), vec![]),
        (of(by_id(7), 1), vec![]),
        (of(mine(), 3), vec![9]),
        (eth, vec![6]),
        (late, vec![9]),
        (early, vec![6]),
    ] {
        assert_eq!(found(&query, scan.clone()).await, expected, "{scan:?}");
    }
}

#[tokio::test]
async fn bounds_of_creation_and_amount_are_inclusive() {
    let (_fixture, query) = some().await;
    let created = TransferScan {
        from: Some(at(30)),
        to: Some(at(40)),
        ..everything()
    };
    assert_eq!(found(&query, created).await, [6, 5, 4, 3]);
    let units = |units| Amount::try_from_units(units).ok();
    // Every row is of 150,000,000 units.
    for (min, max, any) in [
        (units(150_000_000), None, true),
        (None, units(150_000_000), true),
        (units(150_000_000), units(150_000_000), true),
        (units(150_000_001), None, false),
        (None, units(149_999_999), false),
    ] {
        let scan = TransferScan {
            asset: AssetId::parse("btc").ok(),
            amount_min: min,
            amount_max: max,
            limit: 2,
            ..everything()
        };
        let expected: &[i64] = if any {
            &[9, 8, 7, 5, 4, 3, 2, 1, 10]
        } else {
            &[]
        };
        assert_eq!(found(&query, scan).await, expected, "{min:?} {max:?}");
    }
}

#[tokio::test]
async fn a_page_looks_at_a_bounded_number_of_rows_and_the_next_goes_on() {
    let (mut fixture, query) = fixture(&[
        Row {
            asset: "eth",
            ..Row::deposit(1, 1, 1)
        },
        Row {
            asset: "eth",
            ..Row::deposit(2, 1, 2)
        },
    ])
    .await;
    // 12,000 transfers of another asset came after; many have the same time.
    let many = format!(
        "INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
         user_id, created_by, created_at, updated_at, entry_refs) \
         SELECT n, 1, 'deposit', 'Completed', 'btc', 8, 1, 0, '{user}', 'x', at, at, '{{}}' \
         FROM (SELECT n, timestamptz '2026-01-02Z' + n / 100 * interval '1 second' AS at \
         FROM generate_series(3, 12002) AS n) AS numbers",
        user = user_id(1),
    );
    fixture.run(&many).await;
    let eth = TransferScan {
        asset: AssetId::parse("eth").ok(),
        ..everything()
    };
    let first = query.scan_transfers(eth.clone()).await.unwrap();
    assert_eq!(ids(&first.transfers), Vec::<i64>::new());
    assert!(first.next.is_some(), "2,002 rows were not looked at");
    let second = TransferScan {
        after: first.next,
        ..eth.clone()
    };
    let second = query.scan_transfers(second).await.unwrap();
    assert_eq!(ids(&second.transfers), [2, 1]);
    assert_eq!(second.next, None);
    for limit in [1, 2] {
        let scan = TransferScan {
            limit,
            ..eth.clone()
        };
        assert_eq!(found(&query, scan).await, [2, 1]);
    }
    let unbounded = TransferScan {
        limit: 200,
        ..everything()
    };
    let expected: Vec<i64> = (1..=12_002).rev().collect();
    assert_eq!(found(&query, unbounded).await, expected);
}
