//! What operators stop: everything, or what leaves users' accounts of an asset.

use bursar_domain::{
    Bulk, BulkClaim, BulkMode, Change, CodeSalt, Command, Commit, FieldValue, Fingerprint,
    IdempotencyClaim, IdempotencyKey, ItemResult, KeyScope, Kind, PayoutRoute, Reason,
    ReversalTerms, Status, Transfer,
    ledger::{self, Books, BulkVerdict, Verdict},
};

use crate::{
    rulebook::{
        SECOND, approve, change_rules, confirm_by_gateway, opened, reason_of, reject, set_approval,
        set_outgoing_stop, set_read_only, usd,
    },
    sample::{
        ALICE, BOB, NOW, applied, balance, books_with, cancel, confirm, id, new, settle, step,
    },
};

fn send(books: &mut Books, change: Change) -> Transfer {
    applied(settle(books, change)).next
}

fn claim(fingerprint: u8) -> IdempotencyClaim {
    IdempotencyClaim {
        scope: KeyScope {
            principal: "op".to_owned(),
            operation: "any",
        },
        key: IdempotencyKey::parse("key").expect("a key"),
        fingerprint: Fingerprint([fingerprint; 32]),
        fields: vec![FieldValue {
            name: "amount".to_owned(),
            value: fingerprint.to_string(),
        }],
    }
}

fn keyed(books: &mut Books, change: Change, fingerprint: u8) -> Verdict {
    let commit = Commit {
        audit: None,
        change,
        idempotency: Some(claim(fingerprint)),
    };
    ledger::settle(books, &[commit], NOW).remove(0)
}

fn keyed_bulk(first: i64, fingerprint: u8) -> Bulk {
    let changes: Vec<Change> = [first, first + 1]
        .map(|number| opened(Kind::Internal, new(number, 10, 0)).settled_at_once())
        .into();
    let made = changes.iter().map(|change| change.next.id());
    let results = made.map(ItemResult::Made).collect();
    Bulk {
        changes,
        mode: BulkMode::Atomic,
        unable_max: None,
        idempotency: Some(BulkClaim {
            claim: claim(fingerprint),
            results,
        }),
    }
}

fn reversal(number: i64, of: &Transfer) -> Change {
    let terms = ReversalTerms {
        covers: None,
        returns_fee: true,
        salt: CodeSalt::new([8; 10]),
    };
    of.reversal(new(number, 0, 0), terms)
        .expect("it went through")
}

#[test]
fn read_only_moves_nothing_whoever_asks() {
    let mut books = books_with(1_000);
    set_approval(&mut books, Kind::Withdrawal, 50);
    let deposit = send(&mut books, opened(Kind::Deposit, new(1, 10, 0)));
    let open = send(&mut books, opened(Kind::Withdrawal, new(2, 10, 0)));
    let payment = send(&mut books, opened(Kind::Internal, new(3, 10, 0)));
    let high = send(&mut books, opened(Kind::Withdrawal, new(4, 60, 0)));
    let waiting = send(&mut books, step(&high, &confirm(None)));
    let low = send(&mut books, opened(Kind::Withdrawal, new(5, 10, 0)));
    let under_way = send(&mut books, step(&low, &confirm_by_gateway(None)));
    let done = send(
        &mut books,
        opened(Kind::Deposit, new(6, 10, 0)).settled_at_once(),
    );
    set_read_only(&mut books, true);
    let before = books.clone();
    let mut changes: Vec<Change> = (10..)
        .zip(Kind::ALL)
        .map(|(number, kind)| opened(kind, new(number, 1, 0)).settled_at_once())
        .collect();
    for (transfer, command) in [
        (&deposit, Command::Settle),
        (&payment, Command::Settle),
        (&open, confirm(None)),
        (&open, cancel(None)),
        (&open, Command::Expire),
        (&waiting, approve(SECOND, PayoutRoute::Manual)),
        (&waiting, reject(SECOND)),
        (&under_way, Command::PaidOut),
    ] {
        changes.push(step(transfer, &command));
    }
    changes.push(reversal(20, &done));
    for change in &changes {
        assert_eq!(
            settle(&mut books, change.clone()),
            Verdict::ReadOnly,
            "{change:?}"
        );
    }
    assert_eq!(books.accounts, before.accounts);
    assert_eq!(books.versions, before.versions);
    set_read_only(&mut books, false);
    let verdict = settle(&mut books, changes.remove(0));
    assert_eq!(reason_of(&verdict), None, "it goes on where it stood");
}

#[test]
fn read_only_leaves_keys_free_and_still_answers_repetitions() {
    let hold = |number, units| opened(Kind::Withdrawal, new(number, units, 0));
    let mut books = books_with(1_000);
    set_read_only(&mut books, true);
    assert_eq!(keyed(&mut books, hold(1, 10), 1), Verdict::ReadOnly);
    assert_eq!(
        keyed(&mut books, hold(2, 20), 2),
        Verdict::ReadOnly,
        "another request"
    );
    set_read_only(&mut books, false);
    let made = keyed(&mut books, hold(3, 30), 3);
    assert_eq!(reason_of(&made), None, "the key was free");
    set_read_only(&mut books, true);
    let original = id(3);
    let again = keyed(&mut books, hold(4, 30), 3);
    assert_eq!(again, Verdict::Replayed { original });
    assert_eq!(keyed(&mut books, hold(3, 30), 3), Verdict::Landed);
    let other = keyed(&mut books, hold(5, 40), 4);
    assert!(matches!(other, Verdict::KeyReused { .. }), "{other:?}");
    assert_eq!(balance(&books, ALICE), (970, 30));
}

#[test]
fn read_only_still_answers_a_refusal_and_what_has_changed_meanwhile() {
    let mut books = books_with(10);
    let hold = |number| opened(Kind::Withdrawal, new(number, 11, 0));
    let reason = Reason::BalanceInsufficient;
    assert_eq!(keyed(&mut books, hold(1), 1), Verdict::Refused { reason });
    let open = send(&mut books, opened(Kind::Withdrawal, new(2, 10, 0)));
    let canceled = send(&mut books, step(&open, &cancel(None)));
    set_read_only(&mut books, true);
    let again = keyed(&mut books, hold(3), 1);
    assert_eq!(again, Verdict::RefusalReplayed { reason });
    let current = Some(canceled.version());
    let late = settle(&mut books, step(&open, &confirm(None)));
    assert_eq!(late, Verdict::Stale { current });
}

#[test]
fn read_only_stops_bulks_as_wholes() {
    let mut books = books_with(1_000);
    set_read_only(&mut books, true);
    let verdict = ledger::settle_bulk(&mut books, &keyed_bulk(1, 1), NOW);
    assert_eq!(verdict, BulkVerdict::ReadOnly);
    assert_eq!(verdict.recipients_unable(), 0);
    set_read_only(&mut books, false);
    let first = keyed_bulk(3, 2);
    let made = ledger::settle_bulk(&mut books, &first, NOW);
    assert!(matches!(made, BulkVerdict::Applied(_)), "the key was free");
    set_read_only(&mut books, true);
    let results = first.idempotency.clone().expect("a key").results;
    let again = ledger::settle_bulk(&mut books, &keyed_bulk(5, 2), NOW);
    assert_eq!(again, BulkVerdict::Replayed { results });
    let landed = ledger::settle_bulk(&mut books, &first, NOW);
    assert_eq!(landed, BulkVerdict::Landed);
    assert_eq!(balance(&books, BOB), (20, 0));
}

#[test]
fn an_outgoing_stop_keeps_what_would_leave_and_nothing_else() {
    let stopped = Some(Reason::OutgoingStopped);
    let gateway = confirm_by_gateway(None);
    let second = |route| approve(SECOND, route);
    // What is done to a withdrawal once the stop is there, and what was before.
    let refused = Reason::PayoutRefused;
    for (what, before, command, reason) in [
        ("confirm", None, confirm(None), stopped),
        ("hand over", None, gateway.clone(), stopped),
        ("cancel", None, cancel(None), None),
        (
            "expire",
            None,
            Command::Expire,
            Some(Reason::TransferExpired),
        ),
        (
            "fail",
            None,
            Command::Fail { reason: refused },
            Some(refused),
        ),
        (
            "approve",
            Some(confirm(None)),
            second(PayoutRoute::Manual),
            stopped,
        ),
        (
            "hand over",
            Some(confirm(None)),
            second(PayoutRoute::Gateway),
            stopped,
        ),
        (
            "reject",
            Some(confirm(None)),
            reject(SECOND),
            Some(Reason::ApprovalRejected),
        ),
        ("cancel", Some(confirm(None)), cancel(None), None),
    ] {
        let mut books = books_with(1_000);
        set_approval(&mut books, Kind::Withdrawal, 50);
        let mut transfer = send(&mut books, opened(Kind::Withdrawal, new(1, 100, 0)));
        if let Some(before) = before {
            transfer = send(&mut books, step(&transfer, &before));
        }
        set_outgoing_stop(&mut books, true);
        let verdict = settle(&mut books, step(&transfer, &command));
        assert_eq!(reason_of(&verdict), reason, "{what}");
        let held = if reason == stopped { 100 } else { 0 };
        assert_eq!(balance(&books, ALICE), (1_000 - held, held), "{what}");
    }
}

#[test]
fn an_outgoing_stop_is_judged_when_money_would_leave_and_only_of_its_asset() {
    let stopped = Some(Reason::OutgoingStopped);
    for (kind, reason) in [
        (Kind::Deposit, None),
        (Kind::Withdrawal, stopped),
        (Kind::Internal, stopped),
    ] {
        let mut books = books_with(1_000);
        let pending = send(&mut books, opened(kind, new(1, 10, 0)));
        set_outgoing_stop(&mut books, true);
        let made = opened(kind, new(2, 10, 0)).settled_at_once();
        assert_eq!(reason_of(&settle(&mut books, made)), reason, "{kind:?}");
        if kind != Kind::Withdrawal {
            let settled = settle(&mut books, step(&pending, &Command::Settle));
            assert_eq!(reason_of(&settled), reason, "{kind:?}");
        }
        change_rules(&mut books, |rules| rules.stops.outgoing = [usd()].into());
        let made = opened(kind, new(3, 10, 0)).settled_at_once();
        assert_eq!(reason_of(&settle(&mut books, made)), None, "{kind:?}");
    }
}

#[test]
fn an_outgoing_stop_lets_a_reversal_in_but_not_out() {
    for kind in Kind::ALL {
        let mut books = books_with(1_000);
        let mut done = send(&mut books, opened(kind, new(1, 10, 0)).settled_at_once());
        if kind == Kind::Withdrawal {
            done = send(&mut books, step(&done, &confirm(None)));
        }
        assert!(matches!(done.status(), Status::Completed | Status::Success));
        set_outgoing_stop(&mut books, true);
        let verdict = settle(&mut books, reversal(2, &done));
        let reason = (kind != Kind::Withdrawal).then_some(Reason::OutgoingStopped);
        assert_eq!(reason_of(&verdict), reason, "{kind:?}");
    }
}
