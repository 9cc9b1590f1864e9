//! Every outcome of the commit that creates a transfer, for each of the three that create one.

use bursar_domain::{
    Command, DecimalAmount, Expected, OnRefusal, Reason, Status, Transfer, Version,
};
use bursar_ports::{CommitOutcome, Permission, StoreError};
use bursar_testkit::build;

use super::*;
use crate::{
    InternalRequest, OpenRequest,
    test_support::{
        ALICE, BOB, Mocks, NOW, alice, audited, btc, committed, in_doubt, inconsistent, keyed,
        operator, outcome, overloaded, plain, replayed, stale, trouble, unavailable, usd, wait,
    },
};

/// The ways to create a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Create {
    Deposit,
    Withdraw,
    Send,
}

const ALL: [Create; 3] = [Create::Deposit, Create::Withdraw, Create::Send];
/// Those whose transfer settles by itself.
const SETTLING: [Create; 2] = [Create::Deposit, Create::Send];

impl Create {
    /// Creates a transfer of one bitcoin with id 1 over these ports.
    async fn run(self, mut mocks: Mocks, options: Options) -> Result<Answer<Transfer>, Error> {
        mocks.has_user(build::user(ALICE));
        mocks
            .directory
            .expect_find_recipients()
            .returning(|_| Ok(vec![Some(build::user(BOB))]));
        mocks.has_asset(&btc());
        mocks.has_asset(&usd());
        mocks.directory.expect_find_rate().returning(|_| Ok(None));
        let app = mocks.app();
        let amount = DecimalAmount::parse("1").unwrap();
        let open = OpenRequest {
            user: ALICE,
            asset: btc().id,
            amount,
            comment: None,
            callback_url: None,
        };
        let send = InternalRequest {
            currency: btc().id,
            amount,
            recipient: BOB.to_string(),
            address_book_code: None,
            callback_url: None,
            custom_id: None,
            note: None,
        };
        let operator = operator(Permission::BackofficeWrite);
        match self {
            Self::Deposit => app.deposit(&operator, open, options).await,
            Self::Withdraw => app.withdraw(&operator, open, options).await,
            Self::Send => {
                let sender = alice(Permission::AllowTransfer);
                let answer = app.send(&sender, send, options).await?;
                Ok(Answer {
                    transfer: answer.transfer.transfer,
                    replayed: answer.replayed,
                    waited: answer.waited,
                })
            }
        }
    }

    /// What an earlier request made.
    fn earlier(self) -> Transfer {
        let new = build::new_transfer(build::transfer_id(77), &btc(), 100_000_000, NOW);
        match self {
            Self::Deposit => build::deposit(new, ALICE).next,
            Self::Withdraw => build::withdrawal(new, ALICE).next,
            Self::Send => build::internal(new, ALICE, BOB).next,
        }
    }

    fn earlier_settled(self) -> Transfer {
        build::step(&self.earlier(), &Command::Settle, NOW).next
    }

    /// How its caller names a transfer.
    fn names(self, transfer: &Transfer) -> Original {
        match self {
            Self::Deposit | Self::Withdraw => Original::Id(transfer.id()),
            Self::Send => Original::Code(Mocks::new().app().code_of(transfer).unwrap()),
        }
    }

    const fn begins_as(self) -> Status {
        match self {
            Self::Deposit | Self::Send => Status::Pending,
            Self::Withdraw => Status::AwaitingConfirmation,
        }
    }

    const fn ends_as(self) -> Status {
        match self {
            Self::Deposit => Status::Completed,
            Self::Withdraw => Status::AwaitingConfirmation,
            Self::Send => Status::Success,
        }
    }
}

#[tokio::test]
async fn without_a_wish_to_wait_the_answer_is_the_open_transfer_and_settlement_follows() {
    for create in SETTLING {
        let mut mocks = Mocks::new();
        let commits = mocks.commits([committed(), committed()]);
        let spawned = mocks.one_task();
        let answer = create.run(mocks, plain()).await.unwrap();
        assert_eq!(answer.transfer.status(), Status::Pending);
        assert!(!answer.replayed && !answer.waited);
        let opened = commits.only();
        assert_eq!(opened.change.expected, Expected::Absent);
        assert_eq!(opened.change.next, answer.transfer);
        assert_eq!(opened.idempotency, None);
        assert_eq!(opened.change.postings, vec![], "nothing moves yet");

        spawned.run().await;
        let settling = commits.all().pop().unwrap();
        let expected = build::step(&answer.transfer, &Command::Settle, NOW);
        assert_eq!(settling, Commit::new(expected));
        assert_eq!(settling.change.expected, Expected::At(Version::FIRST));
    }
}

#[tokio::test]
async fn a_settlement_that_fails_after_the_answer_is_left_to_the_background_pass() {
    for create in SETTLING {
        let mut mocks = Mocks::new();
        let commits = mocks.commits([committed(), trouble(unavailable())]);
        let spawned = mocks.one_task();
        create.run(mocks, plain()).await.unwrap();
        spawned.run().await;
        assert_eq!(commits.all().len(), 2);
    }
}

#[tokio::test]
async fn waiting_makes_creation_and_settlement_one_commit() {
    for create in SETTLING {
        let mut mocks = Mocks::new();
        let commits = mocks.commits([committed()]);
        let answer = create.run(mocks, wait()).await.unwrap();
        assert_eq!(answer.transfer.status(), create.ends_as());
        assert!(answer.waited && !answer.replayed);
        let change = commits.only().change;
        assert_eq!(change.expected, Expected::Absent);
        assert_eq!(change.next.version(), Version::FIRST);
        assert_eq!(change.postings.len(), 2, "the money moves in this commit");
    }
}

#[tokio::test]
async fn what_operators_make_is_for_the_audit_log_and_what_users_make_is_not() {
    let expected = |create| match create {
        Create::Deposit => Some(audited("deposit.create", "transfer:1")),
        Create::Withdraw => Some(audited("withdrawal.create", "transfer:1")),
        Create::Send => None,
    };
    for create in ALL {
        let mut mocks = Mocks::new();
        let commits = mocks.commits([committed()]);
        create.run(mocks, wait()).await.unwrap();
        assert_eq!(commits.only().audit, expected(create), "{create:?}");
    }
}

#[tokio::test]
async fn a_recorded_rejection_is_an_answer_and_not_an_error() {
    let mut mocks = Mocks::new();
    let rejected = build::step(
        &Create::Send.earlier(),
        &build::fail(Reason::BalanceInsufficient),
        NOW,
    )
    .next;
    let recorded = Box::new(rejected.clone());
    let commits = mocks.commits([outcome(CommitOutcome::Committed(recorded))]);
    let answer = Create::Send.run(mocks, wait()).await.unwrap();
    assert_eq!(commits.only().change.on_refusal, OnRefusal::Record);
    assert_eq!(answer.transfer, rejected);
    assert!(answer.waited);
}

#[tokio::test]
async fn a_withdrawal_waits_for_an_operator_and_so_is_never_waited_for() {
    for options in [plain(), wait()] {
        let mut mocks = Mocks::new();
        let commits = mocks.commits([committed()]);
        let answer = Create::Withdraw.run(mocks, options).await.unwrap();
        assert_eq!(answer.transfer.status(), Status::AwaitingConfirmation);
        assert!(!answer.waited && !answer.replayed);
        let change = commits.only().change;
        assert_eq!(change.on_refusal, OnRefusal::Keep);
        assert_eq!(change.postings[0].available, -100_000_000);
        assert_eq!(change.postings[0].held, 100_000_000);
    }
}

#[tokio::test]
async fn a_replay_answers_the_first_transfer_as_it_now_is() {
    for create in SETTLING {
        let settled = create.earlier_settled();
        for (wish, waited) in [(false, false), (true, true)] {
            let mut mocks = Mocks::new();
            let commits = mocks.commits([replayed(&settled)]);
            mocks.finds(&settled, 1);
            let options = Options {
                wait: wish,
                ..keyed()
            };
            let answer = create.run(mocks, options).await.unwrap();
            assert_eq!(answer.transfer, settled);
            assert!(answer.replayed);
            assert_eq!(answer.waited, waited);
            assert!(commits.only().idempotency.is_some());
        }
    }
}

#[tokio::test]
async fn a_replay_of_a_withdrawal_tells_where_it_stands() {
    let open = Create::Withdraw.earlier();
    let paid = build::step(&open, &build::confirm(), NOW).next;
    for (now, waited) in [(open, false), (paid, true)] {
        let mut mocks = Mocks::new();
        mocks.commits([replayed(&now)]);
        mocks.finds(&now, 1);
        let options = Options {
            wait: true,
            ..keyed()
        };
        let answer = Create::Withdraw.run(mocks, options).await.unwrap();
        assert_eq!(answer.transfer, now);
        assert!(answer.replayed);
        assert_eq!(answer.waited, waited);
    }
}

#[tokio::test]
async fn a_pending_replay_is_settled_before_the_answer_for_those_who_wait() {
    for create in SETTLING {
        let pending = create.earlier();
        let mut mocks = Mocks::new();
        let commits = mocks.commits([replayed(&pending), committed()]);
        mocks.finds(&pending, 1);
        let options = Options {
            wait: true,
            ..keyed()
        };
        let answer = create.run(mocks, options).await.unwrap();
        assert_eq!(answer.transfer.status(), create.ends_as());
        assert!(answer.replayed && answer.waited);
        let settling = commits.all().pop().unwrap();
        assert_eq!(
            settling,
            Commit::new(build::step(&pending, &Command::Settle, NOW))
        );
    }
}

#[tokio::test]
async fn a_pending_replay_is_settled_after_the_answer_for_everybody_else() {
    for create in SETTLING {
        let pending = create.earlier();
        let mut mocks = Mocks::new();
        let commits = mocks.commits([replayed(&pending), committed()]);
        mocks.finds(&pending, 1);
        let spawned = mocks.one_task();
        let answer = create.run(mocks, keyed()).await.unwrap();
        assert_eq!(answer.transfer, pending);
        assert!(answer.replayed && !answer.waited);
        spawned.run().await;
        assert_eq!(commits.all().len(), 2);
    }
}

/// The transfer exists, so "nothing happened" would be a lie on which a caller could pay twice.
#[tokio::test]
async fn a_pending_replay_that_cannot_be_settled_now_is_answered_as_it_is() {
    for create in SETTLING {
        for error in [overloaded(), unavailable(), in_doubt(), inconsistent()] {
            let pending = create.earlier();
            let mut mocks = Mocks::new();
            let commits = mocks.commits([replayed(&pending), trouble(error)]);
            mocks.finds(&pending, 1);
            let options = Options {
                wait: true,
                ..keyed()
            };
            let answer = create.run(mocks, options).await.unwrap();
            assert_eq!(answer.transfer, pending);
            assert!(answer.replayed && !answer.waited);
            assert_eq!(commits.all().len(), 2);
        }
    }
}

#[tokio::test]
async fn a_replay_whose_transfer_is_gone_is_an_error() {
    for create in ALL {
        let mut mocks = Mocks::new();
        mocks.commits([replayed(&create.earlier())]);
        mocks.store.expect_find().times(1).return_once(|_| Ok(None));
        let error = create.run(mocks, keyed()).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)));
    }
}

#[tokio::test]
async fn a_refusal_and_its_replay_are_told_apart() {
    let reason = Reason::BalanceInsufficient;
    for create in ALL {
        for (answer, again) in [
            (CommitOutcome::Refused { reason }, false),
            (CommitOutcome::RefusalReplayed { reason }, true),
        ] {
            let mut mocks = Mocks::new();
            mocks.commits([outcome(answer)]);
            let error = create.run(mocks, keyed()).await.unwrap_err();
            assert!(matches!(
                error,
                Error::Refused { reason: Reason::BalanceInsufficient, replayed } if replayed == again
            ));
        }
    }
}

/// What a COMMIT whose answer was lost has made is found by its key, and cannot be read.
#[tokio::test]
async fn what_a_key_has_made_and_nobody_can_read_did_not_come_to_nothing() {
    for create in ALL {
        for error in [unavailable, overloaded, || StoreError::Standby] {
            let first = create.earlier();
            let mut mocks = Mocks::new();
            mocks.commits([replayed(&first)]);
            let find = mocks.store.expect_find().times(1);
            find.return_once(move |_| Err(error()));
            let told = create.run(mocks, keyed()).await;
            assert!(
                matches!(told, Err(Error::Store(StoreError::OutcomeUnknown(_)))),
                "{told:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_reused_key_names_the_first_transfer_and_the_fields() {
    for create in ALL {
        let first = create.earlier();
        let mut mocks = Mocks::new();
        mocks.commits([outcome(CommitOutcome::KeyReused {
            original: Some(first.id()),
            fields: vec!["amount".to_owned()],
        })]);
        mocks.finds(&first, 1);
        let error = create.run(mocks, keyed()).await.unwrap_err();
        let Error::KeyReused { original, fields } = error else {
            panic!("{error:?}");
        };
        assert_eq!(original, Some(create.names(&first)));
        assert_eq!(fields, ["amount"]);
    }
}

#[tokio::test]
async fn a_reused_key_whose_request_was_refused_names_no_transfer() {
    for create in ALL {
        let mut mocks = Mocks::new();
        mocks.commits([outcome(CommitOutcome::KeyReused {
            original: None,
            fields: vec![],
        })]);
        let error = create.run(mocks, keyed()).await.unwrap_err();
        assert!(matches!(error, Error::KeyReused { original: None, .. }));
    }
}

#[tokio::test]
async fn a_new_transfer_cannot_be_stale() {
    for create in ALL {
        let mut mocks = Mocks::new();
        mocks.commits([stale()]);
        let error = create.run(mocks, plain()).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)));
    }
}

#[tokio::test]
async fn a_store_without_an_outcome_is_an_internal_error() {
    for create in ALL {
        let mut mocks = Mocks::new();
        mocks
            .store
            .expect_commit()
            .times(1)
            .return_once(|_| Ok(vec![]));
        let error = create.run(mocks, plain()).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)));
    }
}

#[tokio::test]
async fn a_store_that_did_nothing_says_so() {
    for create in ALL {
        for error in [overloaded(), unavailable(), inconsistent()] {
            let said = error.to_string();
            let mut mocks = Mocks::new();
            mocks.commits([trouble(error)]);
            let error = create.run(mocks, plain()).await.unwrap_err();
            assert!(matches!(error, Error::Store(_)));
            assert_eq!(error.to_string(), said);
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_names_the_transfer_that_exists_if_it_landed() {
    for create in ALL {
        for options in [plain(), wait()] {
            let mut mocks = Mocks::new();
            let commits = mocks.commits([trouble(in_doubt())]);
            let error = create.run(mocks, options).await.unwrap_err();
            let Error::OutcomeUnknown { transfer, source } = error else {
                panic!("{error:?}");
            };
            assert_eq!(transfer, create.names(&commits.only().change.next));
            assert!(matches!(source, StoreError::OutcomeUnknown(_)));
        }
    }
}

#[tokio::test]
async fn what_begins_is_what_the_kind_begins_with() {
    for create in ALL {
        let mut mocks = Mocks::new();
        let commits = mocks.commits([committed()]);
        let _spawned = (create != Create::Withdraw).then(|| mocks.one_task());
        let answer = create.run(mocks, plain()).await.unwrap();
        let parts = answer.transfer.parts();
        assert_eq!(answer.transfer.status(), create.begins_as());
        assert_eq!(parts.amount, build::amount(100_000_000));
        assert_eq!(parts.fee, build::amount(0));
        assert_eq!(parts.created_by.as_str(), "credential-1");
        assert_eq!(parts.created_at, NOW);
        assert_eq!(answer.transfer.owner(), ALICE);
        assert_eq!(commits.only().change.next, answer.transfer);
    }
}
