//! `bursar reseal`.

use anyhow::Context;
use bursar_app::Principal;
use bursar_ports::Permission;

use super::say;
use crate::{
    cli::ResealArgs,
    config::{Config, Sources},
    telemetry,
    wiring::{System, prepare_schema},
};

/// Encrypts every secret at rest under the first master key, and says how many are under which.
pub(crate) async fn reseal(args: ResealArgs) -> anyhow::Result<()> {
    let config = Config::load(&Sources::collect(args.config.config.as_deref())?)?;
    telemetry::start_logging(&config.log)?;
    prepare_schema(&config.database).await?;
    let system = System::build(&config).await?;
    let done = run(&system, args.revoke_unreadable).await;
    system.finish(config.shutdown_grace).await;
    done
}

async fn run(system: &System, revoke_unreadable: bool) -> anyhow::Result<()> {
    let done = system
        .reseal
        .run()
        .await
        .context("not all secrets could be encrypted anew; run it again")?;
    let mut report = format!(
        "resealed: {}\nchanged meanwhile: {}\nunreadable: {}\n",
        done.resealed,
        done.changed_meanwhile,
        done.unreadable.len()
    );
    let mut left = done.unreadable;
    if revoke_unreadable {
        let grant = Principal::local_operator().grant(Permission::Admin)?;
        let mut revoked = 0_u64;
        for access_key in std::mem::take(&mut left) {
            system.app.revoke_access_key(&grant, access_key).await?;
            revoked = revoked.saturating_add(1);
        }
        report.push_str(&format!("revoked: {revoked}\n"));
    }
    for access_key in &left {
        report.push_str(&format!("unreadable access key: {access_key}\n"));
    }
    let counted = system.reseal.count().await?;
    for (key, count) in &counted {
        report.push_str(&format!("under master key {key}: {count}\n"));
    }
    say(&report)?;
    let first = system.keyring.sealing_key_id();
    let others: u64 = counted
        .iter()
        .filter(|(key, _)| key != first)
        .map(|(_, count)| count)
        .sum();
    anyhow::ensure!(
        others == 0,
        "{others} secrets are not under the master key {first} yet: run it again, or see \
         docs/OPERATIONS.md for those that are unreadable"
    );
    Ok(())
}
