//! Every list with every filter that changes how it is read.

use bursar_domain::{Amount, AssetId, Kind, Status, Timestamp, TransferId, UserId};
use bursar_ports::{AccountHistory, InternalFilter, ListPlace, TransferFilter, TransferScan};
use diesel::{OptionalExtension, pg::Pg, query_builder::QueryFragment};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::Book;
use crate::{
    query::{backoffice as lists, internal::visible, scan as scans},
    row::TransferRow,
    value::At,
};

/// Has a twelfth of all transfers.
const BUSY: u128 = 1;
/// Has a few dozen.
const SMALL: u128 = 9_000;

fn user(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

fn users(first: u128, count: u128) -> Vec<UserId> {
    (first..first + count).map(user).collect()
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).ok()
}

fn asset(id: &str) -> Option<AssetId> {
    AssetId::parse(id).ok()
}

fn history(number: u128) -> AccountHistory {
    AccountHistory {
        user: user(number),
        from: None,
        to: None,
        limit: 100,
        offset: 0,
    }
}

fn all() -> TransferFilter {
    TransferFilter {
        limit: 100,
        ..TransferFilter::default()
    }
}

fn internals(number: u128) -> InternalFilter {
    InternalFilter {
        user: user(number),
        status: None,
        asset: None,
        custom_id: None,
        from: None,
        to: None,
        limit: 100,
        offset: 0,
    }
}

fn every() -> TransferScan {
    TransferScan {
        limit: 100,
        ..TransferScan::default()
    }
}

pub(super) async fn account_history(book: &mut Book<'_>) {
    book.chapter("The history of an account");
    for (who, number) in [("busy", BUSY), ("small", SMALL)] {
        let all = history(number);
        let day = AccountHistory {
            from: time("2026-08-01"),
            to: time("2026-08-02"),
            ..all.clone()
        };
        let far = AccountHistory {
            limit: 999,
            offset: 20_000,
            ..all.clone()
        };
        for (what, filter) in [("", all), (", one day", day), (", far down", far)] {
            let query = lists::account_history(&filter);
            book.note(&format!("{who} user{what}"), query).await;
        }
    }
}

/// A page and its count.
async fn page(book: &mut Book<'_>, what: &str, filter: TransferFilter) {
    let ranges = lists::matching(&filter);
    let rows = lists::page(ranges.clone(), &filter);
    book.note(what, rows).await;
    book.note(&format!("{what}: count"), lists::counted(ranges))
        .await;
}

pub(super) async fn backoffice(book: &mut Book<'_>) {
    book.chapter("The back office's list");
    page(book, "everything", all()).await;
    for (what, limit, offset) in [("page 100", 100, 9_900), ("page 50 of 999", 999, 48_951)] {
        let filter = TransferFilter {
            limit,
            offset,
            ..all()
        };
        let rows = lists::page(lists::matching(&filter), &filter);
        book.note(what, rows).await;
    }
    for status in Status::ALL {
        let filter = TransferFilter {
            status: Some(status),
            ..all()
        };
        if !lists::matching(&filter).is_empty() {
            page(book, status.as_str(), filter).await;
        }
    }
    let few = |kind, status| TransferFilter {
        kind: Some(kind),
        status,
        ..all()
    };
    page(book, "deposits", few(Kind::Deposit, None)).await;
    page(book, "withdrawals", few(Kind::Withdrawal, None)).await;
    let failed = few(Kind::Withdrawal, Some(Status::Failed));
    page(book, "failed withdrawals", failed).await;
    let day = TransferFilter {
        from: time("2026-08-01"),
        to: time("2026-08-02"),
        ..all()
    };
    page(book, "one day", day.clone()).await;
    let canceled = TransferFilter {
        status: Some(Status::Canceled),
        ..day
    };
    page(book, "Canceled on one day", canceled).await;
    let of = |users| TransferFilter {
        users: Some(users),
        ..all()
    };
    page(book, "busy user", of(users(BUSY, 1))).await;
    page(book, "small user", of(users(SMALL, 1))).await;
    page(book, "three users", of(users(SMALL, 3))).await;
    page(book, "100 small users", of(users(SMALL, 100))).await;
    page(book, "10,000 users", of(users(BUSY, 10_000))).await;
    let waiting = TransferFilter {
        status: Some(Status::AwaitingConfirmation),
        ..of(users(BUSY, 1))
    };
    page(book, "AwaitingConfirmation of the busy user", waiting).await;
}

pub(super) async fn internal(book: &mut Book<'_>) {
    book.chapter("A user's internal transfers");
    for (who, number) in [("busy", BUSY), ("small", SMALL)] {
        let all = internals(number);
        let status = |status| InternalFilter {
            status: Some(status),
            ..all.clone()
        };
        let day = InternalFilter {
            from: time("2026-08-01"),
            to: time("2026-08-02"),
            ..all.clone()
        };
        let far = InternalFilter {
            limit: 200,
            offset: 10_000,
            ..all.clone()
        };
        let of_asset = InternalFilter {
            asset: asset("btc"),
            ..all.clone()
        };
        let named = InternalFilter {
            custom_id: Some("order-1".to_owned()),
            ..all.clone()
        };
        for (what, filter) in [
            ("", all.clone()),
            (", pending", status(Status::Pending)),
            (", success", status(Status::Success)),
            (", rejected", status(Status::Rejected)),
            (", until one day", day),
            (", far down", far),
            (", btc", of_asset),
            (", custom_id", named),
        ] {
            book.note(&format!("{who} user{what}"), visible(&filter))
                .await;
        }
    }
}

/// As a scan does it: the last place to be looked at, if anything is looked at row by row, and what
/// is found up to there.
async fn look(book: &mut Book<'_>, what: &str, scan: TransferScan) {
    let plan = scans::plan(&scan);
    let mut end = None;
    if !plan.filters.is_empty() {
        let horizon = scans::horizon(plan.ranges.clone());
        book.note(&format!("{what}: horizon"), horizon.clone())
            .await;
        let last: Option<(At, i64)> = horizon
            .get_result(book.connection)
            .await
            .optional()
            .unwrap();
        end = last.map(|last| scans::place(last).unwrap());
    }
    book.note(what, scans::found(plan, end, scan.limit)).await;
}

pub(super) async fn scan(book: &mut Book<'_>) {
    book.chapter("The admin API's list");
    look(book, "everything", every()).await;
    let after = Some(ListPlace {
        created_at: time("2026-08-01").unwrap(),
        id: TransferId::try_new(1).unwrap(),
    });
    look(
        book,
        "everything, a later page",
        TransferScan { after, ..every() },
    )
    .await;
    for status in Status::ALL {
        let scan = TransferScan {
            status: Some(status),
            ..every()
        };
        look(book, status.as_str(), scan).await;
    }
    for kind in Kind::ALL {
        let scan = TransferScan {
            kind: Some(kind),
            ..every()
        };
        look(book, kind.as_str(), scan).await;
    }
    let day = TransferScan {
        from: time("2026-08-01"),
        to: time("2026-08-02"),
        ..every()
    };
    look(book, "one day", day).await;
    for (who, of) in [("busy", BUSY), ("small", SMALL)] {
        let of_user = TransferScan {
            users: Some(users(of, 1)),
            ..every()
        };
        look(book, &format!("{who} user"), of_user.clone()).await;
        let with_asset = TransferScan {
            asset: asset("eth"),
            after,
            ..of_user
        };
        look(book, &format!("{who} user, eth, a later page"), with_asset).await;
    }
    rare(book).await;
}

/// What few transfers have.
async fn rare(book: &mut Book<'_>) {
    let eth = TransferScan {
        asset: asset("eth"),
        ..every()
    };
    look(book, "eth", eth.clone()).await;
    let large = TransferScan {
        amount_min: Amount::try_from_units(99_999_000_000).ok(),
        amount_max: Amount::try_from_units(100_000_000_000).ok(),
        ..eth
    };
    look(book, "eth, large", large).await;
    let of = |users| TransferScan {
        users: Some(users),
        ..every()
    };
    look(book, "three users", of(users(SMALL, 3))).await;
    look(book, "100 small users", of(users(SMALL, 100))).await;
    look(book, "10,000 users", of(users(BUSY, 10_000))).await;
    let named = TransferScan {
        custom_id: Some("order-1".to_owned()),
        ..every()
    };
    look(book, "custom_id", named).await;
    let one = TransferScan {
        id: TransferId::try_new(500_000).ok(),
        ..of(users(BUSY, 1))
    };
    look(book, "id", one).await;
}

/// One page of each list.
pub(super) async fn run_each(connection: &mut AsyncPgConnection) {
    async fn load<Q>(connection: &mut AsyncPgConnection, query: Q)
    where
        Q: QueryFragment<Pg>
            + diesel::query_builder::QueryId
            + diesel::query_builder::Query
            + Send
            + 'static
            + for<'q> diesel_async::methods::LoadQuery<'q, AsyncPgConnection, TransferRow>,
    {
        let rows: Vec<TransferRow> = query.load(connection).await.unwrap();
        assert!(!rows.is_empty());
    }
    load(connection, lists::account_history(&history(BUSY))).await;
    load(connection, lists::page(lists::matching(&all()), &all())).await;
    load(connection, visible(&internals(SMALL))).await;
    load(connection, scans::found(scans::plan(&every()), None, 100)).await;
}
