//! `bursar heads`.

use std::{
    fs::File,
    io::{BufWriter, Write},
};

use anyhow::Context;
use bursar_postgres::export_heads;
use secrecy::ExposeSecret;

use super::say;
use crate::{
    cli::HeadsArgs,
    config::{Config, Sources},
    telemetry,
};

/// Exports where every account's entries stand.
pub(crate) async fn heads(args: HeadsArgs) -> anyhow::Result<()> {
    let sources = Sources::collect(args.config.config.as_deref())?;
    let (database, log) = Config::load_database(&sources)?;
    telemetry::start_logging(&log)?;
    let path = args.out.display();
    // An earlier export is what proves something: it is never overwritten.
    let file = File::create_new(&args.out).with_context(|| format!("{path} cannot be made"))?;
    let mut out = BufWriter::new(file);
    let count = export_heads(database.url.expose_secret(), &mut out)
        .await
        .context("the heads cannot be exported")?;
    out.flush()
        .and_then(|()| out.get_ref().sync_all())
        .with_context(|| format!("{path} cannot be written"))?;
    say(&format!("accounts: {count}\n"))
}
