//! Serving: from a configuration to an exit without loose ends.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::Ordering,
    time::Duration,
};

use anyhow::Context;
use bursar_http::{HttpConfig, HttpState};
use tokio_util::sync::CancellationToken;

use crate::{
    background::settle_pending,
    config::Config,
    shutdown::Signals,
    telemetry::Metrics,
    wiring::{System, end_engine},
};

/// Serves until a signal says stop; then answers what is under way and ends what was started.
///
/// `ready` is called once requests are taken, with the address.
pub(crate) async fn serve(
    config: &Config,
    system: System,
    metrics: Metrics,
    ready: impl AsyncFnOnce(SocketAddr) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("listen: {} cannot be listened on", config.listen))?;
    let System {
        app,
        callbacks,
        tasks,
        engine,
    } = system;
    let stop = CancellationToken::new();
    let background = tokio::spawn(callbacks.run(stop.clone()));
    let settling = tokio::spawn(settle_pending(app.clone(), stop.clone()));
    let upkeep = tokio::spawn(metrics.clone().keep_up(stop.clone()));

    let state = HttpState::new(app, std::sync::Arc::new(move || metrics.render()));
    let welcome = std::sync::Arc::clone(&state.ready);
    let (server, addresses) = bursar_http::server(&http_config(config), state, vec![listener])
        .context("the server cannot be started")?;
    let handle = server.handle();
    let mut server = tokio::spawn(server);
    let address = addresses.first().copied().unwrap_or(config.listen);
    tracing::info!(%address, "serving");
    ready(address).await?;

    let ended_by_itself = tokio::select! {
        () = signals.wait() => None,
        ended = &mut server => Some(ended),
    };
    signals.exit_on_next();
    welcome.store(false, Ordering::Relaxed);
    if ended_by_itself.is_none() {
        handle.stop(true).await;
        server.await.context("the server broke off")??;
    }
    // Settlements that were started after answers come before the loops that would take them up.
    tasks.finish().await;
    stop.cancel();
    for task in [background, settling, upkeep] {
        task.await.context("a background task broke off")?;
    }
    end_engine(engine, config.shutdown_grace).await;
    tracing::info!("stopped");
    match ended_by_itself {
        Some(ended) => ended
            .context("the server broke off")?
            .context("the server ended"),
        None => Ok(()),
    }
}

fn http_config(config: &Config) -> HttpConfig {
    let defaults = HttpConfig::default();
    HttpConfig {
        workers: config.http.workers.map_or(defaults.workers, usize::from),
        head_read_timeout: config.http.head_timeout,
        body_read_timeout: config.http.body_timeout,
        keep_alive: config.http.keep_alive,
        // Whole seconds, and never none: what is under way must have a chance.
        shutdown_timeout: config.shutdown_grace.max(Duration::from_secs(1)),
        ..defaults
    }
}
