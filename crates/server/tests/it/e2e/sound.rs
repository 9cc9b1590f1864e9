//! What must be true of a database once everything is quiet, beside its books.

use bursar_audit::{Rule, Violation};

use super::{books::Books, client::Client};

/// How many transfers a page of the list has.
const PAGE: usize = 200;
/// Every index is held against its table, and its pages against each other.
const INDEXES: &str = "
    SELECT bt_index_parent_check(i.indexrelid, true)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_am m ON m.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE m.amname = 'btree' AND n.nspname IN ('book_main', 'directory') AND i.indisvalid
        AND c.relkind = 'i'";
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

/// Indexes have what tables have, nothing is left in the middle of anything, and the list of transfers
/// shows each of them once. Nothing may be under way.
pub(super) async fn assert_sound(admin: &Client, books: &Books) {
    assert_eq!(books.rows("SHOW data_checksums").await, [["on"]]);
    books.rows("CREATE EXTENSION IF NOT EXISTS amcheck").await;
    // It raises at what it finds.
    let checked = books.rows(INDEXES).await.len();
    assert!(checked > 10, "only {checked} indexes were checked");
    for (what, query) in STUCK {
        let stuck = books.rows(query).await;
        require(stuck.is_empty(), Rule::NothingIsStuck, || {
            format!("{what}: {stuck:?}")
        });
    }
    let there = "SELECT id FROM book_main.transfers ORDER BY id";
    let there: Vec<String> = books.rows(there).await.into_iter().flatten().collect();
    let mut listed = all_listed(admin).await;
    listed.sort_unstable_by_key(|id| id.parse::<i64>().unwrap());
    require(listed == there, Rule::ListsAgree, || {
        format!("{} listed, {} there", listed.len(), there.len())
    });
}

/// The ids of all transfers, page by page.
async fn all_listed(admin: &Client) -> Vec<String> {
    let mut listed = vec![];
    let mut cursor = String::new();
    loop {
        let path = format!("/admin/v1/transfers?limit={PAGE}{cursor}");
        let page = admin.get(&path).await.ok().json();
        let ids = page["data"].as_array().unwrap().iter();
        listed.extend(ids.map(|transfer| transfer["id"].to_string()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return listed,
        }
    }
}
