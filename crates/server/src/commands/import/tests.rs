use std::sync::Arc;

use bursar_app::{ImportKind, OpenRequest};
use bursar_domain::{Commit, DecimalAmount, IdempotencyKey};
use bursar_ports::{CommitOutcome, MockDirectory, MockTransferStore};
use bursar_testkit::{FixedClock, SequentialIds, build};

use super::*;
use crate::test_support;

/// What no table takes.
const POISON: &str = "poison";

fn row(reference: &str) -> ImportRow {
    ImportRow {
        reference: IdempotencyKey::parse(reference).unwrap(),
        kind: ImportKind::Withdrawal,
        request: OpenRequest {
            user: build::user_id(1),
            asset: build::asset_id("usd"),
            amount: DecimalAmount::parse("5").unwrap(),
            comment: None,
            callback_url: None,
        },
    }
}

fn import(store: MockTransferStore, confirm: bool) -> Import {
    let mut directory = MockDirectory::new();
    directory
        .expect_find_user()
        .returning(|id| Ok(Some(build::user(id))));
    directory
        .expect_find_asset()
        .returning(|_| Ok(Some(build::asset("usd", 2))));
    let app = test_support::app(|ports| {
        ports.store = Arc::new(store);
        ports.directory = Arc::new(directory);
        ports.clock = Arc::new(FixedClock::default());
        ports.ids = Arc::new(SequentialIds::default());
    });
    Import {
        app,
        principal: Principal::local_operator(),
        manner: Manner::Make { confirm },
        stop: CancellationToken::new(),
        pause: Duration::from_millis(1),
    }
}

fn made(batch: Vec<Commit>) -> Vec<CommitOutcome> {
    let made = |commit: Commit| CommitOutcome::Committed(Box::new(commit.change.next));
    batch.into_iter().map(made).collect()
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("nobody there".into())
}

fn unknown() -> StoreError {
    StoreError::OutcomeUnknown("the connection was lost".into())
}

fn name(told: &Told) -> &'static str {
    match told {
        Told::Ready(_) => "ready",
        Told::Made(_) => "made",
        Told::Unconfirmed(..) => "unconfirmed",
        Told::Unknown(_) => "unknown",
        Told::Refused(_) => "refused",
    }
}

/// What is told of each row.
async fn told(store: MockTransferStore, rows: Vec<ImportRow>) -> Vec<&'static str> {
    let told = import(store, false).go_through(rows).await.unwrap();
    told.iter().map(name).collect()
}

/// A store that has something against rows that come together.
fn one_by_one() -> MockTransferStore {
    let mut store = MockTransferStore::new();
    store.expect_rehearse().returning(|batch| {
        if batch.len() > 1 {
            Err(unavailable())
        } else {
            Ok(made(batch))
        }
    });
    store
}

fn is_poisoned(commit: &Commit) -> bool {
    let key = commit.idempotency.as_ref().map(|claim| claim.key.as_str());
    key == Some(POISON)
}

#[tokio::test]
async fn a_row_that_the_store_cannot_take_keeps_no_other_from_being_made() {
    let mut store = MockTransferStore::new();
    store.expect_rehearse().returning(|batch| {
        if batch.iter().any(is_poisoned) {
            Err(unavailable())
        } else {
            Ok(made(batch))
        }
    });
    store
        .expect_commit()
        .times(2)
        .returning(|batch| Ok(made(batch)));
    let rows = vec![row("a"), row(POISON), row("b")];
    assert_eq!(told(store, rows).await, ["made", "refused", "made"]);
}

/// The answer to a commit may be lost of one row alone, too.
#[tokio::test]
async fn a_row_of_which_nobody_knows_is_tried_until_somebody_does() {
    let mut store = one_by_one();
    let mut tries = 0;
    store.expect_commit().times(3).returning(move |batch| {
        tries += 1;
        if tries == 1 {
            Err(unknown())
        } else {
            Ok(made(batch))
        }
    });
    let rows = vec![row("a"), row("b")];
    assert_eq!(told(store, rows).await, ["made", "made"]);
}

/// Neither is it refused that nobody could find out about.
#[tokio::test]
async fn a_row_of_which_nobody_knows_is_told_as_unknown() {
    let mut store = one_by_one();
    store.expect_commit().returning(|batch| {
        if batch.iter().any(is_poisoned) {
            Err(unknown())
        } else {
            Ok(made(batch))
        }
    });
    let rows = vec![row(POISON), row("b")];
    assert_eq!(told(store, rows).await, ["unknown", "made"]);
}

/// All of them may have been made together, whatever is said of one afterwards.
#[tokio::test]
async fn trouble_after_a_commit_of_which_nobody_knows_tells_nothing_of_its_rows() {
    let mut store = MockTransferStore::new();
    store.expect_rehearse().returning(|batch| {
        if batch.len() == 1 && batch.iter().any(is_poisoned) {
            Err(unavailable())
        } else {
            Ok(made(batch))
        }
    });
    store.expect_commit().returning(|batch| {
        if batch.len() > 1 {
            Err(unknown())
        } else {
            Ok(made(batch))
        }
    });
    let rows = vec![row(POISON), row("b")];
    assert_eq!(told(store, rows).await, ["unknown", "made"]);
}

#[test]
fn what_is_unknown_is_not_as_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let (input, path) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    std::fs::write(&input, "").unwrap();
    let places = vec![(2, "a".to_owned())];
    let mut results = Results::create(&path, &input, places).unwrap();
    let told = Told::Unknown(Error::Store(unknown()));
    results.tell(0, told).unwrap();
    results.finish().unwrap();
    assert_eq!(results.failed(), 1);
    let written = std::fs::read_to_string(&path).unwrap();
    let line = "\n2,a,unknown,,,outcome.unknown,";
    assert!(written.contains(line), "{written}");
}

#[tokio::test]
async fn a_store_that_takes_nothing_ends_the_import() {
    let mut store = MockTransferStore::new();
    store.expect_rehearse().returning(|_| Err(unavailable()));
    let rows = vec![row("a"), row("b")];
    let stopped = import(store, false).go_through(rows).await;
    assert!(stopped.is_err_and(|why| !why.is_empty()));
}

/// What is made is told as made, whatever becomes of its confirmation.
#[tokio::test]
async fn a_withdrawal_that_cannot_be_confirmed_is_told_as_made() {
    let mut store = MockTransferStore::new();
    store.expect_rehearse().returning(|batch| Ok(made(batch)));
    store
        .expect_commit()
        .times(1)
        .returning(|batch| Ok(made(batch)));
    store.expect_find().returning(|_| Err(unavailable()));
    let told = import(store, true)
        .go_through(vec![row("a")])
        .await
        .unwrap();
    let told: Vec<&str> = told.iter().map(name).collect();
    assert_eq!(told, ["unconfirmed"]);
}

#[tokio::test]
async fn nothing_is_begun_once_it_is_to_stop() {
    let import = import(MockTransferStore::new(), false);
    import.stop.cancel();
    let stopped = import.go_through(vec![row("a")]).await;
    assert_eq!(stopped.err().as_deref(), Some("interrupted"));
}
