//! What waits for a second operator, and what becomes of it.

use bursar_domain::{
    ActorId, Change, Command, Confirmation, Decision, Kind, Limits, NewTransfer, PayoutRoute,
    Reason, Review, Stage, Status, Terms, Transfer, UserStatus, Version,
    ledger::{Applied, Books, Verdict},
};

use crate::{
    rulebook::{
        DIGEST, SECOND, approve, confirm_by_gateway, flat, opened, priced, rated, reason_of,
        reject, set_approval, set_fee, set_limits, strict_books, usd,
    },
    sample::{
        ALICE, NOW, amount, applied, balance, books_with, btc, cancel, confirm, deposit, new,
        set_status, settle, step, withdrawal,
    },
};

fn send(books: &mut Books, change: Change) -> Applied {
    applied(settle(books, change))
}

/// A deposit that waits.
fn waiting_deposit(books: &mut Books) -> Transfer {
    send(books, deposit(1, 101, 1)).next
}

/// A withdrawal that was confirmed and waits.
fn waiting_withdrawal(books: &mut Books, confirming: &Command) -> Transfer {
    let open = send(books, withdrawal(1, 101, 1)).next;
    send(books, step(&open, confirming)).next
}

fn review(by: &str) -> Review {
    Review {
        by: ActorId::new(by),
        digest: DIGEST,
    }
}

#[test]
fn a_deposit_above_the_threshold_waits_in_one_step_or_two() {
    for (units, waits) in [(100, false), (101, true)] {
        for at_once in [false, true] {
            let mut books = strict_books(100);
            let change = deposit(1, units, 0);
            let change = if at_once {
                change.settled_at_once()
            } else {
                change
            };
            let made = send(&mut books, change);
            let settled = at_once && !waits;
            let (status, stage) = (made.next.status(), made.next.stage());
            let expected = if settled {
                Status::Completed
            } else {
                Status::Pending
            };
            assert_eq!(status, expected, "{units} {at_once}");
            assert_eq!(stage, waits.then_some(Stage::Approval), "{units} {at_once}");
            assert_eq!(made.next.version(), Version::FIRST);
            assert_eq!(made.entries.is_empty(), !settled);
            assert_eq!(made.callbacks.is_empty(), !settled);
            let credited = if settled { units } else { 0 };
            assert_eq!(balance(&books, ALICE), (1_000 + credited, 0));
            if waits {
                let settle = made.next.decide(&Command::Settle, NOW);
                assert_eq!(settle, Ok(Decision::AlreadyApplied), "never by itself");
            }
        }
    }
}

#[test]
fn a_confirm_above_the_threshold_waits_whatever_pays_out_and_says_who_confirmed() {
    for confirming in [confirm(None), confirm_by_gateway(None)] {
        for (units, waits) in [(100, false), (101, true)] {
            let mut books = strict_books(100);
            let open = send(&mut books, withdrawal(1, units, 1)).next;
            assert_eq!(open.stage(), None, "creating one needs nobody");
            let confirmed = send(&mut books, step(&open, &confirming));
            assert_eq!(confirmed.next.version(), open.version().next());
            let stage = confirmed.next.stage();
            assert_eq!(stage == Some(Stage::Approval), waits, "{confirming:?}");
            let by = Confirmation {
                by: ActorId::new("confirmer"),
                callback_url: None,
            };
            assert_eq!(confirmed.next.parts().confirmed, Some(by));
            if waits {
                assert_eq!(confirmed.next.status(), Status::AwaitingConfirmation);
                assert_eq!((confirmed.entries, confirmed.callbacks), (vec![], vec![]));
                assert_eq!(balance(&books, ALICE), (898, 102));
            }
        }
    }
}

#[test]
fn the_threshold_may_be_in_the_root_asset_and_the_lower_one_counts() {
    let above = |units| Limits {
        approval_above: Some(amount(units)),
        ..Limits::default()
    };
    // One unit is worth two in the root asset.
    for (of_asset, of_root, waits) in [
        (None, Some(200), false),
        (None, Some(199), true),
        (Some(99), Some(1_000), true),
        (Some(100), Some(200), false),
        (Some(1_000), Some(199), true),
        (Some(0), None, true),
        (None, None, false),
    ] {
        for kind in [Kind::Deposit, Kind::Withdrawal] {
            let mut books = books_with(1_000);
            for (scope, units) in [(Some(btc()), of_asset), (None, of_root)] {
                if let Some(units) = units {
                    set_limits(&mut books, kind, scope, above(units));
                }
            }
            let made = send(&mut books, opened(kind, rated(new(1, 100, 0)))).next;
            let ended = match kind {
                Kind::Withdrawal => send(&mut books, step(&made, &confirm(None))).next,
                Kind::Deposit | Kind::Internal => made,
            };
            let stage = ended.stage();
            assert_eq!(
                stage,
                waits.then_some(Stage::Approval),
                "{of_asset:?} {of_root:?}"
            );
        }
    }
}

#[test]
fn what_had_no_value_when_it_was_made_waits_as_soon_as_values_count() {
    let mut books = books_with(1_000);
    let open = send(&mut books, withdrawal(1, 1, 0)).next;
    let limits = Limits {
        approval_above: Some(amount(1_000_000)),
        ..Limits::default()
    };
    set_limits(&mut books, Kind::Withdrawal, None, limits);
    let confirmed = send(&mut books, step(&open, &confirm(None))).next;
    assert_eq!(confirmed.stage(), Some(Stage::Approval));
    let next = settle(&mut books, withdrawal(2, 1, 0));
    assert_eq!(
        reason_of(&next),
        Some(Reason::RateUnknown),
        "new ones need a rate"
    );
    assert!(
        !books.assets.contains_key(&usd()),
        "not even the root asset is looked at"
    );
}

#[test]
fn internal_transfers_wait_for_nobody() {
    let mut books = books_with(1_000);
    set_approval(&mut books, Kind::Internal, 0);
    let change = opened(Kind::Internal, new(1, 500, 0)).settled_at_once();
    assert!(!books.rules.asks_second(&change.next));
    assert_eq!(send(&mut books, change).next.status(), Status::Success);
}

#[test]
fn a_deposit_is_credited_with_its_fee_when_it_is_approved() {
    let mut books = strict_books(100);
    set_fee(&mut books, Kind::Deposit, flat(3));
    let waiting = send(
        &mut books,
        opened(Kind::Deposit, priced(1, 200)).settled_at_once(),
    )
    .next;
    assert_eq!(waiting.parts().fee, amount(3));
    set_fee(&mut books, Kind::Deposit, flat(50));
    let done = send(
        &mut books,
        step(&waiting, &approve(SECOND, PayoutRoute::Manual)),
    )
    .next;
    assert_eq!(done.status(), Status::Completed);
    assert_eq!(done.parts().review, Some(review(SECOND)));
    assert_eq!(done.parts().fee, amount(3), "fixed at creation");
    assert_eq!(balance(&books, ALICE), (1_197, 0));
}

#[test]
fn a_withdrawal_leaves_when_it_is_approved_by_hand_or_through_the_gateway() {
    for confirming in [confirm(None), confirm_by_gateway(None)] {
        let mut books = strict_books(100);
        let waiting = waiting_withdrawal(&mut books, &confirming);
        let done = send(
            &mut books,
            step(&waiting, &approve(SECOND, PayoutRoute::Manual)),
        )
        .next;
        assert_eq!(done.status(), Status::Completed);
        assert_eq!(done.finished_by(), Some(&ActorId::new("confirmer")));
        assert_eq!(done.parts().review, Some(review(SECOND)));
        assert_eq!(balance(&books, ALICE), (898, 0));

        let mut books = strict_books(100);
        let waiting = waiting_withdrawal(&mut books, &confirming);
        let gateway = approve(SECOND, PayoutRoute::Gateway);
        let under_way = send(&mut books, step(&waiting, &gateway));
        assert_eq!(under_way.next.stage(), Some(Stage::Payout));
        assert_eq!((under_way.entries, under_way.callbacks), (vec![], vec![]));
        assert_eq!(balance(&books, ALICE), (898, 102));
        let done = send(&mut books, step(&under_way.next, &Command::PaidOut)).next;
        assert_eq!(done.status(), Status::Completed);
        assert_eq!(done.finished_by(), Some(&ActorId::new("confirmer")));
        assert_eq!(balance(&books, ALICE), (898, 0));
    }
}

/// What else may become of a waiting transfer: the command, its status, its reason.
fn other_endings() -> [(Command, Status, Option<Reason>); 4] {
    let refused = Reason::PayoutRefused;
    let fail = Command::Fail { reason: refused };
    let (failed, canceled) = (Status::Failed, Status::Canceled);
    [
        (reject(SECOND), failed, Some(Reason::ApprovalRejected)),
        (Command::Expire, failed, Some(Reason::ApprovalExpired)),
        (fail, failed, Some(refused)),
        (cancel(None), canceled, None),
    ]
}

#[test]
fn a_withdrawal_that_is_not_approved_returns_its_hold() {
    for (command, status, reason) in other_endings() {
        let mut books = strict_books(100);
        // Freezing its owner does not keep anybody's money.
        let waiting = waiting_withdrawal(&mut books, &confirm(None));
        set_status(&mut books, ALICE, UserStatus::Frozen);
        let ended = send(&mut books, step(&waiting, &command)).next;
        assert_eq!((ended.status(), ended.reason()), (status, reason));
        assert_eq!(balance(&books, ALICE), (1_000, 0), "{command:?}");
        let late = ended.decide(&approve(SECOND, PayoutRoute::Manual), NOW);
        assert!(late.is_err(), "{late:?}");
    }
}

#[test]
fn a_deposit_that_is_not_approved_credits_nothing() {
    for (command, status, reason) in other_endings() {
        if status == Status::Canceled {
            continue;
        }
        let mut books = strict_books(100);
        let waiting = waiting_deposit(&mut books);
        let ended = send(&mut books, step(&waiting, &command)).next;
        assert_eq!((ended.status(), ended.reason()), (status, reason));
        assert_eq!(balance(&books, ALICE), (1_000, 0), "{command:?}");
    }
}

#[test]
fn whoever_made_or_confirmed_it_neither_approves_nor_rejects() {
    let mut books = strict_books(100);
    let waiting = waiting_withdrawal(&mut books, &confirm(None));
    for own in ["operator", "confirmer"] {
        for command in [approve(own, PayoutRoute::Manual), reject(own)] {
            let answer = waiting.decide(&command, NOW);
            assert!(answer.is_err(), "{command:?}: {answer:?}");
        }
    }
    let mut books = strict_books(100);
    let waiting = waiting_deposit(&mut books);
    for command in [approve("operator", PayoutRoute::Manual), reject("operator")] {
        let answer = waiting.decide(&command, NOW);
        assert!(answer.is_err(), "{command:?}: {answer:?}");
    }
}

#[test]
fn freezing_takes_effect_between_confirm_and_approval() {
    for (status, reason) in [
        (UserStatus::Frozen, Reason::AccountFrozen),
        (UserStatus::Terminated, Reason::AccountTerminated),
    ] {
        for route in [PayoutRoute::Manual, PayoutRoute::Gateway] {
            let mut books = strict_books(100);
            let waiting = waiting_withdrawal(&mut books, &confirm(None));
            set_status(&mut books, ALICE, status);
            let verdict = settle(&mut books, step(&waiting, &approve(SECOND, route)));
            assert_eq!(verdict, Verdict::Refused { reason });
            assert_eq!(balance(&books, ALICE), (898, 102), "it still waits");
            set_status(&mut books, ALICE, UserStatus::Active);
            let verdict = settle(&mut books, step(&waiting, &approve(SECOND, route)));
            assert_eq!(reason_of(&verdict), None);
        }
        let mut books = strict_books(100);
        let waiting = waiting_deposit(&mut books);
        set_status(&mut books, ALICE, status);
        let approved = step(&waiting, &approve(SECOND, PayoutRoute::Manual));
        let failed = send(&mut books, approved).next;
        assert_eq!(failed.reason(), Some(reason), "nothing is credited");
        assert_eq!(failed.parts().review, Some(review(SECOND)));
        assert_eq!(balance(&books, ALICE), (1_000, 0));
    }
}

#[test]
fn a_frozen_owners_withdrawal_is_not_even_confirmed() {
    let mut books = strict_books(100);
    let open = send(&mut books, withdrawal(1, 101, 1)).next;
    set_status(&mut books, ALICE, UserStatus::Frozen);
    let reason = Reason::AccountFrozen;
    let verdict = settle(&mut books, step(&open, &confirm(None)));
    assert_eq!(verdict, Verdict::Refused { reason });
}

#[test]
fn the_threshold_is_judged_when_it_is_confirmed_not_when_it_was_made() {
    let mut books = books_with(1_000);
    let first = send(&mut books, withdrawal(1, 101, 0)).next;
    set_approval(&mut books, Kind::Withdrawal, 100);
    let second = send(&mut books, withdrawal(2, 101, 0)).next;
    let waiting = send(&mut books, step(&first, &confirm(None))).next;
    assert_eq!(waiting.stage(), Some(Stage::Approval));
    set_approval(&mut books, Kind::Withdrawal, 101);
    let confirmed = send(&mut books, step(&second, &confirm(None))).next;
    assert_eq!(confirmed.status(), Status::Completed);
    assert_eq!(
        waiting.stage(),
        Some(Stage::Approval),
        "what waits goes on waiting"
    );
}

#[test]
fn two_second_operators_at_once_have_one_winner() {
    for (first, second) in [
        (approve(SECOND, PayoutRoute::Manual), reject("third")),
        (reject(SECOND), approve("third", PayoutRoute::Manual)),
        (approve(SECOND, PayoutRoute::Manual), cancel(None)),
        (Command::Expire, approve(SECOND, PayoutRoute::Manual)),
    ] {
        let mut books = strict_books(100);
        let waiting = waiting_withdrawal(&mut books, &confirm(None));
        let (first, second) = (step(&waiting, &first), step(&waiting, &second));
        let won = send(&mut books, first).next;
        let after = books.accounts.clone();
        let current = Some(won.version());
        assert_eq!(settle(&mut books, second), Verdict::Stale { current });
        assert_eq!(books.accounts, after);
    }
}

#[test]
fn approving_again_moves_nothing() {
    let mut books = strict_books(100);
    let waiting = waiting_withdrawal(&mut books, &confirm(None));
    let done = send(
        &mut books,
        step(&waiting, &approve(SECOND, PayoutRoute::Manual)),
    )
    .next;
    for by in [SECOND, "third"] {
        let again = done.decide(&approve(by, PayoutRoute::Manual), NOW);
        assert_eq!(again, Ok(Decision::AlreadyApplied));
    }
    assert_eq!(done.parts().review, Some(review(SECOND)));
}

#[test]
fn whoever_made_it_is_never_the_second_but_anybody_else_may_be() {
    let mut books = strict_books(100);
    let new = NewTransfer {
        created_by: ActorId::new(SECOND),
        terms: Terms::default(),
        ..new(1, 101, 0)
    };
    let open = Transfer::withdrawal(new, ALICE).expect("it fits");
    let open = send(&mut books, open).next;
    let waiting = send(&mut books, step(&open, &confirm(None))).next;
    let own = waiting.decide(&approve(SECOND, PayoutRoute::Manual), NOW);
    assert!(own.is_err(), "{own:?}");
    let third = step(&waiting, &approve("operator", PayoutRoute::Manual));
    assert_eq!(send(&mut books, third).next.status(), Status::Completed);
}
