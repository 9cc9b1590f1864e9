//! Confirming and cancelling: what is committed and every outcome of it.

use bursar_domain::{ActorId, CallbackDraft, Command, Commit, PayoutRoute, Reason, Subscriber};
use bursar_ports::{CommitOutcome, StoreError};
use bursar_testkit::build;

use super::{
    super::*,
    finish::{BOTH, URL, open, request},
};
use crate::{
    Original, approval_digest,
    test_support::{
        Mocks, NOW, committed, in_doubt, inconsistent, keyed, outcome, overloaded, plain, replayed,
        stale, stored, trouble, unavailable, wait,
    },
};

#[tokio::test]
async fn an_open_withdrawal_is_finished_in_one_commit() {
    for finish in BOTH {
        for url in [None, Some(URL)] {
            let mut mocks = stored(&open());
            let commits = mocks.commits([committed()]);
            let answer = finish.run(mocks, request(url), plain()).await.unwrap();
            let expected = Commit {
                audit: Some(finish.audit()),
                ..Commit::new(build::step(&open(), &finish.command(url), NOW))
            };
            assert_eq!(commits.only(), expected);
            assert_eq!(answer.transfer.status(), finish.ends_as());
            assert_eq!(
                answer.transfer.finished_by().unwrap().as_str(),
                "credential-1"
            );
            assert!(!answer.replayed && !answer.waited);
        }
    }
}

#[tokio::test]
async fn the_operation_s_url_hears_of_its_result() {
    for finish in BOTH {
        let mut mocks = stored(&open());
        let commits = mocks.commits([committed()]);
        finish
            .run(mocks, request(Some(URL)), plain())
            .await
            .unwrap();
        let told = CallbackDraft {
            operation: finish.operation(),
            url: URL.to_owned(),
            subscriber: Subscriber::Client(ActorId::new("credential-1")),
            status: finish.ends_as(),
            error: None,
        };
        assert_eq!(commits.only().change.callbacks, [told]);
    }
}

#[tokio::test]
async fn what_is_final_was_waited_for() {
    for finish in BOTH {
        let mut mocks = stored(&open());
        mocks.commits([committed()]);
        let answer = finish.run(mocks, request(None), wait()).await.unwrap();
        assert!(answer.waited);
        // Also when there was nothing left to wait for.
        let mocks = stored(&finish.done());
        let answer = finish.run(mocks, request(None), wait()).await.unwrap();
        assert!(answer.waited);
    }
}

#[tokio::test]
async fn a_repetition_with_nobody_to_tell_and_no_key_commits_nothing() {
    for finish in BOTH {
        let done = finish.done();
        let answer = finish
            .run(stored(&done), request(None), plain())
            .await
            .unwrap();
        assert_eq!(answer.transfer, done);
        assert!(!answer.replayed && !answer.waited);
    }
}

#[tokio::test]
async fn a_repetition_with_a_url_acknowledges_and_moves_nothing() {
    for finish in BOTH {
        let done = finish.done();
        let mut mocks = stored(&done);
        let commits = mocks.commits([committed()]);
        let answer = finish
            .run(mocks, request(Some(URL)), plain())
            .await
            .unwrap();
        assert_eq!(answer.transfer, done);
        assert!(!answer.replayed);
        let told = done.acknowledge(&finish.command(Some(URL)), None);
        assert_eq!(told.callbacks[0].status, finish.ends_as());
        assert_eq!(commits.only(), Commit::new(told));
    }
}

#[tokio::test]
async fn a_repetition_with_a_key_binds_it_and_moves_nothing() {
    for finish in BOTH {
        let done = finish.done();
        let mut mocks = stored(&done);
        let commits = mocks.commits([committed()]);
        let answer = finish.run(mocks, request(None), keyed()).await.unwrap();
        assert_eq!(answer.transfer, done);
        let commit = commits.only();
        assert!(commit.idempotency.is_some());
        assert_eq!(commit.change, done.acknowledge(&finish.command(None), None));
        assert_eq!(commit.change.callbacks, vec![]);
    }
}

/// A URL hears once of each operation, so it is not told what is no result yet.
#[tokio::test]
async fn a_repetition_before_there_is_a_result_tells_nobody() {
    let paying = Command::Confirm {
        by: ActorId::new("credential-1"),
        callback_url: None,
        route: PayoutRoute::Gateway,
        approval_expires_at: None,
    };
    let waiting = build::step(&open(), &paying, NOW).next;
    let mut mocks = stored(&waiting);
    let commits = mocks.commits([committed()]);
    let answer = BOTH[0]
        .run(mocks, request(Some(URL)), keyed())
        .await
        .unwrap();
    assert_eq!(answer.transfer, waiting);
    let commit = commits.only();
    assert!(commit.idempotency.is_some());
    assert_eq!(commit.change.callbacks, []);
}

#[tokio::test]
async fn a_replay_says_so() {
    for finish in BOTH {
        let done = finish.done();
        let mut mocks = Mocks::new();
        mocks.finds(&done, 2);
        mocks.commits([replayed(&done)]);
        let answer = finish.run(mocks, request(None), keyed()).await.unwrap();
        assert_eq!(answer.transfer, done);
        assert!(answer.replayed && !answer.waited);
    }
}

#[tokio::test]
async fn when_somebody_else_was_first_it_is_decided_again() {
    for finish in BOTH {
        let mut parts = open().into_parts();
        parts.version = parts.version.next();
        let newer = Transfer::from_parts(parts);
        let mut mocks = Mocks::new();
        mocks.finds_each(vec![newer.clone(), open()]);
        let commits = mocks.commits([stale(), committed()]);
        let answer = finish.run(mocks, request(None), keyed()).await.unwrap();
        assert_eq!(answer.transfer.status(), finish.ends_as());
        let [first, second] = commits.all().try_into().unwrap();
        assert_eq!(
            first.change,
            build::step(&open(), &finish.command(None), NOW)
        );
        assert_eq!(
            second.change,
            build::step(&newer, &finish.command(None), NOW)
        );
        assert_eq!(first.idempotency, second.idempotency, "the key goes along");
    }
}

#[tokio::test]
async fn who_says_what_was_shown_finishes_nothing_else() {
    for finish in BOTH {
        let mut parts = open().into_parts();
        parts.version = parts.version.next();
        let newer = Transfer::from_parts(parts);
        let shown = FinishRequest {
            digest: Some(approval_digest(&open())),
            ..request(None)
        };
        let mut mocks = stored(&open());
        mocks.commits([committed()]);
        let answer = finish.run(mocks, shown.clone(), plain()).await.unwrap();
        assert_eq!(answer.transfer.status(), finish.ends_as());
        // Somebody else was faster: it is not decided again about what nobody has shown.
        let mut mocks = Mocks::new();
        mocks.finds_each(vec![newer, open()]);
        mocks.commits([stale()]);
        let answer = finish.run(mocks, shown, plain()).await;
        assert!(
            matches!(answer, Err(Error::Conflict(Conflict::DigestMismatch))),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn when_somebody_else_did_the_same_it_is_an_answer() {
    for finish in BOTH {
        let mut mocks = Mocks::new();
        mocks.finds_each(vec![finish.done(), open()]);
        mocks.commits([stale()]);
        let answer = finish.run(mocks, request(None), plain()).await.unwrap();
        assert_eq!(answer.transfer, finish.done());
    }
}

/// Whoever was faster may have been this very change, if the answer to its COMMIT was lost.
#[tokio::test]
async fn nobody_says_that_nothing_happened_once_somebody_was_faster() {
    let is_in_doubt = |answer: &Result<_, Error>| {
        let Err(Error::OutcomeUnknown { transfer, source }) = answer else {
            return false;
        };
        *transfer == Original::Id(open().id()) && matches!(source, StoreError::OutcomeUnknown(_))
    };
    for finish in BOTH {
        for error in [overloaded, unavailable] {
            let mut mocks = Mocks::new();
            mocks.finds_or_fails(vec![Err(error()), Ok(Some(open()))]);
            mocks.commits([stale()]);
            let answer = finish.run(mocks, request(None), plain()).await;
            assert!(is_in_doubt(&answer), "{answer:?}");

            let mut mocks = Mocks::new();
            mocks.finds_each(vec![finish.done(), open()]);
            mocks.commits([stale(), trouble(error())]);
            let answer = finish.run(mocks, request(Some(URL)), plain()).await;
            assert!(is_in_doubt(&answer), "{answer:?}");

            // It has failed meanwhile, of which its URL is to hear.
            let failed = build::step(&open(), &build::fail(Reason::PayoutRefused), NOW).next;
            let mut mocks = Mocks::new();
            mocks.finds_each(vec![failed, open()]);
            mocks.commits([stale(), trouble(error())]);
            let answer = finish.run(mocks, request(Some(URL)), plain()).await;
            assert!(is_in_doubt(&answer), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn five_times_too_late_is_busy() {
    for finish in BOTH {
        let mut mocks = Mocks::new();
        mocks.finds(&open(), 5);
        let commits = mocks.commits([stale(), stale(), stale(), stale(), stale()]);
        let answer = finish.run(mocks, request(Some(URL)), plain()).await;
        assert!(matches!(answer, Err(Error::Conflict(Conflict::Busy))));
        assert_eq!(commits.all().len(), 5);
    }
    assert_eq!(Conflict::Busy.code(), "transfer.busy");
}

#[tokio::test]
async fn refusals_and_reused_keys_are_told() {
    let reason = Reason::AccountFrozen;
    for finish in BOTH {
        for (answer, again) in [
            (CommitOutcome::Refused { reason }, false),
            (CommitOutcome::RefusalReplayed { reason }, true),
        ] {
            let mut mocks = stored(&open());
            mocks.commits([outcome(answer)]);
            let answer = finish.run(mocks, request(None), keyed()).await;
            assert!(matches!(
                answer,
                Err(Error::Refused { reason: Reason::AccountFrozen, replayed }) if replayed == again
            ));
        }
        let mut mocks = Mocks::new();
        mocks.finds(&open(), 2);
        mocks.commits([outcome(CommitOutcome::KeyReused {
            original: Some(open().id()),
            fields: vec!["transferId".to_owned()],
        })]);
        let answer = finish.run(mocks, request(None), keyed()).await;
        let Err(Error::KeyReused { original, fields }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(original, Some(Original::Id(open().id())));
        assert_eq!(fields, ["transferId"]);
    }
}

#[tokio::test]
async fn trouble_with_the_store_is_told() {
    for finish in BOTH {
        for error in [overloaded(), unavailable(), inconsistent()] {
            let said = error.to_string();
            let mut mocks = stored(&open());
            mocks.commits([trouble(error)]);
            let error = finish.run(mocks, request(None), plain()).await.unwrap_err();
            assert!(matches!(error, Error::Store(_)));
            assert_eq!(error.to_string(), said);
        }
        let mut mocks = stored(&open());
        mocks.commits([trouble(in_doubt())]);
        let answer = finish.run(mocks, request(None), plain()).await;
        let Err(Error::OutcomeUnknown { transfer, source }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(transfer, Original::Id(open().id()));
        assert!(matches!(source, StoreError::OutcomeUnknown(_)));
    }
}

#[test]
fn a_conflict_is_named_after_what_the_transfer_is() {
    let expired = build::step(&open(), &Command::Expire, NOW).next;
    let paying = Command::Confirm {
        by: ActorId::new("confirmer"),
        callback_url: None,
        route: PayoutRoute::Gateway,
        approval_expires_at: None,
    };
    for (transfer, conflict) in [
        (
            build::step(&open(), &build::cancel(), NOW).next,
            Conflict::AlreadyCanceled,
        ),
        (
            build::step(&open(), &build::confirm(), NOW).next,
            Conflict::AlreadyCompleted,
        ),
        (
            build::step(&open(), &build::fail(Reason::PayoutRefused), NOW).next,
            Conflict::AlreadyFailed,
        ),
        (expired, Conflict::Expired),
        (
            build::step(&open(), &paying, NOW).next,
            Conflict::PayoutInProgress,
        ),
        (open(), Conflict::NotAwaitingApproval),
    ] {
        assert_eq!(Conflict::of(&transfer), conflict);
        assert!(conflict.message().ends_with('.'));
    }
}
