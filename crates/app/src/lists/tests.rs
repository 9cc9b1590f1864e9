use bursar_domain::{Kind, Status, Timestamp};
use bursar_ports::{StoreError, TransferPage, UserPage};
use bursar_testkit::build;
use mockall::{Sequence, predicate::eq};

use super::*;
use crate::test_support::{
    ALICE, BOB, Mocks, NOW, btc, operator, other_grants, overloaded, unavailable,
};

fn reader() -> Grant {
    operator(Permission::BackofficeRead)
}

fn deposit(id: i64, user: UserId) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &btc(), 5, NOW);
    build::deposit(new, user).next
}

fn history() -> AccountHistory {
    AccountHistory {
        user: ALICE,
        from: Some(Timestamp::EPOCH),
        to: Some(NOW),
        limit: 10,
        offset: 20,
    }
}

fn page(transfers: Vec<Transfer>) -> TransferPage {
    TransferPage {
        transfers,
        total: 42,
        estimated: true,
        more: true,
    }
}

/// The list is asked for with these users and has nothing to show.
fn lists_only(mocks: &mut Mocks, users: Option<Vec<UserId>>) {
    mocks
        .query
        .expect_list_transfers()
        .with(eq(TransferFilter {
            users,
            ..TransferFilter::default()
        }))
        .times(1)
        .return_once(|_| Ok(page(vec![])));
    mocks
        .directory
        .expect_find_users()
        .returning(|_| Ok(vec![]));
}

/// A search for `al` finds these pages, one after the other.
fn search_finds(mocks: &mut Mocks, pages: Vec<(Vec<UserId>, bool)>) {
    let mut order = Sequence::new();
    let mut after = None;
    for (ids, more) in pages {
        let last = ids.last().copied();
        mocks
            .directory
            .expect_list_users()
            .with(eq(Some("al".to_owned())), eq(after), eq(1_000))
            .times(1)
            .in_sequence(&mut order)
            .return_once(move |_, _, _| {
                let users = ids.into_iter().map(build::user).collect();
                Ok(UserPage { users, more })
            });
        after = last.or(after);
    }
}

fn searching(user: Option<UserId>) -> BackofficeFilter {
    BackofficeFilter {
        search: Some("al".to_owned()),
        user,
        ..BackofficeFilter::default()
    }
}

fn ids(range: std::ops::Range<u128>) -> Vec<UserId> {
    range.map(build::user_id).collect()
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&[Permission::BackofficeRead]) {
        let app = Mocks::new().app();
        let wanted = Permission::BackofficeRead;
        let listed = app.list_account_history(&grant, history()).await;
        assert!(matches!(listed, Err(Error::Forbidden(missing)) if missing == wanted));
        let listed = app
            .list_transfers(&grant, BackofficeFilter::default())
            .await;
        assert!(matches!(listed, Err(Error::Forbidden(missing)) if missing == wanted));
    }
}

#[tokio::test]
async fn a_history_is_the_known_user_s_as_filtered() {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    mocks
        .query
        .expect_list_account_history()
        .with(eq(history()))
        .times(1)
        .return_once(|_| Ok(vec![deposit(2, ALICE), deposit(1, ALICE)]));
    let listed = mocks.app().list_account_history(&reader(), history()).await;
    assert_eq!(listed.unwrap(), [deposit(2, ALICE), deposit(1, ALICE)]);
}

#[tokio::test]
async fn an_unknown_user_has_no_history() {
    let mut mocks = Mocks::new();
    mocks.knows_no_user(ALICE);
    let listed = mocks.app().list_account_history(&reader(), history()).await;
    assert!(matches!(listed, Err(Error::NotFound(Missing::User))));
}

#[tokio::test]
async fn a_history_that_cannot_be_had_is_an_error() {
    let mut no_user = Mocks::new();
    no_user
        .directory
        .expect_find_user()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let mut no_list = Mocks::new();
    no_list.has_user(build::user(ALICE));
    no_list
        .query
        .expect_list_account_history()
        .times(1)
        .return_once(|_| Err(unavailable()));
    for mocks in [no_user, no_list] {
        let listed = mocks.app().list_account_history(&reader(), history()).await;
        assert!(matches!(
            listed,
            Err(Error::Store(StoreError::Unavailable(_)))
        ));
    }
}

#[tokio::test]
async fn rows_carry_their_users_and_the_totals_are_handed_on() {
    let transfers = vec![deposit(3, BOB), deposit(2, ALICE), deposit(1, BOB)];
    let rows = transfers.clone();
    let asked = TransferFilter {
        users: None,
        from: Some(Timestamp::EPOCH),
        to: Some(NOW),
        status: Some(Status::Pending),
        kind: Some(Kind::Deposit),
        limit: 3,
        offset: 6,
    };
    let mut mocks = Mocks::new();
    mocks
        .query
        .expect_list_transfers()
        .with(eq(asked.clone()))
        .times(1)
        .return_once(|_| Ok(page(rows)));
    mocks
        .directory
        .expect_find_users()
        .with(eq(vec![ALICE, BOB]))
        .times(1)
        .return_once(|_| Ok(vec![build::user(BOB), build::user(ALICE)]));
    let filter = BackofficeFilter {
        transfers: asked,
        ..BackofficeFilter::default()
    };
    let listed = mocks.app().list_transfers(&reader(), filter).await.unwrap();
    let expected = transfers.into_iter().map(|transfer| BackofficeRow {
        user: build::user(transfer.owner()),
        transfer,
    });
    assert_eq!(listed.rows, expected.collect::<Vec<_>>());
    let told = (listed.total, listed.estimated, listed.more);
    assert_eq!(told, (42, true, true));
}

#[tokio::test]
async fn a_row_whose_user_the_directory_lost_is_shown_under_its_id() {
    let mut mocks = Mocks::new();
    mocks
        .query
        .expect_list_transfers()
        .return_once(|_| Ok(page(vec![deposit(2, BOB), deposit(1, ALICE)])));
    mocks
        .directory
        .expect_find_users()
        .return_once(|_| Ok(vec![build::user(BOB)]));
    let listed = mocks
        .app()
        .list_transfers(&reader(), BackofficeFilter::default())
        .await
        .unwrap();
    assert_eq!(listed.rows[0].user, build::user(BOB));
    let nameless = &listed.rows[1].user;
    assert_eq!(nameless.id, ALICE);
    assert_eq!(nameless.username, ALICE.to_string());
    assert_eq!(nameless.email, "");
    assert_eq!(nameless.roles, Vec::<String>::new());
}

#[tokio::test]
async fn without_a_search_the_user_filter_needs_no_directory() {
    for (user, users) in [(None, None), (Some(BOB), Some(vec![BOB]))] {
        let mut mocks = Mocks::new();
        lists_only(&mut mocks, users);
        let filter = BackofficeFilter {
            user,
            ..BackofficeFilter::default()
        };
        let listed = mocks.app().list_transfers(&reader(), filter).await.unwrap();
        assert_eq!(listed.rows, []);
    }
}

#[tokio::test]
async fn users_that_a_filter_brings_along_do_not_count() {
    let mut mocks = Mocks::new();
    lists_only(&mut mocks, None);
    let filter = BackofficeFilter {
        transfers: TransferFilter {
            users: Some(vec![BOB]),
            ..TransferFilter::default()
        },
        ..BackofficeFilter::default()
    };
    assert!(mocks.app().list_transfers(&reader(), filter).await.is_ok());
}

#[tokio::test]
async fn a_search_takes_all_its_pages() {
    let mut mocks = Mocks::new();
    search_finds(
        &mut mocks,
        vec![
            (ids(1..1_001), true),
            (ids(1_001..1_500), true),
            (ids(1_500..1_502), false),
        ],
    );
    lists_only(&mut mocks, Some(ids(1..1_502)));
    let listed = mocks.app().list_transfers(&reader(), searching(None)).await;
    assert!(listed.is_ok());
}

#[tokio::test]
async fn a_page_that_promises_more_and_has_nothing_ends_the_search() {
    let mut mocks = Mocks::new();
    search_finds(&mut mocks, vec![(ids(1..3), true), (vec![], true)]);
    lists_only(&mut mocks, Some(ids(1..3)));
    let listed = mocks.app().list_transfers(&reader(), searching(None)).await;
    assert!(listed.is_ok());
}

#[tokio::test]
async fn a_search_that_finds_nobody_lists_nobody_s() {
    let mut mocks = Mocks::new();
    search_finds(&mut mocks, vec![(vec![], false)]);
    lists_only(&mut mocks, Some(vec![]));
    let listed = mocks.app().list_transfers(&reader(), searching(None)).await;
    assert!(listed.is_ok());
}

#[tokio::test]
async fn a_search_and_a_user_leave_what_fits_both() {
    let alice = User {
        username: "ALice".to_owned(),
        ..build::user(ALICE)
    };
    let by_email = User {
        email: "pal@example.com".to_owned(),
        ..build::user(ALICE)
    };
    // The directory is not searched, so the search cannot be too broad.
    for (user, left) in [
        (Some(alice), vec![ALICE]),
        (Some(by_email), vec![ALICE]),
        (Some(build::user(ALICE)), vec![]),
        (None, vec![]),
    ] {
        let mut mocks = Mocks::new();
        mocks
            .directory
            .expect_find_user()
            .with(eq(ALICE))
            .times(1)
            .return_once(|_| Ok(user));
        lists_only(&mut mocks, Some(left));
        let filter = searching(Some(ALICE));
        let listed = mocks.app().list_transfers(&reader(), filter).await;
        assert!(listed.is_ok());
    }
}

#[test]
fn a_user_is_found_by_a_part_of_its_names_taken_literally() {
    let user = User {
        username: "ÉCLAIR_100%".to_owned(),
        email: "Straße@example.com".to_owned(),
        ..build::user(ALICE)
    };
    for (search, found) in [
        ("éclair", true),
        ("R_1", true),
        ("0%", true),
        ("STRASSE", false),
        ("straße@", true),
        ("%", true),
        ("r%1", false),
        ("\\", false),
    ] {
        assert_eq!(is_found_by(&user, search), found, "{search}");
    }
}

#[tokio::test]
async fn a_search_may_match_ten_thousand_users_and_not_one_more() {
    let pages = |last: u128| {
        let mut pages: Vec<_> = (0..9)
            .map(|n| (ids(n * 1_000 + 1..n * 1_000 + 1_001), true))
            .collect();
        pages.push((ids(9_001..last + 1), false));
        pages
    };
    let mut mocks = Mocks::new();
    search_finds(&mut mocks, pages(10_000));
    lists_only(&mut mocks, Some(ids(1..10_001)));
    let listed = mocks.app().list_transfers(&reader(), searching(None)).await;
    assert!(listed.is_ok());

    let mut mocks = Mocks::new();
    search_finds(&mut mocks, pages(10_001));
    let listed = mocks.app().list_transfers(&reader(), searching(None)).await;
    let Err(Error::Invalid(fields)) = listed else {
        panic!("{listed:?}");
    };
    let detail = "matches more than 10000 users";
    assert_eq!(
        fields,
        [FieldError::new("search", "search.too_broad", detail)]
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_an_error() {
    let mut no_search = Mocks::new();
    no_search
        .directory
        .expect_list_users()
        .times(1)
        .return_once(|_, _, _| Err(overloaded()));
    let mut no_list = Mocks::new();
    search_finds(&mut no_list, vec![(vec![ALICE], false)]);
    no_list
        .query
        .expect_list_transfers()
        .times(1)
        .return_once(|_| Err(overloaded()));
    let mut no_users = Mocks::new();
    search_finds(&mut no_users, vec![(vec![ALICE], false)]);
    no_users
        .query
        .expect_list_transfers()
        .times(1)
        .return_once(|_| Ok(page(vec![deposit(1, ALICE)])));
    no_users
        .directory
        .expect_find_users()
        .times(1)
        .return_once(|_| Err(overloaded()));
    for mocks in [no_search, no_list, no_users] {
        let listed = mocks.app().list_transfers(&reader(), searching(None)).await;
        assert!(matches!(listed, Err(Error::Store(StoreError::Overloaded))));
    }
}
