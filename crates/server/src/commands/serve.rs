//! `bursar serve`.

use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;

use crate::{
    cli::ConfigArgs,
    config::{Config, Sources},
    serve::serve as serve_until_stopped,
    shutdown::Signals,
    telemetry::{self, Metrics},
    wiring::{System, prepare_schema},
};

/// How long a database may take to come up that is started together with this.
const DATABASE_START_MAX: Duration = Duration::from_secs(60);

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
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let system = signals.or_end(Box::pin(prepare(&config))).await?;
    serve_until_stopped(&config, system, metrics, signals, async |_, _| Ok(())).await
}

/// Everything that comes before serving.
async fn prepare(config: &Config) -> anyhow::Result<System> {
    let url = config.database.url.expose_secret();
    bursar_postgres::await_database(url, DATABASE_START_MAX)
        .await
        .context("the database cannot be reached")?;
    prepare_schema(&config.database).await?;
    System::build(config).await
}
