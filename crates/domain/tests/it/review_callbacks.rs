//! Which URL hears of what waits for a second operator or for a payout: nothing while it waits, and
//! then each URL once.

use bursar_domain::{
    ActorId, CallbackDraft, Command, Operation, PayoutRoute, Reason, Status, Subscriber, Transfer,
    UserStatus,
    ledger::{Applied, Books},
};

use crate::{
    rulebook::{SECOND, approve, confirm_by_gateway, reject, strict_books},
    sample::{
        ALICE, HOOK, OTHER_HOOK, applied, books_with, cancel, confirm, deposit, set_status, settle,
        step, withdrawal,
    },
};

const THIRD_HOOK: &str = "https://example.com/cancel";

fn send(books: &mut Books, transfer: &Transfer, command: &Command) -> Applied {
    applied(settle(books, step(transfer, command)))
}

/// A withdrawal that was confirmed with this command, and told nobody of it.
fn confirmed(books: &mut Books, command: &Command) -> Transfer {
    let open = applied(settle(books, withdrawal(1, 100, 0))).next;
    let confirmed = send(books, &open, command);
    assert_eq!(confirmed.callbacks, []);
    assert_eq!(confirmed.next.status(), Status::AwaitingConfirmation);
    confirmed.next
}

/// Who heard: the URL, by whom it was given.
fn told(
    operation: Operation,
    status: Status,
    error: Option<Reason>,
    urls: &[(&str, &str)],
) -> Vec<CallbackDraft> {
    urls.iter()
        .map(|(url, by)| CallbackDraft {
            operation,
            url: (*url).to_owned(),
            subscriber: Subscriber::Client(ActorId::new(*by)),
            status,
            error: error.map(|reason| reason.message().to_owned()),
        })
        .collect()
}

#[test]
fn the_confirms_own_url_hears_once_at_the_end_whatever_that_is() {
    let own = [(HOOK, "operator"), (OTHER_HOOK, "confirmer")];
    let (failed, done) = (Status::Failed, Status::Completed);
    let refused = Reason::PayoutRefused;
    let approved = || approve(SECOND, PayoutRoute::Manual);
    for (command, operation, status, error) in [
        (approved(), Operation::Review, done, None),
        (
            reject(SECOND),
            Operation::Review,
            failed,
            Some(Reason::ApprovalRejected),
        ),
        (
            Command::Expire,
            Operation::Fail,
            failed,
            Some(Reason::ApprovalExpired),
        ),
        (
            Command::Fail { reason: refused },
            Operation::Fail,
            failed,
            Some(refused),
        ),
        (cancel(None), Operation::Cancel, Status::Canceled, None),
    ] {
        let mut books = strict_books(0);
        let waiting = confirmed(&mut books, &confirm(Some(OTHER_HOOK)));
        let ended = send(&mut books, &waiting, &command);
        let expected = told(operation, status, error, &own);
        assert_eq!(ended.callbacks, expected, "{command:?}");
    }
}

#[test]
fn a_payout_tells_nobody_until_it_has_ended() {
    let own = [(HOOK, "operator"), (OTHER_HOOK, "confirmer")];
    let refused = Reason::PayoutRefused;
    for needs_approval in [false, true] {
        for (command, status, error) in [
            (Command::PaidOut, Status::Completed, None),
            (
                Command::Fail { reason: refused },
                Status::Failed,
                Some(refused),
            ),
        ] {
            let mut books = if needs_approval {
                strict_books(0)
            } else {
                books_with(1_000)
            };
            let mut under_way = confirmed(&mut books, &confirm_by_gateway(Some(OTHER_HOOK)));
            if needs_approval {
                let gateway = approve(SECOND, PayoutRoute::Gateway);
                let approved = send(&mut books, &under_way, &gateway);
                assert_eq!(approved.callbacks, []);
                under_way = approved.next;
            }
            let ended = send(&mut books, &under_way, &command);
            let expected = told(Operation::Payout, status, error, &own);
            assert_eq!(ended.callbacks, expected, "{needs_approval} {command:?}");
        }
    }
}

#[test]
fn equal_urls_hear_once_and_a_cancels_own_is_told_beside_the_confirms() {
    for (confirms, cancels, urls) in [
        (Some(HOOK), Some(HOOK), vec![(HOOK, "operator")]),
        (
            Some(OTHER_HOOK),
            Some(OTHER_HOOK),
            vec![(HOOK, "operator"), (OTHER_HOOK, "canceller")],
        ),
        (
            Some(OTHER_HOOK),
            Some(THIRD_HOOK),
            vec![
                (HOOK, "operator"),
                (THIRD_HOOK, "canceller"),
                (OTHER_HOOK, "confirmer"),
            ],
        ),
        (None, None, vec![(HOOK, "operator")]),
    ] {
        let mut books = strict_books(0);
        let waiting = confirmed(&mut books, &confirm(confirms));
        let canceled = send(&mut books, &waiting, &cancel(cancels));
        let expected = told(Operation::Cancel, Status::Canceled, None, &urls);
        assert_eq!(canceled.callbacks, expected);
    }
}

#[test]
fn a_deposit_that_waited_tells_its_creator_what_came_of_it() {
    let own = [(HOOK, "operator")];
    let (failed, done) = (Status::Failed, Status::Completed);
    let (rejected, frozen) = (Reason::ApprovalRejected, Reason::AccountFrozen);
    let approved = || approve(SECOND, PayoutRoute::Manual);
    for (command, owner, operation, status, error) in [
        (
            approved(),
            UserStatus::Active,
            Operation::Review,
            done,
            None,
        ),
        (
            approved(),
            UserStatus::Frozen,
            Operation::Review,
            failed,
            Some(frozen),
        ),
        (
            reject(SECOND),
            UserStatus::Frozen,
            Operation::Review,
            failed,
            Some(rejected),
        ),
        (
            Command::Expire,
            UserStatus::Active,
            Operation::Fail,
            failed,
            Some(Reason::ApprovalExpired),
        ),
    ] {
        for at_once in [false, true] {
            let mut books = strict_books(0);
            let change = deposit(1, 100, 0);
            let change = if at_once {
                change.settled_at_once()
            } else {
                change
            };
            let waiting = applied(settle(&mut books, change));
            assert_eq!(waiting.callbacks, []);
            set_status(&mut books, ALICE, owner);
            let ended = send(&mut books, &waiting.next, &command);
            let expected = told(operation, status, error, &own);
            assert_eq!(ended.callbacks, expected, "{command:?} {owner:?}");
        }
    }
}
