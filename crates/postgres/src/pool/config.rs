//! How connections are made, and what each of them is told.

use std::{num::NonZero, thread, time::Duration};

use bursar_ports::StoreError;
use diesel::ConnectionError;
use diesel_async::{
    AsyncPgConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool::Pool,
    },
};
use futures_util::FutureExt as _;
use tokio::runtime::Handle;

use crate::connect::{establish, set_up};

/// How lists are planned: with the values they are asked for, every time. After five executions
/// PostgreSQL may settle on a plan that knows neither how many rows are wanted nor whose, and what is
/// right for a page of a hundred of a small user is wrong for a big one. Lists follow indexes, which
/// are in memory for the most part, and never take a second processor from payments.
const READ_SETTINGS: &str = "SET plan_cache_mode = force_custom_plan; SET random_page_cost = 1.1; \
    SET max_parallel_workers_per_gather = 0; SET jit = off";

/// How statements are planned that name each of their rows, a batch's and those of look-ups: once,
/// and not with the values of each, for planning takes longer than they do; and along the index of
/// every row, also when their plan is made while the tables are empty still.
const NAMED_ROWS_SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET jit = off; \
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

/// How long one statement of an export may run.
pub(crate) const LONG_STATEMENT_MAX: Duration = Duration::from_secs(60);

/// What connections for exports are told. Pauses are ended here and not by the server; a statement
/// whose reader has gone is ended within a second, and not when it would have found something.
const EXPORT_SETTINGS: &str = "SET statement_timeout = '60s'; \
    SET idle_in_transaction_session_timeout = 0; SET client_connection_check_interval = '1s'";

/// How connections are made.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// Connections for everything but money transactions and the look-ups that they begin with, which
    /// have their own.
    pub connections_max: usize,
    /// Connections for what money transactions begin with: credentials, users, assets and their rates,
    /// the transfer that goes on, ids, and the rows of accounts.
    pub lookups_max: usize,
    /// How many lists are read at once; at least one, and fewer than there are connections. More
    /// than there are processors for them only take the processors from each other, and whoever is
    /// unlucky waits for all of them: with a place in a queue nobody waits long.
    pub lists_at_once: usize,
    /// How many exports run at once, each on a connection of its own beside the others.
    pub exports_at_once: usize,
    /// How long one export may take.
    pub export_timeout: Duration,
    /// How long the reader of an export may pause.
    pub export_pause: Duration,
    /// How long to wait for a free connection, or for a list's turn.
    pub wait_ms: u64,
    /// How long one statement may run.
    pub statement_timeout_ms: u32,
    /// How long one statement may wait for a lock.
    pub lock_timeout_ms: u32,
    /// Whether a server that takes no writes is none, as for whoever serves: behind a name that has
    /// moved to another server it may be the old one, and what it reads out of date.
    pub must_take_writes: bool,
}

impl PoolConfig {
    /// The defaults for a database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections_max: 8,
            lookups_max: 6,
            lists_at_once: thread::available_parallelism()
                .map_or(1, NonZero::get)
                .saturating_add(1),
            exports_at_once: 2,
            export_timeout: Duration::from_secs(1_800),
            export_pause: Duration::from_secs(60),
            wait_ms: 1_000,
            statement_timeout_ms: 3_000,
            lock_timeout_ms: 1_000,
            must_take_writes: false,
        }
    }

    /// What every connection is told when it is made: what a server, a database or a role may have
    /// set otherwise, and what is relied on.
    fn settings(&self) -> String {
        format!(
            "SET statement_timeout = {}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = 5000; \
             SET default_transaction_isolation = 'read committed'; SET bytea_output = 'hex'; \
             SET application_name = 'bursar'; \
             SET search_path = book_main",
            self.statement_timeout_ms, self.lock_timeout_ms
        )
    }

    /// A connection of one's own.
    pub(crate) async fn connect(&self) -> Result<AsyncPgConnection, ConnectionError> {
        let connection = establish(&self.url, self.must_take_writes).await?;
        set_up(connection, &self.settings()).await
    }

    /// A connection for statements that name each of their rows: batches of money transactions, and
    /// look-ups.
    pub(crate) async fn connect_for_named_rows(
        &self,
    ) -> Result<AsyncPgConnection, ConnectionError> {
        set_up(self.connect().await?, NAMED_ROWS_SETTINGS).await
    }

    /// A connection for lists and whatever else there is.
    pub(crate) async fn connect_for_reading(&self) -> Result<AsyncPgConnection, ConnectionError> {
        set_up(self.connect().await?, READ_SETTINGS).await
    }

    /// A connection for something that reads for long and may pause between statements.
    pub(crate) async fn connect_for_exports(&self) -> Result<AsyncPgConnection, StoreError> {
        let connect = async { set_up(self.connect_for_reading().await?, EXPORT_SETTINGS).await };
        connect
            .await
            .map_err(|error: ConnectionError| StoreError::Unavailable(error.into()))
    }

    /// A pool of at most so many connections, made with `connect` when they are needed, on the runtime
    /// that this is called in.
    ///
    /// A connection lives on the runtime that made it. The threads that serve requests have
    /// runtimes of their own, and in a shutdown one of them ends while another still answers: it
    /// must not take connections with it.
    fn pool<C>(
        &self,
        connections_max: usize,
        connect: fn(Self) -> C,
    ) -> Result<Pool<AsyncPgConnection>, StoreError>
    where
        C: Future<Output = Result<AsyncPgConnection, ConnectionError>> + Send + 'static,
    {
        let mut manager = ManagerConfig::default();
        // `Fast` still turns away connections that are closed or inside a transaction.
        manager.recycling_method = RecyclingMethod::Fast;
        let config = self.clone();
        let runtime = Handle::current();
        manager.custom_setup = Box::new(move |_| {
            let made = runtime.spawn(connect(config.clone()));
            async move {
                made.await.unwrap_or_else(|broken| {
                    Err(ConnectionError::BadConnection(broken.to_string()))
                })
            }
            .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(self.url.clone(), manager);
        let wait = Some(Duration::from_millis(self.wait_ms));
        Pool::builder(manager)
            .max_size(connections_max)
            .wait_timeout(wait)
            .create_timeout(Some(Duration::from_secs(5)))
            .recycle_timeout(Some(Duration::from_secs(1)))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    /// The pool of connections for lists and whatever else there is.
    pub(crate) fn pool_for_reading(&self) -> Result<Pool<AsyncPgConnection>, StoreError> {
        let connect = |config: Self| async move { config.connect_for_reading().await };
        self.pool(self.connections_max, connect)
    }

    /// The pool of connections for look-ups, and for as many lists that are read like them.
    pub(super) fn pool_for_lookups(
        &self,
        lists: usize,
    ) -> Result<Pool<AsyncPgConnection>, StoreError> {
        let connect = |config: Self| async move { config.connect_for_named_rows().await };
        self.pool(self.lookups_max.saturating_add(lists), connect)
    }
}

#[cfg(test)]
mod tests {
    use diesel::{dsl::sql, sql_types::Text};
    use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};

    use super::*;
    use crate::testing::TestDatabase;

    async fn database_with(settings: &[&str]) -> (TestDatabase, PoolConfig) {
        let database = TestDatabase::create().await;
        let config = PoolConfig::new(database.url());
        let mut connection = config.connect().await.unwrap();
        for setting in settings {
            let change = format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting}', \
                 current_database()); END $$"
            );
            connection.batch_execute(&change).await.unwrap();
        }
        (database, config)
    }

    #[tokio::test]
    async fn what_is_relied_on_is_set_whatever_the_database_says() {
        let others = [
            "default_transaction_isolation = ''repeatable read''",
            "bytea_output = ''escape''",
        ];
        let (_database, config) = database_with(&others).await;
        let mut connection = config.connect_for_reading().await.unwrap();
        for (name, expected) in [
            ("transaction_isolation", "read committed"),
            ("bytea_output", "hex"),
        ] {
            let told: String = sql::<Text>(&format!("SHOW {name}"))
                .get_result(&mut connection)
                .await
                .unwrap();
            assert_eq!(told, expected, "{name}");
        }
    }

    #[tokio::test]
    async fn whoever_serves_takes_no_connection_to_a_server_that_takes_no_writes() {
        let (_database, config) = database_with(&["default_transaction_read_only = on"]).await;
        config.connect().await.unwrap();
        let config = PoolConfig {
            must_take_writes: true,
            ..config
        };
        let refused = config.connect().await;
        assert!(refused.is_err());
    }
}
