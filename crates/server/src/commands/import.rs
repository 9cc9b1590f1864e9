//! `bursar import`.

mod file;
mod results;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use bursar_app::{App, Error, ImportRow, Imported, Principal};
use bursar_domain::{Status, Transfer};
use bursar_ports::{Permission, StoreError};
use futures_util::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

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
    wiring::{System, require_schema},
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
    let stop = stopped_by_signal()?;
    let rows = file::read(&args.file, &config.callback.urls)?;
    let path = args.results.unwrap_or_else(|| beside(&args.file));
    require_schema(&config.database).await?;
    let system = System::for_command(&config).await?;
    let done = async {
        system.require_keys().await?;
        let places = rows.iter().map(FileRow::place).collect();
        let results = Results::create(&path, &args.file, places)?;
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
            stop,
            pause: PAUSE,
        };
        import.run(rows, results).await
    };
    let done = done.await;
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

/// Cancelled by the first signal; the second one ends the process on the spot, which loses nothing
/// but results.
fn stopped_by_signal() -> anyhow::Result<CancellationToken> {
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        signals.wait().await;
        told.cancel();
        signals.exit_on_next();
    });
    Ok(stop)
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
type Stopped = String;

struct Import {
    app: App,
    principal: Principal,
    manner: Manner,
    stop: CancellationToken,
    /// How long to wait before the second try.
    pause: Duration,
}

impl Import {
    async fn run(
        &self,
        rows: Vec<FileRow>,
        mut results: Results,
    ) -> anyhow::Result<(Results, Option<Stopped>)> {
        let mut progress = Progress::new(rows.len());
        let mut stopped = None;
        for together in plan(rows, self.manner) {
            let (places, rows): (Vec<usize>, Vec<ImportRow>) = together.into_iter().unzip();
            match self.go_through(rows).await {
                Ok(told) => {
                    for (at, told) in places.iter().zip(told) {
                        results.tell(*at, told)?;
                    }
                    results.flush()?;
                }
                Err(why) => {
                    stopped = Some(why);
                    break;
                }
            }
            progress.advance(places.len());
        }
        results.finish()?;
        Ok((results, stopped))
    }

    /// What becomes of these rows.
    async fn go_through(&self, rows: Vec<ImportRow>) -> Result<Vec<Told>, Stopped> {
        if self.stop.is_cancelled() {
            return Err("interrupted".to_owned());
        }
        let results = match self.repeat(|| self.try_rows(rows.clone())).await {
            Ok(results) => results,
            Err(Error::Store(error)) if rows.len() > 1 && !self.stop.is_cancelled() => {
                self.one_by_one(rows, &error).await?
            }
            Err(Error::ReadOnly) => {
                return Err("nothing moves right now, by an operator's word".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        };
        Ok(join_all(results.into_iter().map(|result| self.conclude(result))).await)
    }

    async fn try_rows(&self, rows: Vec<ImportRow>) -> Result<Vec<Row>, Error> {
        let grant = self.principal.grant(Permission::BackofficeWrite)?;
        match self.manner {
            Manner::Rehearse => self.app.rehearse_rows(&grant, rows).await,
            Manner::Make { .. } => self.app.import_rows(&grant, rows).await,
        }
    }

    /// A row that the store cannot take must not keep the others from being made. When it takes none,
    /// it is the store.
    async fn one_by_one(
        &self,
        rows: Vec<ImportRow>,
        error: &StoreError,
    ) -> Result<Vec<Row>, Stopped> {
        let may_be_made = matches!(error, StoreError::OutcomeUnknown(_));
        let is_trouble = |row: &Row| matches!(row, Err(Error::Store(_) | Error::ReadOnly));
        let mut results = Vec::with_capacity(rows.len());
        // Waited for in vain once, the store is not waited for with each of the others.
        let mut patient = true;
        for row in rows {
            let call = || self.try_rows(vec![row.clone()]);
            let tried = if patient {
                self.repeat(call).await
            } else {
                call().await
            };
            let result = match tried {
                Ok(mut result) => result
                    .pop()
                    .unwrap_or(Err(Error::Internal("a row was lost"))),
                Err(error) => Err(of_all_tries(error, may_be_made)),
            };
            patient &= !is_trouble(&result);
            results.push(result);
        }
        if results.iter().all(is_trouble) {
            return Err(error.to_string());
        }
        Ok(results)
    }

    /// What is to be told of a row; its withdrawal is confirmed first, if that is wanted.
    async fn conclude(&self, row: Row) -> Told {
        let imported = match row {
            Ok(imported) => imported,
            Err(error) if is_unknown(&error) => return Told::Unknown(error),
            Err(error) => return Told::Refused(error),
        };
        let transfer = &imported.transfer;
        let is_open =
            transfer.status() == Status::AwaitingConfirmation && transfer.stage().is_none();
        match self.manner {
            Manner::Rehearse if !imported.repeated => Told::Ready(imported.transfer),
            Manner::Make { confirm: true } if is_open => {
                match self.repeat(|| self.confirm(transfer)).await {
                    Ok(transfer) => Told::Made(Imported {
                        transfer,
                        ..imported
                    }),
                    Err(error) => Told::Unconfirmed(imported.transfer, error),
                }
            }
            Manner::Rehearse | Manner::Make { .. } => Told::Made(imported),
        }
    }

    async fn confirm(&self, transfer: &Transfer) -> Result<Transfer, Error> {
        let grant = self.principal.grant(Permission::BackofficeConfirm)?;
        match self.app.confirm_imported(&grant, transfer).await {
            Err(Error::OutcomeUnknown { source, .. }) => Err(Error::Store(source)),
            confirmed => confirmed,
        }
    }

    /// Calls until the store answers, some times. Every call here may be repeated; once one of them may
    /// have done it, that is not known before one answers.
    async fn repeat<T, F>(&self, call: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut pause = self.pause;
        let mut may_be_done = false;
        for _ in 1..TRIES {
            let error = match call().await {
                Err(Error::Store(
                    error @ (StoreError::Overloaded
                    | StoreError::Standby
                    | StoreError::Unavailable(_)
                    | StoreError::OutcomeUnknown(_)),
                )) => error,
                answer => return answer,
            };
            may_be_done |= matches!(error, StoreError::OutcomeUnknown(_));
            tracing::warn!(%error, "the database does not answer");
            let waited = tokio::time::sleep(pause);
            if self.stop.run_until_cancelled(waited).await.is_none() {
                return Err(of_all_tries(Error::Store(error), may_be_done));
            }
            pause = pause.saturating_mul(2);
        }
        let last = call().await;
        last.map_err(|error| of_all_tries(error, may_be_done))
    }
}

/// Whether it may have happened.
const fn is_unknown(error: &Error) -> bool {
    matches!(
        error,
        Error::OutcomeUnknown { .. } | Error::Store(StoreError::OutcomeUnknown(_))
    )
}

/// What is to be said of the last try where an earlier one may have done it: trouble says by itself that
/// nothing happened.
fn of_all_tries(last: Error, may_be_done: bool) -> Error {
    if may_be_done {
        last.of_what_happened()
    } else {
        last
    }
}

/// What a row came to.
type Row = Result<Imported, Error>;

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

#[cfg(test)]
mod tests;
