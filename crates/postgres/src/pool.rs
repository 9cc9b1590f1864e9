//! Connections: how they are made and how long they may be kept waiting.

use std::{fmt, num::NonZero, sync::Arc, thread, time::Duration};

use bursar_ports::StoreError;
use diesel::ConnectionError;
use diesel_async::{
    AsyncPgConnection, SimpleAsyncConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
        deadpool::{Object, Pool},
    },
};
use futures_util::FutureExt as _;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{connect::establish, heard::Heard};

/// How much longer than one statement a look-up may take: it may be made of several.
const READ_GRACE: Duration = Duration::from_secs(2);

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
    /// Connections for the look-ups that money transactions begin with: credentials and users.
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
        }
    }

    /// What every connection is told when it is made.
    fn settings(&self) -> String {
        format!(
            "SET statement_timeout = {}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = 5000; \
             SET application_name = 'bursar'; \
             SET search_path = book_main",
            self.statement_timeout_ms, self.lock_timeout_ms
        )
    }

    /// A connection of one's own.
    pub(crate) async fn connect(&self) -> Result<AsyncPgConnection, ConnectionError> {
        set_up(establish(&self.url).await?, &self.settings()).await
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

    /// The pool of connections for look-ups.
    fn pool_for_lookups(&self) -> Result<Pool<AsyncPgConnection>, StoreError> {
        let connect = |config: Self| async move { config.connect_for_named_rows().await };
        self.pool(self.lookups_max, connect)
    }
}

/// The connections to one database, shared by every adapter of this crate. Cloning is cheap and
/// gives the same connections.
#[derive(Clone)]
pub struct Database {
    pool: Pool<AsyncPgConnection>,
    lookups: Pool<AsyncPgConnection>,
    config: Arc<PoolConfig>,
    heard: Arc<Heard>,
    lists: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    /// How long to wait for a list's turn.
    wait: Duration,
    /// How long a look-up may take, whether or not the server says anything.
    read_deadline: Duration,
}

impl Database {
    /// Connects, so that a wrong address is known at once and not with the first request.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection can be made.
    pub async fn connect(config: PoolConfig) -> Result<Self, StoreError> {
        let (pool, lookups) = (config.pool_for_reading()?, config.pool_for_lookups()?);
        drop(checkout(&pool).await?);
        let statement = Duration::from_millis(config.statement_timeout_ms.into());
        // What is not a list must always find a connection.
        let lists = config
            .lists_at_once
            .clamp(1, config.connections_max.saturating_sub(1).max(1));
        Ok(Self {
            pool,
            lookups,
            heard: Arc::default(),
            lists: Arc::new(Semaphore::new(lists)),
            exports: Arc::new(Semaphore::new(config.exports_at_once)),
            wait: Duration::from_millis(config.wait_ms),
            read_deadline: statement.saturating_add(READ_GRACE),
            config: Arc::new(config),
        })
    }

    /// Reads a list when its turn has come; see [`Self::read`].
    pub(crate) async fn read_list<T>(
        &self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let turn = tokio::time::timeout(self.wait, self.lists.acquire()).await;
        let _turn = turn
            .map_err(|_elapsed| StoreError::Overloaded)?
            .map_err(|closed| StoreError::Unavailable(closed.into()))?;
        self.read(ask).await
    }

    /// Reads on a connection of its own. When a server or the way to it has gone silent, nothing
    /// there ends what was asked, so the deadline is kept here; the connection is then given up, for
    /// nobody knows what would come out of it.
    pub(crate) async fn read<T>(
        &self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ask(&self.pool, ask).await
    }

    /// Looks rows up that are named by a key, with a plan that is made once; see [`Self::read`].
    pub(crate) async fn look_up<T>(
        &self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ask(&self.lookups, ask).await
    }

    async fn ask<T>(
        &self,
        pool: &Pool<AsyncPgConnection>,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = checkout(pool).await?;
        match tokio::time::timeout(self.read_deadline, ask(&mut connection)).await {
            Ok(answer) => answer,
            Err(elapsed) => {
                drop(Object::take(connection));
                Err(StoreError::Unavailable(elapsed.into()))
            }
        }
    }

    /// A place among the exports, if there is one.
    pub(crate) fn take_export_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.exports).try_acquire_owned().ok()
    }

    /// A connection of one's own.
    pub(crate) async fn connect_apart(&self) -> Result<AsyncPgConnection, StoreError> {
        let connected = self.config.connect().await;
        connected.map_err(|error| StoreError::Unavailable(error.into()))
    }

    /// What is known of others' writes.
    pub(crate) const fn heard(&self) -> &Arc<Heard> {
        &self.heard
    }

    /// A connection for an export, which ends with it.
    pub(crate) async fn connect_for_exports(&self) -> Result<AsyncPgConnection, StoreError> {
        self.config.connect_for_exports().await
    }

    /// How long one export may take.
    pub(crate) fn export_timeout(&self) -> Duration {
        self.config.export_timeout
    }

    /// How long the reader of an export may pause.
    pub(crate) fn export_pause(&self) -> Duration {
        self.config.export_pause
    }

    /// The connections.
    pub(crate) const fn pool(&self) -> &Pool<AsyncPgConnection> {
        &self.pool
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.pool.status();
        f.debug_struct("Database")
            .field("connections", &status.size)
            .field("connections_max", &status.max_size)
            .finish_non_exhaustive()
    }
}

/// A connection with these settings on top of what it has.
async fn set_up(
    mut connection: AsyncPgConnection,
    settings: &str,
) -> Result<AsyncPgConnection, ConnectionError> {
    connection
        .batch_execute(settings)
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// A connection from the pool, or the error for "there is none".
pub(crate) async fn checkout(
    pool: &Pool<AsyncPgConnection>,
) -> Result<Object<AsyncPgConnection>, StoreError> {
    pool.get()
        .await
        .map_err(|error| StoreError::Unavailable(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    /// Lists that keep the database busy are turned away after a while, and nothing else waits.
    #[tokio::test]
    async fn lists_wait_for_their_turn_and_nothing_else_waits_for_lists() {
        let database = TestDatabase::create().await;
        let config = PoolConfig {
            connections_max: 2,
            lists_at_once: 5,
            wait_ms: 100,
            ..PoolConfig::new(database.url())
        };
        let database = Database::connect(config).await.unwrap();
        let (busy, done) = tokio::sync::oneshot::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let first = database.read_list(async move |_| {
            begun.send(()).unwrap();
            done.await.unwrap();
            Ok(())
        });
        let meanwhile = async {
            has_begun.await.unwrap();
            let second = database.read_list(async |_| Ok(())).await;
            assert!(matches!(second, Err(StoreError::Overloaded)), "{second:?}");
            database.read(async |_| Ok(())).await.unwrap();
            busy.send(()).unwrap();
        };
        let (first, ()) = tokio::join!(first, meanwhile);
        first.unwrap();
        database.read_list(async |_| Ok(())).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_outlives_whoever_asked_for_it_first() {
        let database = TestDatabase::create().await;
        let pool = PoolConfig::new(database.url()).pool_for_reading().unwrap();
        let shared = pool.clone();
        // A thread that serves requests, with a runtime of its own, which ends first.
        let made_elsewhere = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(checkout(&shared))
        });
        let made_elsewhere = tokio::task::spawn_blocking(|| made_elsewhere.join());
        let mut connection = made_elsewhere.await.unwrap().unwrap().unwrap();
        connection.batch_execute("SELECT 1").await.unwrap();
    }
}
