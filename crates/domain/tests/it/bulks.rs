//! Bulks: in order like single requests, and all or nothing when that was asked for.

use bursar_domain::{
    Bulk, BulkClaim, BulkMode, Change, CodeSalt, Commit, FieldValue, Fingerprint, IdempotencyClaim,
    IdempotencyKey, ItemRefusal, ItemResult, KeyScope, Kind, Limits, NewTransfer, Reason,
    Recipient, Status, Terms, Transfer,
    ledger::{self, Books, BulkVerdict, Verdict},
};
use proptest::prelude::*;

use crate::{
    exchange::{Exchange, USERS},
    properties::config,
    reversals::{done, reverse},
    rulebook::{percent, set_fee, set_limits},
    sample::{ALICE, BOB, CAROL, NOW, account, amount, btc, new, nobody},
};

/// A payment among three users; the fourth recipient is nobody. The last figure says whether it
/// costs what the schedule says.
type Payment = (usize, usize, i128, i128);

fn payments() -> impl Strategy<Value = Vec<Payment>> {
    proptest::collection::vec((0..3_usize, 0..4_usize, 1..60_i128, 0..2_i128), 1..12)
}

/// Changes with ids from `first` on; a payment to oneself is left out.
fn changes(first: i64, payments: &[Payment]) -> Vec<Change> {
    (first..)
        .zip(payments)
        .filter_map(|(id, (from, to, units, fee))| {
            let sender = *USERS.get(*from).expect("a user");
            let to = USERS.get(*to).copied();
            let recipient = to.map_or_else(nobody, Recipient::Id);
            let salt = CodeSalt::new([1; 10]);
            let new = NewTransfer {
                terms: Terms {
                    pays_fee: *fee > 0,
                    ..Terms::default()
                },
                ..new(id, *units, 0)
            };
            let opened = Transfer::internal(new, sender, recipient, salt, None);
            Some(opened.ok()?.settled_at_once())
        })
        .collect()
}

/// Three users with a hundred each, of whom each may send 130 a day, for 7 percent.
fn funded() -> Books {
    let mut books = Exchange::new().books;
    let limits = Limits {
        daily: Some(amount(130)),
        ..Limits::default()
    };
    set_limits(&mut books, Kind::Internal, Some(btc()), limits);
    set_fee(&mut books, Kind::Internal, percent(7));
    let deposits: Vec<Commit> = (1..)
        .zip(USERS)
        .map(|(id, user)| Transfer::deposit(new(id, 100, 0), user).expect("no fee"))
        .map(|change| Commit::new(change.settled_at_once()))
        .collect();
    for verdict in ledger::settle(&mut books, &deposits, NOW) {
        assert!(matches!(verdict, Verdict::Applied(_)));
    }
    books
}

pub(crate) fn bulk(changes: Vec<Change>, mode: BulkMode) -> Bulk {
    Bulk {
        changes,
        mode,
        unable_max: None,
        idempotency: None,
    }
}

fn commits(changes: &[Change]) -> Vec<Commit> {
    changes.iter().cloned().map(Commit::new).collect()
}

fn assert_same(left: &Books, right: &Books) {
    assert_eq!(left.accounts, right.accounts);
    assert_eq!(left.versions, right.versions);
    assert_eq!(left.assets, right.assets);
    assert_eq!(left.keys, right.keys);
    assert_eq!(left.usage, right.usage);
}

/// What single requests in the same order come to.
fn one_by_one(books: &mut Books, changes: &[Change]) -> Vec<ledger::Applied> {
    ledger::settle(books, &commits(changes), NOW)
        .into_iter()
        .map(|verdict| {
            let Verdict::Applied(applied) = verdict else {
                panic!("a payment is recorded, whatever becomes of it: {verdict:?}");
            };
            *applied
        })
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_independent_bulk_is_its_items_one_by_one(payments in payments()) {
        let changes = changes(10, &payments);
        let (mut together, mut apart) = (funded(), funded());
        let verdict = ledger::settle_bulk(
            &mut together, &bulk(changes.clone(), BulkMode::Independent), NOW,
        );
        let applied = one_by_one(&mut apart, &changes);
        prop_assert_eq!(verdict, BulkVerdict::Applied(applied));
        assert_same(&together, &apart);
    }

    #[test]
    fn an_atomic_bulk_is_its_items_one_by_one_or_nothing_at_all(payments in payments()) {
        let changes = changes(10, &payments);
        let (mut together, mut apart) = (funded(), funded());
        let verdict = ledger::settle_bulk(
            &mut together, &bulk(changes.clone(), BulkMode::Atomic), NOW,
        );
        let applied = one_by_one(&mut apart, &changes);
        if applied.iter().all(|applied| applied.next.reason().is_none()) {
            prop_assert_eq!(verdict, BulkVerdict::Applied(applied));
            assert_same(&together, &apart);
        } else {
            let refused = matches!(verdict, BulkVerdict::Refused { .. });
            prop_assert!(refused);
            assert_same(&together, &funded());
        }
    }

    /// An independent bulk with too many recipients who cannot be paid leaves nothing; with fewer it
    /// is as if nobody had counted.
    #[test]
    fn an_independent_bulk_is_made_unless_too_many_recipients_cannot_be_paid(
        payments in payments(), max in 0..4_usize,
    ) {
        let changes = changes(10, &payments);
        let (mut together, mut apart) = (funded(), funded());
        let counted = Bulk {
            unable_max: Some(max),
            ..bulk(changes.clone(), BulkMode::Independent)
        };
        let verdict = ledger::settle_bulk(&mut together, &counted, NOW);
        let applied = one_by_one(&mut apart, &changes);
        let unable = applied
            .iter()
            .filter(|applied| applied.next.reason() == Some(Reason::RecipientUnavailable))
            .count();
        if unable <= max {
            prop_assert_eq!(verdict, BulkVerdict::Applied(applied));
            assert_same(&together, &apart);
        } else {
            // Nobody has no account at all, so none of them is unseen.
            prop_assert_eq!(verdict, BulkVerdict::TooManyUnable { unable, unseen: vec![] });
            assert_same(&together, &funded());
        }
    }

    /// With one recipient who cannot be paid nothing moves, whoever the others are: what is told
    /// must then be the same for any recipients at all.
    #[test]
    fn what_is_told_of_a_refused_group_does_not_depend_on_who_can_be_paid(
        mut payments in proptest::collection::vec((0..1_usize, 1..4_usize, 1..60_i128, 0..2_i128), 1..12),
    ) {
        payments.push((0, 3, 1, 0));
        let nobodies: Vec<Payment> =
            payments.iter().map(|(from, _, units, fee)| (*from, 3, *units, *fee)).collect();
        let told = |payments: &[Payment]| {
            let bulk = bulk(changes(10, payments), BulkMode::Atomic);
            let verdict = ledger::settle_bulk(&mut funded(), &bulk, NOW);
            let BulkVerdict::Refused { reasons, .. } = verdict else {
                panic!("somebody cannot be paid: {verdict:?}");
            };
            reasons
        };
        prop_assert_eq!(told(&payments), told(&nobodies));
    }

    /// Whatever comes before and after a refused group is as if nobody had asked for it.
    #[test]
    fn a_refused_group_leaves_its_neighbours_alone(
        before in payments(),
        mut group in payments(),
        after in payments(),
    ) {
        group.push((0, 1, 100_000, 0));
        let (before, group, after) = (changes(10, &before), changes(50, &group), changes(90, &after));
        let (mut with, mut without) = (funded(), funded());
        let first = one_by_one(&mut with, &before);
        let verdict = ledger::settle_bulk(&mut with, &bulk(group, BulkMode::Atomic), NOW);
        let refused = matches!(verdict, BulkVerdict::Refused { .. });
        prop_assert!(refused);
        let last = one_by_one(&mut with, &after);
        prop_assert_eq!(first, one_by_one(&mut without, &before));
        prop_assert_eq!(last, one_by_one(&mut without, &after));
        assert_same(&with, &without);
    }
}

/// A generator that only made refused or only covered bulks would prove nothing.
#[test]
fn atomic_bulks_come_out_both_ways() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::new(config());
    let mut made = 0;
    for _ in 0..200 {
        let payments = payments()
            .new_tree(&mut runner)
            .expect("payments")
            .current();
        let bulk = bulk(changes(10, &payments), BulkMode::Atomic);
        let verdict = ledger::settle_bulk(&mut funded(), &bulk, NOW);
        made += usize::from(matches!(verdict, BulkVerdict::Applied(_)));
    }
    assert!((20..180).contains(&made), "{made} of 200 are made");
}

fn payment(id: i64, units: i128) -> Change {
    let salt = CodeSalt::new([1; 10]);
    Transfer::internal(new(id, units, 0), ALICE, Recipient::Id(BOB), salt, None)
        .expect("another user")
        .settled_at_once()
}

fn claimed(changes: Vec<Change>, mode: BulkMode, fingerprint: u8) -> Bulk {
    let value = fingerprint.to_string();
    let claim = IdempotencyClaim {
        scope: KeyScope {
            principal: "op".to_owned(),
            operation: "bulk",
        },
        key: IdempotencyKey::parse("key").expect("a key"),
        fingerprint: Fingerprint([fingerprint; 32]),
        fields: vec![FieldValue {
            name: "amount".to_owned(),
            value,
        }],
    };
    let made = changes.iter().map(|change| change.next.id());
    let results = made.map(ItemResult::Made).collect();
    Bulk {
        idempotency: Some(BulkClaim { claim, results }),
        ..bulk(changes, mode)
    }
}

#[test]
fn a_key_tells_own_earlier_tries_from_repetitions_and_other_requests() {
    let mut books = funded();
    let first = claimed(vec![payment(10, 1), payment(11, 2)], BulkMode::Atomic, 1);
    let results = first.idempotency.clone().expect("a key").results;
    let made = ledger::settle_bulk(&mut books, &first, NOW);
    assert!(matches!(made, BulkVerdict::Applied(_)));
    let after = books.clone();
    let own = ledger::settle_bulk(&mut books, &first, NOW);
    assert_eq!(own, BulkVerdict::Landed);
    let again = claimed(vec![payment(12, 1), payment(13, 2)], BulkMode::Atomic, 1);
    let again = ledger::settle_bulk(&mut books, &again, NOW);
    assert_eq!(again, BulkVerdict::Replayed { results });
    let other = claimed(vec![payment(14, 1)], BulkMode::Atomic, 2);
    let reused = BulkVerdict::KeyReused {
        originals: vec![first.changes[0].next.id(), first.changes[1].next.id()],
        fields: vec!["amount".to_owned()],
    };
    assert_eq!(ledger::settle_bulk(&mut books, &other, NOW), reused);
    assert_same(&books, &after);
}

#[test]
fn a_refusal_is_kept_and_told_as_ones_own_or_as_a_repetition() {
    let mut books = funded();
    let bulk = |first: i64| {
        let changes = vec![payment(first, 1), payment(first + 1, 120)];
        claimed(changes, BulkMode::Atomic, 1)
    };
    let reasons = vec![None, Some(Reason::BalanceInsufficient)];
    let results = reasons
        .iter()
        .map(|reason| ItemResult::Refused(ItemRefusal::in_atomic(*reason)))
        .collect();
    let refused = BulkVerdict::Refused {
        reasons,
        unable: vec![],
        unseen: vec![],
    };
    assert_eq!(ledger::settle_bulk(&mut books, &bulk(10), NOW), refused);
    assert_eq!(ledger::settle_bulk(&mut books, &bulk(10), NOW), refused);
    let again = ledger::settle_bulk(&mut books, &bulk(20), NOW);
    assert_eq!(again, BulkVerdict::Replayed { results });
    assert_eq!(books.accounts, funded().accounts);
}

/// An independent bulk records what cannot be, whatever the change would do by itself.
#[test]
fn an_independent_bulk_records_every_refusal() {
    let mut books = funded();
    let hold = Transfer::withdrawal(new(10, 1_000, 0), CAROL).expect("it fits");
    let verdict = ledger::settle_bulk(&mut books, &bulk(vec![hold], BulkMode::Independent), NOW);
    let BulkVerdict::Applied(applied) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(applied[0].next.status(), Status::Failed);
    assert_eq!(applied[0].next.reason(), Some(Reason::BalanceInsufficient));
    assert_eq!(books.accounts[&account(CAROL)].available, 100);
    assert_eq!(
        applied[0].next.postings_so_far(),
        vec![],
        "nothing was held"
    );
}

/// Two reversals of a transfer at once, and two transfers with one id, would each move money twice.
#[test]
fn a_bulk_has_new_transfers_of_their_own_alone() {
    let (mut books, original) = done(Kind::Withdrawal);
    let (accounts, versions) = (books.accounts.clone(), books.versions.clone());
    let twice = [10, 11].map(|id| reverse(&original, id, None, true));
    let verdict = ledger::settle_bulk(&mut books, &bulk(twice.to_vec(), BulkMode::Atomic), NOW);
    let refused = BulkVerdict::Refused {
        reasons: vec![Some(Reason::AssetDisabled); 2],
        unable: vec![],
        unseen: vec![],
    };
    assert_eq!(verdict, refused);
    assert_eq!((books.accounts, books.versions), (accounts, versions));

    let mut books = funded();
    let hold = || Transfer::withdrawal(new(10, 30, 0), CAROL).expect("it fits");
    let same = bulk(vec![hold(), hold()], BulkMode::Independent);
    let BulkVerdict::Applied(applied) = ledger::settle_bulk(&mut books, &same, NOW) else {
        panic!("an independent bulk is made");
    };
    assert_eq!(applied[1].next.reason(), Some(Reason::AssetDisabled));
    assert_eq!(applied[1].entries, vec![]);
    assert_eq!(books.accounts[&account(CAROL)].available, 70);
}

/// Whose account is not in the books is not known to be unable to be paid: that is found out
/// elsewhere, and counted then. A bulk that its sender's side refuses tells nothing of recipients.
#[test]
fn recipients_without_an_account_in_the_books_are_told_apart() {
    let to = |id, recipient, units| {
        let salt = CodeSalt::new([1; 10]);
        Transfer::internal(new(id, units, 0), ALICE, recipient, salt, None)
            .expect("another user")
            .settled_at_once()
    };
    let (bob, carol) = (Recipient::Id(BOB), Recipient::Id(CAROL));
    let without_bob = || {
        let mut books = funded();
        books.accounts.remove(&account(BOB));
        books
    };
    let three = vec![
        to(10, bob.clone(), 1),
        to(11, nobody(), 1),
        to(12, carol, 1),
    ];

    let atomic = bulk(three.clone(), BulkMode::Atomic);
    let mut verdict = ledger::settle_bulk(&mut without_bob(), &atomic, NOW);
    let refused = |unable, unseen| BulkVerdict::Refused {
        reasons: vec![None; 3],
        unable,
        unseen,
    };
    assert_eq!(verdict, refused(vec![1], vec![0]));
    assert_eq!(verdict.recipients_unable(), 1);
    verdict.count_unseen(|_| false);
    assert_eq!(verdict, refused(vec![1], vec![0]));
    verdict.count_unseen(|place| place == 0);
    assert_eq!(verdict, refused(vec![1, 0], vec![]));
    assert_eq!(verdict.recipients_unable(), 2);

    let counted = Bulk {
        unable_max: Some(1),
        ..bulk(three, BulkMode::Independent)
    };
    let verdict = ledger::settle_bulk(&mut without_bob(), &counted, NOW);
    let (unable, unseen) = (2, vec![0]);
    assert_eq!(verdict, BulkVerdict::TooManyUnable { unable, unseen });

    let dear = bulk(
        vec![to(10, nobody(), 1), to(11, bob, 100)],
        BulkMode::Atomic,
    );
    let verdict = ledger::settle_bulk(&mut without_bob(), &dear, NOW);
    let reasons = vec![None, Some(Reason::BalanceInsufficient)];
    assert!(
        matches!(&verdict, BulkVerdict::Refused { reasons: told, .. } if *told == reasons),
        "{verdict:?}"
    );
    assert_eq!(verdict.recipients_unable(), 0);
}
