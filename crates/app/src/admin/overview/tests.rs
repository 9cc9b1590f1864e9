use bursar_ports::{Permission, StoreError, Waiting};
use mockall::predicate::eq;

use super::*;
use crate::test_support::{
    Mocks, NOW, assert_unavailable, btc, operator, other_grants, unavailable,
};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[test]
fn a_period_ends_with_the_piece_that_is_under_way() {
    let now = at("2026-03-01T13:59:59.999999Z");
    for (period, first, last) in [
        (Period::Day, "2026-02-28T14:00:00Z", "2026-03-01T13:00:00Z"),
        (Period::Week, "2026-02-22T18:00:00Z", "2026-03-01T12:00:00Z"),
        (
            Period::Month,
            "2026-01-31T00:00:00Z",
            "2026-03-01T00:00:00Z",
        ),
    ] {
        let starts = period.starts(now);
        assert_eq!(starts.first(), Some(&at(first)), "{period:?}");
        assert_eq!(starts.last(), Some(&at(last)), "{period:?}");
        let piece = HOUR_MICROS * i64::from(period.hours());
        assert!(
            starts
                .windows(2)
                .all(|two| two[1] == two[0].plus_micros(piece))
        );
        assert_eq!(Period::from_name(period.as_str()), Some(period));
    }
    assert_eq!(Period::from_name("year"), None);
    // A piece begins with its first microsecond.
    let noon = at("2026-03-01T12:00:00Z");
    assert_eq!(Period::Week.starts(noon).last(), Some(&noon));
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let app = Mocks::new().app();
        let overview = app.overview(&grant, Period::Day).await;
        assert!(matches!(overview, Err(Error::Forbidden(Permission::Admin))));
        let hosts = app.callback_hosts(&grant).await;
        assert!(matches!(hosts, Err(Error::Forbidden(Permission::Admin))));
    }
}

fn waiting() -> WaitingWork {
    WaitingWork {
        withdrawals: Waiting {
            count: 3,
            oldest: Some(NOW),
        },
        ..WaitingWork::default()
    }
}

/// Figures that are there up to this call, which fails.
fn failing_at(call: usize) -> Mocks {
    fn answer<T>(fails: bool, value: T) -> Result<T, StoreError> {
        if fails { Err(unavailable()) } else { Ok(value) }
    }
    let mut mocks = Mocks::new();
    let scan = VolumeScan {
        from: Period::Month.starts(NOW)[0],
        hours: 24,
    };
    mocks
        .figures
        .expect_waiting()
        .returning(move || answer(call == 0, waiting()));
    mocks
        .figures
        .expect_volumes()
        .with(eq(scan))
        .returning(move |_| answer(call == 1, Volumes::default()));
    mocks
        .directory
        .expect_list_assets()
        .returning(move || answer(call == 2, vec![btc()]));
    mocks
        .figures
        .expect_callback_lag()
        .with(eq(NOW))
        .returning(move |_| answer(call == 3, CallbackLag::default()));
    mocks
}

#[tokio::test]
async fn whoever_may_read_is_told_how_things_stand() {
    for permission in READERS {
        let overview = failing_at(9)
            .app()
            .overview(&operator(permission), Period::Month)
            .await;
        let expected = Overview {
            at: NOW,
            waiting: waiting(),
            volumes: Volumes::default(),
            starts: Period::Month.starts(NOW),
            assets: vec![btc()],
            callbacks: CallbackLag::default(),
            books: None,
        };
        assert_eq!(overview.unwrap(), expected);
    }
}

#[tokio::test]
async fn trouble_of_the_store_is_told() {
    let grant = operator(Permission::Admin);
    for call in 0..4 {
        let app = failing_at(call).app();
        assert_unavailable(&app.overview(&grant, Period::Month).await);
    }
    let mut mocks = Mocks::new();
    let hosts = mocks.figures.expect_callback_hosts();
    hosts.times(1).return_once(|| Err(unavailable()));
    assert_unavailable(&mocks.app().callback_hosts(&grant).await);
    let mut mocks = Mocks::new();
    let hosts = mocks.figures.expect_callback_hosts();
    hosts.times(1).return_once(|| Ok(vec![]));
    assert_eq!(mocks.app().callback_hosts(&grant).await.unwrap(), []);
}
