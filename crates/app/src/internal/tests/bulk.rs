//! What a bulk needs before it is committed, and what its outcome means.

use std::sync::{Arc, Mutex};

use bursar_domain::{
    Bulk, BulkMode, DecimalAmount, Fingerprint, IdempotencyClaim, ItemRefusal, ItemResult, Reason,
    RecipientName, Status, Transfer, TransferId, ledger::StoredClaim,
};
use bursar_ports::{AddressBookEntry, BulkOutcome, Permission, StoreError};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::super::*;
use crate::{
    Answer, Error, FieldError, Missing, Options, Original,
    test_support::{
        ALICE, BOB, Mocks, NOW, alice, btc, in_doubt, keyed, other_grants, overloaded, plain,
        unavailable, wait,
    },
};

type Item = Result<InternalRequest, WrongItem>;

fn to(recipient: &str, amount: &str) -> Item {
    let parsed = DecimalAmount::parse(amount);
    let request = parsed.map(|amount| InternalRequest {
        currency: btc().id,
        amount,
        recipient: recipient.to_owned(),
        address_book_code: None,
        callback_url: None,
        custom_id: None,
        note: None,
    });
    request.map_err(|error| panic!("{amount}: {error}"))
}

/// One by an entry of the address book.
fn coded(recipient: &str, code: &str) -> Item {
    let mut item = to(recipient, "1");
    if let Ok(request) = &mut item {
        request.address_book_code = Some(code.to_owned());
    }
    item
}

fn wrong() -> Item {
    Err(WrongItem {
        sent: "{}".to_owned(),
        errors: vec![FieldError::new("amount", "amount.missed", "is required")],
    })
}

fn wrong_error() -> ItemError {
    ItemError::Invalid(wrong().unwrap_err().errors)
}

fn request(items: Vec<Item>, atomic: bool) -> BulkRequest {
    BulkRequest { items, atomic }
}

/// Bitcoin, Bob and Alice by their names, and nobody else.
fn mocks() -> Mocks {
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    let find = |name: RecipientName| match name.shown().as_str() {
        "bob" => Some(build::user(BOB)),
        "alice" => Some(build::user(ALICE)),
        _ => None,
    };
    mocks
        .directory
        .expect_find_recipients()
        .times(..=1)
        .returning(move |names| Ok(names.into_iter().map(find).collect()));
    mocks
}

type Seen = Arc<Mutex<Vec<Bulk>>>;

/// The store is given one bulk and answers like this.
fn answers(
    mocks: &mut Mocks,
    answer: impl FnOnce(Bulk) -> Result<BulkOutcome, StoreError> + Send + 'static,
) -> Seen {
    let seen = Seen::default();
    let bulks = Arc::clone(&seen);
    mocks
        .store
        .expect_commit_bulk()
        .times(1)
        .return_once(move |bulk| {
            bulks.lock().unwrap().push(bulk.clone());
            answer(bulk)
        });
    seen
}

fn made(bulk: Bulk) -> BulkOutcome {
    let transfers = bulk.changes.into_iter().map(|change| change.next);
    BulkOutcome::Committed(transfers.collect())
}

async fn sent(
    mocks: Mocks,
    request: BulkRequest,
    options: Options,
) -> Result<Answer<Vec<Result<InternalView, ItemError>>>, Error> {
    let grant = alice(Permission::AllowTransfer);
    mocks.app().send_bulk(&grant, request, options).await
}

fn statuses(answer: &Answer<Vec<Result<InternalView, ItemError>>>) -> Vec<Option<Status>> {
    let results = answer.transfer.iter();
    results
        .map(|one| one.as_ref().ok().map(|view| view.transfer.status()))
        .collect()
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&[Permission::AllowTransfer]) {
        let app = Mocks::new().app();
        let answer = app
            .send_bulk(&grant, request(vec![wrong()], false), plain())
            .await;
        assert!(matches!(answer, Err(Error::Forbidden(_))));
    }
}

#[tokio::test]
async fn each_item_has_its_result_in_its_place_and_everything_is_looked_up_once() {
    let mut mocks = mocks();
    let seen = answers(&mut mocks, |bulk| Ok(made(bulk)));
    let spawned = mocks.one_task();
    let items = vec![
        wrong(),
        to("bob", "1"),
        to("alice", "1"),
        to("nobody", "2"),
        to("bob", "0.123456789"),
    ];
    let answer = sent(mocks, request(items, false), plain()).await.unwrap();
    let pending = Some(Status::Pending);
    assert_eq!(statuses(&answer), [None, pending, None, pending, None]);
    let errors: Vec<&ItemError> = answer
        .transfer
        .iter()
        .filter_map(|one| one.as_ref().err())
        .collect();
    let precise = FieldError::new(
        "amount",
        "amount.too_precise",
        "must have at most 8 decimals",
    );
    let expected = [
        wrong_error(),
        ItemError::Refused(Reason::RecipientIsSender),
        ItemError::Invalid(vec![precise]),
    ];
    assert_eq!(errors, expected.iter().collect::<Vec<_>>());
    assert!(!answer.replayed && !answer.waited);
    let bulk = seen.lock().unwrap().remove(0);
    assert_eq!((bulk.changes.len(), bulk.mode), (2, BulkMode::Independent));
    assert_eq!(bulk.idempotency, None);
    drop(spawned);
}

#[tokio::test]
async fn whoever_waits_or_wants_all_or_none_has_it_settled_in_the_same_commit() {
    for (atomic, options, waited) in [
        (false, wait(), true),
        (true, plain(), false),
        (true, wait(), true),
    ] {
        let mut mocks = mocks();
        let seen = answers(&mut mocks, |bulk| Ok(made(bulk)));
        let items = vec![to("bob", "1"), to("bob", "2")];
        let answer = sent(mocks, request(items, atomic), options).await.unwrap();
        assert_eq!(statuses(&answer), [Some(Status::Success); 2]);
        assert_eq!(answer.waited, waited);
        let bulk = seen.lock().unwrap().remove(0);
        assert_eq!(bulk.mode == BulkMode::Atomic, atomic);
    }
}

/// Whether recipients can be paid is known only where the money moves, so a bulk that could fail
/// more often than its sender may is settled there; whom it names must make no difference.
#[tokio::test]
async fn a_bulk_with_more_items_than_tries_is_settled_at_once_whoever_it_names() {
    for (recipient, items, at_once) in [
        ("bob", 20, false),
        ("nobody", 20, false),
        ("bob", 21, true),
        ("nobody", 21, true),
    ] {
        let mut mocks = mocks();
        let _spawned = (!at_once).then(|| mocks.one_task());
        let seen = answers(&mut mocks, |bulk| Ok(made(bulk)));
        let items = vec![to(recipient, "1"); items];
        sent(mocks, request(items, false), plain()).await.unwrap();
        let bulk = seen.lock().unwrap().remove(0);
        assert_eq!(bulk.unable_max, at_once.then_some(20));
        let settled = |change: &bursar_domain::Change| change.next.status().is_final();
        assert!(bulk.changes.iter().all(|change| settled(change) == at_once));
    }
}

#[tokio::test]
async fn a_bulk_in_which_too_many_recipients_fail_is_refused_for_the_limit() {
    let mut mocks = mocks();
    answers(&mut mocks, |_| Ok(BulkOutcome::TooManyUnable));
    let items = vec![to("nobody", "1"); 21];
    let answer = sent(mocks, request(items, false), plain()).await;
    assert!(matches!(answer, Err(Error::RateLimited(_))), "{answer:?}");
}

#[tokio::test]
async fn all_or_none_with_a_wrong_item_never_reaches_the_store() {
    let items = vec![to("bob", "1"), wrong(), to("alice", "1")];
    let answer = sent(mocks(), request(items, true), plain()).await;
    let Err(Error::BulkRefused {
        results,
        replayed: false,
    }) = answer
    else {
        panic!("{answer:?}");
    };
    let expected = [
        ItemError::NotExecuted,
        wrong_error(),
        ItemError::Refused(Reason::RecipientIsSender),
    ];
    assert_eq!(results, expected);
}

#[tokio::test]
async fn the_ledger_s_refusal_is_told_item_by_item() {
    let mut mocks = mocks();
    let reasons = vec![None, Some(Reason::BalanceInsufficient)];
    answers(&mut mocks, |_| {
        Ok(BulkOutcome::Refused {
            reasons,
            recipients_unable: 0,
        })
    });
    let items = vec![to("bob", "1"), to("bob", "2")];
    let answer = sent(mocks, request(items, true), plain()).await;
    let Err(Error::BulkRefused {
        results,
        replayed: false,
    }) = answer
    else {
        panic!("{answer:?}");
    };
    let reason = Reason::BalanceInsufficient;
    assert_eq!(
        results,
        [ItemError::NotExecuted, ItemError::Refused(reason)]
    );
}

/// A number of transfers that an earlier request made.
fn recorded(mocks: &mut Mocks, transfers: Vec<Transfer>) -> Vec<TransferId> {
    let ids: Vec<TransferId> = transfers.iter().map(Transfer::id).collect();
    mocks
        .store
        .expect_find_many()
        .with(eq(ids.clone()))
        .times(1)
        .return_once(move |_| Ok(transfers));
    ids
}

fn pending(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &btc(), 5, NOW);
    build::internal(new, ALICE, BOB).next
}

fn settled(transfer: &Transfer) -> Transfer {
    build::step(transfer, &bursar_domain::Command::Settle, NOW).next
}

#[tokio::test]
async fn a_repetition_is_told_the_transfers_as_they_are_and_the_same_problems() {
    let mut mocks = mocks();
    let ids = recorded(&mut mocks, vec![settled(&pending(7)), pending(8)]);
    let results = vec![
        ItemResult::Made(ids[0]),
        ItemResult::Refused(ItemRefusal {
            code: "currency.unknown".to_owned(),
            errors: vec![],
        }),
        ItemResult::Made(ids[1]),
    ];
    answers(&mut mocks, |_| Ok(BulkOutcome::Replayed { results }));
    // What a crash left pending is settled for a caller that waits.
    mocks.commits_together(|batch| {
        let made = |commit: bursar_domain::Commit| {
            bursar_ports::CommitOutcome::Committed(Box::new(commit.change.next))
        };
        Ok(batch.into_iter().map(made).collect())
    });
    let items = vec![to("bob", "1"), to("bob", "1"), to("bob", "1")];
    let options = Options {
        wait: true,
        ..keyed()
    };
    let answer = sent(mocks, request(items, false), options).await.unwrap();
    let success = Some(Status::Success);
    assert_eq!(statuses(&answer), [success, None, success]);
    let missing = ItemError::NotFound(Missing::Currency);
    assert_eq!(answer.transfer[1], Err(missing));
    assert!(answer.replayed && answer.waited);
}

#[tokio::test]
async fn a_repetition_of_all_or_none_that_was_made_is_told_the_transfers() {
    let mut mocks = mocks();
    let ids = recorded(&mut mocks, vec![settled(&pending(7)), settled(&pending(8))]);
    let results = ids.into_iter().map(ItemResult::Made).collect();
    answers(&mut mocks, |_| Ok(BulkOutcome::Replayed { results }));
    let items = vec![to("bob", "1"), to("bob", "1")];
    let answer = sent(mocks, request(items, true), keyed()).await.unwrap();
    assert_eq!(statuses(&answer), [Some(Status::Success); 2]);
}

#[tokio::test]
async fn what_the_key_has_made_and_nobody_can_read_did_not_come_to_nothing() {
    let mut mocks = mocks();
    let find = mocks.store.expect_find_many().times(1);
    find.return_once(|_| Err(unavailable()));
    let results = vec![ItemResult::Made(build::transfer_id(7))];
    answers(&mut mocks, |_| Ok(BulkOutcome::Replayed { results }));
    let told = sent(mocks, request(vec![to("bob", "1")], false), keyed()).await;
    assert!(
        matches!(told, Err(Error::Store(StoreError::OutcomeUnknown(_)))),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_the_key_is_bound_to_replays_whatever_the_request_would_come_to_now() {
    for atomic in [false, true] {
        let claimed = claim_of(request(vec![to("alice", "1")], atomic)).await;
        let results = if atomic {
            vec![ItemResult::Refused(ItemRefusal::in_atomic(None))]
        } else {
            vec![ItemResult::Made(build::transfer_id(7))]
        };
        let bound = StoredClaim {
            fingerprint: claimed.fingerprint,
            fields: vec![],
            transfer: build::transfer_id(7),
            refusal: None,
            results: Some(results),
        };
        let mut mocks = mocks();
        if !atomic {
            recorded(&mut mocks, vec![settled(&pending(7))]);
        }
        mocks
            .store
            .expect_find_key()
            .with(eq(claimed.scope.clone()), eq(claimed.key.clone()))
            .times(1)
            .return_once(move |_, _| Ok(Some(bound)));
        let answer = sent(mocks, request(vec![to("alice", "1")], atomic), keyed()).await;
        match answer {
            Ok(answer) => {
                assert!(!atomic && answer.replayed);
                assert_eq!(statuses(&answer), [Some(Status::Success)]);
            }
            Err(Error::BulkRefused { results, replayed }) => {
                assert!(atomic && replayed);
                assert_eq!(results, [ItemError::NotExecuted]);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// The claim that a request to oneself looks for, which never reaches the store.
async fn claim_of(request: BulkRequest) -> IdempotencyClaim {
    let mut mocks = mocks();
    let fields = request.clone();
    mocks
        .store
        .expect_find_key()
        .times(1)
        .return_once(|_, _| Ok(None));
    let _answer = sent(mocks, request, keyed()).await;
    let principal = alice(Permission::AllowTransfer).principal().clone();
    let key = keyed().key.unwrap();
    super::super::bulk::fields_of(&fields).claim(&principal, "internal-transfer-bulk", key)
}

#[tokio::test]
async fn the_key_belongs_to_the_user_and_to_bulks_and_remembers_every_item() {
    let mut mocks = mocks();
    let seen = answers(&mut mocks, |bulk| Ok(made(bulk)));
    let _spawned = mocks.one_task();
    let mut noted = to("bob", "1.0");
    if let Ok(request) = &mut noted {
        request.note = Some("n".repeat(1_000));
    }
    let items = vec![noted, wrong()];
    sent(mocks, request(items, false), keyed()).await.unwrap();
    let claim = seen.lock().unwrap().remove(0).idempotency.unwrap();
    assert_eq!(claim.claim.scope.principal, ALICE.to_string());
    assert_eq!(claim.claim.scope.operation, "internal-transfer-bulk");
    let fields: Vec<(&str, &str)> = claim
        .claim
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.value.as_str()))
        .collect();
    let (note, rest): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .partition(|(name, _)| name.ends_with("note"));
    assert_eq!(
        note[0].1.len(),
        "sha256:".len() + 64,
        "long values are kept as digests"
    );
    let expected = [
        ("transfers[0].currency_code", "btc"),
        ("transfers[0].amount", "1"),
        ("transfers[0].recipient", "bob"),
        ("transfers[1]", "{}"),
        ("atomic", "false"),
    ];
    assert_eq!(rest, expected);
    let [ItemResult::Made(_), ItemResult::Refused(refusal)] = &claim.results[..] else {
        panic!("{:?}", claim.results);
    };
    assert_eq!(
        (refusal.code.as_str(), refusal.errors.len()),
        ("request.invalid", 1)
    );
}

#[tokio::test]
async fn equal_requests_have_equal_fingerprints_and_any_difference_makes_another() {
    let me = || to("alice", "1");
    let other_mistake = Err(WrongItem {
        sent: "{ }".to_owned(),
        errors: vec![],
    });
    let requests = [
        request(vec![me()], false),
        request(vec![me()], true),
        request(vec![me(), me()], false),
        request(vec![to("alice", "2")], false),
        request(vec![me(), wrong()], false),
        request(vec![wrong(), me()], false),
        request(vec![me(), other_mistake], false),
    ];
    let mut seen = std::collections::HashSet::<Fingerprint>::new();
    for request in requests {
        let claim = claim_of(request.clone()).await;
        assert_eq!(claim_of(request.clone()).await, claim);
        assert!(seen.insert(claim.fingerprint), "{request:?}");
    }
}

#[tokio::test]
async fn another_request_s_key_names_its_transfers() {
    for made in [vec![], vec![pending(7), pending(8)]] {
        let mut mocks = mocks();
        let originals: Vec<TransferId> = made.iter().map(Transfer::id).collect();
        if !made.is_empty() {
            recorded(&mut mocks, made.clone());
        }
        let fields = vec!["atomic".to_owned()];
        answers(&mut mocks, |_| {
            Ok(BulkOutcome::KeyReused { originals, fields })
        });
        let app = mocks.app();
        let grant = alice(Permission::AllowTransfer);
        let request = request(vec![to("bob", "1")], false);
        let answer = app.send_bulk(&grant, request, keyed()).await;
        let Err(Error::KeyReused { original, fields }) = answer else {
            panic!("{answer:?}");
        };
        let codes: Vec<String> = made.iter().filter_map(|one| app.code_of(one)).collect();
        assert_eq!(
            original,
            (!codes.is_empty()).then_some(Original::Codes(codes))
        );
        assert_eq!(fields, ["atomic"]);
    }
}

#[tokio::test]
async fn trouble_of_the_store_is_told_and_what_is_in_doubt_is_named() {
    for error in [overloaded(), unavailable()] {
        let mut mocks = mocks();
        answers(&mut mocks, |_| Err(error));
        let answer = sent(mocks, request(vec![to("bob", "1")], false), plain()).await;
        assert!(matches!(answer, Err(Error::Store(_))));
    }
    let mut mocks = mocks();
    answers(&mut mocks, |_| Err(in_doubt()));
    let answer = sent(
        mocks,
        request(vec![to("bob", "1"), wrong()], false),
        plain(),
    )
    .await;
    let Err(Error::OutcomeUnknown {
        transfer: Original::Codes(codes),
        ..
    }) = answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!(codes.len(), 1);
    assert!(codes[0].starts_with("TRF"));
}

/// One look into the address book for all codes, and one for everybody who is named.
#[tokio::test]
async fn the_address_book_is_asked_once_for_all_items() {
    let entry = |code: &str, recipient: &str| AddressBookEntry {
        user: ALICE,
        code: code.to_owned(),
        recipient: recipient.to_owned(),
        label: None,
        created_at: NOW,
    };
    let mut mocks = Mocks::new();
    mocks.has_asset(&btc());
    let names = |names: &[&str]| -> Vec<RecipientName> {
        names
            .iter()
            .map(|name| RecipientName::parse(name))
            .collect()
    };
    let bob = || Some(build::user(BOB));
    for (asked, found) in [
        (
            names(&["bob@example.com", "bob", "nobody", "bob"]),
            vec![bob(), bob(), None, bob()],
        ),
        (names(&["bob", "bob", "bob"]), vec![bob(), bob(), bob()]),
    ] {
        mocks
            .directory
            .expect_find_recipients()
            .with(eq(asked))
            .times(1)
            .return_once(move |_| Ok(found));
    }
    let entries = vec![
        entry("a", "bob@example.com"),
        entry("b", "BOB"),
        entry("c", "nobody"),
    ];
    mocks
        .address_book
        .expect_find_many()
        .with(
            eq(ALICE),
            eq(["a", "b", "c", "d"].map(str::to_owned).to_vec()),
        )
        .times(1)
        .return_once(move |_, _| Ok(entries));
    answers(&mut mocks, |bulk| Ok(made(bulk)));
    let _spawned = mocks.one_task();
    let items = vec![
        coded("bob", "a"),
        coded("bob", "b"),
        coded("bob", "c"),
        coded("bob", "d"),
        to("bob", "1"),
    ];
    let answer = sent(mocks, request(items, false), plain()).await.unwrap();
    let (pending, mismatch) = (Some(Status::Pending), Some(&ItemError::AddressBookMismatch));
    assert_eq!(statuses(&answer), [pending, pending, None, None, pending]);
    let errors: Vec<_> = answer
        .transfer
        .iter()
        .map(|one| one.as_ref().err())
        .collect();
    assert_eq!(errors, [None, None, mismatch, mismatch, None]);
}

#[tokio::test]
async fn a_bulk_may_use_up_all_tries_and_no_more() {
    for (misfits, is_made) in [(20, true), (21, false)] {
        let mut mocks = Mocks::new();
        mocks.has_asset(&btc());
        let find = mocks.directory.expect_find_recipients();
        find.returning(|names| Ok(vec![Some(build::user(BOB)); names.len()]));
        let entries = mocks.address_book.expect_find_many();
        entries.returning(|_, _| Ok(vec![]));
        if is_made {
            answers(&mut mocks, |bulk| Ok(made(bulk)));
        }
        let mut items: Vec<Item> = (0..misfits).map(|_| coded("bob", "none")).collect();
        items.push(to("bob", "1"));
        let answer = sent(mocks, request(items, false), plain()).await;
        let is_refused = matches!(answer, Err(Error::RateLimited(_)));
        assert_eq!(
            (answer.is_ok(), is_refused),
            (is_made, !is_made),
            "{misfits}"
        );
    }
}

#[tokio::test]
async fn whoever_has_used_up_all_tries_in_a_bulk_has_none_left() {
    let mut mocks = mocks();
    let entries = mocks.address_book.expect_find_many();
    entries.returning(|_, _| Ok(vec![]));
    answers(&mut mocks, |bulk| Ok(made(bulk)));
    let app = mocks.app();
    let grant = alice(Permission::AllowTransfer);
    let mut items: Vec<Item> = (0..20).map(|_| coded("bob", "none")).collect();
    items.push(to("bob", "1"));
    let all = app.send_bulk(&grant, request(items, false), plain()).await;
    assert_eq!(statuses(&all.unwrap())[20], Some(Status::Success));
    let one_more = request(vec![to("bob", "1")], false);
    let refused = app.send_bulk(&grant, one_more, plain()).await;
    assert!(matches!(refused, Err(Error::RateLimited(_))), "{refused:?}");
}
