use bursar_domain::{Amount, Command, Kind, Limits, Usage, UsageKey};
use bursar_testkit::build;
use data_encoding::HEXLOWER;
use diesel_async::AsyncConnection as _;

use super::*;
use crate::{
    export_heads,
    proof::filled::{ALICE, BOB, Book},
    row::Uses,
    usage::load_uses,
};

async fn proved(book: &Book, heads: Option<HeadsFile>) -> (Judged, Vec<String>) {
    let verification = Verification {
        seals: book.keys.clone(),
        sealed_since: Some(Timestamp::EPOCH),
        heads,
    };
    let mut told = vec![];
    let mut tell = |event| match event {
        Event::Violation(violation) => told.push(violation.to_string()),
        Event::Progress(_) => {}
    };
    let judged = verify(book.url(), &verification, &mut tell).await.unwrap();
    assert_eq!(judged.violations, u64::try_from(told.len()).unwrap());
    (judged, told)
}

/// The heads of a book, in a file that goes with the folder.
async fn exported(book: &Book) -> (tempfile::TempDir, HeadsFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads");
    let mut out = std::fs::File::create_new(&path).unwrap();
    let count = export_heads(book.url(), &mut out).await.unwrap();
    assert!(count > 5);
    let heads = HeadsFile::open(&path).unwrap();
    (folder, heads)
}

#[tokio::test]
async fn books_that_nobody_touched_are_proved_while_they_go_on() {
    let book = Book::filled().await;
    let (_folder, heads) = exported(&book).await;
    let (judged, told) = proved(&book, Some(heads.clone())).await;
    assert_eq!(told, Vec::<String>::new());
    assert!(judged.transfers > 20 && judged.entries > 40 && judged.accounts > 9);
    assert_eq!((judged.unsealed_transfers, judged.unsealed_entries), (0, 0));
    // What comes after an export is no matter.
    book.deposit(ALICE, "btc", 1_000).await;
    let (_, told) = proved(&book, Some(heads)).await;
    assert_eq!(told, Vec::<String>::new());
}

/// Rows that more than one page has, and accounts without entries between them.
#[tokio::test]
async fn many_rows_are_read_in_pages() {
    let book = Book::filled().await;
    let more = format!(
        "INSERT INTO book_main.accounts (id, owner_kind, owner, asset, available, held, seq, \
         status, stamped_at) SELECT 1000 + n, 'user', \
         ('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, 'btc', 0, 0, 0, 'Active', \
         'epoch' FROM generate_series(1, {}) AS n",
        2 * PAGE + 1
    );
    book.sabotage(&more).await;
    let (judged, told) = proved(&book, None).await;
    assert_eq!(told, Vec::<String>::new());
    assert!(judged.accounts > 2_001, "{judged:?}");
}

#[tokio::test]
async fn what_was_cut_off_shows_beside_an_export() {
    let book = Book::filled().await;
    book.deposit(ALICE, "btc", 1_000).await;
    let (_folder, heads) = exported(&book).await;
    // A deposit, undone to the last trace: nothing that is left shows it.
    let cut = "CREATE TEMP TABLE gone AS SELECT * FROM book_main.transfers \
               WHERE kind = 'deposit' AND state = 'Completed' ORDER BY id DESC LIMIT 1; \
               DELETE FROM book_main.entries e USING gone WHERE e.transfer_id = gone.id; \
               DELETE FROM book_main.transfers t USING gone WHERE t.id = gone.id; \
               UPDATE book_main.accounts a SET available = e.available_after, \
               held = e.held_after, seq = e.seq, head = e.seal FROM book_main.entries e \
               WHERE e.account_id = a.id AND a.seq > e.seq \
               AND e.seq = (SELECT max(seq) FROM book_main.entries l WHERE l.account_id = a.id)";
    book.sabotage(cut).await;
    let (_, told) = proved(&book, None).await;
    assert_eq!(told, Vec::<String>::new());
    let (_, told) = proved(&book, Some(heads)).await;
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter().all(|one| one.contains("entries once and has")),
        "{told:?}"
    );
}

#[tokio::test]
async fn entries_that_no_transfer_knows_are_named() {
    let book = Book::filled().await;
    let orphan = "UPDATE book_main.transfers SET entry_refs = '{}' WHERE id = 1; \
                  INSERT INTO book_main.entries SELECT -5, seq, 999, available_delta, held_delta, \
                  available_after, held_after, created_at, seal FROM book_main.entries LIMIT 1";
    book.sabotage(orphan).await;
    let (_, told) = proved(&book, None).await;
    let told = told.join("\n");
    for expected in [
        "transfer 1: the seal does not fit the row",
        "transfer 1: its entries are not what its kind, state, amount and fee say",
        "of account -5: its account does not exist",
        "of account -5: its transfer does not refer to it",
        "entry 1 of account 1: its transfer does not refer to it",
    ] {
        assert!(told.contains(expected), "{expected} in\n{told}");
    }
}

const DAY_MS: i64 = 24 * 3_600_000;

/// The database's clock, by which limits are proved.
#[expect(
    clippy::disallowed_methods,
    reason = "the database's clock is the machine's"
)]
fn today() -> Timestamp {
    Timestamp::from_datetime(time::OffsetDateTime::now_utc())
}

/// So high that nothing passes it.
fn high() -> Limits {
    Limits {
        daily: Some(build::amount(1_000_000)),
        monthly: Some(build::amount(1_000_000)),
        ..Limits::default()
    }
}

/// Alice and Bob with money, and a clock that is this many days behind.
async fn days_ago(days: i64) -> Book {
    let book = Book::empty().await;
    book.clock().set(today());
    book.clock().advance_ms(-days * DAY_MS);
    for user in [ALICE, BOB] {
        for asset in ["btc", "eth"] {
            book.deposit(user, asset, 1_000_000).await;
        }
    }
    book
}

/// Limits that are new, so that what was moved before counts, and what comes after.
#[tokio::test]
async fn what_is_recorded_as_used_of_limits_is_what_was_moved() {
    let book = days_ago(3).await;
    book.withdraw(BOB, "btc", 901).await;
    for kind in [Kind::Withdrawal, Kind::Internal] {
        for asset in [None, Some("btc"), Some("eth")] {
            book.limit(kind, asset, high()).await;
        }
    }
    for asset in ["btc", "eth"] {
        for end in [build::confirm(), build::cancel()] {
            let open = book.withdraw(ALICE, asset, 70).await;
            book.step(&open, &end).await;
        }
        book.withdraw(BOB, asset, 90).await;
        book.pay(ALICE, BOB, asset, 31).await;
        book.clock().advance_ms(DAY_MS);
    }
    let (judged, told) = proved(&book, None).await;
    assert_eq!(told, Vec::<String>::new());
    // Two users' withdrawals and one's payments, of each asset and of both.
    assert_eq!(judged.uses, 9);

    let of_btc = UsageKey {
        user: BOB,
        kind: Kind::Withdrawal,
        asset: Some(build::asset_id("btc")),
    };
    let mut connection = AsyncPgConnection::establish(book.url()).await.unwrap();
    let stored = load_uses(&mut connection, &[BOB]).await.unwrap();
    let uses = &stored[&of_btc];
    let plus = |amount: Amount, units| build::amount(amount.units() + units);
    let first = |change: &dyn Fn(&mut (Timestamp, Amount))| {
        let mut changed = uses.usage.uses().to_vec();
        change(&mut changed[0]);
        Uses::write(uses.epoch, &Usage::from_uses(changed)).unwrap()
    };
    for (wrong, how) in [
        (first(&|(_, amount)| *amount = plus(*amount, -1)), "records"),
        (first(&|(_, amount)| *amount = plus(*amount, 1)), "records"),
        (
            first(&|(at, _)| *at = at.plus_micros(-90_000_000_000)),
            "records",
        ),
        (
            Uses::write(uses.epoch, &Usage::default()).unwrap(),
            "records 0 where",
        ),
        (b"none".to_vec(), "no number"),
    ] {
        let stored = HEXLOWER.encode(&wrong);
        book.sabotage(&format!(
            "UPDATE book_main.accounts SET withdrawal_uses = '\\x{stored}' \
             WHERE owner = '{BOB}' AND asset = 'btc'"
        ))
        .await;
        let (_, told) = proved(&book, None).await;
        let [told] = told.as_slice() else {
            panic!("{wrong:?}: {told:?}");
        };
        let place = format!("violated A20: use of the limit of withdrawal of btc by user {BOB}: ");
        assert!(
            told.starts_with(&place) && told.contains(how),
            "{wrong:?}: {told}"
        );
    }
}

/// What is 30 days old when it is given back stays recorded until the next use, and is no breach.
#[tokio::test]
async fn a_withdrawal_that_ends_after_a_month_is_no_violation() {
    let book = days_ago(31).await;
    book.limit(Kind::Withdrawal, Some("btc"), high()).await;
    let open = book.withdraw(ALICE, "btc", 100).await;
    book.clock().advance_ms(31 * DAY_MS);
    book.step(&open, &build::cancel()).await;
    let (judged, told) = proved(&book, None).await;
    assert_eq!((told, judged.uses), (vec![], 1));
}

/// A new limit counts what it looks back at and no more.
#[tokio::test]
async fn a_limit_that_begins_with_a_withdrawal_that_ends_is_no_violation() {
    let book = days_ago(35).await;
    let old = book.withdraw(ALICE, "btc", 70).await;
    book.step(&old, &build::confirm()).await;
    book.clock().advance_ms(25 * DAY_MS);
    let open = book.withdraw(ALICE, "btc", 100).await;
    book.clock().advance_ms(10 * DAY_MS);
    book.limit(Kind::Withdrawal, Some("btc"), high()).await;
    book.step(&open, &build::cancel()).await;
    let (judged, told) = proved(&book, None).await;
    assert_eq!((told, judged.uses), (vec![], 1));
}

/// A payment counts from its settlement.
#[tokio::test]
async fn a_payment_that_waited_for_days_is_no_violation() {
    let book = days_ago(6).await;
    book.limit(Kind::Internal, Some("btc"), high()).await;
    let pending = book.pay_later(ALICE, BOB, "btc", 31).await;
    book.clock().advance_ms(5 * DAY_MS);
    book.step(&pending, &Command::Settle).await;
    let (judged, told) = proved(&book, None).await;
    assert_eq!((told, judged.uses), (vec![], 1));
}

/// A limit over all assets counts what was told in its own unit or, where nobody remembers that, whatever
/// was told.
#[tokio::test]
async fn uses_of_all_assets_are_what_was_moved_in_the_unit_of_the_limit() {
    let book = days_ago(3).await;
    book.limit(Kind::Withdrawal, None, high()).await;
    // It is worth a cent.
    book.withdraw(ALICE, "btc", 900_000).await;
    for (set_in, violations) in [
        ("root_asset = 'usd', root_scale = 2", 0),
        ("root_asset = 'eur', root_scale = 2", 1),
        ("root_asset = 'usd', root_scale = 6", 1),
        ("root_asset = NULL, root_scale = NULL", 0),
    ] {
        let change = format!("UPDATE book_main.limits SET {set_in} WHERE asset = ''");
        book.sabotage(&change).await;
        let (judged, told) = proved(&book, None).await;
        assert_eq!(
            (told.len(), judged.uses),
            (violations, 1),
            "{set_in}: {told:?}"
        );
    }
}

#[tokio::test]
async fn a_database_out_of_reach_is_an_error() {
    let mut tell = |event| panic!("{event:?}");
    let url = "postgres://nobody@127.0.0.1:1/none";
    let proved = verify(url, &Verification::default(), &mut tell).await;
    assert!(
        matches!(proved, Err(StoreError::Unavailable(_))),
        "{proved:?}"
    );
}
