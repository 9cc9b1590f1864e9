//! Serving: from a configuration to an exit without loose ends.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web::web::ServiceConfig;
use anyhow::Context;
use bursar_app::{App, IntegrityWatch};
use bursar_console::{Console, ConsoleSettings};
use bursar_http::{HttpConfig, HttpState, Listeners};
use bursar_jwt::JwksRefresh;
use bursar_limiter::RedisKeeper;
use bursar_oidc::OidcRefresh;
use bursar_postgres::EngineTasks;
use bursar_streams::EventStreams;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    background::{
        COUNTING_POLL, CallbackLoop, NumberingLoop, Pace, count_volumes, expire_due, hear_changes,
        pay_out, settle_pending, tell_expiring, watch_books, watch_queue,
    },
    config::Config,
    shutdown::Signals,
    telemetry::{self, Metrics},
    wiring::System,
};

/// What goes on beside serving, and ends with it.
pub(crate) struct Company<'c> {
    background: &'c mut JoinSet<()>,
    stop: &'c CancellationToken,
}

impl<'c> Company<'c> {
    const fn of(background: &'c mut JoinSet<()>, stop: &'c CancellationToken) -> Self {
        Self { background, stop }
    }

    /// Starts something that has no end of its own.
    pub(crate) fn start(self, work: impl Future<Output = Infallible> + Send + 'static) {
        let stop = self.stop.clone();
        self.background.spawn(async move {
            stop.run_until_cancelled(work).await;
        });
    }
}

/// Serves until one of the signals says stop; then serves on until others are asked instead, answers
/// what is under way and ends what was started.
///
/// `ready` is called once requests are taken, with the address, and with what can be started beside.
pub(crate) async fn serve(
    config: &Config,
    system: System,
    metrics: Metrics,
    mut signals: Signals,
    ready: impl AsyncFnOnce(SocketAddr, Company<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    system.require_keys().await?;
    tell_allowed(config);
    let listeners = listeners(config)?;
    let System {
        app,
        callbacks,
        numbering,
        summary,
        changes,
        payout_hint,
        payout_schedule,
        jwks,
        provider,
        tasks,
        mut engine,
        integrity,
        redis,
        ..
    } = system;
    let stop = CancellationToken::new();
    let mut background = JoinSet::new();
    deliver(&mut background, callbacks, stop.clone());
    background.spawn(hear_changes(changes, stop.clone()));
    background.spawn(count_volumes(summary, COUNTING_POLL, stop.clone()));
    look_after_books(&mut background, &app, integrity, &stop);
    let payouts = pay_out(app.clone(), payout_schedule, payout_hint, stop.clone());
    background.spawn(payouts);
    keep_keys_fresh(&mut background, jwks, stop.clone());
    keep_provider_fresh(&mut background, provider, stop.clone());
    keep_metrics(&mut background, &app, metrics.clone(), stop.clone());

    keep_redis(&mut background, redis, &stop).await;

    let state = HttpState::new(app.clone(), Arc::new(move || metrics.render()));
    let (welcome, streams) = (Arc::clone(&state.ready), state.events.clone());
    number_events(&mut background, numbering, streams.clone(), stop.clone());
    let beside = beside(config, console(config, app, streams.clone()));
    let (server, addresses) = bursar_http::server(&http_config(config), state, listeners, beside)
        .context("the server cannot be started")?;
    let handle = server.handle();
    let mut server = tokio::spawn(server);
    let address = addresses.first().copied().unwrap_or(config.listen);
    tracing::info!(%address, "serving");
    if let Some(address) = addresses.get(1) {
        tracing::info!(%address, "serving operators");
    }
    ready(address, Company::of(&mut background, &stop)).await?;

    let broken = tokio::select! {
        () = signals.wait() => None,
        _ = &mut server => Some("the server ended by itself"),
        // What is gone would not be missed by anybody until money or callbacks stand still.
        _ = background.join_next() => Some("a background task ended by itself"),
        () = engine.broken() => Some("a batcher ended by itself"),
    };
    signals.exit_on_next();
    welcome.store(false, Ordering::Relaxed);
    if broken.is_none() {
        drain(config.shutdown_drain, &engine).await;
    }
    // The server waits for all answers, and theirs have no end.
    streams.end();
    handle.stop(true).await;
    within(config.shutdown_grace, async {
        // Settlements that were started after answers come before the loop that would take them up.
        tasks.finish().await;
        stop.cancel();
        while background.join_next().await.is_some() {}
        engine.join().await;
    })
    .await;
    ended(broken)
}

/// Takes the addresses that requests will come to.
fn listeners(config: &Config) -> anyhow::Result<Listeners> {
    let bind = |setting: &str, address: SocketAddr| {
        TcpListener::bind(address)
            .with_context(|| format!("{setting}: {address} cannot be listened on"))
    };
    let operators = config.listen_operators;
    Ok(Listeners {
        clients: bind("listen", config.listen)?,
        operators: operators
            .map(|address| bind("listen_operators", address))
            .transpose()?,
    })
}

/// How serving ended: because somebody said so, or because something broke.
fn ended(broken: Option<&'static str>) -> anyhow::Result<()> {
    match broken {
        None => {
            tracing::info!("stopped");
            Ok(())
        }
        Some(what) => anyhow::bail!(what),
    }
}

/// Keeps the connection to Redis, if there is one. It is made before the first request, so that none
/// of them finds it away that is there.
async fn keep_redis(
    background: &mut JoinSet<()>,
    redis: Option<RedisKeeper>,
    stop: &CancellationToken,
) {
    if let Some(redis) = redis {
        redis.connect().await;
        background.spawn(redis.run(stop.clone()));
    }
}

/// Serves on until balancers send requests elsewhere, and leaves the book to where they go.
async fn drain(length: Duration, engine: &EngineTasks) {
    if !length.is_zero() {
        engine.step_down();
        tokio::time::sleep(length).await;
    }
}

/// Waits for an end, but not for ever.
async fn within(grace: Duration, ending: impl Future<Output = ()>) {
    if tokio::time::timeout(grace, ending).await.is_err() {
        tracing::warn!("not everything ended in time; the next start takes it up");
    }
}

/// Delivers callbacks, and measures what waits.
fn deliver(background: &mut JoinSet<()>, callbacks: CallbackLoop, stop: CancellationToken) {
    background.spawn(watch_queue(callbacks.pass.clone(), stop.clone()));
    background.spawn(callbacks.run(stop));
}

/// Tells of addresses that callbacks may go to although they are private.
fn tell_allowed(config: &Config) {
    let allowed = &config.callback.urls.allow_cidrs;
    if !allowed.is_empty() {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        tracing::info!(allowed = %allowed.join(","), "callbacks may go to private addresses");
    }
}

/// Begins to count what must be seen from its first time on, and keeps metrics small.
fn keep_metrics(
    background: &mut JoinSet<()>,
    app: &App,
    metrics: Metrics,
    stop: CancellationToken,
) {
    telemetry::begin_counting(app.pays_out());
    background.spawn(metrics.keep_up(stop));
}

/// Asks for the keys of another issuer's tokens, if they are accepted.
fn keep_keys_fresh(
    background: &mut JoinSet<()>,
    jwks: Option<JwksRefresh>,
    stop: CancellationToken,
) {
    if let Some(jwks) = jwks {
        background.spawn(async move {
            // It has no end of its own.
            let _stopped = stop.run_until_cancelled_owned(jwks.run()).await;
        });
    }
}

/// Asks the identity provider about itself, if there is one.
fn keep_provider_fresh(
    background: &mut JoinSet<()>,
    provider: Option<OidcRefresh>,
    stop: CancellationToken,
) {
    if let Some(provider) = provider {
        background.spawn(async move {
            // It has no end of its own.
            let _stopped = stop.run_until_cancelled_owned(provider.run()).await;
        });
    }
}

/// Ends what is open, and watches what has been.
fn look_after_books(
    background: &mut JoinSet<()>,
    app: &App,
    integrity: IntegrityWatch,
    stop: &CancellationToken,
) {
    background.spawn(settle_pending(app.clone(), stop.clone()));
    background.spawn(expire_due(app.clone(), stop.clone()));
    background.spawn(tell_expiring(app.clone(), stop.clone()));
    background.spawn(watch_books(integrity, Pace::default(), stop.clone()));
}

/// Numbers events, and tells their streams.
fn number_events(
    background: &mut JoinSet<()>,
    numbering: NumberingLoop,
    streams: EventStreams,
    stop: CancellationToken,
) {
    background.spawn(numbering.run(move |last| streams.reach(last), stop));
}

fn console(config: &Config, app: App, streams: EventStreams) -> Console {
    let settings = ConsoleSettings {
        second_look_above: config.console.second_look_above,
        secure_cookies: config.console.secure_cookies,
        password_sign_in: config.console.password_sign_in,
        provider: config.provider.as_ref().map(|it| it.label.clone()),
    };
    Console::new(app, settings, streams)
}

/// Mounts the console, where it is served.
fn beside(
    config: &Config,
    console: Console,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let is_served = config.console.enabled;
    move |service| {
        if is_served {
            bursar_console::configure(service, console.clone());
        }
    }
}

fn http_config(config: &Config) -> HttpConfig {
    let defaults = HttpConfig::default();
    HttpConfig {
        workers: config.http.workers.map_or(defaults.workers, usize::from),
        head_read_timeout: config.http.head_timeout,
        body_read_timeout: config.http.body_timeout,
        keep_alive: config.http.keep_alive,
        unread_timeout: config.http.unread_timeout,
        trusted_proxies: config.http.trusted_proxies.clone(),
        callback_addresses: config.callback.sending_addresses.clone(),
        event_streams_max: config.http.event_streams,
        // Whole seconds, and never none: what is under way must have a chance.
        shutdown_timeout: config.shutdown_grace.max(Duration::from_secs(1)),
        ..defaults
    }
}
