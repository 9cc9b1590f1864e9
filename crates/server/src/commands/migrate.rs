//! `bursar migrate`.

use anyhow::Context;
use secrecy::ExposeSecret;

use crate::{
    cli::ConfigArgs,
    config::{Config, Sources},
    telemetry,
};

/// Brings the database's schema up to date.
pub(crate) async fn migrate(args: ConfigArgs) -> anyhow::Result<()> {
    let sources = Sources::collect(args.config.as_deref())?;
    let (database, log) = Config::load_database(&sources)?;
    telemetry::start_logging(&log)?;
    bursar_postgres::migrate(database.url.expose_secret())
        .await
        .context("the database could not be migrated")?;
    tracing::info!("the database's schema is up to date");
    Ok(())
}
