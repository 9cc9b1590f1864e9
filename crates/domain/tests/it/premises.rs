//! What the ledger refuses, in which order, and what a refusal leaves behind.

use bursar_domain::{
    ActorId, Amount, CallbackDraft, Command, Operation, Reason, Recipient, Status, Subscriber,
    UserStatus, Version, ledger::Verdict,
};

use crate::sample::{
    ALICE, BOB, HOOK, account, applied, asset, balance, balance_mut, books, books_with, btc,
    confirm, deposit, fees, new, nobody, payment, payment_with_fee, set_status, settle, settle_all,
    step, withdrawal,
};

const MOST: i128 = Amount::MAX.units();

/// The reason that a payment of `units` from a user with 100 is rejected for.
fn rejection(
    prepare: impl FnOnce(&mut bursar_domain::ledger::Books),
    recipient: Recipient,
    units: i128,
) -> Option<Reason> {
    let mut books = books_with(100);
    prepare(&mut books);
    let change = payment(1, ALICE, recipient, units).settled_at_once();
    let applied = applied(settle(&mut books, change));
    assert_eq!(applied.entries.is_empty(), applied.next.reason().is_some());
    applied.next.reason()
}

#[test]
fn reasons_are_judged_in_order_the_senders_before_the_recipients() {
    let freeze = |books: &mut _| set_status(books, ALICE, UserStatus::Frozen);
    let terminate = |books: &mut _| set_status(books, ALICE, UserStatus::Terminated);
    let close = |books: &mut bursar_domain::ledger::Books| {
        let mut closed = asset(btc());
        closed.can_transfer = false;
        books.assets.insert(btc(), closed);
    };
    let closed_and_frozen = move |books: &mut _| {
        close(books);
        freeze(books);
    };
    let freeze_bob = |books: &mut _| set_status(books, BOB, UserStatus::Frozen);
    let fill_bob = |books: &mut _| balance_mut(books, account(BOB)).held = MOST;
    let bob = || Recipient::Id(BOB);
    let nothing = |_: &mut _| {};

    assert_eq!(
        rejection(closed_and_frozen, nobody(), 101),
        Some(Reason::AccountFrozen)
    );
    assert_eq!(
        rejection(freeze, nobody(), 100),
        Some(Reason::AccountFrozen)
    );
    assert_eq!(
        rejection(terminate, nobody(), 100),
        Some(Reason::AccountTerminated)
    );
    assert_eq!(rejection(close, nobody(), 101), Some(Reason::AssetDisabled));
    assert_eq!(
        rejection(nothing, nobody(), 101),
        Some(Reason::BalanceInsufficient)
    );
    assert_eq!(
        rejection(freeze_bob, bob(), 101),
        Some(Reason::BalanceInsufficient)
    );
    assert_eq!(
        rejection(nothing, nobody(), 100),
        Some(Reason::RecipientUnavailable)
    );
    assert_eq!(
        rejection(freeze_bob, bob(), 100),
        Some(Reason::RecipientUnavailable)
    );
    assert_eq!(
        rejection(fill_bob, bob(), 100),
        Some(Reason::RecipientUnavailable)
    );
    assert_eq!(rejection(nothing, bob(), 100), None);
}

#[test]
fn the_fee_must_be_covered_too() {
    for (units, covered) in [(98, true), (99, false)] {
        let mut books = books_with(100);
        let change = payment_with_fee(new(1, units, 2), ALICE, Recipient::Id(BOB));
        let next = applied(settle(&mut books, change.settled_at_once())).next;
        assert_eq!(next.status() == Status::Success, covered);
        let mut books = books_with(100);
        let verdict = settle(&mut books, withdrawal(1, units, 2));
        assert_eq!(matches!(verdict, Verdict::Applied(_)), covered);
    }
}

#[test]
fn a_recorded_refusal_ends_the_transfer_and_its_callbacks_say_so() {
    let mut books = books_with(100);
    let pending = applied(settle(&mut books, payment(1, ALICE, nobody(), 1))).next;
    let rejected = applied(settle(&mut books, step(&pending, &Command::Settle)));
    assert_eq!(rejected.next.status(), Status::Rejected);
    assert_eq!(rejected.next.version(), Version::FIRST.next());
    assert_eq!(
        books.versions.get(&pending.id()),
        Some(&Version::FIRST.next())
    );
    let told = |subscriber, status, reason: Reason| CallbackDraft {
        operation: Operation::Settle,
        url: HOOK.to_owned(),
        subscriber,
        status,
        error: Some(reason.message().to_owned()),
    };
    let expected = told(
        Subscriber::User(ALICE),
        Status::Rejected,
        Reason::RecipientUnavailable,
    );
    assert_eq!(rejected.callbacks, [expected]);
    assert_eq!(balance(&books, ALICE), (100, 0));

    let pending = applied(settle(&mut books, deposit(2, 5, 0))).next;
    set_status(&mut books, ALICE, UserStatus::Terminated);
    let failed = applied(settle(&mut books, step(&pending, &Command::Settle)));
    assert_eq!(failed.next.reason(), Some(Reason::AccountTerminated));
    let client = Subscriber::Client(ActorId::new("operator"));
    let expected = told(client, Status::Failed, Reason::AccountTerminated);
    assert_eq!(failed.callbacks, [expected]);
    assert_eq!(failed.entries, []);
    assert_eq!(balance(&books, ALICE), (100, 0));
}

#[test]
fn a_kept_refusal_leaves_nothing() {
    let mut books = books_with(100);
    let before = books.accounts.clone();
    let reason = Reason::BalanceInsufficient;
    assert_eq!(
        settle(&mut books, withdrawal(1, 101, 0)),
        Verdict::Refused { reason }
    );
    assert_eq!(books.accounts, before);
    assert_eq!(books.versions.get(&crate::sample::id(1)), None);

    let open = applied(settle(&mut books, withdrawal(2, 40, 0))).next;
    set_status(&mut books, ALICE, UserStatus::Frozen);
    let reason = Reason::AccountFrozen;
    let confirmed = settle(&mut books, step(&open, &confirm(None)));
    assert_eq!(confirmed, Verdict::Refused { reason });
    let at_once = deposit(3, 5, 0).settled_at_once();
    assert_eq!(settle(&mut books, at_once), Verdict::Refused { reason });
    assert_eq!(balance(&books, ALICE), (60, 40));
}

#[test]
fn an_account_holds_no_more_than_the_largest_amount_and_held_money_counts() {
    let credited = |available, held| {
        let mut books = books();
        balance_mut(&mut books, account(ALICE)).available = available;
        balance_mut(&mut books, account(ALICE)).held = held;
        settle(&mut books, deposit(1, 10, 0).settled_at_once())
    };
    let overflow = Verdict::Refused {
        reason: Reason::BalanceOverflow,
    };
    assert!(matches!(credited(MOST - 10, 0), Verdict::Applied(_)));
    assert_eq!(credited(MOST - 9, 0), overflow);
    assert!(matches!(credited(MOST - 30, 20), Verdict::Applied(_)));
    assert_eq!(credited(MOST - 30, 21), overflow);
    assert_eq!(credited(0, MOST), overflow);
}

#[test]
fn no_more_is_held_than_the_largest_amount() {
    let held = |units| {
        let mut books = books();
        balance_mut(&mut books, account(ALICE)).available = 20;
        balance_mut(&mut books, account(ALICE)).held = MOST - 10;
        settle(&mut books, withdrawal(1, units, 0))
    };
    assert!(matches!(held(10), Verdict::Applied(_)));
    let reason = Reason::BalanceOverflow;
    assert_eq!(held(11), Verdict::Refused { reason });
    assert_eq!(held(12), Verdict::Refused { reason });
}

#[test]
fn system_accounts_have_limits_too() {
    let overflow = Verdict::Refused {
        reason: Reason::BalanceOverflow,
    };
    let mut books = books();
    balance_mut(&mut books, crate::sample::world()).available = -MOST;
    let credit = deposit(1, 10, 0).settled_at_once();
    assert_eq!(settle(&mut books, credit.clone()), overflow);
    balance_mut(&mut books, crate::sample::world()).available = 10 - MOST;
    assert!(matches!(settle(&mut books, credit), Verdict::Applied(_)));
    let mut books = crate::sample::books();
    balance_mut(&mut books, fees()).available = MOST;
    let before = books.accounts.clone();
    let credit = deposit(1, 10, 1).settled_at_once();
    assert_eq!(settle(&mut books, credit), overflow);
    assert_eq!(
        books.accounts, before,
        "no line of a refused change is booked"
    );
}

#[test]
fn what_a_store_forgot_to_read_moves_no_money() {
    let disabled = Verdict::Refused {
        reason: Reason::AssetDisabled,
    };
    for forgotten in [account(ALICE), crate::sample::world(), fees()] {
        let mut books = books();
        books.accounts.remove(&forgotten);
        let before = books.accounts.clone();
        let credit = deposit(1, 10, 1).settled_at_once();
        assert_eq!(settle(&mut books, credit), disabled, "{forgotten:?}");
        assert_eq!(books.accounts, before);
    }
    let mut books = books();
    books.assets.clear();
    let credit = deposit(1, 10, 1).settled_at_once();
    assert_eq!(settle(&mut books, credit), disabled);
}

#[test]
fn a_batch_behaves_as_if_its_items_came_one_by_one() {
    let mut books = books_with(70);
    let pay =
        |number, from, to, units| payment(number, from, Recipient::Id(to), units).settled_at_once();
    let carol = crate::sample::CAROL;
    let changes = vec![
        pay(1, BOB, carol, 70),
        pay(2, ALICE, BOB, 70),
        pay(3, BOB, carol, 70),
        pay(4, ALICE, BOB, 1),
    ];
    let statuses: Vec<Status> = settle_all(&mut books, changes)
        .into_iter()
        .map(|verdict| applied(verdict).next.status())
        .collect();
    let (yes, no) = (Status::Success, Status::Rejected);
    assert_eq!(statuses, [no, yes, yes, no]);
    let balances = [ALICE, BOB, carol].map(|user| balance(&books, user));
    assert_eq!(balances, [(0, 0), (0, 0), (70, 0)]);
}

#[test]
fn no_line_overdraws_an_account_even_without_a_premise_that_forbids_it() {
    let insufficient = Verdict::Refused {
        reason: Reason::BalanceInsufficient,
    };
    let mut books = books_with(100);
    let open = applied(settle(&mut books, withdrawal(1, 40, 0))).next;
    let mut unchecked = withdrawal(2, 61, 0);
    unchecked.premises.clear();
    assert_eq!(settle(&mut books, unchecked), insufficient);
    balance_mut(&mut books, account(ALICE)).held = 39;
    let payout = step(&open, &confirm(None));
    assert_eq!(settle(&mut books, payout), insufficient);
    assert_eq!(balance(&books, ALICE), (60, 39));
}
