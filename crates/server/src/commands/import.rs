//! `bursar import`.

mod file;
mod results;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    pin::Pin,
    time::{Duration, Instant},
};

use anyhow::Context;
use bursar_app::{App, Error, Grant, ImportRow, Imported, Principal};
use bursar_domain::Status;
use bursar_ports::Permission;
use futures_util::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};

use self::{
    file::FileRow,
    results::{Results, Told},
};
use super::{note, say};
use crate::{
    cli::ImportArgs,
    config::{Config, Sources},
    shutdown::Signals,
    telemetry,
    wiring::{System, prepare_schema},
};

/// How many rows are made in one transaction: few enough that whoever waits for the same accounts
/// does not notice.
const TOGETHER: usize = 64;
/// How many rows of one user are rehearsed in one transaction, so that each sees what those before it
/// would have done.
const OF_ONE_USER: usize = 1_000;
/// How often the same rows are tried while the database does not answer, and the first pause.
const TRIES: u32 = 7;
const PAUSE: Duration = Duration::from_millis(100);
/// How often to say how far it is where no bar can be shown.
const PROGRESS: Duration = Duration::from_secs(10);

/// Makes the transfers of a file, or only says what would become of them.
pub(crate) async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let config = Config::load(&Sources::collect(args.config.config.as_deref())?)?;
    telemetry::start_logging(&config.log)?;
    let signals = Signals::listen().context("signals cannot be listened to")?;
    let rows = file::read(&args.file, &config.callback.urls)?;
    let path = args.results.unwrap_or_else(|| beside(&args.file));
    let results = Results::create(&path, rows.iter().map(FileRow::place).collect())?;
    prepare_schema(&config.database).await?;
    let system = System::build(&config).await?;
    system.require_keys().await?;
    let manner = if args.dry_run {
        Manner::Rehearse
    } else {
        Manner::Make {
            confirm: args.confirm,
        }
    };
    let import = Import {
        app: system.app.clone(),
        principal: Principal {
            subject: args.operator,
            ..Principal::local_operator()
        },
        manner,
        rows,
        results,
    };
    let done = import.run(signals).await;
    system.finish(config.shutdown_grace).await;
    let (results, stopped) = done?;
    say(&results.summary(&path))?;
    if let Some(why) = stopped {
        anyhow::bail!("stopped: {why}; run it again, no row is made twice");
    }
    let failed = results.failed();
    anyhow::ensure!(failed == 0, "{failed} rows were not made as they should be");
    Ok(())
}

/// The file's own name with a word behind it.
fn beside(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".results.csv");
    name.into()
}

/// What is done with the rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Rehearse,
    Make { confirm: bool },
}

/// Why an import ends before its last row.
type Stopped = Option<String>;

struct Import {
    app: App,
    principal: Principal,
    manner: Manner,
    rows: Vec<FileRow>,
    results: Results,
}

impl Import {
    async fn run(mut self, mut signals: Signals) -> anyhow::Result<(Results, Stopped)> {
        let rows = std::mem::take(&mut self.rows);
        let mut progress = Progress::new(rows.len());
        let mut stop = Box::pin(async move { signals.wait().await });
        for together in plan(rows, self.manner) {
            if is_over(stop.as_mut()).await {
                return Ok((self.results, Some("interrupted".to_owned())));
            }
            let (places, rows): (Vec<usize>, Vec<ImportRow>) = together.into_iter().unzip();
            let told = match self.go_through(rows).await? {
                Ok(told) => told,
                Err(why) => return Ok((self.results, Some(why))),
            };
            for (at, told) in places.iter().zip(told) {
                self.results.tell(*at, told)?;
            }
            self.results.flush()?;
            progress.advance(places.len());
        }
        Ok((self.results, None))
    }

    /// What becomes of these rows, or why no more can be done now.
    async fn go_through(&self, rows: Vec<ImportRow>) -> anyhow::Result<Result<Vec<Told>, String>> {
        let mut pause = PAUSE;
        for tried in 1.. {
            match self.try_once(rows.clone()).await {
                Ok(told) => return Ok(Ok(told)),
                Err(Error::ReadOnly) => {
                    return Ok(Err(
                        "nothing moves right now, by an operator's word".to_owned()
                    ));
                }
                Err(Error::Store(error)) if tried < TRIES => {
                    tracing::warn!(%error, "the database does not answer: trying again");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                Err(Error::Store(error)) => return Ok(Err(error.to_string())),
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("the tries have an end");
    }

    async fn try_once(&self, rows: Vec<ImportRow>) -> Result<Vec<Told>, Error> {
        let grant = self.principal.grant(Permission::BackofficeWrite)?;
        let (results, confirm) = match self.manner {
            Manner::Rehearse => (self.app.rehearse_rows(&grant, rows).await?, false),
            Manner::Make { confirm } => (self.app.import_rows(&grant, rows).await?, confirm),
        };
        let grant = self.principal.grant(Permission::BackofficeConfirm)?;
        let told = results.into_iter().map(|result| {
            let grant = &grant;
            async move {
                match result {
                    Ok(imported) if confirm => self.confirm(grant, imported).await,
                    Ok(imported) if self.manner == Manner::Rehearse && !imported.repeated => {
                        Ok(Told::Ready(imported.transfer))
                    }
                    Ok(imported) => Ok(Told::Made(imported)),
                    Err(error @ (Error::Store(_) | Error::ReadOnly)) => Err(error),
                    Err(error) => Ok(Told::Refused(error)),
                }
            }
        });
        join_all(told).await.into_iter().collect()
    }

    async fn confirm(&self, grant: &Grant, imported: Imported) -> Result<Told, Error> {
        let transfer = &imported.transfer;
        if transfer.status() != Status::AwaitingConfirmation || transfer.stage().is_some() {
            return Ok(Told::Made(imported));
        }
        match self.app.confirm_imported(grant, transfer).await {
            Ok(transfer) => Ok(Told::Made(Imported {
                transfer,
                ..imported
            })),
            // Repeating is safe: a confirmation that is made already is none.
            Err(Error::OutcomeUnknown { source, .. }) => Err(Error::Store(source)),
            Err(error @ (Error::Store(_) | Error::ReadOnly)) => Err(error),
            Err(error) => Ok(Told::Unconfirmed(imported.transfer, error)),
        }
    }
}

/// A row with its place in the file.
type Placed = (usize, ImportRow);

/// Which rows go together, in which order. Nothing that a rehearsal does is left for the next one, so
/// it takes all rows of a user together: what becomes of a row depends on no other user's.
fn plan(rows: Vec<FileRow>, manner: Manner) -> Vec<Vec<Placed>> {
    let rows = rows.into_iter().map(|row| row.row).enumerate();
    if manner != Manner::Rehearse {
        let rows: Vec<Placed> = rows.collect();
        return rows.chunks(TOGETHER).map(<[Placed]>::to_vec).collect();
    }
    let mut by_user: BTreeMap<_, Vec<Placed>> = BTreeMap::new();
    for (at, row) in rows {
        by_user.entry(row.request.user).or_default().push((at, row));
    }
    let mut plan: Vec<Vec<Placed>> = vec![];
    for rows in by_user.values() {
        for rows in rows.chunks(OF_ONE_USER) {
            match plan.last_mut() {
                Some(last) if last.len() + rows.len() <= TOGETHER => last.extend_from_slice(rows),
                _ => plan.push(rows.to_vec()),
            }
        }
    }
    plan
}

/// Whether a future is over; looks without waiting.
async fn is_over(future: Pin<&mut impl Future<Output = ()>>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = std::future::ready(()) => false,
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    last: Instant,
}

impl Progress {
    fn new(rows: usize) -> Self {
        let bar = ProgressBar::new(u64::try_from(rows).unwrap_or(u64::MAX));
        let template = "{bar:40} {pos} of {len} rows, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            last: Instant::now(),
        }
    }

    fn advance(&mut self, rows: usize) {
        self.bar.inc(u64::try_from(rows).unwrap_or(u64::MAX));
        if self.bar.is_hidden() && self.last.elapsed() >= PROGRESS {
            self.last = Instant::now();
            let done = self.bar.position();
            let all = self.bar.length().unwrap_or_default();
            note(&format!("so far: {done} of {all} rows"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
