//! Connections: how they are made and how long they may be kept waiting.

use std::{fmt, time::Duration};

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
use tokio::runtime::Handle;

use crate::connect::establish;

/// How connections are made.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// Connections for everything but money transactions, which have their own.
    pub connections_max: usize,
    /// How long to wait for a free connection.
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
        let mut connection = establish(&self.url).await?;
        connection
            .batch_execute(&self.settings())
            .await
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }

    /// A pool that makes connections when they are needed, on the runtime that this is called in.
    ///
    /// A connection lives on the runtime that made it. The threads that serve requests have
    /// runtimes of their own, and in a shutdown one of them ends while another still answers: it
    /// must not take connections with it.
    pub(crate) fn pool(&self) -> Result<Pool<AsyncPgConnection>, StoreError> {
        let mut manager = ManagerConfig::default();
        // `Fast` still turns away connections that are closed or inside a transaction.
        manager.recycling_method = RecyclingMethod::Fast;
        let config = self.clone();
        let runtime = Handle::current();
        manager.custom_setup = Box::new(move |_| {
            let config = config.clone();
            let made = runtime.spawn(async move { config.connect().await });
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
            .max_size(self.connections_max)
            .wait_timeout(wait)
            .create_timeout(Some(Duration::from_secs(5)))
            .recycle_timeout(Some(Duration::from_secs(1)))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Unavailable(error.into()))
    }
}

/// The connections to one database, shared by every adapter of this crate. Cloning is cheap and
/// gives the same connections.
#[derive(Clone)]
pub struct Database {
    pool: Pool<AsyncPgConnection>,
}

impl Database {
    /// Connects, so that a wrong address is known at once and not with the first request.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection can be made.
    pub async fn connect(config: PoolConfig) -> Result<Self, StoreError> {
        let pool = config.pool()?;
        drop(checkout(&pool).await?);
        Ok(Self { pool })
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

    #[tokio::test]
    async fn a_connection_outlives_whoever_asked_for_it_first() {
        let database = TestDatabase::create().await;
        let pool = PoolConfig::new(database.url()).pool().unwrap();
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
