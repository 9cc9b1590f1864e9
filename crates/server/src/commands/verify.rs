//! `bursar verify`.

mod record;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use bursar_app::Keyring;
use bursar_audit::record::Line;
use bursar_postgres::{
    Event, HeadsFile, Judged, SealKeys, Verification,
    local::{self, LocalServer, LocalServerConfig},
    migrate, migration_state,
};
use secrecy::ExposeSecret;

use super::{note, say};
use crate::{
    cli::VerifyArgs,
    config::{Config, Sources},
    shutdown::Signals,
    telemetry,
    wiring::refuse_other_schema,
};

/// The database that a dump is restored into.
const DATABASE: &str = "restored";
/// How often to say how far it is.
const PROGRESS: Duration = Duration::from_secs(10);
/// How many violations are named; they are all counted.
const NAMED_MAX: u64 = 1_000;

/// Proves the books, and fails when something is wrong with them.
pub(crate) async fn verify(args: VerifyArgs) -> anyhow::Result<()> {
    let config = Config::load(&Sources::collect(args.config.config.as_deref())?)?;
    telemetry::start_logging(&config.log)?;
    let keys = config.master_keys.iter();
    let keys = keys.map(|(name, key)| (name.clone(), key.0)).collect();
    let keyring = Keyring::try_new(config.code_key.0, keys)?;
    let heads = match &args.heads {
        Some(path) => Some(
            HeadsFile::open(path)
                .with_context(|| format!("{} is no export of heads", path.display()))?,
        ),
        None => None,
    };
    let verification = Verification {
        seals: SealKeys::new(keyring.ledger_keys()),
        sealed_since: args.sealed_since,
        heads,
    };
    let record = args.record.as_deref().map(record::read).transpose()?;
    let proved = if let Some(dump) = args.dump {
        of_dump(&dump, args.pg_bin, &verification, record).await?
    } else {
        let url = config.database.url.expose_secret();
        require_current(url).await?;
        prove(url, &verification, record).await?
    };
    let violations = proved.violations;
    report(&proved)?;
    anyhow::ensure!(
        violations == 0,
        "the books are not what they must be: {violations} violations"
    );
    Ok(())
}

/// What was proved.
struct Proved {
    books: Judged,
    record: Option<bursar_audit::Judged>,
    violations: u64,
}

/// Says what was proved.
fn report(proved: &Proved) -> anyhow::Result<()> {
    let Judged {
        transfers,
        accounts,
        entries,
        uses,
        unsealed_transfers,
        unsealed_entries,
        violations: _,
    } = proved.books;
    let record = proved.record.map(record::report).unwrap_or_default();
    say(&format!(
        "transfers: {transfers}, {unsealed_transfers} without a seal\n\
         accounts: {accounts}\n\
         entries: {entries}, {unsealed_entries} without a seal\n\
         uses of limits: {uses}\n\
         {record}violations: {}\n",
        proved.violations
    ))
}

/// Refuses to go on with a schema that is not this program's own, a newer one that it may serve on
/// too: what it does not know it cannot prove.
async fn require_current(url: &str) -> anyhow::Result<()> {
    refuse_other_schema(migration_state(url).await?, false)
}

/// Proves the books of a database, naming what is wrong as it is found.
async fn prove(
    url: &str,
    verification: &Verification,
    record: Option<Vec<Line>>,
) -> anyhow::Result<Proved> {
    let (mut named, mut last) = (0, Instant::now());
    let mut tell = |event: Event| match event {
        Event::Violation(violation) => {
            named += 1;
            if named <= NAMED_MAX {
                note(&violation.to_string());
            }
        }
        Event::Progress(judged) if last.elapsed() >= PROGRESS => {
            last = Instant::now();
            let Judged {
                transfers,
                accounts,
                entries,
                uses,
                ..
            } = judged;
            note(&format!(
                "so far: {transfers} transfers, {accounts} accounts, {entries} entries, {uses} uses \
                 of limits"
            ));
        }
        Event::Progress(_) => {}
    };
    let books = bursar_postgres::verify(url, verification, &mut tell)
        .await
        .context("the books cannot be read")?;
    if named > NAMED_MAX {
        note(&format!("{} more are not named", named - NAMED_MAX));
    }
    let mut proved = Proved {
        books,
        record: None,
        violations: books.violations,
    };
    if let Some(record) = record {
        let (judged, violations) = record::judge(url, &record).await?;
        proved.record = Some(judged);
        proved.violations = proved.violations.saturating_add(violations);
    }
    Ok(proved)
}

/// Proves the books of a dump, in a server of its own.
async fn of_dump(
    dump: &Path,
    bin_dir: Option<PathBuf>,
    verification: &Verification,
    record: Option<Vec<Line>>,
) -> anyhow::Result<Proved> {
    let dump = dump
        .canonicalize()
        .with_context(|| format!("{} cannot be read", dump.display()))?;
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let name = format!("bursar-verify-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    DirBuilder::new()
        .mode(0o711)
        .create(&directory)
        .with_context(|| format!("{} cannot be made", directory.display()))?;
    let proved = restored(
        &dump,
        &directory,
        bin_dir,
        verification,
        record,
        &mut signals,
    )
    .await;
    // Whatever came of it, a copy of the books is not left lying about.
    let removed = local::fresh(&directory).await;
    let emptied = match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    let proved = proved?;
    removed.context("the restored copy cannot be removed")?;
    emptied.with_context(|| format!("{} cannot be removed", directory.display()))?;
    Ok(proved)
}

/// Restores and proves a dump. A signal ends that, however many come, but cuts neither the server's
/// start nor its end off.
async fn restored(
    dump: &Path,
    directory: &Path,
    bin_dir: Option<PathBuf>,
    verification: &Verification,
    record: Option<Vec<Line>>,
    signals: &mut Signals,
) -> anyhow::Result<Proved> {
    let server = LocalServer::start(LocalServerConfig {
        directory: directory.to_owned(),
        bin_dir,
        durable: false,
        settings: vec![],
    })
    .await
    .context("a PostgreSQL to restore into cannot be started")?;
    let url = server.url(DATABASE);
    let proved = async {
        server.create_database_if_missing(DATABASE).await?;
        server.restore(DATABASE, dump).await?;
        // A dump of an older release lacks columns, which its copy may get.
        migrate(&url)
            .await
            .context("the restored copy cannot be migrated")?;
        prove(&url, verification, record).await
    };
    let proved = tokio::select! {
        biased;
        () = signals.wait() => Err(anyhow::anyhow!("interrupted")),
        proved = proved => proved,
    };
    let stopped = server.stop().await;
    let proved = proved?;
    stopped.context("the PostgreSQL that was restored into did not stop")?;
    Ok(proved)
}
