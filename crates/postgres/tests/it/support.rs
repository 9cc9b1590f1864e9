//! What the tests of the adapters share.

use std::time::Duration;

use bursar_domain::{AuditDraft, Timestamp, User, UserId, UserStatus};
use bursar_ports::TransferStore as _;
use bursar_postgres::{Database, EngineConfig, PgStore, PoolConfig, testing::TestDatabase};
use bursar_testkit::build;
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// How long anything may take that does not last for ever: tests run many at a time, on machines with
/// few processors that stand still for seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Connections to a database for tests that are not about what is given up when.
pub(crate) fn patient(url: &str) -> PoolConfig {
    PoolConfig {
        wait_ms: 60_000,
        statement_timeout_ms: 60_000,
        lock_timeout_ms: 60_000,
        ..PoolConfig::new(url)
    }
}

/// An engine for the same tests.
pub(crate) fn patient_engine() -> EngineConfig {
    EngineConfig {
        queue_wait: PATIENCE,
        answer_within: PATIENCE,
        ..EngineConfig::default()
    }
}

const USD: &str = "INSERT INTO book_main.assets VALUES ('usd', 'usd', 2, true, true, true)";

/// A database, the adapters' connections to it, and one to look behind their backs.
pub(crate) struct Fixture {
    pub(crate) database: Database,
    connection: AsyncPgConnection,
    test: TestDatabase,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let test = TestDatabase::create().await;
        Self {
            database: Database::connect(patient(test.url())).await.unwrap(),
            connection: AsyncPgConnection::establish(test.url()).await.unwrap(),
            test,
        }
    }

    /// The same with an asset, `usd`, that everything may be done with.
    pub(crate) async fn with_usd() -> Self {
        let mut fixture = Self::new().await;
        fixture.run(USD).await;
        fixture
    }

    /// The database.
    pub(crate) const fn test(&self) -> &TestDatabase {
        &self.test
    }

    /// The address of the database.
    pub(crate) fn url(&self) -> &str {
        self.test.url()
    }

    /// Another connection to the same database.
    pub(crate) async fn connect(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(self.test.url()).await.unwrap()
    }

    pub(crate) async fn run(&mut self, statements: &str) {
        run(&mut self.connection, statements).await;
    }

    /// The one text that a query answers.
    pub(crate) async fn text(&mut self, query: &str) -> String {
        self.texts(query).await.join(",")
    }

    pub(crate) async fn texts(&mut self, query: &str) -> Vec<String> {
        texts(&mut self.connection, query).await
    }

    /// How the server would answer a query.
    pub(crate) async fn explain(&self, query: &str) -> String {
        #[derive(diesel::QueryableByName)]
        struct Line {
            #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
            line: String,
        }
        let explain = diesel::sql_query(format!("EXPLAIN (COSTS OFF) {query}"));
        let lines: Vec<Line> = explain.load(&mut self.connect().await).await.unwrap();
        let lines: Vec<String> = lines.into_iter().map(|line| line.line).collect();
        lines.join("\n")
    }

    /// Returns when some statement waits for a lock.
    pub(crate) async fn until_somebody_waits(&mut self) {
        self.until_so_many_wait(1).await;
    }

    /// Returns when at least so many statements wait for a lock.
    pub(crate) async fn until_so_many_wait(&mut self, count: usize) {
        let waiting = "SELECT count(*)::text FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let wait = async {
            while self.text(waiting).await.parse::<usize>().unwrap() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("nobody waits for a lock");
    }
}

pub(crate) async fn run(connection: &mut AsyncPgConnection, statements: &str) {
    if let Err(error) = connection.batch_execute(statements).await {
        panic!("{error}: {statements}");
    }
}

pub(crate) async fn texts(connection: &mut AsyncPgConnection, query: &str) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        answer: String,
    }
    let query = format!("SELECT COALESCE(answer, 'null') AS answer FROM ({query}) AS q (answer)");
    let rows: Vec<Row> = match diesel::sql_query(&query).load(connection).await {
        Ok(rows) => rows,
        Err(error) => panic!("{error}: {query}"),
    };
    rows.into_iter().map(|row| row.answer).collect()
}

/// Returns when money can be moved: a single writer takes its book first, which takes a busy machine a
/// while.
pub(crate) async fn until_ready(store: &PgStore) {
    let ready = async {
        while store.ready().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready)
        .await
        .expect("the store never got ready");
}

/// Makes a test of each function for each engine, in a runtime of this flavor.
macro_rules! with_both_engines {
    ($($flavor:tt $test:ident),+ $(,)?) => {
        mod shared {
            $(
                #[tokio::test(flavor = $flavor)]
                async fn $test() {
                    super::$test(bursar_postgres::EngineKind::Shared).await;
                }
            )+
        }

        mod single_writer {
            $(
                #[tokio::test(flavor = $flavor)]
                async fn $test() {
                    super::$test(bursar_postgres::EngineKind::SingleWriter).await;
                }
            )+
        }
    };
}
pub(crate) use with_both_engines;

/// A connection past the adapters.
pub(crate) async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A connection past the adapters to a database, whose book has `usd` with two decimals.
pub(crate) async fn with_usd(database: &TestDatabase) -> Client {
    let admin = client(database.url()).await;
    // Named, for diesel has methods of this name for everything.
    Client::execute(&admin, USD, &[]).await.unwrap();
    admin
}

/// Seconds after a fixed instant.
pub(crate) fn at(second: i64) -> Timestamp {
    let start = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    start.plus_micros(second * 1_000_000)
}

pub(crate) fn user_id(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

pub(crate) fn user(number: u128, name: &str) -> User {
    User {
        id: user_id(number),
        username: name.to_owned(),
        email: format!("{name}@example.com"),
        roles: vec!["trader".to_owned(), "vip".to_owned()],
        status: UserStatus::Active,
    }
}

/// What the audit log is to keep of a change that a test makes only to have it.
pub(crate) fn draft() -> AuditDraft {
    build::audit("test.change", "test:1")
}

/// A transfer's row, as the engine would write it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) kind: &'static str,
    pub(crate) state: &'static str,
    pub(crate) asset: &'static str,
    pub(crate) user: u128,
    pub(crate) recipient: Option<u128>,
    pub(crate) custom_id: Option<&'static str>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) entry_refs: &'static str,
}

impl Row {
    pub(crate) fn deposit(id: i64, user: u128, second: i64) -> Self {
        Self {
            id,
            kind: "deposit",
            state: "Completed",
            asset: "btc",
            user,
            recipient: None,
            custom_id: None,
            created_at: at(second),
            updated_at: at(second),
            entry_refs: "{}",
        }
    }

    pub(crate) fn withdrawal(id: i64, user: u128, second: i64) -> Self {
        Self {
            kind: "withdrawal",
            state: "AwaitingConfirmation",
            ..Self::deposit(id, user, second)
        }
    }

    pub(crate) fn internal(id: i64, from: u128, to: u128, second: i64) -> Self {
        Self {
            kind: "internal",
            state: "Success",
            recipient: Some(to),
            ..Self::deposit(id, from, second)
        }
    }

    fn values(&self) -> String {
        let quoted = |text: Option<String>| text.map_or("NULL".to_owned(), |t| format!("'{t}'"));
        let fails = matches!(self.state, "Failed" | "Rejected");
        let is_internal = self.kind == "internal";
        let recipient = self.recipient.map(|to| Uuid::from_u128(to).to_string());
        format!(
            "({}, 1, '{}', '{}', '{}', 8, 150000000, 1000, '{}', {}, {}, {}, {}, {}, 'operator', \
             {}, '{}', '{}', '{}')",
            self.id,
            self.kind,
            self.state,
            self.asset,
            Uuid::from_u128(self.user),
            quoted(recipient),
            if is_internal {
                "decode('00112233445566778899', 'hex')"
            } else {
                "NULL"
            },
            quoted(self.custom_id.map(str::to_owned)),
            quoted(Some("note".to_owned())),
            quoted(fails.then(|| "account.frozen".to_owned())),
            quoted((self.kind == "withdrawal").then(|| "confirmer".to_owned())),
            self.created_at,
            self.updated_at,
            self.entry_refs,
        )
    }
}

pub(crate) async fn insert(fixture: &mut Fixture, rows: &[Row]) {
    let values: Vec<String> = rows.iter().map(Row::values).collect();
    let statement = format!(
        "INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, \
         user_id, recipient_id, code_salt, custom_id, note, reason, created_by, finished_by, \
         created_at, updated_at, entry_refs) VALUES {}",
        values.join(", ")
    );
    fixture.run(&statement).await;
}
