use bursar_domain::{ActorId, Command, DecimalAmount, Reason, Status, UserId};
use bursar_ports::StoreError;
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::{
    Missing, Principal,
    test_support::{
        ALICE, BOB, Mocks, NOW, audited, btc, committed, in_doubt, operator, other_grants,
        unavailable,
    },
};

fn row(reference: &str, kind: ImportKind, user: UserId) -> ImportRow {
    ImportRow {
        reference: IdempotencyKey::parse(reference).unwrap(),
        kind,
        request: OpenRequest {
            user,
            asset: btc().id,
            amount: DecimalAmount::parse("1.50").unwrap(),
            comment: None,
            callback_url: Some("https://example.com/".to_owned()),
        },
    }
}

/// Alice deposits and withdraws, and Bob, whom nobody knows, is to get something in between.
fn rows() -> Vec<ImportRow> {
    vec![
        row("1", ImportKind::Deposit, ALICE),
        row("2", ImportKind::Deposit, BOB),
        row("3", ImportKind::Withdrawal, ALICE),
    ]
}

fn mocks() -> Mocks {
    let mut mocks = Mocks::new();
    mocks.has_user(build::user(ALICE));
    let nobody = mocks.directory.expect_find_user();
    nobody.with(eq(BOB)).returning(|_| Ok(None));
    mocks.has_asset(&btc());
    mocks
}

fn writer() -> Grant {
    operator(Permission::BackofficeWrite)
}

/// The store has nothing against anything.
fn agrees(mocks: &mut Mocks) {
    let rehearsed = mocks.store.expect_rehearse();
    rehearsed.times(1).returning(|batch| Ok(made(batch)));
}

fn made(batch: Vec<Commit>) -> Vec<CommitOutcome> {
    let outcomes = batch.into_iter();
    outcomes
        .map(|commit| CommitOutcome::Committed(Box::new(commit.change.next)))
        .collect()
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&[Permission::BackofficeWrite]) {
        let app = Mocks::new().app();
        let missing = Permission::BackofficeWrite;
        for answer in [
            app.import_rows(&grant, rows()).await,
            app.rehearse_rows(&grant, rows()).await,
        ] {
            assert!(matches!(answer, Err(Error::Forbidden(wanted)) if wanted == missing));
        }
    }
    for grant in other_grants(&[Permission::BackofficeConfirm]) {
        let new = build::new_transfer(build::transfer_id(1), &btc(), 5, NOW);
        let open = build::withdrawal(new, ALICE).next;
        let answer = Mocks::new().app().confirm_imported(&grant, &open).await;
        assert!(matches!(answer, Err(Error::Forbidden(_))));
    }
}

#[tokio::test]
async fn rows_are_committed_together_and_each_has_its_own_result() {
    let mut mocks = mocks();
    agrees(&mut mocks);
    let commits = mocks.commits_together(|batch| Ok(made(batch)));
    let results = mocks.app().import_rows(&writer(), rows()).await.unwrap();
    let [deposit, nobody, withdrawal] = results.as_slice() else {
        panic!("{results:?}");
    };
    let deposit = deposit.as_ref().unwrap();
    assert_eq!(deposit.transfer.status(), Status::Completed);
    assert!(!deposit.repeated);
    assert!(matches!(nobody, Err(Error::NotFound(Missing::User))));
    let withdrawal = withdrawal.as_ref().unwrap();
    assert_eq!(withdrawal.transfer.status(), Status::AwaitingConfirmation);

    let all = commits.all();
    assert_eq!(all.len(), 2);
    let target = format!("transfer:{}", deposit.transfer.id());
    assert_eq!(all[0].audit, Some(audited("deposit.create", &target)));
    let claim = all[0].idempotency.clone().unwrap();
    assert_eq!(claim.key.as_str(), "1");
    assert_eq!(claim.scope.operation, "import");
    let expected = build::claim(
        "import",
        "import",
        "1",
        &[
            ("kind", "deposit"),
            ("user_id", &ALICE.to_string()),
            ("asset", "btc"),
            ("amount", "1.5"),
            ("callback_url", "https://example.com/"),
        ],
    );
    assert_eq!(claim.scope, expected.scope);
    assert_eq!(claim.fields, expected.fields);
}

/// Otherwise whoever takes an import up would make its rows again.
#[tokio::test]
async fn a_row_has_the_same_key_whoever_imports_it() {
    let claims = async |name: &str| {
        let mut mocks = mocks();
        agrees(&mut mocks);
        let commits = mocks.commits_together(|batch| Ok(made(batch)));
        let principal = Principal {
            subject: name.to_owned(),
            ..Principal::local_operator()
        };
        let grant = principal.grant(Permission::BackofficeWrite).unwrap();
        drop(mocks.app().import_rows(&grant, rows()).await.unwrap());
        let all = commits.all();
        let actor = all[0].audit.as_ref().map(|audit| audit.actor.clone());
        assert_eq!(actor, Some(ActorId::new(name)));
        let claims = all.into_iter().map(|commit| commit.idempotency);
        claims.collect::<Vec<_>>()
    };
    assert_eq!(claims("anna").await, claims("boris").await);
}

#[tokio::test]
async fn a_rehearsal_commits_nothing() {
    let mut mocks = mocks();
    agrees(&mut mocks);
    let results = mocks.app().rehearse_rows(&writer(), rows()).await.unwrap();
    let statuses = results.iter().map(|row| {
        let row = row.as_ref().ok();
        row.map(|row| row.transfer.status())
    });
    assert_eq!(
        statuses.collect::<Vec<_>>(),
        [
            Some(Status::Completed),
            None,
            Some(Status::AwaitingConfirmation)
        ]
    );
}

#[tokio::test]
async fn what_was_made_before_is_told_as_it_is_now() {
    let mut mocks = mocks();
    let new = build::new_transfer(build::transfer_id(70), &btc(), 5, NOW);
    let before = build::deposit(new, ALICE).next;
    let before = build::step(&before, &Command::Settle, NOW).next;
    mocks.finds(&before, 1);
    let original = before.id();
    let rehearsed = mocks.store.expect_rehearse();
    rehearsed.times(1).return_once(move |_| {
        Ok(vec![
            CommitOutcome::Replayed { original },
            CommitOutcome::RefusalReplayed {
                reason: Reason::BalanceInsufficient,
            },
        ])
    });
    let results = mocks.app().import_rows(&writer(), rows()).await.unwrap();
    let imported = Imported {
        transfer: before,
        repeated: true,
    };
    assert_eq!(results[0].as_ref().unwrap(), &imported);
    let refused = &results[2];
    assert!(matches!(
        refused,
        Err(Error::Refused { replayed: true, .. })
    ));
}

#[tokio::test]
async fn a_store_that_cannot_answer_says_nothing_about_rows() {
    let mut silent = Mocks::new();
    silent
        .directory
        .expect_find_user()
        .returning(|_| Err(unavailable()));
    let answer = silent.app().import_rows(&writer(), rows()).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));
    let mut lost = mocks();
    agrees(&mut lost);
    drop(lost.commits_together(|_| Err(in_doubt())));
    let answer = lost.app().import_rows(&writer(), rows()).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::OutcomeUnknown(_)))
    ));
}

/// Somebody else imports one of the rows at the same time.
#[tokio::test]
async fn trouble_after_the_commit_does_not_say_that_nothing_happened() {
    let mut mocks = mocks();
    agrees(&mut mocks);
    drop(mocks.commits_together(|batch| {
        let mut outcomes = made(batch);
        let original = build::transfer_id(70);
        outcomes[0] = CommitOutcome::Replayed { original };
        Ok(outcomes)
    }));
    let find = mocks.store.expect_find();
    find.times(1).return_once(|_| Err(unavailable()));
    let answer = mocks.app().import_rows(&writer(), rows()).await;
    assert!(matches!(
        answer,
        Err(Error::Store(StoreError::OutcomeUnknown(_)))
    ));
}

/// A refusal stays with a reference for ever, so what would be refused is not even tried.
#[tokio::test]
async fn what_would_be_refused_is_not_committed() {
    let mut mocks = mocks();
    let rehearsed = mocks.store.expect_rehearse();
    rehearsed.times(1).return_once(|batch| {
        let mut outcomes = made(batch);
        outcomes[0] = CommitOutcome::Refused {
            reason: Reason::OutgoingStopped,
        };
        Ok(outcomes)
    });
    let commits = mocks.commits_together(|batch| Ok(made(batch)));
    let results = mocks.app().import_rows(&writer(), rows()).await.unwrap();
    assert!(matches!(
        results[0],
        Err(Error::Refused {
            replayed: false,
            ..
        })
    ));
    assert!(results[2].is_ok());
    let claim = commits.only().idempotency.unwrap();
    assert_eq!(claim.key.as_str(), "3");
}

#[tokio::test]
async fn nothing_is_known_of_rows_while_nothing_may_move() {
    let mut mocks = mocks();
    let rehearsed = mocks.store.expect_rehearse();
    let stopped = |batch: Vec<Commit>| batch.iter().map(|_| CommitOutcome::ReadOnly).collect();
    rehearsed
        .times(1)
        .return_once(move |batch| Ok(stopped(batch)));
    let answer = mocks.app().import_rows(&writer(), rows()).await;
    assert!(matches!(answer, Err(Error::ReadOnly)));
}

#[tokio::test]
async fn a_withdrawal_that_was_imported_can_be_confirmed() {
    let mut mocks = Mocks::new();
    let new = build::new_transfer(build::transfer_id(70), &btc(), 5, NOW);
    let open = build::withdrawal(new, ALICE).next;
    mocks.finds(&open, 1);
    let commits = mocks.commits([committed()]);
    let grant = operator(Permission::BackofficeConfirm);
    let transfer = mocks.app().confirm_imported(&grant, &open).await.unwrap();
    assert_eq!(transfer.status(), Status::Completed);
    assert_eq!(commits.only().idempotency, None);
}

#[test]
fn kinds_are_known_by_their_names() {
    for kind in [ImportKind::Deposit, ImportKind::Withdrawal] {
        assert_eq!(ImportKind::from_name(kind.as_str()), Some(kind));
    }
    assert_eq!(ImportKind::from_name(Kind::Internal.as_str()), None);
}
