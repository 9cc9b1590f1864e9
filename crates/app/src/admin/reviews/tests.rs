use bursar_domain::{
    ActorId, AuditDraft, Body, Confirmation, DepositState, PayoutRoute, Reason, Status,
    WithdrawalState, ledger::StoredClaim,
};
use bursar_ports::{CommitOutcome, StoreError};
use bursar_testkit::build;

use super::*;
use crate::{
    Original,
    test_support::{
        ALICE, BOB, Mocks, NOW, audited, btc, committed, in_doubt, inconsistent, keyed, operator,
        other_grants, outcome, overloaded, plain, replayed, stale, stored, trouble, unavailable,
        wait,
    },
};

const WAITED: &str = r#"{"status":"AwaitingConfirmation","version":2}"#;
const BOTH: [Word; 2] = [Word::Approve, Word::Reject];

impl Word {
    async fn run(
        self,
        mocks: Mocks,
        request: ReviewRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        let grant = operator(Permission::BackofficeApprove);
        self.run_as(&grant, &mocks.app(), request, options).await
    }

    async fn run_as(
        self,
        grant: &Grant,
        app: &App,
        request: ReviewRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        match self {
            Self::Approve => app.approve(grant, request, options).await,
            Self::Reject => app.reject(grant, request, options).await,
        }
    }

    fn command(self, current: &Transfer) -> Command {
        let (by, digest) = (ActorId::new("credential-1"), approval_digest(current));
        match self {
            Self::Approve => Command::Approve {
                by,
                digest,
                route: PayoutRoute::Manual,
            },
            Self::Reject => Command::Reject { by, digest },
        }
    }

    const fn ends_as(self) -> Status {
        match self {
            Self::Approve => Status::Completed,
            Self::Reject => Status::Failed,
        }
    }

    /// What the audit log is to keep of it.
    fn audit(self, current: &Transfer) -> AuditDraft {
        let (action, before) = match (self, current.kind()) {
            (Self::Approve, Kind::Deposit) => {
                ("deposit.approve", r#"{"status":"Pending","version":1}"#)
            }
            (Self::Reject, Kind::Deposit) => {
                ("deposit.reject", r#"{"status":"Pending","version":1}"#)
            }
            (Self::Approve, _) => ("withdrawal.approve", WAITED),
            (Self::Reject, _) => ("withdrawal.reject", WAITED),
        };
        AuditDraft {
            before: Some(before.to_owned()),
            ..audited(action, &format!("transfer:{}", current.id()))
        }
    }

    /// A withdrawal that was reviewed like this.
    fn done(self) -> Transfer {
        build::step(&waiting(), &self.command(&waiting()), NOW).next
    }
}

fn made(by: &str) -> Transfer {
    let mut new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    new.created_by = ActorId::new(by);
    build::withdrawal(new, ALICE).next
}

/// A withdrawal that somebody made and somebody confirmed, and that waits.
fn waiting_by(maker: &str, confirmer: &str) -> Transfer {
    let mut parts = made(maker).into_parts();
    parts.version = parts.version.next();
    parts.confirmed = Some(Confirmation {
        by: ActorId::new(confirmer),
        callback_url: None,
    });
    parts.body = Body::Withdrawal {
        user: ALICE,
        state: WithdrawalState::AwaitingApproval,
    };
    Transfer::from_parts(parts)
}

fn waiting() -> Transfer {
    waiting_by("maker", "confirmer")
}

/// A deposit that waits.
fn deposit() -> Transfer {
    let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    let mut parts = build::deposit(new, ALICE).next.into_parts();
    parts.body = Body::Deposit {
        user: ALICE,
        state: DepositState::AwaitingApproval,
    };
    Transfer::from_parts(parts)
}

fn request(digest: Option<[u8; 32]>) -> ReviewRequest {
    ReviewRequest {
        transfer: Some(build::transfer_id(1)),
        digest,
    }
}

#[tokio::test]
async fn only_a_second_operator_reviews() {
    for word in BOTH {
        for grant in other_grants(&[Permission::BackofficeApprove]) {
            let app = Mocks::new().app();
            let answer = word.run_as(&grant, &app, request(None), plain()).await;
            assert!(matches!(
                answer,
                Err(Error::Forbidden(Permission::BackofficeApprove))
            ));
        }
    }
}

#[tokio::test]
async fn what_waits_is_reviewed_in_one_commit() {
    for word in BOTH {
        for current in [waiting(), deposit()] {
            for digest in [None, Some(approval_digest(&current))] {
                let mut mocks = stored(&current);
                let commits = mocks.commits([committed()]);
                let answer = word.run(mocks, request(digest), plain()).await.unwrap();
                let expected = build::step(&current, &word.command(&current), NOW);
                let commit = commits.only();
                assert_eq!(commit.change, expected);
                assert!(commit.idempotency.is_none());
                assert_eq!(commit.audit, Some(word.audit(&current)));
                assert_eq!(answer.transfer.status(), word.ends_as());
                let review = answer.transfer.parts().review.clone().unwrap();
                assert_eq!(review.digest, approval_digest(&current));
                assert!(!answer.replayed && !answer.waited);
            }
        }
    }
}

#[tokio::test]
async fn what_is_final_was_waited_for() {
    for word in BOTH {
        let mut mocks = stored(&waiting());
        mocks.commits([committed()]);
        let answer = word.run(mocks, request(None), wait()).await.unwrap();
        assert!(answer.waited);
    }
}

#[tokio::test]
async fn whoever_made_or_confirmed_it_is_not_the_second_operator() {
    for word in BOTH {
        for current in [
            waiting_by("credential-1", "confirmer"),
            waiting_by("maker", "credential-1"),
        ] {
            let answer = word.run(stored(&current), request(None), plain()).await;
            assert!(matches!(answer, Err(Error::SameOperator)), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_digest_of_something_else_is_void() {
    for word in BOTH {
        let answer = word.run(stored(&waiting()), request(Some([7; 32])), plain());
        let answer = answer.await;
        assert!(
            matches!(answer, Err(Error::Conflict(Conflict::DigestMismatch))),
            "{answer:?}"
        );
    }
}

#[test]
fn the_digest_changes_with_everything_that_the_decision_rests_on() {
    let shown = approval_digest(&waiting());
    assert_eq!(shown, approval_digest(&waiting()));
    let changed = |change: &dyn Fn(&mut bursar_domain::TransferParts)| {
        let mut parts = waiting().into_parts();
        change(&mut parts);
        approval_digest(&Transfer::from_parts(parts))
    };
    for other in [
        changed(&|parts| parts.id = build::transfer_id(2)),
        changed(&|parts| parts.version = parts.version.next()),
        changed(&|parts| parts.asset = build::asset_id("eth")),
        changed(&|parts| parts.amount = build::amount(6)),
        changed(&|parts| parts.fee = build::amount(1)),
        changed(&|parts| parts.note = Some("for another".to_owned())),
        changed(&|parts| parts.created_by = ActorId::new("another")),
        changed(&|parts| parts.created_at = NOW.plus_micros(1)),
        changed(&|parts| parts.confirmed = None),
        changed(&|parts| {
            parts.body = Body::Withdrawal {
                user: BOB,
                state: WithdrawalState::AwaitingApproval,
            };
        }),
        approval_digest(&deposit()),
    ] {
        assert_ne!(other, shown);
    }
}

#[tokio::test]
async fn what_names_no_such_transfer_is_not_found() {
    for word in BOTH {
        let nothing = ReviewRequest {
            transfer: None,
            digest: None,
        };
        let answer = word.run(Mocks::new(), nothing, plain()).await;
        assert!(matches!(answer, Err(Error::NotFound(Missing::Transfer))));
        let mut mocks = Mocks::new();
        mocks.store.expect_find().times(1).return_once(|_| Ok(None));
        let answer = word.run(mocks, request(None), plain()).await;
        assert!(matches!(answer, Err(Error::NotFound(Missing::Transfer))));
        // Nobody reviews what users send to each other.
        let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
        let internal = build::internal(new, ALICE, BOB).next;
        let answer = word.run(stored(&internal), request(None), plain()).await;
        assert!(matches!(answer, Err(Error::NotFound(Missing::Transfer))));
    }
}

#[tokio::test]
async fn the_state_says_what_stands_in_the_way() {
    // Also to whoever made it: what does not wait has no second operator.
    let made = || made("credential-1");
    let end = |command: &Command| build::step(&made(), command, NOW).next;
    let mut paying = waiting().into_parts();
    paying.body = Body::Withdrawal {
        user: ALICE,
        state: WithdrawalState::PayingOut,
    };
    for (current, conflict) in [
        (made(), Conflict::NotAwaitingApproval),
        (end(&build::confirm()), Conflict::AlreadyCompleted),
        (end(&build::cancel()), Conflict::AlreadyCanceled),
        (
            end(&build::fail(Reason::PayoutRefused)),
            Conflict::AlreadyFailed,
        ),
        (end(&Command::Expire), Conflict::Expired),
        (Transfer::from_parts(paying), Conflict::PayoutInProgress),
    ] {
        for word in BOTH {
            let answer = word.run(stored(&current), request(None), plain()).await;
            assert!(
                matches!(answer, Err(Error::Conflict(found)) if found == conflict),
                "{answer:?} is not {conflict:?}"
            );
        }
    }
    let answer = Word::Approve.run(stored(&Word::Reject.done()), request(None), plain());
    assert!(matches!(
        answer.await,
        Err(Error::Conflict(Conflict::AlreadyFailed))
    ));
}

#[tokio::test]
async fn a_repetition_without_a_key_commits_nothing() {
    for word in BOTH {
        let done = word.done();
        let answer = word.run(stored(&done), request(None), plain()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.transfer, done);
        assert!(!answer.replayed);
    }
}

#[tokio::test]
async fn a_repetition_with_a_key_binds_it_and_moves_nothing() {
    for word in BOTH {
        let done = word.done();
        let mut mocks = stored(&done);
        let commits = mocks.commits([committed()]);
        let answer = word.run(mocks, request(None), keyed()).await.unwrap();
        assert_eq!(answer.transfer, done);
        assert!(!answer.replayed);
        let commit = commits.only();
        assert!(commit.idempotency.is_some());
        assert_eq!(commit.change, done.acknowledge(&word.command(&done), None));
    }
}

#[tokio::test]
async fn a_replay_says_so() {
    for word in BOTH {
        for current in [waiting(), word.done()] {
            let done = word.done();
            let mut mocks = Mocks::new();
            mocks.finds_each(vec![done.clone(), current]);
            mocks.commits([replayed(&done)]);
            let answer = word.run(mocks, request(None), keyed()).await.unwrap();
            assert_eq!(answer.transfer, done);
            assert!(answer.replayed);
        }
    }
}

/// A claim on the key as the use case makes it.
async fn claimed(word: Word) -> IdempotencyClaim {
    let mut mocks = stored(&waiting());
    let commits = mocks.commits([committed()]);
    word.run(mocks, request(None), keyed()).await.unwrap();
    commits.only().idempotency.unwrap()
}

#[tokio::test]
async fn what_the_state_forbids_now_is_replayed_when_it_was_done_with_this_key() {
    for word in BOTH {
        let claim = claimed(word).await;
        // Kept apart from keys of other operations, and never to be called otherwise.
        let operation = match word {
            Word::Approve => "approve",
            Word::Reject => "reject",
        };
        assert_eq!(claim.scope.operation, operation);
        for refusal in [None, Some(Reason::AccountFrozen)] {
            let canceled = build::step(&waiting(), &build::cancel(), NOW).next;
            let mut mocks = Mocks::new();
            mocks.finds(&canceled, if refusal.is_none() { 2 } else { 1 });
            let bound = StoredClaim {
                fingerprint: claim.fingerprint,
                fields: claim.fields.clone(),
                transfer: canceled.id(),
                refusal,
                results: None,
            };
            mocks
                .store
                .expect_find_key()
                .times(1)
                .return_once(|_, _| Ok(Some(bound)));
            let answer = word.run(mocks, request(None), keyed()).await;
            match refusal {
                None => assert!(answer.unwrap().replayed),
                Some(_) => assert!(matches!(answer, Err(Error::Refused { replayed: true, .. }))),
            }
        }
        // A key that says nothing, or cannot be looked up.
        let canceled = build::step(&waiting(), &build::cancel(), NOW).next;
        let mut mocks = stored(&canceled);
        mocks
            .store
            .expect_find_key()
            .times(1)
            .return_once(|_, _| Ok(None));
        let answer = word.run(mocks, request(None), keyed()).await;
        assert!(matches!(
            answer,
            Err(Error::Conflict(Conflict::AlreadyCanceled))
        ));
        let mut mocks = stored(&canceled);
        mocks
            .store
            .expect_find_key()
            .times(1)
            .return_once(|_, _| Err(unavailable()));
        let answer = word.run(mocks, request(None), keyed()).await;
        assert!(matches!(
            answer,
            Err(Error::Store(StoreError::Unavailable(_)))
        ));
    }
}

#[tokio::test]
async fn when_somebody_else_was_first_it_is_decided_again() {
    for word in BOTH {
        let canceled = build::step(&waiting(), &build::cancel(), NOW).next;
        let mut mocks = Mocks::new();
        mocks.finds_each(vec![canceled, waiting()]);
        mocks.commits([stale()]);
        let answer = word.run(mocks, request(None), plain()).await;
        assert!(matches!(
            answer,
            Err(Error::Conflict(Conflict::AlreadyCanceled))
        ));
    }
}

#[tokio::test]
async fn five_times_too_late_is_busy() {
    for word in BOTH {
        let mut mocks = Mocks::new();
        mocks.finds(&waiting(), 5);
        let commits = mocks.commits([stale(), stale(), stale(), stale(), stale()]);
        let answer = word.run(mocks, request(None), plain()).await;
        assert!(matches!(answer, Err(Error::Conflict(Conflict::Busy))));
        assert_eq!(commits.all().len(), 5);
    }
}

#[tokio::test]
async fn refusals_reused_keys_and_stops_are_told() {
    let reason = Reason::AccountFrozen;
    for word in BOTH {
        for (answer, again) in [
            (CommitOutcome::Refused { reason }, false),
            (CommitOutcome::RefusalReplayed { reason }, true),
        ] {
            let mut mocks = stored(&waiting());
            mocks.commits([outcome(answer)]);
            let answer = word.run(mocks, request(None), keyed()).await;
            assert!(matches!(
                answer,
                Err(Error::Refused { reason: Reason::AccountFrozen, replayed }) if replayed == again
            ));
        }
        let mut mocks = Mocks::new();
        mocks.finds(&waiting(), 2);
        mocks.commits([outcome(CommitOutcome::KeyReused {
            original: Some(waiting().id()),
            fields: vec!["digest".to_owned()],
        })]);
        let answer = word.run(mocks, request(None), keyed()).await;
        let Err(Error::KeyReused { original, fields }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(original, Some(Original::Id(waiting().id())));
        assert_eq!(fields, ["digest"]);
        let mut mocks = stored(&waiting());
        mocks.commits([outcome(CommitOutcome::ReadOnly)]);
        let answer = word.run(mocks, request(None), keyed()).await;
        assert!(matches!(answer, Err(Error::ReadOnly)));
    }
}

#[tokio::test]
async fn an_outage_is_told() {
    for word in BOTH {
        for error in [overloaded(), unavailable(), inconsistent()] {
            let said = error.to_string();
            let mut mocks = stored(&waiting());
            mocks.commits([trouble(error)]);
            let error = word.run(mocks, request(None), plain()).await.unwrap_err();
            assert!(matches!(error, Error::Store(_)));
            assert_eq!(error.to_string(), said);
        }
        let mut mocks = stored(&waiting());
        mocks.commits([trouble(in_doubt())]);
        let answer = word.run(mocks, request(None), plain()).await;
        let Err(Error::OutcomeUnknown { transfer, source }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(transfer, Original::Id(waiting().id()));
        assert!(matches!(source, StoreError::OutcomeUnknown(_)));
        let mut mocks = Mocks::new();
        mocks
            .store
            .expect_find()
            .times(1)
            .return_once(|_| Err(unavailable()));
        let answer = word.run(mocks, request(None), plain()).await;
        assert!(matches!(
            answer,
            Err(Error::Store(StoreError::Unavailable(_)))
        ));
    }
}
