//! The server test databases are made on, and their template.

use diesel::{dsl::sql, sql_types::Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::sync::OnceCell;

use super::{TestError, drop_database, folder};
use crate::local::{LocalServer, LocalServerConfig, fresh};

const FINGERPRINT: &str = env!("BURSAR_MIGRATIONS_FINGERPRINT");

static SERVER: OnceCell<TestServer> = OnceCell::const_new();
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// A running server, known by its address without a database.
#[derive(Debug)]
pub(super) struct TestServer {
    /// The address of any database on it.
    base: String,
}

impl TestServer {
    pub(super) async fn find() -> Result<&'static Self, TestError> {
        SERVER
            .get_or_try_init(|| async {
                let base = match std::env::var("BURSAR_TEST_DATABASE_URL") {
                    Ok(url) => url,
                    Err(_) => shared_url().await?,
                };
                Ok(Self { base })
            })
            .await
    }

    /// The address of a database on this server.
    pub(super) fn url(&self, database: &str) -> Result<String, TestError> {
        with_database(&self.base, database)
            .ok_or_else(|| "BURSAR_TEST_DATABASE_URL is no address of a database".into())
    }

    /// The name of the migrated template, made by whichever process needs it first.
    pub(super) async fn template(&self) -> Result<&'static str, TestError> {
        TEMPLATE
            .get_or_try_init(|| self.make_template())
            .await
            .map(String::as_str)
    }

    async fn make_template(&self) -> Result<String, TestError> {
        let name = format!("bursar_template_{FINGERPRINT}");
        let _lock = tokio::task::spawn_blocking(|| folder::lock("template.lock")).await??;
        let admin_url = self.url("postgres")?;
        let mut admin = AsyncPgConnection::establish(&admin_url).await?;
        if databases_like(&mut admin, &name).await?.is_empty() {
            // Renamed when complete, so that a template that exists is whole.
            let unfinished = format!("{name}_new");
            drop_database(&admin_url, &unfinished).await?;
            admin
                .batch_execute(&format!("CREATE DATABASE \"{unfinished}\""))
                .await?;
            crate::migrate(&self.url(&unfinished)?).await?;
            admin
                .batch_execute(&format!(
                    "ALTER DATABASE \"{unfinished}\" RENAME TO \"{name}\""
                ))
                .await?;
        }
        Ok(name)
    }
}

/// Starts or adopts the shared server, and drops what killed tests have left on it.
async fn shared_url() -> Result<String, TestError> {
    let lock = tokio::task::spawn_blocking(|| folder::lock("server.lock")).await??;
    let server = LocalServer::start(LocalServerConfig {
        directory: folder::shared()?.join("server"),
        bin_dir: std::env::var_os("PG_BIN").map(Into::into),
        durable: false,
        settings: vec![("max_connections".to_owned(), "400".to_owned())],
    })
    .await?;
    let url = server.url("postgres");
    server.leave_running();
    drop(lock);
    drop_abandoned(&url).await?;
    Ok(url)
}

/// Stops the shared server, if one runs, and deletes it.
///
/// # Errors
/// What the system said.
pub async fn stop_shared_server() -> Result<(), TestError> {
    let _lock = tokio::task::spawn_blocking(|| folder::lock("server.lock")).await??;
    Ok(fresh(&folder::shared()?.join("server")).await?)
}

async fn drop_abandoned(url: &str) -> Result<(), TestError> {
    let mut admin = AsyncPgConnection::establish(url).await?;
    for name in databases_like(&mut admin, "bursar\\_test\\_%").await? {
        let owner = name.split('_').nth(2).and_then(|pid| pid.parse().ok());
        if owner.is_some_and(folder::is_gone) {
            drop_database(url, &name).await?;
        }
    }
    Ok(())
}

async fn databases_like(
    admin: &mut AsyncPgConnection,
    pattern: &str,
) -> Result<Vec<String>, TestError> {
    let query = sql::<Text>("SELECT datname::text FROM pg_database WHERE datname LIKE ")
        .bind::<Text, _>(pattern);
    Ok(query.load(admin).await?)
}

/// Replaces the path of a database's address and keeps user, host and parameters.
fn with_database(url: &str, database: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority_and_path, parameters) = match rest.split_once('?') {
        Some((before, after)) => (before, format!("?{after}")),
        None => (rest, String::new()),
    };
    let authority = authority_and_path.split('/').next()?;
    Some(format!("{scheme}://{authority}/{database}{parameters}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_an_address_is_replaced() {
        let expected = Some("postgres://u:p@127.0.0.1:5/x".to_owned());
        assert_eq!(
            with_database("postgres://u:p@127.0.0.1:5/postgres", "x"),
            expected
        );
        assert_eq!(with_database("postgres://u:p@127.0.0.1:5", "x"), expected);
        assert_eq!(
            with_database("postgres://u@h/a?sslmode=disable", "x"),
            Some("postgres://u@h/x?sslmode=disable".to_owned())
        );
        assert_eq!(with_database("h/a", "x"), None);
    }
}
