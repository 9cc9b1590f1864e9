mod slow;

use std::{sync::Arc, time::Duration};

use bursar_domain::{Command, DecimalAmount, Recipient};
use bursar_ports::{BulkOutcome, CommitOutcome, MockRateLimiter, Permission, StoreError};
use bursar_testkit::build;
use futures_util::FutureExt as _;

use self::slow::Slow;
use super::*;
use crate::{
    BulkRequest, InternalCall, InternalRequest,
    test_support::{
        ALICE, BOB, Mocks, NOW, Scripted, alice, btc, committed, outcome, replayed, unavailable,
        wait,
    },
};

/// Long enough to see that nothing happens, short enough to wait for.
const MOMENT: Duration = Duration::from_millis(30);

fn pending(id: i64) -> Transfer {
    let new = build::new_transfer(build::transfer_id(id), &btc(), 5, NOW);
    let recipient = Recipient::Unknown {
        typed: "nobody".to_owned(),
    };
    build::internal_to(new, ALICE, recipient).next
}

fn rejected(id: i64, reason: Reason) -> Transfer {
    build::step(&pending(id), &Command::Fail { reason }, NOW).next
}

fn made(transfer: Transfer) -> Scripted {
    outcome(CommitOutcome::Committed(Box::new(transfer)))
}

/// Settles a transfer to this, one time after the other.
async fn settles<const N: usize>(mut mocks: Mocks, to: [Scripted; N]) -> App {
    mocks.commits(to);
    let app = mocks.app();
    for _ in 0..N {
        app.settle(pending(1)).await.unwrap();
    }
    app
}

async fn left(app: &App, user: UserId) -> u32 {
    app.recipient_tries(user).await.unwrap().unwrap_or(0)
}

async fn is_blocked(app: &App, user: UserId) -> bool {
    let answer = app.require_recipient_tries(user).await;
    match answer {
        Ok(_) => false,
        Err(Error::RateLimited(refused)) => {
            assert_eq!(refused.limit, Limit::FailedRecipients);
            true
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn after_twenty_failed_recipients_in_an_hour_every_create_is_refused() {
    let mut mocks = Mocks::new();
    let clock = Arc::clone(&mocks.clock);
    mocks.commits(std::array::from_fn::<_, 20, _>(|_| {
        made(rejected(1, Reason::RecipientUnavailable))
    }));
    let app = mocks.app();
    for failed in 0..20 {
        assert_eq!(left(&app, ALICE).await, 20 - failed);
        assert!(!is_blocked(&app, ALICE).await);
        app.settle(pending(1)).await.unwrap();
        clock.advance_ms(1_000);
    }
    assert!(is_blocked(&app, ALICE).await);
    assert!(!is_blocked(&app, BOB).await);
    let grant = alice(Permission::AllowTransfer);
    let create = app.admit(&grant, InternalCall::Create, 1).await.unwrap();
    let Err(Error::RateLimited(refused)) = create.require() else {
        panic!("{create:?}");
    };
    assert_eq!(refused.limit, Limit::FailedRecipients);
    assert_eq!(refused.retry_after_s, 3_600 - 20);
    // Looking at transfers is not making them.
    for call in [InternalCall::List, InternalCall::Get] {
        let admission = app.admit(&grant, call, 1).await.unwrap();
        assert!(admission.require().is_ok());
    }
    clock.advance_ms(3_600_000 - 20_000);
    assert_eq!(left(&app, ALICE).await, 1);
}

#[tokio::test]
async fn only_the_recipients_own_reason_counts_and_only_once() {
    let success = build::step(&pending(1), &Command::Settle, NOW).next;
    let app = settles(
        Mocks::new(),
        [
            made(success),
            made(rejected(1, Reason::BalanceInsufficient)),
            made(rejected(1, Reason::AccountFrozen)),
            made(rejected(1, Reason::RecipientUnavailable)),
        ],
    )
    .await;
    assert_eq!(left(&app, ALICE).await, 19);

    // What somebody else has settled was counted there.
    let mut mocks = Mocks::new();
    let failed = rejected(1, Reason::RecipientUnavailable);
    mocks.finds(&failed, 1);
    let app = settles(mocks, [replayed(&failed)]).await;
    assert_eq!(left(&app, ALICE).await, 20);
}

#[tokio::test]
async fn a_failed_deposit_is_nobodys_try() {
    let mut mocks = Mocks::new();
    mocks.commits([committed()]);
    let app = mocks.app();
    let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    app.settle(build::deposit(new, ALICE).next).await.unwrap();
    assert_eq!(left(&app, ALICE).await, 20);
}

#[tokio::test]
async fn an_entry_that_does_not_fit_counts_like_a_recipient() {
    let app = Mocks::new().app();
    for _ in 0..20 {
        assert!(!is_blocked(&app, ALICE).await);
        let errors = [&ItemError::AddressBookMismatch, &ItemError::NotExecuted];
        app.note_mismatches(ALICE, &errors).await;
    }
    assert!(is_blocked(&app, ALICE).await);
}

#[tokio::test]
async fn a_bulk_with_more_failing_recipients_than_are_left_uses_them_up() {
    let app = Mocks::new().app();
    app.note_failed_recipients(ALICE, 5).await;
    let turn = app.require_recipient_tries(ALICE).await.unwrap();
    assert_eq!(turn.left(), 15);
    let refused = app.beyond_the_limit(&turn).await;
    assert!(matches!(refused, Error::RateLimited(_)), "{refused:?}");
    assert!(is_blocked(&app, ALICE).await);
}

#[tokio::test]
async fn a_user_has_a_few_undecided_transfers_and_the_others_wait_for_their_turn() {
    let app = Mocks::new().app();
    let mut turns = Vec::new();
    for _ in 0..UNDECIDED_MAX {
        turns.push(app.require_recipient_tries(ALICE).await.unwrap());
    }
    let next = app.require_recipient_tries(ALICE);
    assert!(tokio::time::timeout(MOMENT, next).await.is_err());
    // Nobody else waits for that.
    let others = app.require_recipient_tries(BOB).await;
    assert!(others.is_ok());
    turns.pop();
    assert!(!is_blocked(&app, ALICE).await);
    // Whoever had to wait learns what became of those before.
    for _ in 0..20 {
        app.note_failed_recipients(ALICE, 1).await;
    }
    assert!(is_blocked(&app, ALICE).await);
}

#[tokio::test]
async fn a_turn_lasts_until_the_transfer_is_settled() {
    let mut mocks = Mocks::new();
    mocks.commits([made(rejected(1, Reason::RecipientUnavailable))]);
    let spawned = mocks.one_task();
    let app = mocks.app();
    let mut turns = Vec::new();
    for _ in 1..UNDECIDED_MAX {
        turns.push(app.require_recipient_tries(ALICE).await.unwrap());
    }
    let last = app.require_recipient_tries(ALICE).await.unwrap();
    app.settle_later(pending(1), Some(last));
    let next = app.require_recipient_tries(ALICE);
    assert!(tokio::time::timeout(MOMENT, next).await.is_err());
    spawned.run().await;
    let next = app.require_recipient_tries(ALICE).await.unwrap();
    assert_eq!(next.left, 19);
}

fn to_nobody() -> InternalRequest {
    InternalRequest {
        currency: btc().id,
        amount: DecimalAmount::parse("1").unwrap(),
        recipient: "nobody".to_owned(),
        address_book_code: None,
        callback_url: None,
        custom_id: None,
        note: None,
    }
}

/// Sends something, and hangs up while the store commits it.
async fn hang_up<T>(mut mocks: Mocks, send: impl AsyncFnOnce(&App) -> T) {
    mocks.has_asset(&btc());
    mocks
        .directory
        .expect_find_recipients()
        .returning(|_| Ok(vec![None]));
    let spawned = mocks.one_task();
    let mut app = mocks.app();
    app.ports.store = Arc::new(Slow(Arc::clone(&app.ports.store)));
    assert!(send(&app).now_or_never().is_none(), "it was answered");
    let mut turns = Vec::new();
    for _ in 1..UNDECIDED_MAX {
        turns.push(app.require_recipient_tries(ALICE).await.unwrap());
    }
    let next = app.require_recipient_tries(ALICE);
    let next = tokio::time::timeout(MOMENT, next).await;
    assert!(next.is_err(), "the turn lasts until it is decided");
    spawned.run().await;
    assert_eq!(left(&app, ALICE).await, 19);
    assert!(!is_blocked(&app, ALICE).await);
}

#[tokio::test]
async fn whoever_hangs_up_while_a_transfer_is_made_is_charged_all_the_same() {
    let mut mocks = Mocks::new();
    mocks.commits([made(rejected(1, Reason::RecipientUnavailable))]);
    let grant = alice(Permission::AllowTransfer);
    hang_up(mocks, async |app| {
        app.send(&grant, to_nobody(), wait()).await
    })
    .await;
}

#[tokio::test]
async fn whoever_hangs_up_while_a_bulk_is_made_is_charged_all_the_same() {
    let mut mocks = Mocks::new();
    mocks.store.expect_commit_bulk().times(1).return_once(|_| {
        let rejected = rejected(1, Reason::RecipientUnavailable);
        Ok(BulkOutcome::Committed(vec![rejected]))
    });
    let grant = alice(Permission::AllowTransfer);
    let bulk = BulkRequest {
        items: vec![Ok(to_nobody())],
        atomic: false,
    };
    hang_up(mocks, async |app| app.send_bulk(&grant, bulk, wait()).await).await;
}

#[tokio::test]
async fn users_whose_transfers_are_decided_take_no_room() {
    let turns = Turns::default();
    let kept = turns.of(ALICE);
    for number in 0..10_000 {
        drop(turns.of(build::user_id(0x1000 + number)));
    }
    let register = turns.register.lock().unwrap();
    assert!(register.users.len() <= TIDY_AT);
    assert!(register.users.contains_key(&ALICE));
    drop(kept);
}

#[tokio::test]
async fn what_cannot_be_counted_is_trouble_before_a_transfer_and_a_warning_after() {
    let mut limiter = MockRateLimiter::new();
    limiter
        .expect_peek()
        .times(1)
        .return_once(|_, _, _| Err(unavailable()));
    limiter
        .expect_record()
        .times(1)
        .return_once(|_, _, _| Err(unavailable()));
    let mut mocks = Mocks::new();
    mocks.limiter = Arc::new(limiter);
    let app = mocks.app();
    let answer = app.require_recipient_tries(ALICE).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
    app.note_failed_recipients(ALICE, 1).await;
}
