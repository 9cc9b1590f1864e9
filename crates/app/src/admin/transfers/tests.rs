use bursar_ports::{Permission, TransferSlice, UserPage};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::test_support::{ALICE, BOB, Mocks, NOW, btc, operator, other_grants, unavailable, usd};

fn reader() -> Grant {
    operator(Permission::BackofficeRead)
}

fn internal(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &usd(), 5, NOW);
    build::internal(new, ALICE, BOB).next
}

fn deposit(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &btc(), 5, NOW);
    build::deposit(new, ALICE).next
}

fn place() -> ListPlace {
    ListPlace {
        created_at: NOW,
        id: build::transfer_id(7),
    }
}

/// The store is asked for exactly this and finds these.
fn scans(mocks: &mut Mocks, scan: TransferScan, transfers: Vec<Transfer>) {
    mocks
        .query
        .expect_scan_transfers()
        .with(eq(scan))
        .times(1)
        .return_once(|_| {
            Ok(TransferSlice {
                transfers,
                next: Some(place()),
            })
        });
}

fn amount(text: &str) -> Option<DecimalAmount> {
    DecimalAmount::parse(text).ok()
}

fn invalid(found: Result<FoundTransfers, Error>) -> (String, String) {
    match found {
        Err(Error::Invalid(mut errors)) => {
            assert_eq!(errors.len(), 1);
            let error = errors.remove(0);
            (error.field, error.code.into_owned())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let app = Mocks::new().app();
        let found = app
            .search_transfers(&grant, TransferSearch::default())
            .await;
        assert!(matches!(found, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn everything_that_is_known_reaches_the_store() {
    for permission in READERS {
        let mut mocks = Mocks::new();
        mocks.has_asset(&btc());
        let scan = TransferScan {
            kind: Some(Kind::Deposit),
            status: Some(Status::Pending),
            users: Some(vec![ALICE]),
            asset: Some(btc().id),
            amount_min: Amount::try_from_units(150_000_000).ok(),
            amount_max: Amount::try_from_units(200_000_000).ok(),
            from: Some(Timestamp::EPOCH),
            to: Some(NOW),
            custom_id: Some("mine".to_owned()),
            id: Some(build::transfer_id(1)),
            after: Some(place()),
            limit: 3,
        };
        scans(&mut mocks, scan, vec![deposit(1), internal(2)]);
        let wanted = TransferSearch {
            kind: Some(Kind::Deposit),
            status: Some(Status::Pending),
            user: Some(ALICE),
            search: None,
            asset: Some(btc().id),
            amount_min: amount("1.5"),
            amount_max: amount("2"),
            from: Some(Timestamp::EPOCH),
            to: Some(NOW),
            custom_id: Some("mine".to_owned()),
            code: None,
            id: Some(build::transfer_id(1)),
            after: Some(place()),
            limit: 3,
        };
        let app = mocks.app();
        let found = app.search_transfers(&operator(permission), wanted).await;
        let found = found.unwrap();
        assert_eq!(found.next, Some(place()));
        let codes: Vec<_> = found.transfers.iter().map(|row| row.code.clone()).collect();
        assert_eq!(codes, [None, app.code_of(&internal(2))]);
    }
}

#[tokio::test]
async fn amounts_between_two_units_are_taken_inwards() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&usd());
    let scan = TransferScan {
        asset: Some(usd().id),
        amount_min: Amount::try_from_units(101).ok(),
        amount_max: Amount::try_from_units(199).ok(),
        ..TransferScan::default()
    };
    scans(&mut mocks, scan, vec![]);
    let wanted = TransferSearch {
        asset: Some(usd().id),
        amount_min: amount("1.001"),
        amount_max: amount("1.999"),
        ..TransferSearch::default()
    };
    let found = mocks.app().search_transfers(&reader(), wanted).await;
    assert_eq!(found.unwrap().transfers, []);
}

#[tokio::test]
async fn an_amount_needs_its_asset() {
    for (amount_min, amount_max) in [(amount("1"), None), (None, amount("1"))] {
        let wanted = TransferSearch {
            amount_min,
            amount_max,
            ..TransferSearch::default()
        };
        let found = Mocks::new().app().search_transfers(&reader(), wanted).await;
        assert_eq!(
            invalid(found),
            ("asset".to_owned(), "asset.missed".to_owned())
        );
    }
}

#[tokio::test]
async fn no_amount_of_an_unknown_asset_was_ever_moved() {
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_find_asset()
        .return_once(|_| Ok(None));
    let wanted = TransferSearch {
        asset: Some(build::asset_id("doge")),
        amount_min: amount("1"),
        ..TransferSearch::default()
    };
    let found = mocks.app().search_transfers(&reader(), wanted).await;
    assert_eq!(found.unwrap(), FoundTransfers::default());
}

#[tokio::test]
async fn a_code_names_one_transfer() {
    let code = Mocks::new().app().code_of(&internal(2)).unwrap();
    let by_code = |code: &str| TransferSearch {
        code: Some(code.to_owned()),
        ..TransferSearch::default()
    };
    let scan = TransferScan {
        id: Some(build::transfer_id(2)),
        ..TransferScan::default()
    };
    let other_salt = {
        let new = build::new_transfer(build::transfer_id(2), &usd(), 5, NOW);
        let recipient = bursar_domain::Recipient::Id(BOB);
        Transfer::internal(new, ALICE, recipient, CodeSalt::new([99; 10]), None)
            .unwrap()
            .next
    };
    for (stored, found) in [(internal(2), 1), (other_salt, 0), (deposit(2), 0)] {
        let mut mocks = Mocks::new();
        scans(&mut mocks, scan.clone(), vec![stored]);
        let listed = mocks
            .app()
            .search_transfers(&reader(), by_code(&code))
            .await;
        assert_eq!(listed.unwrap().transfers.len(), found);
    }
    // What is no code, and a code that contradicts the id, name nothing: the store is not asked.
    let contradiction = TransferSearch {
        id: Some(build::transfer_id(3)),
        ..by_code(&code)
    };
    for wanted in [by_code("TRF123456"), contradiction] {
        let listed = Mocks::new().app().search_transfers(&reader(), wanted).await;
        assert_eq!(listed.unwrap(), FoundTransfers::default());
    }
}

#[tokio::test]
async fn a_search_names_users() {
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_list_users()
        .with(eq(Some("al".to_owned())), eq(None), eq(1_000))
        .times(1)
        .return_once(|_, _, _| {
            Ok(UserPage {
                users: vec![build::user(ALICE), build::user(BOB)],
                more: false,
            })
        });
    let scan = TransferScan {
        users: Some(vec![ALICE, BOB]),
        ..TransferScan::default()
    };
    scans(&mut mocks, scan, vec![]);
    let wanted = TransferSearch {
        search: Some("al".to_owned()),
        ..TransferSearch::default()
    };
    mocks
        .app()
        .search_transfers(&reader(), wanted)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_store_in_trouble_is_told() {
    let mut mocks = Mocks::new();
    mocks
        .query
        .expect_scan_transfers()
        .return_once(|_| Err(unavailable()));
    let found = mocks
        .app()
        .search_transfers(&reader(), TransferSearch::default())
        .await;
    assert!(matches!(found, Err(Error::Store(_))));
}
