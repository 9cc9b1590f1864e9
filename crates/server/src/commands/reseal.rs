//! `bursar reseal`.

use anyhow::Context;
use bursar_app::Principal;
use bursar_ports::{Permission, SecretOwner};

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
    let system = System::for_command(&config).await?;
    let done = run(&system, args.revoke_unreadable).await;
    system.finish(config.shutdown_grace).await;
    done
}

async fn run(system: &System, revoke_unreadable: bool) -> anyhow::Result<()> {
    let grant = Principal::local_operator().grant(Permission::Admin)?;
    let done = system
        .reseal
        .run(&grant)
        .await
        .context("not all secrets could be encrypted anew; run it again")?;
    let mut report = vec![
        format!("resealed: {}", done.resealed),
        format!("changed meanwhile: {}", done.changed_meanwhile),
        format!("unreadable: {}", done.unreadable.len()),
    ];
    let unreadable = |owner: &SecretOwner| match owner {
        SecretOwner::AccessKey(access_key) => format!("unreadable access key: {access_key}"),
        SecretOwner::CallbackSecret(id) => format!("unreadable callback secret: {id}"),
        SecretOwner::OperatorTotp(name) => format!("unreadable operator's secret: {name}"),
    };
    report.extend(done.unreadable.iter().map(unreadable));
    if revoke_unreadable {
        let revoked = done.unreadable.len();
        for owner in done.unreadable {
            match owner {
                SecretOwner::AccessKey(access_key) => {
                    system.app.revoke_access_key(&grant, access_key).await?;
                }
                SecretOwner::CallbackSecret(id) => {
                    system.app.revoke_callback_secret(&grant, id).await?;
                }
                // `operator reset-totp` and `operator enable` let whoever it is in again.
                SecretOwner::OperatorTotp(name) => {
                    system.app.disable_operator(&grant, name).await?;
                }
            }
        }
        report.push(format!("revoked: {revoked}"));
    }
    let counted = system.reseal.count().await?;
    let under = |(key, count): &(String, u64)| format!("under master key {key}: {count}");
    report.extend(counted.iter().map(under));
    say(&format!("{}\n", report.join("\n")))?;
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
