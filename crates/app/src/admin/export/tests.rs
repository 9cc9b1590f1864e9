use bursar_domain::{
    AccountKey, Amount, BigDecimal, Command, DecimalAmount, Kind, NewTransfer, ReversalTerms,
    Status, Timestamp,
};
use bursar_ports::{LedgerLine, LedgerOwner, MockExportPages, Permission, StoreError};
use bursar_testkit::build;
use mockall::{Sequence, predicate::eq};
use uuid::Uuid;

use super::*;
use crate::test_support::{ALICE, BOB, Mocks, NOW, btc, operator, other_grants, unavailable, usd};

fn reader() -> Grant {
    operator(Permission::BackofficeRead)
}

fn deposit(id: i64, asset: &bursar_domain::Asset, units: i128) -> Transfer {
    let new = NewTransfer {
        fee: Amount::try_from_units(3).unwrap(),
        ..build::new_transfer(build::transfer_id(id), asset, units, NOW)
    };
    build::deposit(new, ALICE).next
}

fn internal(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &usd(), 5, NOW);
    build::internal(new, ALICE, BOB).next
}

fn record(account: AccountKey, units: i128) -> LedgerRecord {
    LedgerRecord {
        line: LedgerLine {
            account,
            seq: 1,
            transfer: build::transfer_id(7),
            available_delta: units,
            held_delta: -units,
            available_after: 0,
            held_after: 0,
            at: NOW,
        },
        scale: btc().scale,
        kind: Kind::Withdrawal,
        salt: None,
    }
}

fn done(id: u128, action: &str) -> AuditRecord {
    AuditRecord {
        id: Uuid::from_u128(id),
        at: NOW,
        actor: "anna".to_owned(),
        credential: "token:1".to_owned(),
        request_id: "request-1".to_owned(),
        address: "192.0.2.1".to_owned(),
        action: action.to_owned(),
        target: "asset:btc".to_owned(),
        before: None,
        after: None,
    }
}

type Page<T> = Result<Option<Vec<T>>, StoreError>;

/// Pages that are asked for one after the other, and never again.
fn pages<T: Send + 'static>(all: Vec<Page<T>>) -> OpenExport<T> {
    let mut pages = MockExportPages::new();
    let mut order = Sequence::new();
    for page in all {
        pages
            .expect_next_page()
            .times(1)
            .in_sequence(&mut order)
            .return_once(|| page);
    }
    OpenExport::Opened(Box::new(pages))
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let app = Mocks::new().app();
        let search = TransferSearch::default();
        let transfers = app.export_transfers(&grant, search).await.err();
        assert!(matches!(
            transfers,
            Some(Error::Forbidden(Permission::Admin))
        ));
        let filter = EntryFilter::default();
        let entries = app.export_entries(&grant, filter).await.err();
        assert!(matches!(entries, Some(Error::Forbidden(Permission::Admin))));
        let filter = AuditFilter::default();
        let audit = app.export_audit(&grant, filter).await.err();
        assert!(matches!(audit, Some(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn an_export_looks_for_what_the_list_looks_for() {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    let scan = TransferScan {
        kind: Some(Kind::Deposit),
        users: Some(vec![ALICE]),
        asset: Some(btc().id),
        amount_min: Amount::try_from_units(150_000_000).ok(),
        from: Some(Timestamp::EPOCH),
        ..TransferScan::default()
    };
    mocks
        .exports
        .expect_open_transfers()
        .with(eq(scan))
        .times(1)
        .return_once(|_| Ok(pages(vec![Ok(None)])));
    let search = TransferSearch {
        kind: Some(Kind::Deposit),
        user: Some(ALICE),
        asset: Some(btc().id),
        amount_min: DecimalAmount::parse("1.5").ok(),
        from: Some(Timestamp::EPOCH),
        ..TransferSearch::default()
    };
    let app = mocks.app();
    let admin = operator(Permission::Admin);
    let mut export = app.export_transfers(&admin, search).await.unwrap();
    assert_eq!(export.next_page().await.unwrap(), None);
    assert_eq!(export.totals(), []);
}

#[tokio::test]
async fn transfers_go_by_and_are_added_up_by_asset_kind_and_status() {
    let settled = build::step(&deposit(4, &btc(), 7), &Command::Settle, NOW).next;
    let first = vec![deposit(1, &btc(), 150_000_000), internal(2)];
    let second = vec![deposit(3, &btc(), 50_000_000), settled];
    let parts = vec![
        Ok(Some(first.clone())),
        Ok(Some(vec![])),
        Ok(Some(second.clone())),
        Ok(None),
    ];
    let mut mocks = Mocks::new();
    mocks
        .exports
        .expect_open_transfers()
        .return_once(|_| Ok(pages(parts)));
    let app = mocks.app();
    let search = TransferSearch::default();
    let mut export = app.export_transfers(&reader(), search).await.unwrap();
    for expected in [first, vec![], second] {
        let page = export.next_page().await.unwrap().unwrap();
        let codes: Vec<_> = page.iter().map(|found| found.code.clone()).collect();
        let transfers: Vec<_> = page.into_iter().map(|found| found.transfer).collect();
        let expected_codes: Vec<_> = expected.iter().map(|one| app.code_of(one)).collect();
        assert_eq!((transfers, codes), (expected, expected_codes));
    }
    assert!(export.next_page().await.unwrap().is_none());
    let total = |asset, kind, status, count, amount: &str, fee: &str| TransferTotal {
        asset,
        kind,
        status,
        count,
        amount: amount.parse().unwrap(),
        fee: fee.parse().unwrap(),
    };
    let (of_btc, of_usd) = (btc().id, usd().id);
    let expected = [
        total(of_btc, Kind::Deposit, Status::Pending, 2, "2", "0.00000006"),
        total(
            of_btc,
            Kind::Deposit,
            Status::Completed,
            1,
            "0.00000007",
            "0.00000003",
        ),
        total(of_usd, Kind::Internal, Status::Pending, 1, "0.05", "0"),
    ];
    assert_eq!(export.totals(), expected);
}

/// As the ledger takes it from what the exchange earned.
#[tokio::test]
async fn what_reversals_give_back_of_fees_is_taken_off_their_total() {
    let settled = build::step(&deposit(1, &btc(), 8), &Command::Settle, NOW).next;
    let covers = Some(build::amount(4));
    let back = |id, returns_fee| {
        let new = build::new_transfer(build::transfer_id(id), &btc(), 1, NOW);
        let salt = CodeSalt::new([9; 10]);
        let terms = ReversalTerms {
            covers,
            returns_fee,
            salt,
        };
        settled.reversal(new, terms).unwrap().next
    };
    // Half of the fee, which is rounded down, goes back with the first and stays with the second.
    let all = vec![back(2, true), back(3, false), settled];
    let mut mocks = Mocks::new();
    mocks
        .exports
        .expect_open_transfers()
        .return_once(|_| Ok(pages(vec![Ok(Some(all))])));
    let app = mocks.app();
    let search = TransferSearch::default();
    let mut export = app.export_transfers(&reader(), search).await.unwrap();
    export.next_page().await.unwrap();
    let totals: Vec<_> = export
        .totals()
        .into_iter()
        .map(|total| (total.kind, total.status, total.fee))
        .collect();
    let units = |units: i64| BigDecimal::new(units.into(), 8);
    let expected = [
        (Kind::Deposit, Status::Completed, units(3)),
        (Kind::Withdrawal, Status::Completed, units(-1)),
    ];
    assert_eq!(totals, expected);
}

#[tokio::test]
async fn sums_have_no_limit() {
    let most = Amount::MAX.units();
    let mut mocks = Mocks::new();
    let three = (1..=3).map(|id| deposit(id, &btc(), most)).collect();
    mocks
        .exports
        .expect_open_transfers()
        .return_once(|_| Ok(pages(vec![Ok(Some(three))])));
    let search = TransferSearch::default();
    let app = mocks.app();
    let mut export = app.export_transfers(&reader(), search).await.unwrap();
    export.next_page().await.unwrap();
    let [total] = export.totals().try_into().unwrap();
    assert_eq!(total.amount, BigDecimal::new(most.into(), 8) * 3);
}

#[tokio::test]
async fn a_code_finds_the_transfer_that_has_it_and_no_other() {
    let code = Mocks::new().app().code_of(&internal(2)).unwrap();
    let search = |code: &str| TransferSearch {
        code: Some(code.to_owned()),
        ..TransferSearch::default()
    };
    let by_id = TransferScan {
        id: Some(build::transfer_id(2)),
        ..TransferScan::default()
    };
    for (there, found) in [(internal(2), 1), (deposit(2, &usd(), 5), 0)] {
        let mut mocks = Mocks::new();
        mocks
            .exports
            .expect_open_transfers()
            .with(eq(by_id.clone()))
            .return_once(|_| Ok(pages(vec![Ok(Some(vec![there]))])));
        let app = mocks.app();
        let mut export = app
            .export_transfers(&reader(), search(&code))
            .await
            .unwrap();
        assert_eq!(export.next_page().await.unwrap().unwrap().len(), found);
        assert_eq!(export.totals().len(), found);
    }
    // What is no code matches nothing, and nothing is opened.
    let app = Mocks::new().app();
    let mut export = app
        .export_transfers(&reader(), search("no code"))
        .await
        .unwrap();
    assert!(export.next_page().await.unwrap().is_none());
}

#[tokio::test]
async fn lines_go_by_and_are_added_up_by_asset_owner_and_kind() {
    let filter = EntryFilter {
        owner: Some(LedgerOwner::User(ALICE)),
        ..EntryFilter::default()
    };
    let of_btc = btc().id;
    let lines = vec![
        record(AccountKey::user(ALICE, of_btc), 5),
        record(AccountKey::user(BOB, of_btc), -7),
        record(AccountKey::world(of_btc), 1),
        record(AccountKey::fees(of_btc), 1),
    ];
    let parts = vec![Ok(Some(lines.clone())), Ok(None)];
    let mut mocks = Mocks::new();
    mocks
        .exports
        .expect_open_entries()
        .with(eq(filter.clone()))
        .times(1)
        .return_once(|_| Ok(pages(parts)));
    let app = mocks.app();
    let mut export = app.export_entries(&reader(), filter).await.unwrap();
    let page = export.next_page().await.unwrap().unwrap();
    let records: Vec<_> = page.into_iter().map(|coded| coded.record).collect();
    assert_eq!(records, lines);
    assert!(export.next_page().await.unwrap().is_none());
    let total = |owner, count, available: &str, held: &str| EntryTotal {
        asset: of_btc,
        owner,
        kind: Kind::Withdrawal,
        count,
        available_delta: available.parse().unwrap(),
        held_delta: held.parse().unwrap(),
    };
    let expected = [
        total(OwnerKind::User, 2, "-0.00000002", "0.00000002"),
        total(OwnerKind::Fees, 1, "0.00000001", "-0.00000001"),
        total(OwnerKind::World, 1, "0.00000001", "-0.00000001"),
    ];
    assert_eq!(export.totals(), expected);
}

#[tokio::test]
async fn the_audit_log_goes_by_and_is_counted_by_action() {
    let filter = AuditFilter {
        actor: Some("anna".to_owned()),
        ..AuditFilter::default()
    };
    let first = vec![done(4, "rate.put"), done(3, "asset.put")];
    let second = vec![done(2, "rate.put")];
    for permission in READERS {
        let mut mocks = Mocks::new();
        let parts = [
            Some(first.clone()),
            Some(vec![]),
            Some(second.clone()),
            None,
        ];
        let given = pages(parts.map(Ok).into());
        mocks
            .exports
            .expect_open_audit()
            .with(eq(filter.clone()))
            .times(1)
            .return_once(|_| Ok(given));
        let app = mocks.app();
        let grant = operator(permission);
        let mut export = app.export_audit(&grant, filter.clone()).await.unwrap();
        assert_eq!(export.totals(), []);
        for expected in [Some(&first), Some(&vec![]), Some(&second), None] {
            let page = export.next_page().await.unwrap();
            assert_eq!(page.as_ref(), expected);
        }
        let total = |action: &str, count| AuditTotal {
            action: action.to_owned(),
            count,
        };
        let expected = [total("asset.put", 1), total("rate.put", 2)];
        assert_eq!(export.totals(), expected);
    }
}

#[tokio::test]
async fn one_export_too_many_is_refused() {
    let mut mocks = Mocks::new();
    mocks
        .exports
        .expect_open_transfers()
        .return_once(|_| Ok(OpenExport::Busy));
    mocks
        .exports
        .expect_open_entries()
        .return_once(|_| Ok(OpenExport::Busy));
    mocks
        .exports
        .expect_open_audit()
        .return_once(|_| Ok(OpenExport::Busy));
    let app = mocks.app();
    let search = TransferSearch::default();
    let transfers = app.export_transfers(&reader(), search).await.err();
    let filter = EntryFilter::default();
    let entries = app.export_entries(&reader(), filter).await.err();
    let filter = AuditFilter::default();
    let audit = app.export_audit(&reader(), filter).await.err();
    for refused in [transfers, entries, audit] {
        let Some(Error::RateLimited(refused)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((refused.limit, refused.retry_after_s), (Limit::Exports, 10));
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_an_error_at_the_beginning_and_in_the_middle() {
    let mut mocks = Mocks::new();
    mocks
        .exports
        .expect_open_transfers()
        .times(1)
        .return_once(|_| Err(unavailable()));
    mocks
        .exports
        .expect_open_transfers()
        .return_once(|_| Ok(pages(vec![Ok(Some(vec![internal(2)])), Err(unavailable())])));
    mocks
        .exports
        .expect_open_entries()
        .times(1)
        .return_once(|_| Err(unavailable()));
    mocks
        .exports
        .expect_open_entries()
        .return_once(|_| Ok(pages(vec![Err(unavailable())])));
    mocks
        .exports
        .expect_open_audit()
        .times(1)
        .return_once(|_| Err(unavailable()));
    mocks
        .exports
        .expect_open_audit()
        .return_once(|_| Ok(pages(vec![Err(unavailable())])));
    let app = mocks.app();
    let search = TransferSearch::default;
    let gone = app.export_transfers(&reader(), search()).await.err();
    assert!(matches!(gone, Some(Error::Store(_))));
    let mut export = app.export_transfers(&reader(), search()).await.unwrap();
    export.next_page().await.unwrap();
    assert!(matches!(export.next_page().await, Err(Error::Store(_))));
    let filter = EntryFilter::default;
    let gone = app.export_entries(&reader(), filter()).await.err();
    assert!(matches!(gone, Some(Error::Store(_))));
    let mut export = app.export_entries(&reader(), filter()).await.unwrap();
    assert!(matches!(export.next_page().await, Err(Error::Store(_))));
    let filter = AuditFilter::default;
    let gone = app.export_audit(&reader(), filter()).await.err();
    assert!(matches!(gone, Some(Error::Store(_))));
    let mut export = app.export_audit(&reader(), filter()).await.unwrap();
    assert!(matches!(export.next_page().await, Err(Error::Store(_))));
}
