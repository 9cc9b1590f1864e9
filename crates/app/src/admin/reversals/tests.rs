use bursar_domain::{Kind, Reason, Reversal, Status, ledger::StoredClaim};
use bursar_ports::{CommitOutcome, StoreError};
use bursar_testkit::build;

use super::*;
use crate::test_support::{
    ALICE, BOB, Commits, Mocks, NOW, audited, btc, committed, in_doubt, inconsistent, keyed,
    operator, other_grants, outcome, overloaded, plain, replayed, stale, trouble, unavailable, usd,
    wait,
};

fn admin() -> Grant {
    operator(Permission::Admin)
}

fn number(id: i64) -> bursar_domain::NewTransfer {
    build::new_transfer(build::transfer_id(id), &btc(), 500_000_000, NOW)
}

fn deposited() -> Transfer {
    let made = build::deposit(number(100), ALICE).next;
    build::step(&made, &bursar_domain::Command::Settle, NOW).next
}

fn withdrawn() -> Transfer {
    let made = build::withdrawal(number(100), ALICE).next;
    build::step(&made, &build::confirm(), NOW).next
}

fn paid() -> Transfer {
    let made = build::internal(number(100), ALICE, BOB).next;
    build::step(&made, &bursar_domain::Command::Settle, NOW).next
}

/// The same, all of it taken back.
fn spent(transfer: &Transfer) -> Transfer {
    let mut parts = transfer.clone().into_parts();
    parts.reversed = parts.amount;
    Transfer::from_parts(parts)
}

fn request(amount: Option<&str>) -> ReversalRequest {
    ReversalRequest {
        transfer: Some(build::transfer_id(100)),
        amount: amount.map(|amount| DecimalAmount::parse(amount).unwrap()),
        return_fee: true,
        comment: "why".to_owned(),
        digest: None,
    }
}

/// The original is found this often; nobody knows a rate.
fn stored(original: &Transfer, times: usize) -> Mocks {
    let mut mocks = Mocks::new();
    mocks.proves(original, times);
    mocks
}

async fn run(
    mocks: Mocks,
    request: ReversalRequest,
    options: Options,
) -> Result<Answer<Transfer>, Error> {
    mocks.app().reverse(&admin(), request, options).await
}

#[tokio::test]
async fn only_an_admin_takes_transfers_back() {
    for grant in other_grants(&[Permission::Admin]) {
        let app = Mocks::new().app();
        let answer = app.reverse(&grant, request(None), plain()).await;
        assert!(matches!(answer, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn each_kind_is_taken_back_by_one_commit() {
    for (original, kind, status) in [
        (deposited(), Kind::Withdrawal, Status::Completed),
        (withdrawn(), Kind::Deposit, Status::Completed),
        (paid(), Kind::Internal, Status::Success),
    ] {
        for (amount, covers) in [(None, 500_000_000), (Some("1.5"), 150_000_000)] {
            let mut mocks = stored(&original, 1);
            let commits = mocks.commits([committed()]);
            let answer = run(mocks, request(amount), plain()).await.unwrap();
            let commit = commits.only();
            let target = format!("transfer:{}", commit.change.next.id());
            assert_eq!(commit.audit, Some(audited("transfer.reverse", &target)));
            let change = commit.change;
            let linked = change.linked.unwrap();
            assert_eq!(linked.expected, original.version());
            assert_eq!(linked.next.parts().reversed, build::amount(covers));
            let made = answer.transfer;
            assert_eq!((made.kind(), made.status()), (kind, status));
            assert_eq!(made.parts().note.as_deref(), Some("why"));
            assert_eq!(made.parts().created_by.as_str(), "credential-1");
            let expected = Reversal {
                of: original.id(),
                covers: build::amount(covers),
                fee_returned: Amount::ZERO,
            };
            assert_eq!(made.parts().reversal, Some(expected));
            assert!(!answer.replayed && !answer.waited);
        }
    }
}

#[tokio::test]
async fn what_is_made_is_final_and_was_waited_for() {
    let mut mocks = stored(&deposited(), 1);
    mocks.commits([committed()]);
    let answer = run(mocks, request(None), wait()).await.unwrap();
    assert!(answer.waited);
}

#[tokio::test]
async fn a_reversal_keeps_the_rate_that_it_was_made_at() {
    let mut mocks = stored(&deposited(), 1);
    let rate = crate::test_support::rated(7);
    mocks
        .directory
        .expect_find_rate()
        .times(1)
        .return_once(move |_| Ok(Some(rate)));
    mocks.has_asset(&usd());
    let commits = mocks.commits([committed()]);
    run(mocks, request(None), plain()).await.unwrap();
    let next = commits.only().change.next;
    let rate = next.parts().root_rate.clone().unwrap();
    assert_eq!((rate.rate, rate.asset), (7.into(), usd().id));
}

#[tokio::test]
async fn what_names_no_transfer_is_not_found() {
    let nothing = ReversalRequest {
        transfer: None,
        ..request(None)
    };
    let answer = run(Mocks::new(), nothing, plain()).await;
    assert!(matches!(answer, Err(Error::NotFound(Missing::Transfer))));
    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_find_proven()
        .times(1)
        .return_once(|_| Ok(None));
    let answer = run(mocks, request(None), plain()).await;
    assert!(matches!(answer, Err(Error::NotFound(Missing::Transfer))));
}

#[tokio::test]
async fn an_amount_has_no_more_decimals_than_the_asset() {
    let mocks = stored(&deposited(), 1);
    let answer = run(mocks, request(Some("0.000000001")), plain()).await;
    let Err(Error::Invalid(errors)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(errors[0].code, "amount.too_precise");
}

fn assert_exceeds(answer: &Result<Answer<Transfer>, Error>) {
    assert!(
        matches!(
            answer,
            Err(Error::Refused {
                reason: Reason::ReversalExceeds,
                replayed: false,
            })
        ),
        "{answer:?}"
    );
}

#[tokio::test]
async fn no_more_goes_back_than_there_was() {
    let open = build::withdrawal(number(100), ALICE).next;
    for (original, amount) in [
        (deposited(), Some("5.00000001")),
        (spent(&deposited()), None),
        (open, None),
    ] {
        let answer = run(stored(&original, 1), request(amount), plain()).await;
        assert_exceeds(&answer);
        // A key that nothing came of yet changes nothing about that.
        let mut mocks = stored(&original, 1);
        mocks
            .store
            .expect_find_key()
            .times(1)
            .return_once(|_, _| Ok(None));
        assert_exceeds(&run(mocks, request(amount), keyed()).await);
    }
}

/// What the use case commits for a request with a key.
async fn keyed_commit() -> (Commits, Transfer) {
    let mut mocks = stored(&deposited(), 1);
    let commits = mocks.commits([committed()]);
    let answer = run(mocks, request(None), keyed()).await.unwrap();
    (commits, answer.transfer)
}

#[tokio::test]
async fn the_same_request_with_its_key_is_answered_when_nothing_is_left_because_of_it() {
    let (commits, made) = keyed_commit().await;
    let claim = commits.only().idempotency.unwrap();
    let bound = |refusal| StoredClaim {
        fingerprint: claim.fingerprint,
        fields: claim.fields.clone(),
        transfer: made.id(),
        refusal,
        results: None,
    };
    let mut mocks = stored(&spent(&deposited()), 1);
    mocks.finds(&made, 1);
    let done = bound(None);
    mocks
        .store
        .expect_find_key()
        .times(1)
        .return_once(|_, _| Ok(Some(done)));
    let answer = run(mocks, request(None), keyed()).await.unwrap();
    assert_eq!(answer.transfer, made);
    assert!(answer.replayed);
    // And a refusal that the key remembers is told again.
    let mut mocks = stored(&spent(&deposited()), 1);
    let refused = bound(Some(Reason::BalanceInsufficient));
    mocks
        .store
        .expect_find_key()
        .times(1)
        .return_once(|_, _| Ok(Some(refused)));
    let answer = run(mocks, request(None), keyed()).await;
    assert!(matches!(
        answer,
        Err(Error::Refused {
            reason: Reason::BalanceInsufficient,
            replayed: true,
        })
    ));
}

#[tokio::test]
async fn who_says_what_was_shown_takes_nothing_else_back() {
    let mut parts = deposited().into_parts();
    parts.version = parts.version.next();
    let newer = Transfer::from_parts(parts);
    let shown = ReversalRequest {
        digest: Some(crate::approval_digest(&deposited())),
        ..request(None)
    };
    let mut mocks = stored(&deposited(), 1);
    mocks.commits([committed()]);
    run(mocks, shown.clone(), plain()).await.unwrap();
    let is_other = |answer| matches!(answer, Err(Error::Conflict(Conflict::DigestMismatch)));
    assert!(is_other(
        run(stored(&newer, 1), shown.clone(), plain()).await
    ));
    // Also when somebody else is faster.
    let mut mocks = Mocks::new();
    mocks.proves_each(vec![newer.clone(), deposited()]);
    mocks.commits([stale()]);
    assert!(is_other(run(mocks, shown, plain()).await));
    // Who asks twice with a key has the answer of the first time, whatever that has changed.
    let (commits, made) = keyed_commit().await;
    let claim = commits.only().idempotency.unwrap();
    let mut mocks = stored(&newer, 1);
    mocks.finds(&made, 1);
    let bound = StoredClaim {
        fingerprint: claim.fingerprint,
        fields: claim.fields,
        transfer: made.id(),
        refusal: None,
        results: None,
    };
    mocks
        .store
        .expect_find_key()
        .times(1)
        .return_once(|_, _| Ok(Some(bound)));
    let again = ReversalRequest {
        digest: Some([7; 32]),
        ..request(None)
    };
    let answer = run(mocks, again, keyed()).await.unwrap();
    assert!(answer.transfer == made && answer.replayed);
}

#[tokio::test]
async fn a_replay_says_so() {
    let (_, made) = keyed_commit().await;
    let mut mocks = stored(&deposited(), 1);
    mocks.finds(&made, 1);
    mocks.commits([replayed(&made)]);
    let answer = run(mocks, request(None), keyed()).await.unwrap();
    assert_eq!(answer.transfer, made);
    assert!(answer.replayed);
}

#[tokio::test]
async fn the_key_belongs_to_everything_that_was_asked() {
    let mut claims: Vec<IdempotencyClaim> = vec![];
    for wanted in [
        request(None),
        request(Some("1")),
        ReversalRequest {
            return_fee: false,
            ..request(None)
        },
        ReversalRequest {
            comment: "because".to_owned(),
            ..request(None)
        },
    ] {
        let mut mocks = stored(&deposited(), 1);
        let commits = mocks.commits([committed()]);
        run(mocks, wanted, keyed()).await.unwrap();
        claims.push(commits.only().idempotency.unwrap());
    }
    for (index, one) in claims.iter().enumerate() {
        for other in claims.iter().skip(index + 1) {
            assert_ne!(one.fingerprint, other.fingerprint);
            assert_eq!((&one.scope, &one.key), (&other.scope, &other.key));
        }
    }
}

#[tokio::test]
async fn when_somebody_else_was_first_it_is_decided_again() {
    let mut mocks = Mocks::new();
    mocks.proves_each(vec![spent(&deposited()), deposited()]);
    mocks.commits([stale()]);
    assert_exceeds(&run(mocks, request(None), plain()).await);
}

#[tokio::test]
async fn five_times_too_late_is_busy() {
    let mut mocks = stored(&deposited(), 5);
    mocks.commits([stale(), stale(), stale(), stale(), stale()]);
    let answer = run(mocks, request(None), plain()).await;
    assert!(matches!(answer, Err(Error::Conflict(Conflict::Busy))));
}

#[tokio::test]
async fn refusals_reused_keys_and_stops_are_told() {
    let reason = Reason::BalanceInsufficient;
    for (answer, again) in [
        (CommitOutcome::Refused { reason }, false),
        (CommitOutcome::RefusalReplayed { reason }, true),
    ] {
        let mut mocks = stored(&deposited(), 1);
        mocks.commits([outcome(answer)]);
        let answer = run(mocks, request(None), keyed()).await;
        assert!(matches!(
            answer,
            Err(Error::Refused { reason: Reason::BalanceInsufficient, replayed }) if replayed == again
        ));
    }
    let mut mocks = stored(&deposited(), 1);
    mocks.commits([outcome(CommitOutcome::KeyReused {
        original: None,
        fields: vec!["amount".to_owned()],
    })]);
    let answer = run(mocks, request(None), keyed()).await;
    assert!(matches!(
        answer,
        Err(Error::KeyReused { original: None, fields }) if fields == ["amount"]
    ));
    let mut mocks = stored(&deposited(), 1);
    mocks.commits([outcome(CommitOutcome::ReadOnly)]);
    let answer = run(mocks, request(None), keyed()).await;
    assert!(matches!(answer, Err(Error::ReadOnly)));
}

#[tokio::test]
async fn an_outage_is_told() {
    for error in [overloaded(), unavailable(), inconsistent()] {
        let mut mocks = stored(&deposited(), 1);
        mocks.commits([trouble(error)]);
        let answer = run(mocks, request(None), plain()).await;
        assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
    }
    let mut mocks = stored(&deposited(), 1);
    mocks.commits([trouble(in_doubt())]);
    let answer = run(mocks, request(None), plain()).await;
    assert!(matches!(answer, Err(Error::OutcomeUnknown { .. })));
    let mut mocks = Mocks::new();
    mocks
        .store
        .expect_find_proven()
        .times(1)
        .return_once(|_| Err(unavailable()));
    let answer = run(mocks, request(None), plain()).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
}
