//! `bursar reseal`.

use std::collections::BTreeSet;

use anyhow::Context;
use bursar_app::Principal;
use bursar_ports::{Clock as _, Permission, SecretOwner};
use bursar_postgres::{SealKeys, reseal_open};
use secrecy::ExposeSecret as _;

use super::say;
use crate::{
    cli::ResealArgs,
    config::{Config, Sources},
    system::SystemClock,
    telemetry,
    wiring::{System, require_schema},
};

/// Encrypts every secret at rest under the first master key, says how many are under which, and seals
/// what is open or still to be told of under it.
pub(crate) async fn reseal(args: ResealArgs) -> anyhow::Result<()> {
    let config = Config::load(&Sources::collect(args.config.config.as_deref())?)?;
    telemetry::start_logging(&config.log)?;
    require_schema(&config.database).await?;
    let system = System::for_command(&config).await?;
    let url = config.database.url.expose_secret();
    let secrets = run(&system, args.revoke_unreadable).await;
    let accepted = args.accept_transfer.into_iter().collect();
    let transfers = run_open(&system, url, &accepted).await;
    system.finish(config.shutdown_grace).await;
    match (secrets, transfers) {
        (Err(secrets), Err(transfers)) => Err(transfers.context(secrets)),
        (secrets, transfers) => secrets.and(transfers),
    }
}

/// Seals what is open or still to be told of under the first key, and names what is left.
async fn run_open(system: &System, url: &str, accepted: &BTreeSet<i64>) -> anyhow::Result<()> {
    let grant = Principal::local_operator().grant(Permission::Admin)?;
    let audit = grant.audit("transfer.reseal", "transfers");
    let seals = SealKeys::new(system.keyring.ledger_keys());
    let done = reseal_open(url, &seals, accepted, (audit, SystemClock.now()))
        .await
        .context("not all transfers could be sealed anew; run it again")?;
    let mut report = vec![
        format!("transfers resealed: {}", done.resealed.len()),
        format!("transfers accepted: {}", done.accepted.len()),
    ];
    for (why, ids) in [
        ("without a seal", &done.unsealed),
        ("sealed with a key that is not configured", &done.unknown),
        ("changed by somebody without the key", &done.changed),
        ("to be accepted and not there", &done.missing),
    ] {
        let each = ids.iter().map(|id| format!("transfer {why}: {id}"));
        report.extend(each);
    }
    say(&format!("{}\n", report.join("\n")))?;
    let left = done.left();
    anyhow::ensure!(
        left == 0,
        "{left} transfers are not taken up by Bursar: see docs/OPERATIONS.md, Changing the \
         master key"
    );
    Ok(())
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
