//! The batch engine: requests that arrive while a batch is under way become the next batch.
//!
//! A lone request waits for nobody; sixty-four share one lock statement, one set of array writes and
//! one fsync. Batchers are tasks of their own: a caller that hangs up cuts nothing short.
//!
//! `intake` shares what waits among batchers; what has waited for too long leaves by itself
//! (`waiting`). `batch` is what is committed together: single requests,
//! or one bulk. `attempt` is one try at one batch in one transaction and `round_trips` its talk with
//! the server; `batcher` repeats and splits; `books` turns rows into what [`bursar_domain::ledger`] wants, `writes` turns its verdicts
//! into columns, which `sealer` seals; `rules` are the fees, limits and stops that are in force.
//! `writer` is what a replica has that alone writes the book.

mod attempt;
mod batch;
mod batcher;
mod books;
mod columns;
mod connected;
mod intake;
mod journal_columns;
mod landed;
mod pace;
mod planted;
mod results;
mod round_trips;
mod rules;
mod sealer;
mod transfer_columns;
mod waiting;
mod writer;
mod writes;

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use bursar_domain::{Bulk, Commit, Expected};
use bursar_ports::{BulkOutcome, Clock, CommitOutcome, StoreError};
use futures_util::future::select_all;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use self::{
    batcher::{Batcher, KeptAccounts, Rows},
    intake::{Intake, Shares},
    pace::Pace,
    waiting::{Place, Waiting},
    writer::{Hold, Writer},
};
pub(crate) use self::{
    books::{KeyRow, read_claim},
    rules::{FeeRow, KnownRules, LimitsRow, RULE_SET, read_stop_scope, scope_column},
};
use crate::{
    accounts::AccountIds,
    pool::{Database, PoolConfig},
    seal::SealKeys,
    usage::RootUseRows,
};

/// Who writes the book's balances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// Every replica: accounts are locked and read by each batch.
    #[default]
    Shared,
    /// The one replica that holds the book: it keeps balances in memory. Others wait to take over,
    /// and meanwhile say that they are unavailable.
    SingleWriter,
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared => "shared",
            Self::SingleWriter => "single_writer",
        })
    }
}

/// The name of no engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither shared nor single_writer")]
pub struct UnknownEngine;

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        match name {
            "shared" => Ok(Self::Shared),
            "single_writer" => Ok(Self::SingleWriter),
            _ => Err(UnknownEngine),
        }
    }
}

/// How the engine works.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Who writes the book's balances.
    pub kind: EngineKind,
    /// How many batches are under way at once. More than a few collide on accounts.
    pub batchers: usize,
    /// The most requests in one batch.
    pub batch_items_max: usize,
    /// The most requests that wait; beyond that the engine is overloaded.
    pub queue_max: usize,
    /// How long a request waits for its batch; then the engine is overloaded too, and nothing of the
    /// request happens. One that would wait for longer, as fast as batches go, is told so at once. Bulks wait for longer, and so does what nobody asks for, such as
    /// settlements.
    pub queue_wait: Duration,
    /// How long a request may wait for its answer; after that it is told that nobody knows. Longer than
    /// it takes to give up an answer to COMMIT and to find out what is true.
    pub answer_within: Duration,
    /// How many accounts' ids are remembered; the others are looked up when they are needed.
    pub accounts_remembered_max: u64,
    /// What seals entries and transfers.
    pub seals: SealKeys,
}

impl EngineConfig {
    /// What suits an engine. A single writer's batches wait for nobody's accounts, so they may be
    /// bigger.
    pub fn of(kind: EngineKind) -> Self {
        Self {
            kind,
            batchers: 2,
            batch_items_max: match kind {
                EngineKind::Shared => 64,
                EngineKind::SingleWriter => 256,
            },
            queue_max: 4_096,
            queue_wait: Duration::from_secs(10),
            answer_within: Duration::from_secs(20),
            accounts_remembered_max: 1_000_000,
            seals: SealKeys::default(),
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self::of(EngineKind::default())
    }
}

/// How many times as long as a single request a bulk waits, which is worth many and waits for others
/// like itself, and what Bursar does by itself: were it turned away, what was accepted would pile up
/// behind what is new.
const PATIENCE: u32 = 5;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One request: what to commit and where to say what came of it.
enum Job {
    Items(ItemsJob),
    /// Items that are only to be tried.
    Rehearsal(ItemsJob),
    Bulk(BulkJob),
}

struct ItemsJob {
    commits: Vec<Commit>,
    reply: Reply<Vec<CommitOutcome>>,
}

struct BulkJob {
    bulk: Bulk,
    reply: Reply<BulkOutcome>,
}

/// The way in. The batchers end when the last clone is gone and the queue is empty.
#[derive(Clone)]
pub(crate) struct Engine {
    jobs: mpsc::Sender<Waiting<Job>>,
    pace: Arc<Pace>,
    queue_wait: Duration,
    answer_within: Duration,
    /// Set in a replica that writes the book alone, or waits to.
    writer: Option<Writer>,
}

/// The batchers' tasks. They go on when this is dropped: a transaction is never cut short.
#[derive(Debug)]
pub struct EngineTasks {
    tasks: Vec<JoinHandle<()>>,
    /// Set in a replica that writes the book alone, or waits to.
    step_down: Option<Arc<Notify>>,
}

impl EngineTasks {
    /// Waits until everything that was accepted is answered. Ends once the store and all its users
    /// are gone.
    pub async fn join(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a batcher ended before its time");
            }
        }
    }

    /// Has a single writer leave the book to another replica, for good: what would write it from now on
    /// is told to go there, and nothing of that happens.
    pub fn step_down(&self) {
        if let Some(step_down) = &self.step_down {
            step_down.notify_one();
        }
    }

    /// Waits until a batcher ends, which none does by itself while the store is in use.
    pub async fn broken(&mut self) {
        if !self.tasks.is_empty() {
            let (_ended, index, _rest) = select_all(&mut self.tasks).await;
            drop(self.tasks.remove(index));
        }
    }
}

impl Engine {
    /// Starts the batchers. Their connections are made when they are first needed.
    pub(crate) fn start(
        pool: &PoolConfig,
        database: Database,
        config: &EngineConfig,
        clock: &Arc<dyn Clock>,
    ) -> (Self, EngineTasks) {
        let (jobs, queue) = mpsc::channel(config.queue_max);
        let shares = Shares {
            batchers: config.batchers,
            items_max: config.batch_items_max,
        };
        let intake = Arc::new(Intake::new(queue, shares));
        let pace = intake.pace();
        let accounts = AccountIds::new(
            database.clone(),
            config.accounts_remembered_max,
            config.seals.clone(),
        );
        let kept = KeptAccounts::default();
        let root_uses = RootUseRows::new(database);
        let (writer, hold) = match config.kind {
            EngineKind::Shared => (None, None),
            EngineKind::SingleWriter => {
                let (writer, hold) = Writer::new(pool);
                (Some(writer), Some(hold))
            }
        };
        let start = |number| {
            let batcher = Batcher::new(
                Arc::clone(&intake),
                pool.clone(),
                Rows {
                    accounts: accounts.for_batcher(number),
                    kept: kept.clone(),
                    root_uses: root_uses.clone(),
                    seals: config.seals.clone(),
                },
                Arc::clone(clock),
                writer.clone(),
            );
            tokio::spawn(batcher.run())
        };
        let batchers = (0..config.batchers).map(start);
        let step_down = hold.as_ref().map(Hold::step_down);
        let tasks = batchers
            .chain(hold.map(|hold| tokio::spawn(hold.run())))
            .collect();
        let engine = Self {
            jobs,
            pace,
            queue_wait: config.queue_wait,
            answer_within: config.answer_within,
            writer,
        };
        (engine, EngineTasks { tasks, step_down })
    }

    /// Whether this replica may write the book.
    pub(crate) fn ready(&self) -> Result<(), StoreError> {
        match &self.writer {
            Some(writer) if !writer.is_holder() => Err(StoreError::Standby),
            Some(_) | None => Ok(()),
        }
    }

    /// Commits a vector of items: all in one transaction, each with its own outcome.
    pub(crate) async fn commit(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<CommitOutcome>, StoreError> {
        if commits.is_empty() {
            return Ok(vec![]);
        }
        let is_own = commits.iter().all(is_asked_by_nobody);
        let patience = if is_own { PATIENCE } else { 1 };
        self.submit(patience, |reply| Job::Items(ItemsJob { commits, reply }))
            .await
    }

    /// Tries a vector of items in one transaction, and takes it back.
    pub(crate) async fn rehearse(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<CommitOutcome>, StoreError> {
        if commits.is_empty() {
            return Ok(vec![]);
        }
        let outcomes = self.submit(1, |reply| Job::Rehearsal(ItemsJob { commits, reply }));
        match outcomes.await {
            // Whatever became of it, it was taken back.
            Err(StoreError::OutcomeUnknown(cause)) => Err(StoreError::Unavailable(cause)),
            outcomes => outcomes,
        }
    }

    /// Commits a bulk in a transaction of its own.
    pub(crate) async fn commit_bulk(&self, bulk: Bulk) -> Result<BulkOutcome, StoreError> {
        if bulk.changes.is_empty() {
            return Ok(BulkOutcome::Committed(vec![]));
        }
        self.submit(PATIENCE, |reply| Job::Bulk(BulkJob { bulk, reply }))
            .await
    }

    /// Has a job done, unless no batch takes it in time, or none would: then nothing of it happens. A
    /// caller is answered in time, whatever the database does.
    async fn submit<T>(
        &self,
        patience: u32,
        job: impl FnOnce(Reply<T>) -> Job,
    ) -> Result<T, StoreError> {
        let (reply, mut answer) = oneshot::channel();
        let place = Place::default();
        let wait = self.queue_wait.saturating_mul(patience);
        let waiting = self
            .jobs
            .max_capacity()
            .saturating_sub(self.jobs.capacity());
        if self.pace.wait_behind(waiting) > wait {
            return Err(StoreError::Overloaded);
        }
        let deadline = Instant::now() + wait + self.answer_within;
        self.jobs
            .try_send(Waiting::new(job(reply), place.clone()))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => {
                    StoreError::Unavailable("the engine has stopped".into())
                }
            })?;
        let answered = match timeout(wait, &mut answer).await {
            Err(_late) if place.leave() => return Err(StoreError::Overloaded),
            // A batch has it.
            Err(_late) => timeout_at(deadline, answer).await,
            Ok(answered) => Ok(answered),
        };
        // A batcher that dies takes its transaction with it, but whether before or after COMMIT
        // nobody can tell; nor what becomes of a batch that is under way still.
        match answered {
            Ok(Ok(answered)) => answered,
            Ok(Err(gone)) => Err(StoreError::OutcomeUnknown(gone.into())),
            Err(elapsed) => Err(StoreError::OutcomeUnknown(elapsed.into())),
        }
    }
}

/// Whether no client asked for it: Bursar itself ends what has begun.
fn is_asked_by_nobody(commit: &Commit) -> bool {
    commit.idempotency.is_none()
        && commit.audit.is_none()
        && matches!(commit.change.expected, Expected::At(_))
}
