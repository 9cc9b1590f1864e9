//! Connections: how they are made and how long they may be kept waiting.

mod config;

use std::{fmt, sync::Arc, time::Duration};

use bursar_ports::StoreError;
use diesel::result::QueryResult;
use diesel_async::{
    AsyncPgConnection,
    pooled_connection::deadpool::{Object, Pool},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::Instant,
};

pub(crate) use self::config::LONG_STATEMENT_MAX;
pub use self::config::PoolConfig;
use crate::{error::unavailable, heard::Heard};

/// How much longer than one statement a look-up may take: it may be made of several.
const READ_GRACE: Duration = Duration::from_secs(2);

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
    /// How long a look-up may take, with the wait for its connection, whether or not the server says
    /// anything.
    read_deadline: Duration,
}

impl Database {
    /// Connects, so that a wrong address is known at once and not with the first request.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection can be made.
    pub async fn connect(config: PoolConfig) -> Result<Self, StoreError> {
        // What is not a list must always find a connection.
        let lists = config
            .lists_at_once
            .clamp(1, config.connections_max.saturating_sub(1).max(1));
        let (pool, lookups) = (config.pool_for_reading()?, config.pool_for_lookups(lists)?);
        drop(checkout(&pool).await?);
        let statement = Duration::from_millis(config.statement_timeout_ms.into());
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
        let _turn = self.list_turn().await?;
        self.read(ask).await
    }

    /// Reads a list that names its rows, as a look-up does, when its turn has come; see
    /// [`Self::look_up`].
    pub(crate) async fn look_up_list<T>(
        &self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _turn = self.list_turn().await?;
        self.look_up(ask).await
    }

    /// A place among the lists.
    async fn list_turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        turn(&self.lists, self.wait).await
    }

    /// A place among look-ups, for which nobody waits longer than for a look-up.
    pub(crate) async fn look_up_turn<'s>(
        &self,
        places: &'s Semaphore,
    ) -> Result<SemaphorePermit<'s>, StoreError> {
        turn(places, self.read_deadline).await
    }

    /// Reads on a connection of its own. When a server or the way to it has gone silent, nothing
    /// there ends what was asked, so the deadline is kept here; the connection is then given up, for
    /// nobody knows what would come out of it.
    pub(crate) async fn read<T>(
        &self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ask(&self.pool, self.read_deadline, ask).await
    }

    /// Looks rows up that are named by a key, with a plan that is made once; see [`Self::read`].
    pub(crate) async fn look_up<T>(
        &self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ask(&self.lookups, self.read_deadline, ask).await
    }

    /// Looks something up with one statement; see [`Self::look_up`].
    pub(crate) async fn look_up_once<T>(
        &self,
        statement: impl AsyncFnOnce(&mut AsyncPgConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let look_up = async |connection: &mut AsyncPgConnection| {
            statement(connection).await.map_err(unavailable)
        };
        self.look_up(look_up).await
    }

    /// Reads or changes something with one statement; see [`Self::read`].
    pub(crate) async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut AsyncPgConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.run_within(self.read_deadline, statement).await
    }

    /// The same, with a deadline of its own.
    pub(crate) async fn run_within<T>(
        &self,
        deadline: Duration,
        statement: impl AsyncFnOnce(&mut AsyncPgConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let run = async |connection: &mut AsyncPgConnection| {
            statement(connection).await.map_err(unavailable)
        };
        self.ask(&self.pool, deadline, run).await
    }

    async fn ask<T>(
        &self,
        pool: &Pool<AsyncPgConnection>,
        deadline: Duration,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + deadline;
        let connection = tokio::time::timeout_at(until, checkout(pool)).await;
        let mut connection = connection.map_err(|late| StoreError::Unavailable(late.into()))??;
        match tokio::time::timeout_at(until, ask(&mut connection)).await {
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

    /// The connections for what money transactions begin with.
    pub(crate) const fn lookups(&self) -> &Pool<AsyncPgConnection> {
        &self.lookups
    }

    /// The connections for everything else.
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

/// A place among some, unless it takes too long to get one.
async fn turn(places: &Semaphore, wait: Duration) -> Result<SemaphorePermit<'_>, StoreError> {
    let turn = tokio::time::timeout(wait, places.acquire()).await;
    turn.map_err(|_elapsed| StoreError::Overloaded)?
        .map_err(|closed| StoreError::Unavailable(closed.into()))
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
    use diesel_async::SimpleAsyncConnection;

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
