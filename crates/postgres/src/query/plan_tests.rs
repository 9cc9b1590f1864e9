//! How each list is read when there are a million transfers: the plans, and a bound on the rows that
//! are looked at. `plans.txt` holds them; with `BURSAR_WRITE_DOCS=1` the test writes it anew.

mod cases;

use std::{fmt::Write as _, path::Path};

use diesel::{pg::Pg, query_builder::QueryFragment};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::{explain::measure, pool::PoolConfig, testing::TestDatabase};

/// Half a million users would not make a list longer; what counts is what one user has.
const USERS: u32 = 20_000;
const TRANSFERS: u32 = 1_000_000;
/// What no page may look at more of, in index entries and rows together, nor any count.
const LOOKED_AT_MAX: u64 = 60_000;

/// A million transfers, and a connection as the lists have them.
async fn crowd() -> (TestDatabase, AsyncPgConnection) {
    let database = TestDatabase::create().await;
    let mut filling = AsyncPgConnection::establish(database.url()).await.unwrap();
    let sizes = format!("SET bursar.transfers = {TRANSFERS}; SET bursar.users = {USERS}");
    let crowd = include_str!("../testing/crowd.sql");
    // So large a target takes every row for the sample, and so every run has the same plans; the
    // column has so few values that nothing else is different.
    let analyze = "ALTER TABLE book_main.transfers ALTER COLUMN state SET STATISTICS 4000; \
                   ANALYZE book_main.transfers (id, kind, state, asset, amount, user_id, \
                   recipient_id, custom_id, created_at)";
    let vacuum = "VACUUM book_main.transfers";
    for statements in [&sizes, crowd, vacuum, analyze] {
        filling.batch_execute(statements).await.unwrap();
    }
    let config = PoolConfig::new(database.url());
    let connection = config.connect_for_reading().await.unwrap();
    (database, connection)
}

/// Writes down what became of each query.
struct Book<'a> {
    connection: &'a mut AsyncPgConnection,
    text: String,
    excesses: Vec<String>,
}

impl Book<'_> {
    fn chapter(&mut self, title: &str) {
        writeln!(self.text, "# {title}\n").unwrap();
    }

    async fn note<Q>(&mut self, what: &str, query: Q)
    where
        Q: QueryFragment<Pg> + Send + 'static,
    {
        let (outline, looked_at) = measure(self.connection, query).await;
        writeln!(self.text, "{what}\n{outline}").unwrap();
        if looked_at > LOOKED_AT_MAX {
            self.excesses.push(format!("{what}: {looked_at}"));
        }
    }
}

#[tokio::test]
async fn each_list_of_a_million_transfers_follows_its_indexes() {
    let (_database, mut connection) = crowd().await;
    let mut book = Book {
        connection: &mut connection,
        text: String::new(),
        excesses: vec![],
    };
    cases::account_history(&mut book).await;
    cases::backoffice(&mut book).await;
    cases::internal(&mut book).await;
    cases::scan(&mut book).await;
    let Book { text, excesses, .. } = book;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/query/plan_tests/plans.txt");
    if std::env::var_os("BURSAR_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    for (is, was) in text.split("\n\n").zip(kept.split("\n\n")) {
        assert_eq!(is, was, "a plan has changed");
    }
    assert_eq!(text, kept);
    assert_eq!(excesses, Vec::<String>::new(), "too much is looked at");
    no_plan_is_reused(&mut connection).await;
}

/// How often statements were planned without and with their values.
#[derive(diesel::QueryableByName)]
struct Plans {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    generic: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    custom: i64,
}

/// After five executions PostgreSQL may go over to a plan that does not know the values.
async fn no_plan_is_reused(connection: &mut AsyncPgConnection) {
    for _ in 0..8 {
        cases::run_each(connection).await;
    }
    let plans = "SELECT sum(generic_plans)::bigint AS generic, sum(custom_plans)::bigint AS custom \
                 FROM pg_prepared_statements WHERE statement LIKE '%transfers%' \
                 AND statement NOT LIKE '%pg_prepared_statements%'";
    let plans: Plans = diesel::sql_query(plans)
        .get_result(connection)
        .await
        .unwrap();
    assert_eq!(plans.generic, 0);
    assert!(plans.custom >= 32, "{}", plans.custom);
}
