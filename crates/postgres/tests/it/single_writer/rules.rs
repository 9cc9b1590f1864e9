//! By which rules a batch is decided.

use bursar_ports::RuleBook as _;
use bursar_postgres::PgRuleBook;

use super::Book;
use crate::support::client;

/// A batch must not be decided by earlier rules than the one before it, and their revision is all that
/// tells: later rules that pass for earlier ones would let it, past a limit that is new.
#[tokio::test]
async fn rules_that_change_while_they_are_read_have_their_own_revision() {
    let book = Book::open().await;
    let rules = PgRuleBook::new(book.connections.clone(), book.clock.clone());
    let before = rules.rules().await.unwrap();
    let operator = client(&book.pool.url).await;
    let lock = "BEGIN; LOCK TABLE book_main.limits IN ACCESS EXCLUSIVE MODE";
    operator.batch_execute(lock).await.unwrap();

    // The revision is read, and the limits are not.
    let reader = rules.clone();
    let read = tokio::spawn(async move { reader.rules().await });
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted \
                 AND relation = 'book_main.limits'::regclass \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    book.until(waits).await;
    let change = "UPDATE book_main.rule_sets SET revision = revision + 1; \
                  INSERT INTO book_main.limits (kind, asset, daily, epoch) \
                  VALUES ('internal', 'usd', 100, 1); \
                  INSERT INTO book_main.fee_schedules VALUES ('deposit', 'usd', 0, 1, NULL, 0); \
                  COMMIT";
    operator.batch_execute(change).await.unwrap();

    let read = read.await.unwrap().unwrap();
    let after = rules.rules().await.unwrap();
    assert_eq!(after.revision, before.revision + 1);
    assert_eq!((after.limits.len(), after.fees.len()), (1, 1));
    assert_eq!(*read, *after);
}
