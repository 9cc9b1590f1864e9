//! A database of its own for each test.
//!
//! Each is a copy of one template that holds the migrated schema, so a test pays for a file copy
//! and not for the migrations. The server is the one `BURSAR_TEST_DATABASE_URL` names (a
//! superuser's address; `scripts/test` starts one for its run) or else a private one, shared by
//! all test processes of this user: the first starts it, the rest adopt it, and it runs on for the
//! next run. [`stop_shared_server`] ends it, as does `kill -INT` to the first number in
//! `<temporary folder>/bursar-test-postgres-<uid>/server/data/postmaster.pid`.

mod folder;
mod proxy;
mod scratch;
mod server;

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bursar_ports::chain;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use self::server::TestServer;
pub use self::{
    proxy::{WireFault, WireProxy, host_of},
    scratch::ScratchFolder,
    server::stop_shared_server,
};

/// What a test harness failed with: a test can only report it.
pub type TestError = Box<dyn Error + Send + Sync>;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Creating a copy waits while another process copies the same template.
const COPY_ATTEMPTS_MAX: u32 = 20;
const PAUSE_AFTER_COPY: Duration = Duration::from_millis(250);

/// A migrated, otherwise empty database, dropped with its value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    admin_url: String,
    closed: bool,
}

impl TestDatabase {
    /// A new database.
    ///
    /// # Panics
    /// When there is no server, or it refuses: no test can go on without its database.
    pub async fn create() -> Self {
        match Self::try_create().await {
            Ok(database) => database,
            Err(error) => panic!("no test database: {}", chain(error.as_ref())),
        }
    }

    /// As [`TestDatabase::create`], with the error as a value.
    ///
    /// # Errors
    /// What the server or the migrations said.
    pub async fn try_create() -> Result<Self, TestError> {
        let server = TestServer::find().await?;
        let template = server.template().await?;
        let name = new_name();
        let statement = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
        copy(&server.url("postgres")?, &statement).await?;
        Ok(Self {
            url: server.url(&name)?,
            admin_url: server.url("postgres")?,
            name,
            closed: false,
        })
    }

    /// A new database without any schema, to test the migrations themselves.
    ///
    /// # Errors
    /// What the server said.
    pub async fn try_create_empty() -> Result<Self, TestError> {
        Self::try_create_with("").await
    }

    /// The same, with these options of `CREATE DATABASE`.
    ///
    /// # Errors
    /// What the server said.
    pub async fn try_create_with(options: &str) -> Result<Self, TestError> {
        let server = TestServer::find().await?;
        let name = new_name();
        copy(
            &server.url("postgres")?,
            &format!("CREATE DATABASE \"{name}\" {options}"),
        )
        .await?;
        Ok(Self {
            url: server.url(&name)?,
            admin_url: server.url("postgres")?,
            name,
            closed: false,
        })
    }

    /// Its address, as a superuser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drops the database and every connection to it.
    ///
    /// # Errors
    /// What the server said.
    pub async fn close(mut self) -> Result<(), TestError> {
        self.closed = true;
        drop_database(&self.admin_url, &self.name).await
    }
}

impl Drop for TestDatabase {
    /// Blocks on a thread of its own, because the test's runtime is busy dropping us. A failure is
    /// only reported: panicking here would hide the test's own.
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (admin_url, name) = (self.admin_url.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(drop_database(&admin_url, &name))
        })
        .join();
        match dropped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, name = self.name, "test database remains"),
            Err(_) => tracing::warn!(name = self.name, "test database remains"),
        }
    }
}

/// The process id tells later runs which databases nobody can need any more.
fn new_name() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random: u32 = rand::random();
    format!("bursar_test_{}_{number}_{random:08x}", std::process::id())
}

async fn copy(admin_url: &str, statement: &str) -> Result<(), TestError> {
    let mut connection = AsyncPgConnection::establish(admin_url).await?;
    let mut attempt = 1;
    loop {
        match connection.batch_execute(statement).await {
            Ok(()) => return Ok(()),
            Err(error) if attempt >= COPY_ATTEMPTS_MAX => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, attempt, "the template is busy");
                attempt += 1;
                tokio::time::sleep(PAUSE_AFTER_COPY).await;
            }
        }
    }
}

async fn drop_database(admin_url: &str, name: &str) -> Result<(), TestError> {
    let mut connection = AsyncPgConnection::establish(admin_url).await?;
    let statement = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
    Ok(connection.batch_execute(&statement).await?)
}
