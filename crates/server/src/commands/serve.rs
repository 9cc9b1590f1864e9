//! `bursar serve`.

use crate::{
    cli::ConfigArgs,
    config::{Config, Sources},
    serve::serve as serve_until_stopped,
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
    let metrics = Metrics::start()?;
    prepare_schema(&config.database).await?;
    let system = System::build(&config).await?;
    serve_until_stopped(&config, system, metrics, async |_| Ok(())).await
}
