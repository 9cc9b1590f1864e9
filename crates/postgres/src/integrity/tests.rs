use bursar_ports::BookIntegrity as _;

use super::*;
use crate::proof::filled::{ALICE, Book};

fn integrity(book: &Book) -> PgIntegrity {
    PgIntegrity::new(book.database.clone(), book.keys.clone())
}

fn of_alice(asset: &str) -> String {
    // A row of the fee account may have the same id for its owner.
    format!("owner_kind = 'user' AND owner = '{ALICE}' AND asset = '{asset}'")
}

/// Whether each asset is all right: sum, holds, accounts.
async fn examined(integrity: &PgIntegrity) -> Vec<(String, Option<i128>, Option<i128>, u64)> {
    let (mut books, _strays) = integrity.examine().await.unwrap();
    books.sort_by_key(|book| book.sums.asset);
    books
        .into_iter()
        .map(|book| {
            let AssetSums {
                asset, sum, holds, ..
            } = book.sums;
            (asset.to_string(), sum, holds, book.accounts)
        })
        .collect()
}

/// Every breach of a whole round, two accounts at a time.
async fn round(integrity: &PgIntegrity) -> Vec<(Option<AssetId>, String)> {
    let (mut after, mut found) = (None, vec![]);
    loop {
        let checked = integrity.check_accounts(after, 2).await.unwrap();
        let told = checked.breaches.into_iter();
        found.extend(told.map(|breach| (breach.asset, breach.detail)));
        after = checked.last;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn books_that_nobody_touched_are_all_right() {
    let book = Book::filled().await;
    let integrity = integrity(&book);
    let fine = |asset: &str| (asset.to_owned(), Some(0), Some(0), 0);
    assert_eq!(examined(&integrity).await, [fine("btc"), fine("eth")]);
    let sums = integrity.sums().await.unwrap();
    assert!(
        sums.iter().all(|sums| sums.is_ok() && sums.entries > 0),
        "{sums:?}"
    );
    assert_eq!(round(&integrity).await, vec![]);
    // The second round looks at what came since.
    book.deposit(ALICE, "btc", 5_000).await;
    let checked = integrity.check_accounts(None, 1_000).await.unwrap();
    assert_eq!(checked.breaches, vec![]);
    assert_eq!(round(&integrity).await, vec![]);
}

#[tokio::test]
async fn what_was_changed_behind_our_back_is_found_in_its_asset_alone() {
    let book = Book::filled().await;
    let integrity = integrity(&book);
    let statement = format!(
        "UPDATE book_main.accounts SET available = available + 7, held = held + 2 WHERE {}",
        of_alice("btc")
    );
    book.sabotage(&statement).await;
    let found = examined(&integrity).await;
    let wrong = ("btc".to_owned(), Some(9), Some(2), 1);
    assert_eq!(found, [wrong, ("eth".to_owned(), Some(0), Some(0), 0)]);
    let breaches = round(&integrity).await;
    assert!(!breaches.is_empty());
    let btc = AssetId::parse("btc").ok();
    assert!(
        breaches.iter().all(|(asset, _)| *asset == btc),
        "{breaches:?}"
    );
}

#[tokio::test]
async fn a_balance_that_is_no_number_is_found() {
    let book = Book::filled().await;
    let integrity = integrity(&book);
    let statement = format!(
        "ALTER TABLE book_main.accounts DROP CONSTRAINT accounts_available_ck; \
         UPDATE book_main.accounts SET available = 'NaN' WHERE {}",
        of_alice("eth")
    );
    book.sabotage(&statement).await;
    let found = examined(&integrity).await;
    assert_eq!(found[1], ("eth".to_owned(), None, Some(0), 1));
    assert!(!round(&integrity).await.is_empty());
}

/// A line that adds up, by somebody who does not have the key.
#[tokio::test]
async fn a_line_without_a_right_seal_is_found() {
    let book = Book::filled().await;
    let integrity = integrity(&book);
    assert_eq!(round(&integrity).await, vec![]);
    for seal in ["NULL", "seal"] {
        let mine = of_alice("btc");
        let statement = format!(
            "INSERT INTO book_main.entries SELECT account_id, e.seq + 1, transfer_id, 0, 0, \
             available_after, held_after, created_at, {seal} FROM book_main.entries e \
             JOIN book_main.accounts a ON a.id = e.account_id AND a.seq = e.seq WHERE {mine}; \
             UPDATE book_main.accounts SET seq = seq + 1 WHERE {mine}"
        );
        book.sabotage(&statement).await;
        let breaches = round(&integrity).await;
        assert!(!breaches.is_empty(), "{seal}");
        assert_eq!(round(&integrity).await, breaches, "it is still there");
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_between_two_looks_is_found() {
    let book = Book::filled().await;
    let integrity = integrity(&book);
    assert_eq!(round(&integrity).await, vec![]);
    let mine = of_alice("btc");
    let statement = format!(
        "UPDATE book_main.accounts a SET available = e.available_after, held = e.held_after, \
         seq = e.seq, head = e.seal FROM book_main.entries e \
         WHERE e.account_id = a.id AND e.seq = a.seq - 1 AND {mine}; \
         DELETE FROM book_main.entries e USING book_main.accounts a \
         WHERE e.account_id = a.id AND e.seq > a.seq"
    );
    book.sabotage(&statement).await;
    let breaches = round(&integrity).await;
    let told: Vec<&str> = breaches.iter().map(|(_, detail)| detail.as_str()).collect();
    assert!(
        told.len() == 1 && told[0].contains("entries once and has"),
        "{told:?}"
    );
}

/// A replica that lacks a key cannot tell, and must not stop anything for it.
#[tokio::test]
async fn an_unknown_key_is_no_breach() {
    let book = Book::filled().await;
    let integrity = PgIntegrity::new(book.database.clone(), SealKeys::new([[9; 32]]));
    assert_eq!(round(&integrity).await, vec![]);
}

#[tokio::test]
async fn examinations_come_one_at_a_time() {
    let book = Book::empty().await;
    let integrity = integrity(&book);
    let turn = integrity.turn.lock().await;
    let refused = integrity.examine().await;
    assert!(
        matches!(refused, Err(StoreError::Overloaded)),
        "{refused:?}"
    );
    drop(turn);
    assert_eq!(integrity.examine().await.unwrap(), (vec![], vec![]));
}

/// Nothing refers to the table of assets, so a row may name what can be none.
#[tokio::test]
async fn a_row_of_no_asset_is_wrong_itself_and_keeps_no_asset_from_being_looked_at() {
    let book = Book::filled().await;
    let integrity = integrity(&book);
    let empty = format!(
        "INSERT INTO book_main.accounts (id, owner_kind, owner, asset, available, held, seq, \
         status, stamped_at) SELECT max(id) + 1, 'user', '{ALICE}', 'no asset', 0, 0, 0, \
         'Active', now() FROM book_main.accounts"
    );
    book.sabotage(&empty).await;
    let fine = |asset: &str| (asset.to_owned(), Some(0), Some(0), 0);
    assert_eq!(examined(&integrity).await, [fine("btc"), fine("eth")]);
    let sums = integrity.sums().await.unwrap();
    assert!(
        sums.len() == 2 && sums.iter().all(AssetSums::is_ok),
        "{sums:?}"
    );
    let breaches = round(&integrity).await;
    let [(None, detail)] = breaches.as_slice() else {
        panic!("{breaches:?}");
    };
    assert!(
        detail.ends_with(": \"no asset\" can be no asset"),
        "{detail}"
    );

    let withdrawals = "UPDATE book_main.transfers SET asset = 'none at all' WHERE asset = 'btc' \
         AND kind = 'withdrawal' AND state = 'AwaitingConfirmation'";
    book.sabotage(withdrawals).await;
    let (_, strays) = integrity.examine().await.unwrap();
    let told: Vec<&str> = strays.iter().map(|stray| stray.detail.as_str()).collect();
    let expected = [
        "accounts: \"no asset\" can be no asset",
        "open withdrawals: \"none at all\" can be no asset",
    ];
    assert_eq!(told, expected);
    // What the accounts still hold for them is found where it was.
    let found = examined(&integrity).await;
    assert!(found[0].0 == "btc" && found[0].2 > Some(0), "{found:?}");
    assert_eq!(found[1], fine("eth"));
}
