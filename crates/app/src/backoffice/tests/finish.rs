//! Confirming and cancelling: who may, what is found, and what the state forbids.

use bursar_domain::{
    ActorId, CallbackDraft, Change, Expected, Fingerprint, OnRefusal, Operation, Reason, Status,
    Subscriber, ledger::StoredClaim,
};
use bursar_ports::StoreError;
use bursar_testkit::build;
use mockall::predicate::eq;

use super::super::*;
use crate::{
    Original,
    test_support::{
        ALICE, BOB, Commits, Mocks, NOW, audited, btc, committed, in_doubt, keyed, operator,
        other_grants, overloaded, plain, stale, stored, trouble, unavailable,
    },
};

pub(super) const URL: &str = "https://example.com/finish";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Confirm,
    Cancel,
}

pub(super) const BOTH: [Finish; 2] = [Finish::Confirm, Finish::Cancel];

impl Finish {
    pub(super) async fn run(
        self,
        mocks: Mocks,
        request: FinishRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        let grant = operator(self.permission());
        self.run_as(&grant, &mocks.app(), request, options).await
    }

    async fn run_as(
        self,
        grant: &Grant,
        app: &App,
        request: FinishRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        match self {
            Self::Confirm => app.confirm_withdrawal(grant, request, options).await,
            Self::Cancel => app.cancel_withdrawal(grant, request, options).await,
        }
    }

    const fn permission(self) -> Permission {
        match self {
            Self::Confirm => Permission::BackofficeConfirm,
            Self::Cancel => Permission::BackofficeWrite,
        }
    }

    pub(super) fn command(self, url: Option<&str>) -> Command {
        let by = ActorId::new("credential-1");
        let callback_url = url.map(str::to_owned);
        match self {
            Self::Confirm => Command::Confirm {
                by,
                callback_url,
                route: bursar_domain::PayoutRoute::Manual,
                approval_expires_at: None,
            },
            Self::Cancel => Command::Cancel { by, callback_url },
        }
    }

    pub(super) const fn operation(self) -> Operation {
        match self {
            Self::Confirm => Operation::Confirm,
            Self::Cancel => Operation::Cancel,
        }
    }

    /// What the audit log is to keep of finishing [`open`].
    pub(super) fn audit(self) -> AuditDraft {
        let action = match self {
            Self::Confirm => "withdrawal.confirm",
            Self::Cancel => "withdrawal.cancel",
        };
        AuditDraft {
            before: Some(r#"{"status":"AwaitingConfirmation","version":1}"#.to_owned()),
            ..audited(action, &format!("transfer:{}", open().id()))
        }
    }

    pub(super) const fn ends_as(self) -> Status {
        match self {
            Self::Confirm => Status::Completed,
            Self::Cancel => Status::Canceled,
        }
    }

    /// The withdrawal once this was done to it.
    pub(super) fn done(self) -> Transfer {
        build::step(&open(), &self.command(None), NOW).next
    }

    /// The final withdrawals that this cannot be done to, with the code of the conflict.
    fn forbidden(self) -> Vec<(Transfer, Conflict, &'static str)> {
        let failed = build::step(&open(), &build::fail(Reason::PayoutRefused), NOW).next;
        let other = match self {
            Self::Confirm => (
                Self::Cancel.done(),
                Conflict::AlreadyCanceled,
                "transfer.already_canceled",
            ),
            Self::Cancel => (
                Self::Confirm.done(),
                Conflict::AlreadyCompleted,
                "transfer.already_completed",
            ),
        };
        let failed = (failed, Conflict::AlreadyFailed, "transfer.already_failed");
        vec![other, failed]
    }
}

/// Alice's withdrawal number 1.
pub(super) fn open() -> Transfer {
    let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    build::withdrawal(new, ALICE).next
}

pub(super) fn request(url: Option<&str>) -> FinishRequest {
    FinishRequest {
        user: ALICE,
        transfer: Some(build::transfer_id(1)),
        callback_url: url.map(str::to_owned),
        digest: None,
    }
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for finish in BOTH {
        let wanted = finish.permission();
        for grant in other_grants(&[wanted]) {
            let app = Mocks::new().app();
            let answer = finish.run_as(&grant, &app, request(None), plain()).await;
            assert!(matches!(answer, Err(Error::Forbidden(missing)) if missing == wanted));
        }
    }
}

#[tokio::test]
async fn what_names_no_transfer_is_not_found_without_a_look() {
    for finish in BOTH {
        let request = FinishRequest {
            transfer: None,
            ..request(Some(URL))
        };
        let answer = finish.run(Mocks::new(), request, keyed()).await;
        assert!(matches!(answer, Err(Error::NotFound(Missing::Transfer))));
    }
}

#[tokio::test]
async fn unknown_and_other_users_and_other_kinds_are_one_answer() {
    let new = || build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
    let others = [
        build::withdrawal(new(), BOB).next,
        build::deposit(new(), ALICE).next,
        build::internal(new(), ALICE, BOB).next,
    ];
    for finish in BOTH {
        for other in &others {
            let answer = finish.run(stored(other), request(Some(URL)), keyed()).await;
            assert!(matches!(answer, Err(Error::NotFound(Missing::Transfer))));
        }
        let mut mocks = Mocks::new();
        mocks
            .store
            .expect_find()
            .with(eq(build::transfer_id(1)))
            .times(1)
            .return_once(|_| Ok(None));
        let answer = finish.run(mocks, request(Some(URL)), keyed()).await;
        assert!(matches!(answer, Err(Error::NotFound(Missing::Transfer))));
    }
}

#[tokio::test]
async fn a_store_that_cannot_find_is_an_error() {
    for finish in BOTH {
        let mut mocks = Mocks::new();
        mocks
            .store
            .expect_find()
            .times(1)
            .return_once(|_| Err(unavailable()));
        let answer = finish.run(mocks, request(None), plain()).await;
        assert!(matches!(
            answer,
            Err(Error::Store(StoreError::Unavailable(_)))
        ));
    }
}

#[tokio::test]
async fn a_forbidden_state_without_a_url_of_its_own_commits_nothing() {
    for finish in BOTH {
        for (ended, conflict, code) in finish.forbidden() {
            let answer = finish.run(stored(&ended), request(None), plain()).await;
            assert!(matches!(answer, Err(Error::Conflict(told)) if told == conflict));
            assert_eq!(conflict.code(), code);
        }
    }
}

#[tokio::test]
async fn the_refused_operation_s_own_url_hears_of_it_and_the_transfer_is_untouched() {
    for finish in BOTH {
        for (ended, conflict, _) in finish.forbidden() {
            let mut mocks = stored(&ended);
            let commits = mocks.commits([committed()]);
            let answer = finish.run(mocks, request(Some(URL)), plain()).await;
            assert!(matches!(answer, Err(Error::Conflict(told)) if told == conflict));
            let told = CallbackDraft {
                operation: finish.operation(),
                url: URL.to_owned(),
                subscriber: Subscriber::Client(ActorId::new("credential-1")),
                status: Status::Failed,
                error: Some(conflict.message().to_owned()),
            };
            assert_only_callbacks(&commits, &ended, vec![told]);
        }
    }
}

/// One commit that writes these callbacks, no key, and leaves the transfer as it is.
fn assert_only_callbacks(commits: &Commits, transfer: &Transfer, callbacks: Vec<CallbackDraft>) {
    let commit = commits.only();
    assert_eq!(commit.idempotency, None, "a conflict leaves the key free");
    let expected = Change {
        expected: Expected::At(transfer.version()),
        next: transfer.clone(),
        premises: vec![],
        postings: vec![],
        callbacks,
        on_refusal: OnRefusal::Keep,
        pays_fee: false,
        approval: None,
        linked: None,
    };
    assert_eq!(commit.change, expected);
    assert!(!commit.change.writes_transfer());
}

#[tokio::test]
async fn a_refusal_that_cannot_be_told_is_an_error_so_that_it_is_repeated() {
    for finish in BOTH {
        for (ended, ..) in finish.forbidden() {
            let mut mocks = stored(&ended);
            mocks.commits([trouble(overloaded())]);
            let answer = finish.run(mocks, request(Some(URL)), plain()).await;
            assert!(matches!(answer, Err(Error::Store(StoreError::Overloaded))));

            let mut mocks = stored(&ended);
            mocks.commits([trouble(in_doubt())]);
            let answer = finish.run(mocks, request(Some(URL)), plain()).await;
            let Err(Error::OutcomeUnknown { transfer, .. }) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!(transfer, Original::Id(ended.id()));
        }
    }
}

#[tokio::test]
async fn a_conflict_that_came_in_between_is_told_too() {
    let mut mocks = Mocks::new();
    mocks.finds_each(vec![Finish::Cancel.done(), open()]);
    let commits = mocks.commits([stale(), committed()]);
    let answer = Finish::Confirm
        .run(mocks, request(Some(URL)), plain())
        .await;
    assert!(matches!(
        answer,
        Err(Error::Conflict(Conflict::AlreadyCanceled))
    ));
    let told = &commits.all()[1].change;
    assert_eq!(told.callbacks[0].status, Status::Failed);
}

/// What a key is bound to.
fn bound(claimed: Fingerprint, refusal: Option<Reason>) -> StoredClaim {
    StoredClaim {
        fingerprint: claimed,
        fields: vec![],
        transfer: build::transfer_id(1),
        refusal,
        results: None,
    }
}

fn claimed(finish: Finish) -> IdempotencyClaim {
    let grant = operator(finish.permission());
    let operation = match finish {
        Finish::Confirm => "withdraw-confirm",
        Finish::Cancel => "withdraw-cancel",
    };
    finish_claim(&grant, operation, &request(Some(URL)), &keyed()).unwrap()
}

/// A refusal is kept and replays, also when the state would forbid the operation by now.
#[tokio::test]
async fn a_refusal_bound_to_the_key_replays_whatever_the_state() {
    for finish in BOTH {
        for (ended, ..) in finish.forbidden() {
            let mut mocks = stored(&ended);
            let claim = claimed(finish);
            let refusal = bound(claim.fingerprint, Some(Reason::AccountFrozen));
            mocks
                .store
                .expect_find_key()
                .with(eq(claim.scope), eq(claim.key))
                .times(1)
                .return_once(move |_, _| Ok(Some(refusal)));
            let answer = finish.run(mocks, request(Some(URL)), keyed()).await;
            assert!(matches!(
                answer,
                Err(Error::Refused {
                    reason: Reason::AccountFrozen,
                    replayed: true
                })
            ));
        }
    }
}

#[tokio::test]
async fn a_key_that_is_free_or_another_request_s_does_not_hide_the_conflict() {
    for key in [
        None,
        Some(bound(Fingerprint([9; 32]), Some(Reason::AccountFrozen))),
    ] {
        for (ended, conflict, _) in Finish::Confirm.forbidden() {
            let mut mocks = stored(&ended);
            let key = key.clone();
            mocks
                .store
                .expect_find_key()
                .times(1)
                .return_once(move |_, _| Ok(key));
            let commits = mocks.commits([committed()]);
            let answer = Finish::Confirm
                .run(mocks, request(Some(URL)), keyed())
                .await;
            assert!(matches!(answer, Err(Error::Conflict(told)) if told == conflict));
            assert_eq!(commits.only().idempotency, None);
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_is_an_error() {
    let mut mocks = stored(&Finish::Cancel.done());
    mocks
        .store
        .expect_find_key()
        .times(1)
        .return_once(|_, _| Err(unavailable()));
    let answer = Finish::Confirm.run(mocks, request(None), keyed()).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}

/// A reversal moves a completed withdrawal on while it is being told that it cannot be canceled.
#[tokio::test]
async fn a_refusal_that_is_overtaken_is_told_all_the_same() {
    for finish in BOTH {
        let (transfer, conflict, _) = finish.forbidden().remove(0);
        let mut parts = transfer.clone().into_parts();
        parts.version = parts.version.next();
        let newer = Transfer::from_parts(parts);
        let mut mocks = Mocks::new();
        mocks.finds_each(vec![newer.clone(), transfer]);
        let commits = mocks.commits([stale(), committed()]);
        let answer = finish.run(mocks, request(Some(URL)), plain()).await;
        let Err(Error::Conflict(told)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(told, conflict);
        let [_, second] = commits.all().try_into().unwrap();
        assert_eq!(second.change.expected, Expected::At(newer.version()));
        assert_eq!(second.change.callbacks[0].status, Status::Failed);
    }
}
