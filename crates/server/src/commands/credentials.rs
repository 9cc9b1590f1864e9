//! `bursar token create` and `bursar access-key create`.

use std::path::Path;

use bursar_app::{App, Error, Grant, NewAccessKey, NewToken, Principal};
use bursar_ports::Permission;

use super::say;
use crate::{
    cli::{AccessKeyArgs, TokenArgs},
    config::{Config, Sources},
    telemetry,
    wiring::{System, require_schema},
};

const SECONDS_PER_DAY: u32 = 86_400;

/// Issues a bearer token and prints it.
pub(crate) async fn create_token(args: TokenArgs) -> anyhow::Result<()> {
    let new = NewToken {
        subject: args.subject,
        user: args.user,
        permissions: args.permissions,
        ttl_seconds: args.ttl_days.saturating_mul(SECONDS_PER_DAY),
    };
    let issued = with_app(args.config.config.as_deref(), async |app, grant| {
        app.issue_token(grant, new).await
    })
    .await?;
    say(&format!("{}\n", issued.secret))
}

/// Issues an access key and prints both halves.
pub(crate) async fn create_access_key(args: AccessKeyArgs) -> anyhow::Result<()> {
    let new = NewAccessKey {
        user: args.user,
        permissions: args.permissions,
        allowed_ips: args.allowed_ips,
        requests_per_minute: args.requests_per_minute,
    };
    let issued = with_app(args.config.config.as_deref(), async |app, grant| {
        app.issue_access_key(grant, new).await
    })
    .await?;
    say(&format!(
        "access_key={}\nsecret_key={}\n",
        issued.key.access_key, issued.secret
    ))
}

/// Does something through a use case, as whoever runs the command line.
pub(super) async fn with_app<T>(
    file: Option<&Path>,
    work: impl AsyncFnOnce(&App, &Grant) -> Result<T, Error>,
) -> anyhow::Result<T> {
    let config = Config::load(&Sources::collect(file)?)?;
    telemetry::start_logging(&config.log)?;
    require_schema(&config.database).await?;
    let system = System::for_command(&config).await?;
    let grant = Principal::local_operator().grant(Permission::Admin)?;
    let done = work(&system.app, &grant).await;
    system.finish(config.shutdown_grace).await;
    Ok(done?)
}
