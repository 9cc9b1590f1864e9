use bursar_domain::{DecimalAmount, IdempotencyClaim, Reason, ledger::StoredClaim};
use bursar_ports::StoreError;
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::{
    InternalRequest, InternalView, Options,
    test_support::{
        ALICE, BOB, Mocks, NOW, alice, btc, committed, keyed, operator, other_grants, overloaded,
        plain,
    },
};

fn owner() -> Grant {
    alice(Permission::AllowTransfer)
}

fn entry(code: &str, recipient: &str) -> AddressBookEntry {
    AddressBookEntry {
        user: ALICE,
        code: code.to_owned(),
        recipient: recipient.to_owned(),
        label: Some("my friend".to_owned()),
        created_at: NOW,
    }
}

fn new(code: Option<&str>, recipient: &str) -> NewAddress {
    NewAddress {
        code: code.map(str::to_owned),
        recipient: recipient.to_owned(),
        label: Some("my friend".to_owned()),
    }
}

/// The book is asked to keep exactly this, and answers.
fn adds(mocks: &mut Mocks, wanted: AddressBookEntry, answer: Result<AddEntry, StoreError>) {
    mocks
        .address_book
        .expect_add()
        .with(eq(wanted), eq(1_000))
        .times(1)
        .return_once(move |_, _| answer);
}

#[tokio::test]
async fn every_use_needs_the_permission_and_a_user() {
    for grant in other_grants(&[Permission::AllowTransfer]) {
        let app = Mocks::new().app();
        let added = app.add_address(&grant, new(None, "bob")).await;
        assert!(matches!(
            added,
            Err(Error::Forbidden(Permission::AllowTransfer))
        ));
        let listed = app.list_addresses(&grant).await;
        assert!(matches!(
            listed,
            Err(Error::Forbidden(Permission::AllowTransfer))
        ));
        let removed = app.remove_address(&grant, "bob").await;
        assert!(matches!(
            removed,
            Err(Error::Forbidden(Permission::AllowTransfer))
        ));
    }
    let nobody = operator(Permission::AllowTransfer);
    let app = Mocks::new().app();
    let added = app.add_address(&nobody, new(None, "bob")).await;
    assert!(matches!(added, Err(Error::NoUser)));
    assert!(matches!(
        app.list_addresses(&nobody).await,
        Err(Error::NoUser)
    ));
    assert!(matches!(
        app.remove_address(&nobody, "b").await,
        Err(Error::NoUser)
    ));
}

/// The directory is a mock that refuses every call: nobody looks whether there is such a user.
#[tokio::test]
async fn an_entry_is_what_was_typed() {
    let mut mocks = Mocks::new();
    let wanted = entry("bob", "Bob@Example.com");
    adds(&mut mocks, wanted.clone(), Ok(AddEntry::Added));
    let request = new(Some("bob"), "Bob@Example.com");
    let added = mocks.app().add_address(&owner(), request).await.unwrap();
    assert_eq!(added, wanted);
}

#[tokio::test]
async fn without_a_code_one_is_made_up() {
    let mut mocks = Mocks::new();
    mocks
        .address_book
        .expect_add()
        .times(2)
        .returning(|_, _| Ok(AddEntry::Added));
    let app = mocks.app();
    let first = app.add_address(&owner(), new(None, "bob")).await.unwrap();
    let second = app.add_address(&owner(), new(None, "bob")).await.unwrap();
    assert_ne!(first.code, second.code);
    assert!(first.code.starts_with("ADR"), "{}", first.code);
    assert!(AddressBookEntry::is_code(&first.code));
}

#[tokio::test]
async fn repeating_answers_with_the_first_and_another_entry_cannot_have_its_code() {
    let had = AddressBookEntry {
        created_at: NOW.plus_micros(-5),
        ..entry("bob", "bob")
    };
    let other_label = NewAddress {
        label: None,
        ..new(Some("bob"), "bob")
    };
    let requests = [
        (new(Some("bob"), "bob"), true),
        (new(Some("bob"), "Bob"), false),
        (other_label, false),
    ];
    for (request, same) in requests {
        let mut mocks = Mocks::new();
        let exists = AddEntry::Exists(had.clone());
        mocks
            .address_book
            .expect_add()
            .return_once(move |_, _| Ok(exists));
        let answer = mocks.app().add_address(&owner(), request).await;
        if same {
            assert_eq!(answer.unwrap(), had);
        } else {
            assert!(matches!(answer, Err(Error::AddressBookCodeTaken)));
        }
    }
}

#[tokio::test]
async fn a_book_can_be_full_or_out_of_reach() {
    let mut full = Mocks::new();
    adds(&mut full, entry("bob", "bob"), Ok(AddEntry::Full));
    let answer = full
        .app()
        .add_address(&owner(), new(Some("bob"), "bob"))
        .await;
    assert!(matches!(answer, Err(Error::AddressBookFull)));
    let mut away = Mocks::new();
    adds(&mut away, entry("bob", "bob"), Err(overloaded()));
    let answer = away
        .app()
        .add_address(&owner(), new(Some("bob"), "bob"))
        .await;
    assert!(matches!(answer, Err(Error::Store(StoreError::Overloaded))));
}

#[tokio::test]
async fn one_s_own_entries_are_listed() {
    let mut mocks = Mocks::new();
    let entries = vec![entry("b", "bob"), entry("c", "carol")];
    let answer = entries.clone();
    mocks
        .address_book
        .expect_list()
        .with(eq(ALICE))
        .times(1)
        .return_once(move |_| Ok(answer));
    assert_eq!(mocks.app().list_addresses(&owner()).await.unwrap(), entries);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_removed() {
    for there in [true, false] {
        let mut mocks = Mocks::new();
        mocks
            .address_book
            .expect_remove()
            .with(eq(ALICE), eq("bob".to_owned()))
            .times(1)
            .return_once(move |_, _| Ok(there));
        let answer = mocks.app().remove_address(&owner(), "bob").await;
        assert_eq!(answer.is_ok(), there);
        if !there {
            assert!(matches!(
                answer,
                Err(Error::NotFound(Missing::AddressBookEntry))
            ));
        }
    }
    let answer = Mocks::new().app().remove_address(&owner(), "a\0b").await;
    assert!(matches!(
        answer,
        Err(Error::NotFound(Missing::AddressBookEntry))
    ));
}

// What an entry means for a transfer.

fn transfer(code: &str, recipient: &str) -> InternalRequest {
    InternalRequest {
        currency: btc().id,
        amount: DecimalAmount::parse("0.01").unwrap(),
        recipient: recipient.to_owned(),
        address_book_code: Some(code.to_owned()),
        callback_url: None,
        custom_id: None,
        note: None,
    }
}

/// Bob answers to his id, `bob` and `bob@example.com`; Frida too has two names but is stopped.
fn with_directory(mocks: &mut Mocks) {
    mocks.has_asset(&btc());
    let find = |name| {
        let stopped = User {
            status: UserStatus::Frozen,
            ..build::user(build::user_id(0xf))
        };
        match name {
            RecipientName::Id(id) if id == BOB => Some(build::user(BOB)),
            RecipientName::Id(id) if id == ALICE => Some(build::user(ALICE)),
            RecipientName::Id(_) => None,
            RecipientName::Alias(alias) => match alias.as_str() {
                "bob" | "bob@example.com" => Some(build::user(BOB)),
                "frida" | "frida@example.com" => Some(stopped),
                "alice" => Some(build::user(ALICE)),
                _ => None,
            },
        }
    };
    mocks
        .directory
        .expect_find_recipients()
        .returning(move |names| Ok(names.into_iter().map(find).collect()));
}

fn with_entry(mocks: &mut Mocks, found: Option<AddressBookEntry>) {
    mocks
        .address_book
        .expect_find_many()
        .with(eq(ALICE), eq(vec!["b".to_owned()]))
        .returning(move |_, _| Ok(found.clone().into_iter().collect()));
}

/// What sending comes to when the entry `b` says one name and the request another.
async fn sent(entered: &str, recipient: &str) -> Result<crate::Answer<InternalView>, Error> {
    let mut mocks = Mocks::new();
    with_directory(&mut mocks);
    with_entry(&mut mocks, Some(entry("b", entered)));
    mocks
        .store
        .expect_commit()
        .returning(|mut batch| committed()(batch.remove(0)).map(|outcome| vec![outcome]));
    mocks.tasks.expect_spawn().returning(|_| ());
    mocks
        .app()
        .send(&owner(), transfer("b", recipient), plain())
        .await
}

fn is_mismatch<T>(answer: &Result<T, Error>) -> bool {
    let Err(Error::Invalid(fields)) = answer else {
        return false;
    };
    let codes: Vec<&str> = fields.iter().map(|field| field.code.as_ref()).collect();
    codes == ["address_book_code.mismatch"]
}

#[tokio::test]
async fn names_that_say_the_same_agree_whoever_that_is() {
    let upper = BOB.to_string().to_uppercase();
    for (entered, recipient) in [
        ("bob", "BOB"),
        ("bob@example.com", "Bob@Example.com"),
        (upper.as_str(), &BOB.to_string()),
        ("frida", "frida"),
        ("nobody@example.com", "Nobody@example.com"),
        ("9", "9"),
    ] {
        let answer = sent(entered, recipient).await;
        assert!(answer.is_ok(), "{entered} {recipient}: {answer:?}");
    }
}

#[tokio::test]
async fn other_names_agree_when_one_user_who_can_be_paid_answers_to_both() {
    let id = BOB.to_string();
    for (entered, recipient) in [
        ("bob", "bob@example.com"),
        ("bob@example.com", id.as_str()),
        (id.as_str(), "bob"),
    ] {
        let answer = sent(entered, recipient).await;
        assert!(answer.is_ok(), "{entered} {recipient}: {answer:?}");
    }
}

/// An entry tells stopped users and nobody apart as little as a transfer does.
#[tokio::test]
async fn everything_else_is_one_and_the_same_mismatch() {
    let id = BOB.to_string();
    let mut answers = vec![];
    for (entered, recipient) in [
        ("bob", "alice"),
        ("bob", "nobody"),
        ("nobody", "bob"),
        ("nobody", "noone"),
        ("frida", "frida@example.com"),
        ("frida", "bob"),
        ("bob", "frida"),
        ("nobody@example.com", id.as_str()),
        ("frida@example.com", id.as_str()),
    ] {
        let answer = sent(entered, recipient).await;
        assert!(is_mismatch(&answer), "{entered} {recipient}: {answer:?}");
        answers.push(format!("{answer:?}"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn an_entry_that_is_not_the_sender_s_is_a_mismatch_before_anything_is_looked_up() {
    let mut mocks = Mocks::new();
    with_entry(&mut mocks, None);
    let app = mocks.app();
    for code in ["b", "no code", "..", &"b".repeat(65)] {
        let answer = app.send(&owner(), transfer(code, "bob"), plain()).await;
        assert!(is_mismatch(&answer), "{code}: {answer:?}");
    }
}

#[tokio::test]
async fn an_entry_for_oneself_agrees_and_oneself_is_refused() {
    let answer = sent("alice", &ALICE.to_string()).await;
    assert!(matches!(
        answer,
        Err(Error::Refused {
            reason: Reason::RecipientIsSender,
            ..
        })
    ));
}

#[tokio::test]
async fn a_book_that_cannot_answer_is_no_mismatch() {
    let mut mocks = Mocks::new();
    mocks
        .address_book
        .expect_find_many()
        .times(1)
        .return_once(|_, _| Err(overloaded()));
    let request = transfer("b", "bob");
    let answer = mocks.app().send(&owner(), request, keyed()).await;
    assert!(matches!(answer, Err(Error::Store(StoreError::Overloaded))));
}

/// The entry was removed after the money was sent: the repetition is still the repetition.
#[tokio::test]
async fn what_the_key_is_bound_to_replays_whatever_the_book_says_now() {
    let claim = claimed().await;
    let new = build::new_transfer(build::transfer_id(3), &btc(), 1_000_000, NOW);
    let pending = build::internal(new, ALICE, BOB).next;
    let settled = build::step(&pending, &bursar_domain::Command::Settle, NOW).next;
    let bound = StoredClaim {
        fingerprint: claim.fingerprint,
        fields: vec![],
        transfer: settled.id(),
        refusal: None,
        results: None,
    };
    let mut mocks = Mocks::new();
    with_entry(&mut mocks, None);
    mocks
        .store
        .expect_find_key()
        .with(eq(claim.scope), eq(claim.key))
        .times(1)
        .return_once(move |_, _| Ok(Some(bound)));
    mocks.finds(&settled, 1);
    let request = transfer("b", "bob");
    let answer = mocks.app().send(&owner(), request, keyed()).await.unwrap();
    assert!(answer.replayed);
    assert_eq!(answer.transfer.transfer, settled);
}

/// The claim that the first request made.
async fn claimed() -> IdempotencyClaim {
    let mut mocks = Mocks::new();
    with_directory(&mut mocks);
    with_entry(&mut mocks, Some(entry("b", "bob")));
    let commits = mocks.commits([committed()]);
    let options = Options {
        wait: true,
        ..keyed()
    };
    let request = transfer("b", "bob");
    mocks.app().send(&owner(), request, options).await.unwrap();
    commits.only().idempotency.unwrap()
}
