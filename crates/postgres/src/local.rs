//! A private PostgreSQL server for development and tests.
//!
//! It listens on 127.0.0.1 only, on a free port, with a random password kept in a file that only
//! its owner can read. Its folder holds everything it needs, so that stopping it, or killing it,
//! and starting it again finds the data where it was. A server that outlived a killed Bursar is
//! adopted by the next start.

mod account;
mod binaries;
mod cluster;
mod error;
mod launch;
mod place;
mod postmaster;
mod restore;
#[cfg(feature = "testing")]
mod standby;

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{
    dsl::sql,
    sql_types::{Bool, Text},
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

pub use self::error::LocalServerError;
use self::{launch::Prepared, place::Place, postmaster::Postmaster};

/// A fast shutdown ends with a checkpoint, which may have much to write.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
const DATABASE_NAME_LENGTH_MAX: usize = 63;

/// What a local server is started with.
#[derive(Clone, Debug)]
pub struct LocalServerConfig {
    /// Holds the data, the password and the log. Made if it is missing.
    pub directory: PathBuf,
    /// The folder of `initdb` and `postgres`; searched for when it is not given.
    pub bin_dir: Option<PathBuf>,
    /// Whether what is committed survives a crash of the machine. Only tests can do without.
    pub durable: bool,
    /// Further settings of PostgreSQL, as name and value.
    pub settings: Vec<(String, String)>,
}

/// A running server. It is stopped by [`LocalServer::stop`], or as well as possible on drop.
pub struct LocalServer {
    port: u16,
    password: String,
    /// The client program of the same release.
    psql: PathBuf,
    // Before the lock: fields are dropped in this order, and the server must not outlive it.
    postmaster: Postmaster,
    /// Held as long as this process is in charge of the folder.
    _lock: File,
}

impl LocalServer {
    /// Starts the server of a folder, or adopts the one that is still running there.
    ///
    /// # Errors
    /// [`LocalServerError`] with words on what to do: programs missing, folder in use, the
    /// server's own complaint.
    pub async fn start(config: LocalServerConfig) -> Result<Self, LocalServerError> {
        let prepared = blocking(move || Prepared::new(&config)).await?;
        prepared.launch().await
    }

    /// The address of a database on this server, with user and password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        launch::url(self.port, &self.password, database)
    }

    /// The process id of the server.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.postmaster.pid()
    }

    /// Creates a database unless it is there.
    ///
    /// # Errors
    /// [`LocalServerError::BadDatabaseName`], or [`LocalServerError::Refused`] by the server.
    pub async fn create_database_if_missing(&self, name: &str) -> Result<(), LocalServerError> {
        if !is_plain_name(name) {
            return Err(LocalServerError::BadDatabaseName(name.to_owned()));
        }
        let refused = |source| LocalServerError::Refused {
            action: format!("create database {name}"),
            source,
        };
        let mut connection = AsyncPgConnection::establish(&self.url("postgres"))
            .await
            .map_err(|error| refused(error.into()))?;
        let exists: bool = diesel::select(
            sql::<Bool>("EXISTS (SELECT FROM pg_database WHERE datname = ")
                .bind::<Text, _>(name)
                .sql(")"),
        )
        .get_result(&mut connection)
        .await
        .map_err(|error| refused(error.into()))?;
        if exists {
            return Ok(());
        }
        connection
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .await
            .map_err(|error| refused(error.into()))
    }

    /// Stops the server: a fast shutdown, and after a minute an immediate one.
    ///
    /// # Errors
    /// [`LocalServerError::DoesNotStop`] when it outlives both.
    pub async fn stop(self) -> Result<(), LocalServerError> {
        let Self {
            mut postmaster,
            _lock: lock,
            ..
        } = self;
        let outcome = blocking(move || postmaster.stop(STOP_PATIENCE)).await;
        drop(lock);
        outcome
    }

    /// Lets the server run on without this process; the next start of the folder adopts it.
    pub fn leave_running(self) {
        self.postmaster.release();
    }
}

impl fmt::Debug for LocalServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LocalServer")
            .field("port", &self.port)
            .field("postmaster", &self.postmaster)
            .finish_non_exhaustive()
    }
}

/// Deletes everything of a folder's server, which is stopped first if it was left running. Other
/// files in the folder stay.
///
/// # Errors
/// [`LocalServerError::InUse`] while another process is in charge of it, or what the system said.
pub async fn fresh(directory: &Path) -> Result<(), LocalServerError> {
    let directory = directory.to_owned();
    let places = blocking(move || Place::existing(&directory)).await?;
    for place in places {
        let lock = launch::lock(&place)?;
        launch::stop_left_running(&place).await?;
        blocking(move || place.remove()).await?;
        drop(lock);
    }
    Ok(())
}

fn is_plain_name(name: &str) -> bool {
    (1..=DATABASE_NAME_LENGTH_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LocalServerError> + Send + 'static,
) -> Result<T, LocalServerError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(LocalServerError::Interrupted)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_database_names_are_taken() {
        for name in ["bursar", "_x", "bursar_test_1"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in ["", "Bursar", "a-b", "1a", "a\"; DROP", "ä", &"a".repeat(64)] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
