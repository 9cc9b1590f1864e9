//! Which URL hears of what.

use bursar_domain::{
    ActorId, CallbackDraft, Change, Command, Expected, Operation, Reason, Recipient, Status,
    Subscriber, Transfer,
};

use crate::rulebook::confirm_by_gateway;
use crate::sample::{
    ALICE, BOB, HOOK, NOW, OTHER_HOOK, cancel, confirm, deposit, new, payment_with_fee, step,
    withdrawal,
};

/// Makes a command with a callback URL of its own.
type Asking = fn(Option<&str>) -> Command;

fn paid(fee: i128) -> Change {
    payment_with_fee(new(1, 100, fee), ALICE, Recipient::Id(BOB))
}

/// What a URL hears: a sender's own, the back office's, or another one of an operation.
fn draft(operation: Operation, url: &str, status: Status, error: Option<Reason>) -> CallbackDraft {
    let client = |name: &str| Subscriber::Client(ActorId::new(name));
    let subscriber = match (url, operation) {
        _ if matches!(status, Status::Success | Status::Rejected) => Subscriber::User(ALICE),
        (OTHER_HOOK, Operation::Confirm) => client("confirmer"),
        (OTHER_HOOK, Operation::Cancel) => client("canceller"),
        _ => client("operator"),
    };
    CallbackDraft {
        operation,
        url: url.to_owned(),
        subscriber,
        status,
        error: error.map(|reason| reason.message().to_owned()),
    }
}

#[test]
fn the_creation_url_hears_of_every_state_after_creation_and_of_the_hold() {
    use Operation::{Cancel, Confirm, Create, Fail, Settle};
    let because = Reason::PayoutRefused;
    let fail = Command::Fail { reason: because };
    let open = withdrawal(1, 100, 0);
    let (pending, paying) = (deposit(1, 100, 0), paid(0));
    let table = [
        (pending.callbacks.clone(), None),
        (paying.callbacks.clone(), None),
        (
            open.callbacks.clone(),
            Some((Create, Status::AwaitingConfirmation, None)),
        ),
        (
            step(&pending.next, &Command::Settle).callbacks,
            Some((Settle, Status::Completed, None)),
        ),
        (
            step(&pending.next, &fail).callbacks,
            Some((Fail, Status::Failed, Some(because))),
        ),
        (
            step(&open.next, &confirm(None)).callbacks,
            Some((Confirm, Status::Completed, None)),
        ),
        (
            step(&open.next, &cancel(None)).callbacks,
            Some((Cancel, Status::Canceled, None)),
        ),
        (
            step(&open.next, &fail).callbacks,
            Some((Fail, Status::Failed, Some(because))),
        ),
        (
            step(&paying.next, &Command::Settle).callbacks,
            Some((Settle, Status::Success, None)),
        ),
        (
            step(&paying.next, &fail).callbacks,
            Some((Fail, Status::Rejected, Some(because))),
        ),
        (
            pending.settled_at_once().callbacks,
            Some((Settle, Status::Completed, None)),
        ),
        (
            paying.settled_at_once().callbacks,
            Some((Settle, Status::Success, None)),
        ),
    ];
    for (is, should) in table {
        let should: Vec<CallbackDraft> = should
            .into_iter()
            .map(|(operation, status, error)| draft(operation, HOOK, status, error))
            .collect();
        assert_eq!(is, should);
    }
}

#[test]
fn an_operations_own_url_hears_of_it_too_and_equal_urls_hear_once() {
    let open = withdrawal(1, 100, 0).next;
    let operations: [(Asking, _, _); 2] = [
        (confirm, Operation::Confirm, Status::Completed),
        (cancel, Operation::Cancel, Status::Canceled),
    ];
    for (command, operation, status) in operations {
        let told = |url: &str| draft(operation, url, status, None);
        let two = step(&open, &command(Some(OTHER_HOOK)));
        assert_eq!(two.callbacks, [told(HOOK), told(OTHER_HOOK)]);
        let equal = step(&open, &command(Some(HOOK)));
        assert_eq!(equal.callbacks, [told(HOOK)]);
        let mut parts = open.parts().clone();
        parts.callback_url = None;
        let silent = Transfer::from_parts(parts);
        let one = step(&silent, &command(Some(OTHER_HOOK)));
        assert_eq!(one.callbacks, [told(OTHER_HOOK)]);
        assert_eq!(step(&silent, &command(None)).callbacks, []);
    }
}

#[test]
fn an_acknowledgement_tells_and_changes_nothing() {
    let done = step(&withdrawal(1, 100, 0).next, &confirm(None)).next;
    let repeated = done.acknowledge(&confirm(Some(OTHER_HOOK)), None);
    let told = draft(Operation::Confirm, OTHER_HOOK, Status::Completed, None);
    assert_eq!(repeated.callbacks, [told]);
    let error = Some("It is completed.".to_owned());
    let refused = done.acknowledge(&cancel(Some(OTHER_HOOK)), error.clone());
    let told = CallbackDraft {
        error,
        ..draft(Operation::Cancel, OTHER_HOOK, Status::Failed, None)
    };
    assert_eq!(refused.callbacks, [told]);
    let silent = done.acknowledge(&confirm(None), None);
    assert_eq!(silent.callbacks, []);
    for change in [repeated, refused, silent] {
        assert_eq!(change.next, done);
        assert_eq!(change.expected, Expected::At(done.version()));
        assert!(!change.writes_transfer());
        assert_eq!((change.premises, change.postings), (vec![], vec![]));
    }
    assert_eq!(done.done_at(), Some(NOW.plus_micros(5)));
}

/// The transfer's URL and that of its confirmation heard of its end by what ended it.
#[test]
fn who_was_told_of_the_end_is_not_told_again_by_a_repetition() {
    let mut new = withdrawal(1, 100, 0).next;
    new = step(&new, &confirm_by_gateway(Some(OTHER_HOOK))).next;
    let paid = step(&new, &Command::PaidOut).next;
    let heard = paid.parts().callback_url.clone();
    for url in [heard.as_deref(), Some(OTHER_HOOK)] {
        assert!(url.is_some());
        let repeated = paid.acknowledge(&confirm(url), None);
        assert_eq!(repeated.callbacks, []);
        let refused = paid.acknowledge(&cancel(url), Some("It is completed.".to_owned()));
        assert_eq!(refused.callbacks.len(), 1);
    }
    let third = paid.acknowledge(&confirm(Some("https://example.com/third")), None);
    assert_eq!(third.callbacks.len(), 1);
}

/// A URL hears of an operation once, so it hears nothing before there is a result.
#[test]
fn what_is_not_known_yet_is_not_told() {
    let paying = step(&withdrawal(1, 100, 0).next, &confirm_by_gateway(None)).next;
    let repeated = paying.acknowledge(&confirm(Some(OTHER_HOOK)), None);
    assert_eq!(repeated.callbacks, []);
    let refused = paying.acknowledge(&cancel(Some(OTHER_HOOK)), Some("It is late.".to_owned()));
    assert_eq!(refused.callbacks.len(), 1);
}
