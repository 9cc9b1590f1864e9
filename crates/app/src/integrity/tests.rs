use bursar_ports::{AssetSums, CheckedAccounts, MockBookIntegrity, MockIntegrityAlarm, Permission};
use bursar_testkit::{FixedClock, build};
use mockall::predicate::{always, eq};

use super::*;
use crate::{
    Principal,
    test_support::{Mocks, other_grants},
};

fn sums(asset: &str, sum: i128, holds: i128) -> AssetSums {
    AssetSums {
        asset: build::asset_id(asset),
        sum: Some(sum),
        holds: Some(holds),
        entries: 5,
    }
}

fn breach(asset: &str) -> Breach {
    Breach {
        asset: Some(build::asset_id(asset)),
        detail: "account 1: is not what its last entry says".to_owned(),
    }
}

fn away() -> StoreError {
    StoreError::Unavailable("away".into())
}

fn watch(books: MockBookIntegrity, alarm: MockIntegrityAlarm) -> IntegrityWatch {
    IntegrityWatch::new(Arc::new(books), Arc::new(alarm))
}

/// An alarm that is raised once for each of these.
fn alarm_for(assets: &'static [&'static str]) -> MockIntegrityAlarm {
    let mut alarm = MockIntegrityAlarm::new();
    for asset in assets {
        alarm
            .expect_stop_outgoing()
            .with(eq(build::asset_id(asset)), always())
            .times(1)
            .returning(|_, _| Ok(OutgoingStop::Own));
    }
    alarm
}

/// Books in which each round of looks finds these, the last ones first.
fn books_of(mut rounds: Vec<Vec<Breach>>) -> MockBookIntegrity {
    let mut books = MockBookIntegrity::new();
    books
        .expect_check_accounts()
        .times(rounds.len())
        .returning(move |_, _| {
            Ok(CheckedAccounts {
                breaches: rounds.pop().unwrap(),
                ..CheckedAccounts::default()
            })
        });
    books
}

#[tokio::test]
async fn a_round_goes_on_where_it_was_and_begins_anew_at_its_end() {
    let mut books = MockBookIntegrity::new();
    for (after, last) in [(None, Some(7)), (Some(7), None), (None, Some(7))] {
        books
            .expect_check_accounts()
            .with(eq(after), eq(10))
            .times(1)
            .returning(move |_, _| {
                Ok(CheckedAccounts {
                    last,
                    ..CheckedAccounts::default()
                })
            });
    }
    let mut watch = watch(books, MockIntegrityAlarm::new());
    for _ in 0..3 {
        watch.check_accounts(10).await.unwrap();
    }
    assert_eq!(watch.place, Some(7));
}

#[tokio::test]
async fn accounts_that_cannot_be_read_are_looked_at_again() {
    let mut books = MockBookIntegrity::new();
    let mut answers = vec![
        Ok(CheckedAccounts::default()),
        Err(away()),
        Ok(CheckedAccounts {
            last: Some(7),
            ..CheckedAccounts::default()
        }),
    ];
    books
        .expect_check_accounts()
        .times(3)
        .returning(move |_, _| answers.pop().unwrap());
    let mut watch = watch(books, MockIntegrityAlarm::new());
    watch.check_accounts(10).await.unwrap();
    watch.check_accounts(10).await.unwrap_err();
    assert_eq!(watch.place, Some(7));
    watch.check_accounts(10).await.unwrap();
    assert_eq!(watch.place, None);
}

#[tokio::test]
async fn a_wrong_account_stops_its_asset_alone_and_once_and_is_told_until_a_round_finds_nothing() {
    let rounds = vec![vec![], vec![], vec![breach("btc")], vec![breach("btc")]];
    let books = books_of(rounds);
    let mut watch = watch(books, alarm_for(&["btc"]));
    let mut told = vec![];
    for _ in 0..4 {
        watch.check_accounts(10).await.unwrap();
        told.push(watch.is_ok(build::asset_id("btc")));
        assert!(watch.is_ok(build::asset_id("eth")));
    }
    assert_eq!(told, [false, false, true, true]);
}

#[tokio::test]
async fn an_account_of_no_asset_is_told_and_stops_nothing() {
    let mut books = MockBookIntegrity::new();
    books.expect_check_accounts().returning(|_, _| {
        Ok(CheckedAccounts {
            breaches: vec![Breach {
                asset: None,
                detail: String::new(),
            }],
            ..CheckedAccounts::default()
        })
    });
    let mut watch = watch(books, MockIntegrityAlarm::new());
    watch.check_accounts(10).await.unwrap();
}

#[tokio::test]
async fn a_wrong_sum_or_hold_stops_its_asset_alone() {
    let mut books = MockBookIntegrity::new();
    let mut answers = vec![
        Ok(vec![
            sums("btc", 0, 0),
            sums("eth", 0, 0),
            sums("usd", 0, 0),
        ]),
        Ok(vec![
            sums("btc", 1, 0),
            sums("eth", 0, 0),
            sums("usd", 0, -1),
        ]),
    ];
    books
        .expect_sums()
        .times(2)
        .returning(move || answers.pop().unwrap());
    let mut watch = watch(books, alarm_for(&["btc", "usd"]));
    watch.check_sums().await.unwrap();
    let ok = |watch: &IntegrityWatch| {
        ["btc", "eth", "usd"].map(|asset| watch.is_ok(build::asset_id(asset)))
    };
    assert_eq!(ok(&watch), [false, true, false]);
    watch.check_sums().await.unwrap();
    assert_eq!(ok(&watch), [true, true, true]);
}

#[tokio::test]
async fn sums_that_cannot_be_taken_change_nothing() {
    let mut books = MockBookIntegrity::new();
    books.expect_sums().returning(|| Err(away()));
    let mut watch = watch(books, MockIntegrityAlarm::new());
    watch.check_sums().await.unwrap_err();
    assert!(watch.is_ok(build::asset_id("btc")));
}

/// What could not be stopped is stopped with the next look.
#[tokio::test]
async fn an_alarm_that_fails_is_raised_again() {
    let mut books = MockBookIntegrity::new();
    books
        .expect_sums()
        .returning(|| Ok(vec![sums("btc", 1, 0)]));
    let mut alarm = MockIntegrityAlarm::new();
    let mut answers = vec![Ok(OutgoingStop::Own), Err(away())];
    alarm
        .expect_stop_outgoing()
        .times(2)
        .returning(move |_, _| answers.pop().unwrap());
    let mut watch = watch(books, alarm);
    watch.check_sums().await.unwrap_err();
    watch.check_sums().await.unwrap();
    watch.check_sums().await.unwrap();
}

/// An asset that cannot be stopped keeps no other from it, neither by its accounts nor by its sums.
#[tokio::test]
async fn an_alarm_that_fails_for_one_asset_is_raised_for_the_others() {
    let mut books = MockBookIntegrity::new();
    books.expect_check_accounts().times(1).returning(|_, _| {
        Ok(CheckedAccounts {
            breaches: vec![breach("btc"), breach("eth")],
            ..CheckedAccounts::default()
        })
    });
    books
        .expect_sums()
        .times(1)
        .returning(|| Ok(vec![sums("btc", 1, 0), sums("usd", 1, 0)]));
    let mut alarm = alarm_for(&["eth", "usd"]);
    alarm
        .expect_stop_outgoing()
        .with(eq(build::asset_id("btc")), always())
        .times(2)
        .returning(|_, _| Err(away()));
    let mut watch = watch(books, alarm);
    watch.check_accounts(10).await.unwrap_err();
    watch.check_sums().await.unwrap_err();
}

/// Another stop may be lifted for reasons of its own: the watch asks until its own one has stood.
#[tokio::test]
async fn a_stop_by_somebody_else_does_not_count_as_the_watchs_own() {
    let mut books = MockBookIntegrity::new();
    let mut rounds = vec![vec![breach("btc")], vec![], vec![], vec![breach("btc")]];
    books
        .expect_check_accounts()
        .times(4)
        .returning(move |_, _| {
            Ok(CheckedAccounts {
                breaches: rounds.pop().unwrap(),
                last: Some(7),
                ..CheckedAccounts::default()
            })
        });
    let mut alarm = MockIntegrityAlarm::new();
    let mut stands = vec![
        OutgoingStop::Own,
        OutgoingStop::Another,
        OutgoingStop::Another,
    ];
    alarm
        .expect_stop_outgoing()
        .times(3)
        .returning(move |asset, detail| {
            assert_eq!(
                (asset, detail),
                (build::asset_id("btc"), breach("btc").detail)
            );
            Ok(stands.pop().unwrap())
        });
    let mut watch = watch(books, alarm);
    for _ in 0..4 {
        watch.check_accounts(10).await.unwrap();
    }
}

/// Whoever lifts the watch's own stop is not overruled, until the books were right and are wrong again.
#[tokio::test]
async fn books_that_turn_wrong_again_are_stopped_again() {
    let mut books = MockBookIntegrity::new();
    let mut sums_taken = vec![1, 0, 1, 1];
    books
        .expect_sums()
        .times(4)
        .returning(move || Ok(vec![sums("btc", sums_taken.pop().unwrap(), 0)]));
    let mut alarm = MockIntegrityAlarm::new();
    alarm
        .expect_stop_outgoing()
        .times(2)
        .returning(|_, _| Ok(OutgoingStop::Own));
    let mut watch = watch(books, alarm);
    for _ in 0..4 {
        watch.check_sums().await.unwrap();
    }
}

#[tokio::test]
async fn only_an_admin_or_a_reader_examines() {
    for grant in other_grants(&READERS) {
        let error = Mocks::new().app().examine_books(&grant).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden(Permission::Admin)));
    }
}

#[tokio::test]
async fn operators_see_every_asset_by_name_with_what_is_known_of_it() {
    let mut mocks = Mocks::new();
    let btc = build::asset("btc", 8);
    let known = btc.clone();
    mocks
        .directory
        .expect_list_assets()
        .returning(move || Ok(vec![known.clone()]));
    let book = |asset| AssetIntegrity {
        sums: sums(asset, 0, 0),
        accounts: 0,
    };
    mocks
        .integrity
        .expect_examine()
        .returning(move || Ok((vec![book("xyz"), book("btc")], vec![])));
    let grant = Principal::local_operator()
        .grant(Permission::Admin)
        .unwrap();
    let shown = mocks.app().examine_books(&grant).await.unwrap();
    assert_eq!(shown.strays, []);
    assert_eq!(shown.books, [(book("btc"), Some(btc)), (book("xyz"), None)]);
}

#[tokio::test]
async fn books_that_cannot_be_read_are_an_error() {
    let grant = Principal::local_operator()
        .grant(Permission::Admin)
        .unwrap();
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_list_assets()
        .returning(|| Ok(vec![]));
    mocks.integrity.expect_examine().returning(|| Err(away()));
    let error = mocks.app().examine_books(&grant).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_list_assets()
        .returning(|| Err(away()));
    let error = mocks.app().examine_books(&grant).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
}

/// What is seen is left where the overview finds it, as of the last look.
#[tokio::test]
async fn what_a_watch_saw_last_can_be_asked_for() {
    let mut books = MockBookIntegrity::new();
    books.expect_check_accounts().returning(|_, _| {
        Ok(CheckedAccounts {
            breaches: vec![breach("btc")],
            ..CheckedAccounts::default()
        })
    });
    books
        .expect_sums()
        .returning(|| Ok(vec![sums("btc", 0, 0), sums("usd", 0, 0)]));
    let seen = BooksSeen::default();
    let clock = Arc::new(FixedClock::default());
    let mut watch = watch(books, alarm_for(&["btc"])).telling(seen.clone(), clock.clone());
    assert_eq!(seen.last(), None);
    watch.check_accounts(10).await.unwrap();
    clock.advance_ms(1_000);
    watch.check_sums().await.unwrap();
    let expected = BooksState {
        at: clock.now(),
        sums_at: Some(clock.now()),
        assets: vec![build::asset_id("btc"), build::asset_id("usd")],
        wrong: vec![build::asset_id("btc")],
        strays: false,
    };
    assert_eq!(seen.last(), Some(expected));
}

/// Looks at accounts go on where sums cannot be taken, and say nothing about sums.
#[tokio::test]
async fn a_watch_tells_when_it_took_sums_last() {
    let mut books = MockBookIntegrity::new();
    books
        .expect_check_accounts()
        .returning(|_, _| Ok(CheckedAccounts::default()));
    let mut answers = vec![Err(away()), Ok(vec![sums("btc", 0, 0)])];
    books
        .expect_sums()
        .times(2)
        .returning(move || answers.pop().unwrap());
    let seen = BooksSeen::default();
    let clock = Arc::new(FixedClock::default());
    let mut watch = watch(books, MockIntegrityAlarm::new()).telling(seen.clone(), clock.clone());
    let sums_at = || seen.last().unwrap().sums_at;
    watch.check_accounts(10).await.unwrap();
    assert_eq!(sums_at(), None);
    watch.check_sums().await.unwrap();
    let taken = clock.now();
    clock.advance_ms(600_000);
    watch.check_sums().await.unwrap_err();
    watch.check_accounts(10).await.unwrap();
    assert_eq!(sums_at(), Some(taken));
    assert_eq!(seen.last().unwrap().at, clock.now());
}

/// As with wrong accounts of an asset, until a whole round has found none.
#[tokio::test]
async fn a_watch_tells_of_strays_until_a_round_finds_none() {
    let stray = Breach {
        asset: None,
        detail: "account 1: \"no asset\" can be no asset".to_owned(),
    };
    let books = books_of(vec![vec![], vec![], vec![stray], vec![]]);
    let seen = BooksSeen::default();
    let clock = Arc::new(FixedClock::default());
    let mut watch = watch(books, MockIntegrityAlarm::new()).telling(seen.clone(), clock);
    let mut told = vec![];
    for _ in 0..4 {
        watch.check_accounts(10).await.unwrap();
        let state = seen.last().unwrap();
        assert_eq!(state.wrong, vec![]);
        told.push(state.strays);
    }
    assert_eq!(told, [false, true, false, false]);
}

#[tokio::test]
async fn strays_are_examined_too() {
    let stray = Breach {
        asset: None,
        detail: "accounts: \"no asset\" can be no asset".to_owned(),
    };
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_list_assets()
        .returning(|| Ok(vec![]));
    let found = stray.clone();
    mocks
        .integrity
        .expect_examine()
        .returning(move || Ok((vec![], vec![found.clone()])));
    let grant = Principal::local_operator()
        .grant(Permission::Admin)
        .unwrap();
    let examined = mocks.app().examine_books(&grant).await.unwrap();
    assert_eq!((examined.books, examined.strays), (vec![], vec![stray]));
}
