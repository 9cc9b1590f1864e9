//! `bursar demo`: a whole exchange in one folder (contract §5).

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::Path,
};

use anyhow::Context;
use bursar_ports::Clock as _;
use bursar_postgres::local::{self, LocalServer, LocalServerConfig};

use super::say;
use crate::{
    cli::DemoArgs,
    config::{Config, Sources},
    demo::{
        Secrets, env_file, exchange,
        operators::{self, PASSWORD},
        traffic,
    },
    serve::serve,
    shutdown::Signals,
    system::SystemClock,
    telemetry::{self, Metrics},
    wiring::{System, prepare_schema},
};

/// The database of the demo.
const DATABASE: &str = "bursar";

/// Serves the demo until it is stopped, and stops its database with it.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    let mut sources = Sources::collect(None)?;
    fix_settings(
        &mut sources,
        "postgres://demo@127.0.0.1/demo",
        &Secrets::placeholder(),
    );
    // What the environment gets wrong is told before anything is started.
    telemetry::start_logging(&Config::load(&sources)?.log)?;
    let directory = &args.directory;
    let postgres = directory.join("postgres");
    if args.fresh {
        local::fresh(&postgres)
            .await
            .context("the earlier demo cannot be thrown away")?;
        Secrets::forget(directory)?;
    }
    let secrets = Secrets::load_or_make(directory)?;
    // From here on a signal must not end this process before it has stopped the database.
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let starting = LocalServer::start(LocalServerConfig {
        directory: postgres,
        bin_dir: args.pg_bin,
        durable: true,
        settings: vec![],
    });
    let database = tokio::select! {
        started = starting => started.context("the demo's PostgreSQL cannot be started")?,
        // What was started so far is stopped with the value that holds it.
        () = signals.wait() => return Ok(()),
    };
    let served = serve_on(
        &database,
        sources,
        secrets,
        directory,
        args.traffic,
        signals,
    );
    let served = Box::pin(served).await;
    let removed = env_file::remove(directory);
    database
        .stop()
        .await
        .context("the demo's PostgreSQL did not stop")?;
    served.and(removed)
}

async fn serve_on(
    database: &LocalServer,
    mut sources: Sources,
    mut secrets: Secrets,
    directory: &Path,
    has_traffic: bool,
    mut signals: Signals,
) -> anyhow::Result<()> {
    // A demo that was killed has left its file behind, and whoever waits for this one to be ready
    // must not take it for ours. Not before the database is in our charge: until then it may be
    // the file of a demo that runs.
    env_file::remove(directory)?;
    let url = database.url(DATABASE);
    fix_settings(&mut sources, &url, &secrets);
    let config = Config::load(&sources)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let metrics = Metrics::start()?;
    let prepared = tokio::select! {
        prepared = prepare(database, &config, &mut secrets) => Some(prepared?),
        () = signals.wait() => None,
    };
    let Some(system) = prepared else {
        signals.exit_on_next();
        return Ok(());
    };
    secrets.save(directory)?;
    // An application that is held on to keeps the engine from ending.
    let app = has_traffic.then(|| system.app.clone());
    serve(
        &config,
        system,
        metrics,
        signals,
        async |address, company| {
            env_file::write(directory, address, &url, &secrets)?;
            let console = config.console.enabled.then_some(&secrets);
            if let Some(app) = app {
                company.start(traffic::flow(app));
            }
            welcome(address, directory, console)
        },
    )
    .await
}

/// Brings database and exchange to where they can be served. It may be broken off anywhere: the
/// next start goes on from there.
async fn prepare(
    database: &LocalServer,
    config: &Config,
    secrets: &mut Secrets,
) -> anyhow::Result<System> {
    database.create_database_if_missing(DATABASE).await?;
    prepare_schema(&config.database).await?;
    let system = System::build(config).await?;
    exchange::load(&system.app, secrets)
        .await
        .context("the demo cannot be loaded")?;
    Ok(system)
}

/// The settings that make a demo; everything else is the environment's.
fn fix_settings(sources: &mut Sources, url: &str, secrets: &Secrets) {
    sources.fixed.extend([
        ("profile", env_file::PROFILE.to_owned()),
        ("root_asset", env_file::ROOT_ASSET.to_owned()),
        ("database.url", url.to_owned()),
        ("database.migrate", "true".to_owned()),
        ("master_key", secrets.master_key()),
        ("code_key", secrets.code_key()),
    ]);
}

fn welcome(address: SocketAddr, directory: &Path, console: Option<&Secrets>) -> anyhow::Result<()> {
    let env = directory.join(env_file::NAME);
    let env = env.display();
    let console = console.map_or_else(String::new, |secrets| sign_in(address, secrets));
    let text = format!(
        "\nBursar is ready at http://{address} (API pages: http://{address}/docs)\n\n{console}\
         In another terminal:\n\n  \
         set -a; . {env}; set +a\n  \
         curl -s \"$BURSAR_URL/balance\" -H \"Authorization: Bearer $BURSAR_ALICE_TOKEN\"\n\n\
         The tour goes on in README.md. Ctrl-C stops everything; the money stays.\n\n"
    );
    io::stdout()
        .write_all(text.as_bytes())
        .context("standard output is closed")
}

/// How to get into the console within a minute.
fn sign_in(address: SocketAddr, secrets: &Secrets) -> String {
    let codes = operators::codes(secrets, SystemClock.now());
    let code = codes.first().map_or("", |(_, code)| code.as_str());
    format!(
        "The console: http://{address}/console\n\n  \
         name      demo\n  \
         password  {PASSWORD}\n  \
         code      {code} right now; later: scripts/run --code, or bursar demo --code\n\n"
    )
}

/// Prints the codes that the demo's operators sign in with right now.
pub(crate) fn code(args: &DemoArgs) -> anyhow::Result<()> {
    let directory = &args.directory;
    let secrets = Secrets::load(directory)?;
    let codes = secrets.map(|secrets| operators::codes(&secrets, SystemClock.now()));
    let codes = codes.filter(|codes| !codes.is_empty()).with_context(|| {
        format!(
            "{} has no operators yet: start the demo first",
            directory.display()
        )
    })?;
    let lines: Vec<String> = codes
        .iter()
        .map(|(name, code)| format!("{name} {code}\n"))
        .collect();
    say(&lines.concat())
}
