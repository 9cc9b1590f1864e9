//! Exports of hundreds of thousands of rows.

use bursar_ports::{EntryFilter, ExportPages, Exports, LedgerOwner, TransferScan};

use super::{Scene, entries, opened};
use crate::support::at;

const ROWS: usize = 300_000;
/// More than any page has.
const PAGE_MAX: usize = 10_000;

/// As many deposits as there are rows, each with its two lines, of a thousand users.
async fn crowd(scene: &mut Scene) {
    let statements = format!(
        "INSERT INTO book_main.accounts (id, owner_kind, owner, asset, available, held, seq, status, \
           stamped_at) \
         SELECT n, 'user', lpad(to_hex(n), 32, '0')::uuid, 'usd', {each}, 0, {each}, 'Active', now() \
         FROM generate_series(1, 1000) AS n \
         UNION ALL SELECT 4611686018427387904, 'world', '00000000-0000-0000-0000-000000000000', \
           'usd', -{ROWS}, 0, {ROWS}, 'Active', now(); \
         INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
           user_id, created_by, created_at, updated_at, entry_refs) \
         SELECT n, 1, 'deposit', 'Completed', 'usd', 2, 1, 0, \
           lpad(to_hex(1 + n % 1000), 32, '0')::uuid, 'x', \
           timestamptz '{start}' + n * interval '1 second', \
           timestamptz '{start}' + n * interval '1 second', '{{}}' \
         FROM generate_series(1, {ROWS}) AS n; \
         INSERT INTO book_main.entries \
         SELECT 4611686018427387904, n, n, -1, 0, -n, 0, timestamptz '{start}' + n * interval '1 second' \
         FROM generate_series(1, {ROWS}) AS n; \
         INSERT INTO book_main.entries \
         SELECT 1 + n % 1000, 1 + (n - 1) / 1000, n, 1, 0, 1 + (n - 1) / 1000, 0, \
           timestamptz '{start}' + n * interval '1 second' \
         FROM generate_series(1, {ROWS}) AS n",
        each = ROWS / 1_000,
        start = at(0),
    );
    scene.fixture.run(&statements).await;
    scene
        .fixture
        .run("ANALYZE book_main.transfers; ANALYZE book_main.entries; ANALYZE book_main.accounts")
        .await;
}

/// How many rows an export has; no page holds more than a bounded number of them.
async fn count<T: Send + 'static>(mut pages: Box<dyn ExportPages<T>>) -> usize {
    let mut rows = 0;
    while let Some(page) = pages.next_page().await.unwrap() {
        assert!(page.len() <= PAGE_MAX, "{} rows at once", page.len());
        rows += page.len();
    }
    rows
}

#[tokio::test]
async fn hundreds_of_thousands_of_rows_are_never_held_together() {
    let mut scene = Scene::new().await;
    crowd(&mut scene).await;
    let scan = TransferScan::default();
    let transfers = scene.exports.open_transfers(scan).await.unwrap();
    let transfers = opened(transfers).expect("there is a place");
    assert_eq!(count(transfers).await, ROWS);
    let all = entries(&scene.exports, EntryFilter::default()).await;
    assert_eq!(count(all).await, 2 * ROWS);
    let day = EntryFilter {
        from: Some(at(86_400)),
        to: Some(at(2 * 86_400 - 1)),
        ..EntryFilter::default()
    };
    let day_of_all = entries(&scene.exports, day.clone()).await;
    assert_eq!(count(day_of_all).await, 2 * 86_400);
    let of_system = EntryFilter {
        owner: Some(LedgerOwner::System),
        ..day
    };
    let day_of_system = entries(&scene.exports, of_system).await;
    assert_eq!(count(day_of_system).await, 86_400);
}
