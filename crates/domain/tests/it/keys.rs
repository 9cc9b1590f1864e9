//! Idempotency keys in the ledger.

use bursar_domain::{
    Change, Commit, FieldValue, Fingerprint, IdempotencyClaim, IdempotencyKey, KeyScope, Reason,
    ledger::{self, Books, Verdict},
};

use crate::sample::{
    ALICE, NOW, applied, balance, books_with, cancel, confirm, id, settle, step, withdrawal,
};

fn claim(fields: &[(&str, &str)]) -> IdempotencyClaim {
    let mut bytes = [0; 32];
    let text = format!("{fields:?}");
    for (byte, from) in bytes.iter_mut().zip(text.bytes().rev()) {
        *byte = from;
    }
    IdempotencyClaim {
        scope: KeyScope {
            principal: "op".to_owned(),
            operation: "withdraw",
        },
        key: IdempotencyKey::parse("key").expect("a valid key"),
        fingerprint: Fingerprint(bytes),
        fields: fields
            .iter()
            .map(|(name, value)| FieldValue {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
    }
}

pub(crate) fn amount_claim(amount: &str) -> IdempotencyClaim {
    claim(&[("userId", "1"), ("amount", amount)])
}

fn settle_keyed(books: &mut Books, items: Vec<(Change, IdempotencyClaim)>) -> Vec<Verdict> {
    let batch: Vec<Commit> = items
        .into_iter()
        .map(|(change, claim)| Commit {
            change,
            idempotency: Some(claim),
            audit: None,
        })
        .collect();
    ledger::settle(books, &batch, NOW)
}

pub(crate) fn keyed(books: &mut Books, change: Change, claim: IdempotencyClaim) -> Verdict {
    settle_keyed(books, vec![(change, claim)]).remove(0)
}

#[test]
fn the_same_request_replays_the_first_ones_transfer() {
    let mut books = books_with(100);
    let first = keyed(&mut books, withdrawal(1, 40, 0), amount_claim("40"));
    assert_eq!(applied(first).next.id(), id(1));
    let again = keyed(&mut books, withdrawal(2, 40, 0), amount_claim("40"));
    assert_eq!(again, Verdict::Replayed { original: id(1) });
    assert_eq!(balance(&books, ALICE), (60, 40));
}

#[test]
fn the_very_same_item_has_landed_and_is_no_replay() {
    let mut books = books_with(100);
    let item = (withdrawal(1, 40, 0), amount_claim("40"));
    let verdicts = settle_keyed(&mut books, vec![item.clone(), item]);
    assert_eq!(verdicts.last(), Some(&Verdict::Landed));
    assert_eq!(balance(&books, ALICE), (60, 40));
}

#[test]
fn another_request_is_told_what_differs() {
    let mut books = books_with(100);
    let first = keyed(&mut books, withdrawal(1, 40, 0), amount_claim("40"));
    assert!(matches!(first, Verdict::Applied(_)));
    let reused = |fields: &[&str]| Verdict::KeyReused {
        original: Some(id(1)),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    for (other, fields) in [
        (amount_claim("41"), vec!["amount"]),
        (
            claim(&[("userId", "2"), ("amount", "41")]),
            vec!["userId", "amount"],
        ),
        (
            claim(&[("userId", "1"), ("amount", "40"), ("comment", "x")]),
            vec!["comment"],
        ),
        (claim(&[("userId", "1")]), vec!["amount"]),
    ] {
        let verdict = keyed(&mut books, withdrawal(2, 41, 0), other);
        assert_eq!(verdict, reused(&fields));
    }
    assert_eq!(balance(&books, ALICE), (60, 40));
}

#[test]
fn a_refusal_is_remembered_also_when_it_would_no_longer_be_one() {
    let mut books = books_with(10);
    let reason = Reason::BalanceInsufficient;
    let first = keyed(&mut books, withdrawal(1, 40, 0), amount_claim("40"));
    assert_eq!(first, Verdict::Refused { reason });
    crate::sample::balance_mut(&mut books, crate::sample::account(ALICE)).available = 100;
    let again = keyed(&mut books, withdrawal(2, 40, 0), amount_claim("40"));
    assert_eq!(again, Verdict::RefusalReplayed { reason });
    let other = keyed(&mut books, withdrawal(3, 41, 0), amount_claim("41"));
    let reused = Verdict::KeyReused {
        original: None,
        fields: vec!["amount".to_owned()],
    };
    assert_eq!(other, reused);
    assert_eq!(balance(&books, ALICE), (100, 0));
}

#[test]
fn one_key_twice_in_a_batch_counts_once() {
    let mut books = books_with(100);
    let verdicts = settle_keyed(
        &mut books,
        vec![
            (withdrawal(1, 500, 0), amount_claim("500")),
            (withdrawal(2, 500, 0), amount_claim("500")),
            (withdrawal(3, 40, 0), amount_claim("40")),
        ],
    );
    let reason = Reason::BalanceInsufficient;
    let reused = Verdict::KeyReused {
        original: None,
        fields: vec!["amount".to_owned()],
    };
    let expected = [
        Verdict::Refused { reason },
        Verdict::RefusalReplayed { reason },
        reused,
    ];
    assert_eq!(verdicts, expected);
}

#[test]
fn a_stale_item_leaves_its_key_to_the_next() {
    let mut books = books_with(100);
    let open = applied(settle(&mut books, withdrawal(1, 40, 0))).next;
    assert!(matches!(
        settle(&mut books, step(&open, &cancel(None))),
        Verdict::Applied(_)
    ));
    let verdicts = settle_keyed(
        &mut books,
        vec![
            (step(&open, &confirm(None)), amount_claim("5")),
            (withdrawal(2, 5, 0), amount_claim("5")),
            (withdrawal(3, 5, 0), amount_claim("5")),
        ],
    );
    assert!(matches!(verdicts.first(), Some(Verdict::Stale { .. })));
    assert!(matches!(verdicts.get(1), Some(Verdict::Applied(_))));
    assert_eq!(
        verdicts.get(2),
        Some(&Verdict::Replayed { original: id(2) })
    );
    assert_eq!(balance(&books, ALICE), (95, 5));
}

#[test]
fn a_confirm_repeated_with_its_key_is_a_replay_and_not_stale() {
    let mut books = books_with(100);
    let open = applied(settle(&mut books, withdrawal(1, 40, 0))).next;
    let item = (step(&open, &confirm(None)), amount_claim("40"));
    let verdicts = settle_keyed(&mut books, vec![item.clone(), item]);
    assert!(matches!(verdicts.first(), Some(Verdict::Applied(_))));
    assert_eq!(
        verdicts.get(1),
        Some(&Verdict::Replayed { original: id(1) })
    );
    assert_eq!(balance(&books, ALICE), (60, 0));
}

#[test]
fn a_key_is_bound_to_its_principal_and_operation() {
    let mut books = books_with(100);
    let mut others = vec![amount_claim("10"); 3];
    for (claim, (principal, operation)) in
        others
            .iter_mut()
            .zip([("op", "withdraw"), ("op", "deposit"), ("other", "withdraw")])
    {
        claim.scope = KeyScope {
            principal: principal.to_owned(),
            operation,
        };
    }
    for (number, claim) in (1..).zip(others) {
        let verdict = keyed(&mut books, withdrawal(number, 10, 0), claim);
        assert!(matches!(verdict, Verdict::Applied(_)), "{verdict:?}");
    }
    assert_eq!(books.keys.len(), 3);
    assert_eq!(balance(&books, ALICE), (70, 30));
}
