//! `bursar serve`.

use anyhow::Context;

use crate::{
    cli::ConfigArgs,
    config::{Config, Sources},
    serve::serve as serve_until_stopped,
    shutdown::Signals,
    telemetry::{self, Metrics},
    wiring::{System, prepare_schema},
};

/// Serves both APIs.
pub(crate) async fn serve(args: ConfigArgs) -> anyhow::Result<()> {
    let sources = Sources::collect(args.config.as_deref())?;
    let config = Config::load(&sources)?;
    telemetry::start_logging(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    #[cfg(feature = "failpoints")]
    crate::failpoints::listen()?;
    let metrics = Metrics::start()?;
    prepare_schema(&config.database).await?;
    let system = System::build(&config).await?;
    let signals = Signals::listen().context("signals cannot be listened to")?;
    serve_until_stopped(&config, system, metrics, signals, async |_, _| Ok(())).await
}
