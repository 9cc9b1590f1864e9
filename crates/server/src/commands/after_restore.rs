//! `bursar after-restore`.

use bursar_app::Principal;
use bursar_ports::Permission;
use bursar_postgres::MovedOn;
use secrecy::ExposeSecret;

use super::say;
use crate::{
    cli::ConfigArgs,
    config::{Config, Sources},
    telemetry,
    wiring::require_schema,
};

/// Moves every number on beyond what was given out before the database was restored.
pub(crate) async fn after_restore(args: ConfigArgs) -> anyhow::Result<()> {
    let sources = Sources::collect(args.config.as_deref())?;
    let (database, log) = Config::load_database(&sources)?;
    telemetry::start_logging(&log)?;
    require_schema(&database).await?;
    let grant = Principal::local_operator().grant(Permission::Admin)?;
    let audit = grant.audit("numbers.move_on", "numbers");
    let moved = bursar_postgres::after_restore(database.url.expose_secret(), audit).await?;
    let lines: Vec<String> = moved.iter().map(line).collect();
    say(&lines.concat())
}

fn line(moved: &MovedOn) -> String {
    let MovedOn { what, from, to } = moved;
    format!("{what}: next was {from}, is {to}\n")
}
