//! What sending money needs before it is committed. What becomes of the commit: `commit::tests`.

use std::sync::Arc;

use bursar_domain::{
    AccountKey, Amount, Body, CodeSalt, Fingerprint, IdempotencyClaim, InternalState, Reason,
    Recipient, RecipientName, User, UserStatus, ledger::StoredClaim,
};
use bursar_ports::{AddressBookEntry, MockIdSource, Permission, StoreError};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::super::*;
use crate::{
    Error, FieldError, Grant, Missing, Options,
    test_support::{
        ALICE, BOB, Mocks, NOW, alice, btc, committed, keyed, operator, other_grants, overloaded,
        plain, unavailable, usd, wait,
    },
};

fn to(recipient: &str) -> InternalRequest {
    InternalRequest {
        currency: btc().id,
        amount: DecimalAmount::parse("0.01").unwrap(),
        recipient: recipient.to_owned(),
        address_book_code: None,
        callback_url: Some("https://example.com/a".to_owned()),
        custom_id: Some("my-1".to_owned()),
        note: Some("thanks".to_owned()),
    }
}

fn sender() -> Grant {
    alice(Permission::AllowTransfer)
}

fn with_btc() -> Mocks {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    mocks
}

/// Who answers to what was typed.
fn answers(mocks: &mut Mocks, typed: &str, user: Option<User>) {
    mocks
        .directory
        .expect_find_recipients()
        .with(eq(vec![RecipientName::parse(typed)]))
        .times(1)
        .return_once(move |_| Ok(vec![user]));
}

/// Alice's entry.
fn build_entry(code: &str, recipient: &str) -> AddressBookEntry {
    AddressBookEntry {
        user: ALICE,
        code: code.to_owned(),
        recipient: recipient.to_owned(),
        label: None,
        created_at: NOW,
    }
}

/// Sends over these ports and returns what was committed.
async fn sent(
    mut mocks: Mocks,
    request: InternalRequest,
    options: Options,
) -> bursar_domain::Commit {
    let commits = mocks.commits([committed()]);
    let _spawned = (!options.wait).then(|| mocks.one_task());
    mocks.app().send(&sender(), request, options).await.unwrap();
    commits.only()
}

fn recipient_of(commit: &bursar_domain::Commit) -> Recipient {
    let Body::Internal { recipient, .. } = &commit.change.next.parts().body else {
        panic!("{commit:?}");
    };
    recipient.clone()
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&[Permission::AllowTransfer]) {
        let app = Mocks::new().app();
        let answer = app.send(&grant, to("bob"), plain()).await;
        assert!(matches!(
            answer,
            Err(Error::Forbidden(Permission::AllowTransfer))
        ));
    }
}

#[tokio::test]
async fn a_credential_without_a_user_has_no_money_to_send() {
    let app = Mocks::new().app();
    let grant = operator(Permission::AllowTransfer);
    let answer = app.send(&grant, to("bob"), plain()).await;
    assert!(matches!(answer, Err(Error::NoUser)));
}

#[tokio::test]
async fn an_unknown_currency_is_not_found() {
    let mut mocks = Mocks::new();
    mocks
        .directory
        .expect_find_assets()
        .with(eq(vec![btc().id]))
        .times(1)
        .return_once(|_| Ok(vec![]));
    let answer = mocks.app().send(&sender(), to("bob"), plain()).await;
    assert!(matches!(answer, Err(Error::NotFound(Missing::Currency))));
}

#[tokio::test]
async fn decimals_that_the_currency_does_not_have_are_refused_and_not_rounded() {
    let request = InternalRequest {
        amount: DecimalAmount::parse("0.123456789").unwrap(),
        ..to("bob")
    };
    let answer = with_btc().app().send(&sender(), request, plain()).await;
    let Err(Error::Invalid(fields)) = answer else {
        panic!("{answer:?}");
    };
    let detail = "must have at most 8 decimals";
    assert_eq!(
        fields,
        [FieldError::new("amount", "amount.too_precise", detail)]
    );
}

#[tokio::test]
async fn a_user_id_is_tried_first() {
    let mut mocks = with_btc();
    answers(&mut mocks, &BOB.to_string(), Some(build::user(BOB)));
    let commit = sent(mocks, to(&BOB.to_string().to_uppercase()), plain()).await;
    assert_eq!(recipient_of(&commit), Recipient::Id(BOB));
}

#[tokio::test]
async fn an_id_is_shown_in_one_spelling_whether_or_not_somebody_has_it() {
    let plain_id = BOB.to_string();
    let spellings = [
        plain_id.to_uppercase(),
        plain_id.replace('-', ""),
        format!("{{{plain_id}}}"),
    ];
    for typed in spellings {
        let mut mocks = with_btc();
        answers(&mut mocks, &plain_id, None);
        let unknown = recipient_of(&sent(mocks, to(&typed), plain()).await);
        assert_eq!(
            unknown.shown(false),
            Recipient::Id(BOB).shown(false),
            "{typed}"
        );
    }
}

#[tokio::test]
async fn a_name_is_looked_up_as_typed() {
    for typed in ["Bob@Example.com", "bob"] {
        let mut mocks = with_btc();
        answers(&mut mocks, typed, Some(build::user(BOB)));
        let commit = sent(mocks, to(typed), plain()).await;
        let expected = Recipient::Alias {
            typed: typed.to_owned(),
            user: BOB,
        };
        assert_eq!(recipient_of(&commit), expected);
    }
}

#[tokio::test]
async fn an_unknown_recipient_is_accepted_like_any_other() {
    let mut mocks = with_btc();
    answers(&mut mocks, "nobody", None);
    let commit = sent(mocks, to("nobody"), plain()).await;
    let expected = Recipient::Unknown {
        typed: "nobody".to_owned(),
    };
    assert_eq!(recipient_of(&commit), expected);
    assert_eq!(commit.change.premises, vec![], "judged at settlement");
}

/// Not only the answer: what is committed is the same, and so is all work on it.
#[tokio::test]
async fn whoever_cannot_be_paid_is_committed_as_nobody() {
    for status in [UserStatus::Frozen, UserStatus::Terminated] {
        for typed in ["bob", &BOB.to_string()] {
            let mut unknown = with_btc();
            answers(&mut unknown, typed, None);
            let unknown = sent(unknown, to(typed), keyed()).await;
            let mut stopped = with_btc();
            let user = User {
                status,
                ..build::user(BOB)
            };
            answers(&mut stopped, typed, Some(user));
            assert_eq!(sent(stopped, to(typed), keyed()).await, unknown);
        }
    }
}

/// Accepting a transfer does nothing about its recipient that nobody would not be done for.
#[tokio::test]
async fn a_pending_transfer_touches_its_sender_alone() {
    for found in [None, Some(build::user(BOB))] {
        let mut mocks = with_btc();
        answers(&mut mocks, "bob", found);
        let commit = sent(mocks, to("bob"), plain()).await;
        let sender = AccountKey::user(ALICE, btc().id);
        assert_eq!(commit.change.accounts(), [sender]);
    }
}

#[tokio::test]
async fn what_was_asked_is_what_is_committed_and_the_sender_s_view_of_it_is_the_answer() {
    let mut mocks = with_btc();
    answers(&mut mocks, &BOB.to_string(), Some(build::user(BOB)));
    let commits = mocks.commits([committed()]);
    let _spawned = mocks.one_task();
    let app = mocks.app();
    let request = to(&BOB.to_string());
    let answer = app.send(&sender(), request, plain()).await.unwrap();
    let transfer = commits.only().change.next;
    assert_eq!(answer.transfer.transfer, transfer);
    assert!(answer.transfer.seen_by_sender);
    assert_eq!(Some(answer.transfer.code), app.code_of(&transfer));
    let parts = transfer.parts();
    assert_eq!(parts.id, build::transfer_id(1));
    assert_eq!((parts.asset, parts.scale), (btc().id, btc().scale));
    assert_eq!(parts.amount, build::amount(1_000_000));
    assert_eq!(parts.fee, Amount::ZERO);
    assert_eq!(parts.note.as_deref(), Some("thanks"));
    assert_eq!(parts.callback_url.as_deref(), Some("https://example.com/a"));
    assert_eq!(parts.root_rate, None);
    let Body::Internal {
        sender,
        custom_id,
        state,
        ..
    } = &parts.body
    else {
        panic!("{parts:?}");
    };
    assert_eq!(*sender, ALICE);
    assert_eq!(custom_id.as_deref(), Some("my-1"));
    assert_eq!(*state, InternalState::Pending);
}

#[tokio::test]
async fn each_transfer_has_random_bits_of_its_own_in_its_code() {
    let mut mocks = with_btc();
    answers(&mut mocks, &BOB.to_string(), Some(build::user(BOB)));
    let mut ids = MockIdSource::new();
    ids.expect_next_transfer_id()
        .return_once(|| Ok(build::transfer_id(9)));
    ids.expect_random_bytes().times(1).return_const([0x5a; 32]);
    mocks.ids = Arc::new(ids);
    let commit = sent(mocks, to(&BOB.to_string()), wait()).await;
    let Body::Internal { salt, .. } = &commit.change.next.parts().body else {
        panic!("{commit:?}");
    };
    assert_eq!(*salt, CodeSalt::new([0x5a; 10]));
}

#[tokio::test]
async fn to_oneself_is_refused_before_any_commit() {
    let mut by_id = with_btc();
    answers(&mut by_id, &ALICE.to_string(), Some(build::user(ALICE)));
    let mut by_name = with_btc();
    answers(&mut by_name, "alice", Some(build::user(ALICE)));
    for (mocks, typed) in [(by_id, ALICE.to_string()), (by_name, "alice".to_owned())] {
        let answer = mocks.app().send(&sender(), to(&typed), plain()).await;
        assert!(matches!(
            answer,
            Err(Error::Refused {
                reason: Reason::RecipientIsSender,
                replayed: false
            })
        ));
    }
}

/// Bob gave his name to Alice after she sent him money: the repetition is still the repetition.
#[tokio::test]
async fn what_the_key_is_bound_to_replays_whoever_has_the_name_now() {
    let new = build::new_transfer(build::transfer_id(3), &btc(), 1_000_000, NOW);
    let pending = build::internal(new, ALICE, BOB).next;
    let settled = build::step(&pending, &bursar_domain::Command::Settle, NOW).next;
    let claimed = claim_of(to("bob"), keyed()).await.unwrap();
    for stored in [settled.clone(), pending.clone()] {
        let mut mocks = with_btc();
        answers(&mut mocks, "bob", Some(build::user(ALICE)));
        let bound = StoredClaim {
            fingerprint: claimed.fingerprint,
            fields: vec![],
            transfer: stored.id(),
            refusal: None,
            results: None,
        };
        mocks
            .store
            .expect_find_key()
            .with(eq(claimed.scope.clone()), eq(claimed.key.clone()))
            .times(1)
            .return_once(move |_, _| Ok(Some(bound)));
        mocks.finds(&stored, 1);
        if stored == pending {
            mocks.commits([committed()]);
        }
        let options = Options {
            wait: true,
            ..keyed()
        };
        let answer = mocks.app().send(&sender(), to("bob"), options).await;
        let answer = answer.unwrap();
        assert_eq!(answer.transfer.transfer, settled);
        assert!(answer.replayed && answer.waited);
    }
}

#[tokio::test]
async fn a_key_that_is_free_or_another_request_s_does_not_hide_that_it_is_to_oneself() {
    let other = StoredClaim {
        fingerprint: Fingerprint([9; 32]),
        fields: vec![],
        transfer: build::transfer_id(3),
        refusal: None,
        results: None,
    };
    for bound in [None, Some(other)] {
        let mut mocks = with_btc();
        answers(&mut mocks, "bob", Some(build::user(ALICE)));
        mocks
            .store
            .expect_find_key()
            .times(1)
            .return_once(move |_, _| Ok(bound));
        let answer = mocks.app().send(&sender(), to("bob"), keyed()).await;
        assert!(matches!(
            answer,
            Err(Error::Refused {
                reason: Reason::RecipientIsSender,
                replayed: false
            })
        ));
    }
}

#[tokio::test]
async fn a_directory_that_cannot_answer_is_an_error() {
    let mut no_asset = Mocks::new();
    no_asset
        .directory
        .expect_find_assets()
        .times(1)
        .return_once(|_| Err(overloaded()));
    let mut no_user = with_btc();
    no_user
        .directory
        .expect_find_recipients()
        .times(1)
        .return_once(|_| Err(overloaded()));
    for mocks in [no_asset, no_user] {
        let request = to(&BOB.to_string());
        let answer = mocks.app().send(&sender(), request, plain()).await;
        assert!(matches!(answer, Err(Error::Store(StoreError::Overloaded))));
    }
}

#[tokio::test]
async fn without_an_id_there_is_no_transfer() {
    let mut mocks = with_btc();
    answers(&mut mocks, &BOB.to_string(), Some(build::user(BOB)));
    let mut ids = MockIdSource::new();
    ids.expect_next_transfer_id()
        .times(1)
        .return_once(|| Err(unavailable()));
    mocks.ids = Arc::new(ids);
    let request = to(&BOB.to_string());
    let answer = mocks.app().send(&sender(), request, plain()).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}

/// The claim that a request makes, whoever the recipient is.
async fn claim_of(request: InternalRequest, options: Options) -> Option<IdempotencyClaim> {
    let mut mocks = Mocks::new();
    for asset in [btc(), usd()] {
        mocks.has_asset(&asset);
    }
    mocks
        .directory
        .expect_find_recipients()
        .returning(|_| Ok(vec![None]));
    if let Some(code) = &request.address_book_code {
        let entry = build_entry(code, &request.recipient);
        mocks
            .address_book
            .expect_find_many()
            .return_once(move |_, _| Ok(vec![entry]));
    }
    Box::pin(sent(mocks, request, options)).await.idempotency
}

#[tokio::test]
async fn without_a_key_nothing_is_claimed() {
    assert_eq!(claim_of(to("bob"), plain()).await, None);
}

#[tokio::test]
async fn the_key_is_the_user_s_and_the_fields_are_kept_in_their_normal_form() {
    let request = InternalRequest {
        amount: DecimalAmount::parse("0.0100").unwrap(),
        ..to("Bob")
    };
    let claim = claim_of(request, keyed()).await.unwrap();
    assert_eq!(claim.scope.principal, ALICE.to_string());
    assert_eq!(claim.scope.operation, "internal-transfer");
    assert_eq!(claim.key.as_str(), "key-1");
    let fields: Vec<(&str, &str)> = claim
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.value.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("currency_code", "btc"),
            ("amount", "0.01"),
            ("recipient", "Bob"),
            ("callback_url", "https://example.com/a"),
            ("custom_id", "my-1"),
            ("note", "thanks"),
        ]
    );
}

#[tokio::test]
async fn equal_requests_have_equal_fingerprints_and_any_other_field_makes_another() {
    let first = claim_of(to("bob"), keyed()).await;
    assert_eq!(claim_of(to("bob"), keyed()).await, first);
    let waiting = Options {
        wait: true,
        ..keyed()
    };
    assert_eq!(claim_of(to("bob"), waiting).await, first);
    let id = BOB.to_string();
    let spelled = claim_of(to(&id.to_uppercase()), keyed()).await;
    assert_eq!(spelled, claim_of(to(&id), keyed()).await);
    let text = |text: &str| Some(text.to_owned());
    let requests = [
        to("bob"),
        to("bobby"),
        InternalRequest {
            currency: usd().id,
            ..to("bob")
        },
        InternalRequest {
            amount: DecimalAmount::parse("0.02").unwrap(),
            ..to("bob")
        },
        InternalRequest {
            callback_url: None,
            ..to("bob")
        },
        InternalRequest {
            callback_url: text("https://example.com/b"),
            ..to("bob")
        },
        InternalRequest {
            custom_id: None,
            ..to("bob")
        },
        InternalRequest {
            custom_id: text("my-2"),
            ..to("bob")
        },
        InternalRequest {
            address_book_code: text("bob"),
            ..to("bob")
        },
        InternalRequest {
            note: None,
            ..to("bob")
        },
        InternalRequest {
            note: text("no thanks"),
            ..to("bob")
        },
    ];
    let mut seen = std::collections::HashSet::new();
    for request in requests {
        let claim = claim_of(request.clone(), keyed()).await.unwrap();
        assert!(seen.insert(claim.fingerprint), "{request:?}");
    }
}

#[tokio::test]
async fn the_fee_is_what_the_schedule_says_unless_a_role_pays_none() {
    for (roles, pays_fee) in [(vec![], true), (vec!["maker".to_owned()], false)] {
        let mut mocks = with_btc();
        mocks.transfers.fee_free_roles = vec!["maker".to_owned()];
        mocks.has_user(User {
            roles,
            ..build::user(ALICE)
        });
        answers(&mut mocks, "bob", Some(build::user(BOB)));
        let commit = sent(mocks, to("bob"), plain()).await;
        assert_eq!(commit.change.pays_fee, pays_fee);
    }
}
