//! Address books.

use std::sync::Arc;

use bursar_ports::{AddEntry, AddressBook, AddressBookEntry, Directory as _};
use bursar_postgres::{PgAddressBook, PgDirectory};
use bursar_testkit::FixedClock;
use futures_util::future::join_all;

use crate::support::{Fixture, at, draft, user, user_id};

fn entry(owner: u128, code: &str, seconds: i64) -> AddressBookEntry {
    AddressBookEntry {
        user: user_id(owner),
        code: code.to_owned(),
        recipient: format!("{code}@example.com"),
        label: (owner == 1).then(|| "läbel".to_owned()),
        created_at: at(seconds),
    }
}

#[tokio::test]
async fn entries_are_kept_found_listed_and_removed() {
    let fixture = Fixture::new().await;
    let book = PgAddressBook::new(fixture.database.clone());
    let own = [entry(1, "b", 2), entry(1, "a", 1), entry(1, "Z", 1)];
    let theirs = entry(2, "b", 3);
    for entry in own.iter().chain([&theirs]) {
        let added = book.add(entry.clone(), 10).await.unwrap();
        assert_eq!(added, AddEntry::Added);
    }
    let [b, a, z] = own;
    let found = async |owner: u128, code: &str| {
        let found = book.find_many(user_id(owner), vec![code.to_owned()]).await;
        found.unwrap().pop()
    };
    assert_eq!(found(1, "b").await.as_ref(), Some(&b));
    assert_eq!(found(2, "b").await.as_ref(), Some(&theirs));
    assert_eq!(found(2, "a").await, None);
    assert_eq!(found(1, "B").await, None, "codes are exact");
    let codes = ["Z", "b", "B", "none"].map(str::to_owned);
    let mut many = book.find_many(user_id(1), codes.to_vec()).await.unwrap();
    many.sort_unstable_by(|one, other| one.code.cmp(&other.code));
    assert_eq!(many, [z.clone(), b.clone()], "nobody else's");
    assert_eq!(
        book.list(user_id(1)).await.unwrap(),
        [b.clone(), z, a.clone()],
        "newest first, then by code, whatever the server's locale"
    );
    for (owner, there) in [(2, false), (1, true), (1, false)] {
        let removed = book.remove(user_id(owner), "a".to_owned()).await.unwrap();
        assert_eq!(removed, there);
    }
    assert_eq!(found(1, "a").await, None);
    assert_eq!(book.list(user_id(2)).await.unwrap(), [theirs]);
}

#[tokio::test]
async fn a_code_stays_with_the_first_entry_and_a_full_book_takes_no_more() {
    let fixture = Fixture::new().await;
    let book = PgAddressBook::new(fixture.database.clone());
    let first = entry(1, "b", 1);
    assert_eq!(book.add(first.clone(), 1).await.unwrap(), AddEntry::Added);
    let other = AddressBookEntry {
        recipient: "other".to_owned(),
        ..first.clone()
    };
    let exists = AddEntry::Exists(first.clone());
    assert_eq!(book.add(other, 1).await.unwrap(), exists);
    assert_eq!(book.add(first, 1).await.unwrap(), exists);
    assert_eq!(book.add(entry(1, "c", 1), 1).await.unwrap(), AddEntry::Full);
    assert_eq!(
        book.add(entry(2, "c", 1), 1).await.unwrap(),
        AddEntry::Added
    );
}

#[tokio::test]
async fn entries_that_are_added_at_once_never_exceed_the_bound() {
    let fixture = Fixture::new().await;
    let directory = PgDirectory::new(fixture.database.clone(), Arc::new(FixedClock::default()));
    assert_eq!(
        directory.put_user(user(1, "anna"), draft()).await.unwrap(),
        bursar_ports::PutUser::Written
    );
    let book = PgAddressBook::new(fixture.database.clone());
    let codes: Vec<String> = (0..16).map(|number| format!("c{}", number % 12)).collect();
    let adding = codes.iter().map(|code| book.add(entry(1, code, 1), 5));
    let outcomes = join_all(adding).await;
    let added = |outcome: &&Result<AddEntry, _>| matches!(outcome, Ok(AddEntry::Added));
    assert_eq!(outcomes.iter().filter(added).count(), 5, "{outcomes:?}");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(book.list(user_id(1)).await.unwrap().len(), 5);
}
