//! How the ledger is read when it is large: by primary keys alone, and no more of it than is asked
//! for.

use bursar_domain::{AccountKey, AssetId, Owner, Timestamp};
use diesel::{pg::Pg, query_builder::QueryFragment};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use super::{
    bounds::{Holdings, LinesBefore},
    lines::{LinesOf, Span, Window},
};
use crate::{explain::measure, pool::PoolConfig, testing::TestDatabase, value::At};

const USERS: i64 = 500;
const LINES_OF_EACH: i64 = 400;
/// Has as many lines as all users together.
const WORLD: i64 = 1 << 62;

/// Two hundred thousand deposits, one a second.
async fn crowd() -> (TestDatabase, AsyncPgConnection) {
    let database = TestDatabase::create().await;
    let mut filling = AsyncPgConnection::establish(database.url()).await.unwrap();
    let all = USERS * LINES_OF_EACH;
    let at = "timestamptz '2026-01-01Z' + n * interval '1 second'";
    let lines = format!(
        "INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
           user_id, created_by, created_at, updated_at, entry_refs) \
         SELECT n, 1, 'deposit', 'Completed', 'usd', 2, 1, 0, \
           '00000000-0000-0000-0000-000000000001', 'x', {at}, {at}, '{{}}' \
         FROM generate_series(1, {all}) AS n; \
         INSERT INTO book_main.entries SELECT {WORLD}, n, n, -1, 0, -n, 0, {at} \
         FROM generate_series(1, {all}) AS n; \
         INSERT INTO book_main.entries SELECT 1 + n % {USERS}, 1 + (n - 1) / {USERS}, n, 1, 0, \
           1 + (n - 1) / {USERS}, 0, {at} FROM generate_series(1, {all}) AS n"
    );
    for statements in [
        &lines,
        "VACUUM ANALYZE book_main.entries",
        "VACUUM ANALYZE book_main.transfers",
    ] {
        filling.batch_execute(statements).await.unwrap();
    }
    let config = PoolConfig::new(database.url());
    (database, config.connect_for_reading().await.unwrap())
}

fn span(id: i64, after: i64, last: i64) -> Span {
    Span {
        id,
        account: AccountKey {
            owner: Owner::World,
            asset: AssetId::parse("usd").unwrap(),
        },
        after,
        last,
    }
}

/// How many rows a query looks at, which must find all of them by primary keys.
async fn looked_at<Q>(connection: &mut AsyncPgConnection, query: Q) -> u64
where
    Q: QueryFragment<Pg> + Send + 'static,
{
    let (outline, looked_at) = measure(connection, query).await;
    let scans: Vec<&str> = outline
        .lines()
        .map(str::trim)
        .filter(|node| node.contains("Scan") && !node.contains("Function Scan"))
        .filter(|node| !node.contains("WorkTable Scan") && !node.contains("CTE Scan"))
        .collect();
    let keys = ["entries_account_id_seq_pk", "transfers_id_pk"];
    let by_key = |scan: &&str| keys.iter().any(|key| scan.ends_with(key));
    assert!(!scans.is_empty() && scans.iter().all(by_key), "{outline}");
    looked_at
}

#[tokio::test]
async fn the_ledger_is_read_by_primary_keys_and_no_more_of_it_than_is_asked_for() {
    let (_database, mut connection) = crowd().await;
    let at = At(Timestamp::parse("2026-01-02").unwrap());
    let search = |accounts: Vec<i64>, lines: i64| LinesBefore {
        lines: vec![lines; accounts.len()],
        accounts,
        at,
    };
    let one = search(vec![WORLD], USERS * LINES_OF_EACH);
    // Eighteen times half of what is left, each counted where it is found and where it is kept.
    assert!(looked_at(&mut connection, one).await < 100);
    let many = search((1..=USERS).collect(), LINES_OF_EACH);
    assert!(looked_at(&mut connection, many).await < 500 * 40);
    let held = Holdings {
        accounts: (1..=200).collect(),
        seqs: vec![LINES_OF_EACH; 200],
    };
    assert!(looked_at(&mut connection, held).await < 1_000);
    let busy = [span(WORLD, 100_000, 101_000)];
    let small: Vec<Span> = (1..=100).map(|user| span(user, 50, 60)).collect();
    for spans in [busy.as_slice(), &small] {
        let lines = LinesOf::new(spans, Window::default());
        assert!(looked_at(&mut connection, lines).await < 5_000);
    }
    let window = Window {
        from: Some(at.0),
        to: None,
    };
    let narrowed = LinesOf::new(&[span(WORLD, 80_000, 90_000)], window);
    assert!(looked_at(&mut connection, narrowed).await < 50_000);
}
