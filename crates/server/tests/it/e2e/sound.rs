//! What must be true of a database once everything is quiet, beside its books.

mod lists;
mod told;

use std::panic::AssertUnwindSafe;

use bursar_audit::{Rule, Violation};
use bursar_postgres::testing::TestDatabase;
use futures_util::FutureExt as _;

use self::{
    lists::{There, assert_listed},
    told::assert_told,
};
use super::{
    books::Books,
    client::Client,
    exchange::Exchange,
    service::{Service, ready},
};

/// How many of the rows that are not as they must be are shown.
const SHOWN_MAX: usize = 10;

/// Every B-tree is held against its table, and its pages against each other. It raises at what it finds.
/// Nothing can look into the few indexes of other kinds.
const INDEXES: &str = "
    SELECT bt_index_parent_check(i.indexrelid, true)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_am m ON m.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE m.amname = 'btree' AND n.nspname IN ('book_main', 'directory') AND i.indisvalid
        AND c.relkind = 'i'";
/// Nobody uses an index of any kind that is not valid, and it may have left out anything.
const NOT_VALID: &str = "
    SELECT i.indexrelid::regclass
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('book_main', 'directory') AND NOT i.indisvalid";
/// Every row of every table is held against what a row may be, with what is kept apart from it. A table
/// in which nothing is wrong has one line, which says nothing.
const TABLES: &str = "
    WITH ours AS MATERIALIZED (
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('book_main', 'directory') AND c.relkind = 'r')
    SELECT ours.oid::regclass, wrong.blkno, wrong.offnum, wrong.attnum, wrong.msg
    FROM ours LEFT JOIN LATERAL verify_heapam(ours.oid, check_toast => true) AS wrong ON true";
/// Whatever somebody left in the middle of something.
const STUCK: [(&str, &str); 4] = [
    (
        "a session in a transaction",
        "SELECT pid, state, query FROM pg_stat_activity
         WHERE datname = current_database() AND state LIKE 'idle in transaction%'
             AND state_change < now() - interval '10 seconds'",
    ),
    (
        "a prepared transaction",
        "SELECT gid FROM pg_prepared_xacts",
    ),
    (
        "a key that is bound to nothing",
        "SELECT k.key FROM book_main.idempotency_keys k
         LEFT JOIN book_main.transfers t ON t.id = k.transfer_id
         WHERE k.refusal IS NULL AND k.results IS NULL AND t.id IS NULL",
    ),
    (
        "a callback that is leased",
        "SELECT id FROM book_main.callbacks WHERE lease IS NOT NULL",
    ),
];

/// Panics with the rule that does not hold.
#[track_caller]
pub(super) fn require(holds: bool, rule: Rule, shown_by: impl FnOnce() -> String) {
    if !holds {
        let shown_by = shown_by();
        panic!("{}", Violation { rule, shown_by });
    }
}

/// Tables are what they must be and indexes have what they have, nothing is left in the middle of
/// anything, and every list, export and statement shows what it is for once, as the feed of
/// events tells it. Nothing may be under way.
pub(super) async fn assert_sound(client: &Client, exchange: &Exchange, books: &Books) {
    assert_eq!(books.rows("SHOW data_checksums").await, [["on"]]);
    assert_undamaged(books).await;
    for (what, query) in STUCK {
        let stuck = books.rows(query).await;
        require(stuck.is_empty(), Rule::NothingIsStuck, || {
            format!("{what}: {stuck:?}")
        });
    }
    let there = There::all(books).await;
    assert_listed(client, exchange, &there).await;
    assert_told(client, exchange, books, &there).await;
}

/// Tables by themselves, and indexes beside them.
async fn assert_undamaged(books: &Books) {
    books.rows("CREATE EXTENSION IF NOT EXISTS amcheck").await;
    let not_valid = books.rows(NOT_VALID).await;
    require(not_valid.is_empty(), Rule::IndexesAreSound, || {
        format!("not valid: {not_valid:?}")
    });
    for (what, query) in [("tables", TABLES), ("indexes", INDEXES)] {
        let checked = books.try_rows(query).await;
        let raised = checked.as_ref().err();
        require(raised.is_none(), Rule::IndexesAreSound, || {
            format!("{raised:?}")
        });
        let checked = checked.unwrap_or_default();
        assert!(checked.len() > 10, "only {} {what}", checked.len());
        let is_wrong = |row: &&Vec<String>| row.last().is_some_and(|said| !said.is_empty());
        let wrong: Vec<_> = checked.iter().filter(is_wrong).take(SHOWN_MAX).collect();
        require(wrong.is_empty(), Rule::IndexesAreSound, || {
            format!("{wrong:?}")
        });
    }
}

#[tokio::test]
async fn a_damaged_table_is_named_and_so_is_an_index_that_is_not_valid() {
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = ready(&service).await;
    let exchange = Exchange::open(database.url(), &client, 2).await;
    exchange.fund_all(&client, "1").await;
    let books = Books::of(database.url());
    assert_undamaged(&books).await;

    let set = |valid: bool| {
        format!(
            "UPDATE pg_index SET indisvalid = {valid}
             WHERE indexrelid = 'book_main.transfers_custom_id_idx'::regclass"
        )
    };
    books.rows(&set(false)).await;
    assert_named(
        &books,
        "not valid: [[\"book_main.transfers_custom_id_idx\"]]",
    )
    .await;
    books.rows(&set(true)).await;
    assert_undamaged(&books).await;

    // Now its rows are older than the oldest that it may have.
    let newer = "UPDATE pg_class SET relfrozenxid = pg_current_xact_id()::xid
        WHERE oid = 'book_main.transfers'::regclass";
    books.rows(newer).await;
    assert_named(&books, "book_main.transfers").await;
    service.stopped().await;
}

/// It is found out that this is damaged.
async fn assert_named(books: &Books, what: &str) {
    let judged = AssertUnwindSafe(assert_undamaged(books)).catch_unwind();
    let said = judged
        .await
        .expect_err("nobody has found out what is damaged");
    let said = said.downcast_ref::<String>().unwrap();
    assert!(said.starts_with("violated A15"), "{said}");
    assert!(said.contains(what), "{said}");
}
