//! One batcher: takes what waits, commits it, repeats and splits where that is the cure.

mod kept;
mod once;
mod tries;
mod trouble;

use std::{sync::Arc, time::Duration};

use bursar_domain::Commit;
use bursar_ports::{Clock, CommitOutcome, StoreError};
use diesel_async::RunQueryDsl as _;
use tokio::time::Instant;

pub(super) use self::kept::KeptAccounts;
use self::{
    tries::Tries,
    trouble::{Next, Trouble, kept},
};
use super::{
    BulkJob, ItemsJob, Job, Reply,
    attempt::{Ending, Failure},
    batch::Batch,
    connected::Connected,
    intake::Intake,
    rules::KnownRules,
    writer::Writer,
};
use crate::{
    accounts::AccountIds,
    error::{is_disconnect, is_refused, is_serialization_failure},
    faults::{Planted, is_planted, tarry},
    pool::PoolConfig,
    seal::SealKeys,
    tx::CommitTx,
    usage::RootUseRows,
};

/// How long to go on finding out whether a batch was committed.
const RESOLVE_FOR: Duration = Duration::from_secs(8);
/// The pause between two tries to find out.
const RESOLVE_PAUSE: Duration = Duration::from_millis(100);

/// How long a batch is split for.
const SPLIT_FOR: Duration = Duration::from_secs(8);
/// How long it may take to count what users have used of a limit that is new while others' accounts are
/// locked too: a month with some hundred thousand payments. A batch that takes longer is split.
const COUNTED_BESIDE: Duration = Duration::from_millis(100);
/// The same for requests that cannot be split. It is done once for each user, and whoever's month takes
/// longer than that can pay no more.
const COUNTED_ALONE: Duration = Duration::from_secs(11);

/// What a batcher knows of rows beforehand.
pub(super) struct Rows {
    pub(super) accounts: AccountIds,
    pub(super) kept: KeptAccounts,
    pub(super) root_uses: RootUseRows,
    pub(super) seals: SealKeys,
}

/// One task with one connection.
pub(super) struct Batcher {
    intake: Arc<Intake<Job>>,
    pool: PoolConfig,
    accounts: AccountIds,
    kept: KeptAccounts,
    root_uses: RootUseRows,
    seals: SealKeys,
    clock: Arc<dyn Clock>,
    /// Set in the replica that alone writes the book.
    writer: Option<Writer>,
    connection: Option<Connected>,
    /// The rules as they were last read.
    rules: KnownRules,
}

impl Batcher {
    pub(super) fn new(
        intake: Arc<Intake<Job>>,
        pool: PoolConfig,
        rows: Rows,
        clock: Arc<dyn Clock>,
        writer: Option<Writer>,
    ) -> Self {
        let Rows {
            accounts,
            kept,
            root_uses,
            seals,
        } = rows;
        Self {
            intake,
            pool,
            accounts,
            kept,
            seals,
            root_uses,
            clock,
            writer,
            connection: None,
            rules: KnownRules::default(),
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        let intake = Arc::clone(&self.intake);
        while let Some((jobs, _under_way)) = intake.take().await {
            let mut singles = Vec::with_capacity(jobs.len());
            let mut alone = Vec::new();
            for job in jobs {
                match job {
                    Job::Items(items) if items.commits.len() == 1 => singles.push(items),
                    // A vector of items is a batch by itself, and so is a bulk.
                    Job::Items(_) | Job::Rehearsal(_) | Job::Bulk(_) => alone.push(job),
                }
            }
            if !singles.is_empty() {
                self.process(singles, split_until()).await;
            }
            for job in alone {
                match job {
                    Job::Items(items) => self.process(vec![items], split_until()).await,
                    Job::Rehearsal(items) => self.rehearse(items).await,
                    Job::Bulk(bulk) => self.process_bulk(bulk).await,
                }
            }
        }
    }

    /// Tries items as if they were committed, and answers what would come of them.
    async fn rehearse(&mut self, ItemsJob { commits, reply }: ItemsJob) {
        let outcomes = if self.is_kept(commits.as_slice()).await {
            Err(kept())
        } else {
            let outcomes = self
                .execute(commits.as_slice(), Ending::Rollback, COUNTED_ALONE)
                .await;
            outcomes.map_err(|trouble| trouble.to_reported_error())
        };
        // A caller that has hung up needs no answer.
        let _gone = reply.send(outcomes);
    }

    /// Commits a bulk and answers it. It is never split: all of it is one transaction.
    async fn process_bulk(&mut self, BulkJob { bulk, reply }: BulkJob) {
        if self.is_kept(&bulk).await {
            let _gone = reply.send(Err(kept()));
            return;
        }
        let items = bulk.changes.len();
        let outcome = self.measured(&bulk, items, COUNTED_ALONE).await;
        // A caller that has hung up needs no answer.
        let _gone = reply.send(outcome.map_err(|trouble| trouble.to_reported_error()));
        self.commit_late().await;
    }

    /// A planted fault: commits what was answered before.
    async fn commit_late(&self) {
        if let Some(connected) = &self.connection
            && is_planted(Planted::AnswersEarly)
        {
            tarry().await;
            let committed = CommitTx.execute(&mut &connected.connection).await;
            tracing::warn!(?committed, "committed after the answer");
        }
    }

    /// Commits jobs and answers them. Those that touch what somebody keeps locked are refused. A batch
    /// that keeps failing is split in halves, in order, until the one request that cannot be committed
    /// fails alone; but only until then, for what stands in everybody's way is no cure's business, and
    /// whoever waits is to hear of it while it is known that nothing happened.
    async fn process(&mut self, jobs: Vec<ItemsJob>, until: Instant) {
        let jobs = self.refuse_kept(jobs).await;
        if jobs.is_empty() {
            return;
        }
        let (replies, commits): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| ((job.reply, job.commits.len()), job.commits))
            .unzip();
        let batch: Vec<Commit> = commits.into_iter().flatten().collect();
        let counted_within = if replies.len() > 1 {
            COUNTED_BESIDE
        } else {
            COUNTED_ALONE
        };
        let measured = self.measured(batch.as_slice(), batch.len(), counted_within);
        let trouble = match measured.await {
            Ok(outcomes) => {
                let mut outcomes = outcomes.into_iter();
                for (reply, items) in replies {
                    // A caller that has hung up needs no answer.
                    let _gone = reply.send(Ok(outcomes.by_ref().take(items).collect()));
                }
                self.commit_late().await;
                return;
            }
            Err(trouble) => trouble,
        };
        match trouble.next() {
            Next::Again => {
                let rest = self.refuse_known(jobs_of(replies, batch));
                Box::pin(self.process(rest, until)).await;
            }
            Next::Split(cause) if replies.len() > 1 && Instant::now() < until => {
                tracing::warn!(
                    cause,
                    requests = replies.len(),
                    "a batch keeps failing: split"
                );
                metrics::counter!("bursar_batch_splits_total").increment(1);
                let mut first = jobs_of(replies, batch);
                let second = first.split_off(first.len().div_ceil(2));
                Box::pin(self.process(first, until)).await;
                Box::pin(self.process(second, until)).await;
            }
            Next::Split(_) | Next::Refuse => {
                for (reply, _) in replies {
                    let _gone = reply.send(Err(trouble.to_reported_error()));
                }
            }
        }
    }

    /// Executes a batch and keeps its figures.
    async fn measured<B: Batch + ?Sized>(
        &mut self,
        batch: &B,
        items: usize,
        counted_within: Duration,
    ) -> Result<B::Outcomes, Trouble> {
        let started = Instant::now();
        metrics::histogram!("bursar_batch_items").record(u32::try_from(items).unwrap_or(0));
        let result = self.execute(batch, Ending::Commit, counted_within).await;
        metrics::histogram!("bursar_batch_seconds").record(started.elapsed());
        result
    }

    /// Tries a batch until it has come to its end, is known to be refused, or out of reach.
    async fn execute<B: Batch + ?Sized>(
        &mut self,
        batch: &B,
        mut ending: Ending,
        counted_within: Duration,
    ) -> Result<B::Outcomes, Trouble> {
        let mut tries = Tries::begin();
        let mut unknown: Option<(String, Instant)> = None;
        let lock_max = Duration::from_millis(self.pool.lock_timeout_ms.into());
        loop {
            // A second try looks for what an earlier one, here or at another replica, has left.
            if ending == Ending::Commit && (unknown.is_some() || tries.has_failed()) {
                ending = Ending::Resolve;
            }
            let tried = Instant::now();
            let failure = match self.try_once(batch, ending, counted_within).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(failure) => failure,
            };
            // While the outcome is unknown, nothing but time ends the search.
            if let Some((cause, since)) = &unknown {
                if since.elapsed() > RESOLVE_FOR {
                    return Err(Trouble::Unknown(cause.clone()));
                }
                tokio::time::sleep(RESOLVE_PAUSE).await;
                continue;
            }
            match failure {
                Failure::OutcomeUnknown(error) if is_planted(Planted::Guesses) => {
                    return Err(Trouble::Unavailable(error.to_string()));
                }
                Failure::OutcomeUnknown(error) => {
                    tracing::warn!(%error, "connection lost round COMMIT: finding out");
                    metrics::counter!("bursar_commit_unknown_total").increment(1);
                    unknown = Some((error.to_string(), Instant::now()));
                }
                Failure::NotCommitted(error)
                    if is_serialization_failure(&error) || is_disconnect(&error) =>
                {
                    tries.redo(error.to_string())?;
                }
                Failure::NotCommitted(error) => {
                    // Whoever dies takes a moment to let go, so the first wait proves nothing.
                    if tries.has_failed() && tried.elapsed() >= lock_max {
                        let looked = self.look_for_kept(batch).await;
                        // Where nothing can be seen, nothing else gets on either.
                        if looked.map_err(Trouble::Unavailable)? {
                            return Err(Trouble::Kept);
                        }
                    }
                    tries.fail(error.to_string())?;
                }
                // Somebody's row was not to be had: no reason to refuse all the others, or to have each
                // of them wait for it twice.
                Failure::NotPrepared(error) if is_refused(&error) => {
                    if tried.elapsed() >= lock_max {
                        return Err(Trouble::Poison(describe(&error)));
                    }
                    tries.fail(describe(&error))?;
                }
                // Another connection may be, as after one that was lost.
                Failure::NotConnected(error @ StoreError::Unavailable(_))
                | Failure::NotPrepared(error @ StoreError::Unavailable(_)) => {
                    tries.redo(describe(&error))?;
                }
                // Whoever it is about is to be alone with it.
                Failure::Uncounted(error) if counted_within < COUNTED_ALONE => {
                    return Err(Trouble::Poison(error.to_string()));
                }
                Failure::Uncounted(error) => return Err(Trouble::Unavailable(error.to_string())),
                Failure::Overtaken => tries.overtake()?,
                Failure::NotConnected(error)
                | Failure::NotPrepared(error)
                | Failure::Store(error) => return Err(Trouble::of(error)),
            }
        }
    }
}

fn split_until() -> Instant {
    Instant::now() + SPLIT_FOR
}

/// The jobs that a batch was made of.
fn jobs_of(replies: Vec<(Reply<Vec<CommitOutcome>>, usize)>, batch: Vec<Commit>) -> Vec<ItemsJob> {
    let mut batch = batch.into_iter();
    replies
        .into_iter()
        .map(|(reply, items)| ItemsJob {
            commits: batch.by_ref().take(items).collect(),
            reply,
        })
        .collect()
}

fn describe(error: &StoreError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
