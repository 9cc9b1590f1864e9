//! `bursar heads`.

use std::{
    fs::{self, File},
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
    let exported = write(database.url.expose_secret(), file).await;
    if exported.is_err() {
        // A part proves nothing, and would be in the way of the next try.
        fs::remove_file(&args.out).with_context(|| format!("{path} is a part and stays"))?;
    }
    let count = exported.with_context(|| format!("the heads cannot be exported to {path}"))?;
    say(&format!("accounts: {count}\n"))
}

async fn write(url: &str, file: File) -> anyhow::Result<u64> {
    let mut out = BufWriter::new(file);
    let count = export_heads(url, &mut out).await?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(count)
}
