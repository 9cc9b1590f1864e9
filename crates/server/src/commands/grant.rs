//! `bursar grant`.

use secrecy::ExposeSecret;

use super::say;
use crate::{
    cli::GrantArgs,
    config::{Config, Sources},
    telemetry,
};

/// Gives the application's role its rights.
pub(crate) async fn grant(args: GrantArgs) -> anyhow::Result<()> {
    let sources = Sources::collect(args.config.config.as_deref())?;
    let (database, log) = Config::load_database(&sources)?;
    telemetry::start_logging(&log)?;
    bursar_postgres::grant(database.url.expose_secret(), &args.role).await?;
    say(&format!("granted: {}\n", args.role))
}
