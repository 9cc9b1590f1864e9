//! One batcher: takes what waits, commits it, repeats and splits where that is the cure.

mod kept;
mod tries;
mod trouble;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use bursar_domain::{AccountKey, Commit};
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
    attempt::{Attempt, Ending, Failure, Tried, Wanted, end_without_change, strike},
    batch::Batch,
    connected::{Connected, connect},
    intake::Intake,
    round_trips::within,
    rules::KnownRules,
    writer::{Writer, release},
};
use crate::{
    accounts::AccountIds,
    error::{is_disconnect, is_refused, is_serialization_failure},
    faults::{Planted, Point, is_planted, reach, tarry},
    pool::PoolConfig,
    seal::SealKeys,
    tx::CommitTx,
    usage::RootUseRows,
};

/// How long to go on finding out whether a batch was committed.
const RESOLVE_FOR: Duration = Duration::from_secs(8);
/// The pause between two tries to find out.
const RESOLVE_PAUSE: Duration = Duration::from_millis(100);

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
                self.process(singles).await;
            }
            for job in alone {
                match job {
                    Job::Items(items) => self.process(vec![items]).await,
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
            let outcomes = self.execute(commits.as_slice(), Ending::Rollback).await;
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
        let outcome = self.measured(&bulk, bulk.changes.len()).await;
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
    /// fails alone.
    async fn process(&mut self, jobs: Vec<ItemsJob>) {
        let jobs = self.refuse_kept(jobs).await;
        if jobs.is_empty() {
            return;
        }
        let (replies, commits): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| ((job.reply, job.commits.len()), job.commits))
            .unzip();
        let batch: Vec<Commit> = commits.into_iter().flatten().collect();
        let trouble = match self.measured(batch.as_slice(), batch.len()).await {
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
                Box::pin(self.process(rest)).await;
            }
            Next::Split(cause) if replies.len() > 1 => {
                tracing::warn!(
                    cause,
                    requests = replies.len(),
                    "a batch keeps failing: split"
                );
                metrics::counter!("bursar_batch_splits_total").increment(1);
                let mut first = jobs_of(replies, batch);
                let second = first.split_off(first.len().div_ceil(2));
                Box::pin(self.process(first)).await;
                Box::pin(self.process(second)).await;
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
    ) -> Result<B::Outcomes, Trouble> {
        let started = Instant::now();
        metrics::histogram!("bursar_batch_items").record(u32::try_from(items).unwrap_or(0));
        let result = self.execute(batch, Ending::Commit).await;
        metrics::histogram!("bursar_batch_seconds").record(started.elapsed());
        result
    }

    /// Tries a batch until it has come to its end, is known to be refused, or out of reach.
    async fn execute<B: Batch + ?Sized>(
        &mut self,
        batch: &B,
        mut ending: Ending,
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
            let failure = match self.try_once(batch, ending).await {
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
                Failure::NotPrepared(error @ StoreError::Unavailable(_)) => {
                    tries.redo(describe(&error))?;
                }
                Failure::Overtaken => tries.overtake()?,
                Failure::NotPrepared(error) | Failure::Store(error) => {
                    return Err(Trouble::of(error));
                }
            }
        }
    }

    /// The connection, or a new one; whoever takes it puts it back while it is good.
    async fn take_connection(&mut self) -> Result<Connected, StoreError> {
        match self.connection.take() {
            Some(connected) => Ok(connected),
            // Big, and done once for each connection.
            None => Box::pin(connect(&self.pool)).await,
        }
    }

    /// Sees to it that there are the rows that a batch is tried with, and gives the ids of its accounts.
    async fn prepare(&self, wanted: &Wanted) -> Result<HashMap<AccountKey, i64>, StoreError> {
        let mut ids = self.accounts.resolve(&wanted.needed).await?;
        ids.extend(self.accounts.remembered(&wanted.receiving));
        self.root_uses.ensure(&wanted.usage).await?;
        Ok(ids)
    }

    /// One try. The connection is kept only after a success, or when nothing but the batch's place in
    /// the order was wrong: after anything else it may be silent, inside a transaction, or hold plans
    /// that a migration has made worthless.
    async fn try_once<B: Batch + ?Sized>(
        &mut self,
        batch: &B,
        ending: Ending,
    ) -> Result<B::Outcomes, Failure> {
        let mut connected = self.take_connection().await.map_err(Failure::NotPrepared)?;
        strike(Point::Taken).await?;
        connected.count_batch().await?;
        let mut looked_for = BTreeSet::new();
        // Kept here, for the memory that all batchers share does not promise to keep what is put into it.
        let mut found = HashMap::new();
        // Each round looks for accounts that no round before it did, or knows newer rules, so there
        // is a last one.
        loop {
            let wanted = Wanted::by(batch, &self.rules.rules);
            let mut ids = match self.prepare(&wanted).await {
                Ok(ids) => ids,
                Err(error) => {
                    self.connection = Some(connected);
                    return Err(Failure::NotPrepared(error));
                }
            };
            ids.extend(&found);
            strike(Point::AccountsKnown).await?;
            let connection = &connected.connection;
            let ticket = match &self.writer {
                Some(writer) => Some(writer.ticket(connection, &ids, &wanted.usage).await?),
                None => None,
            };
            let attempt = Attempt {
                batch,
                order: self.writer.as_ref().zip(ticket.as_ref()),
                types: &connected.types,
                ids: &ids,
                usage: &wanted.usage,
                now: self.clock.now(),
                seals: &self.seals,
                looked_for: &looked_for,
                ending,
            };
            let tried = match attempt.run(connection, &mut self.rules).await {
                Err(Failure::Overtaken) => {
                    end_without_change(connection).await?;
                    self.connection = Some(connected);
                    return Err(Failure::Overtaken);
                }
                tried => tried?,
            };
            match tried {
                Tried::Done(outcomes) => {
                    if ending != Ending::Rollback {
                        let told = reach(Point::Committed).await;
                        told.map_err(Failure::OutcomeUnknown)?;
                    }
                    self.connection = Some(connected);
                    return Ok(outcomes);
                }
                Tried::Missing(accounts) => {
                    let resolved = self.accounts.resolve(&accounts).await;
                    found.extend(resolved.map_err(Failure::NotPrepared)?);
                    looked_for.extend(accounts);
                }
                Tried::OtherRules | Tried::OutOfDate => {}
                Tried::Held => {
                    let free = within(release(connection)).await.flatten();
                    if !free.map_err(Failure::NotCommitted)? {
                        return Err(StoreError::Standby.into());
                    }
                    tracing::info!("the book's single writer is gone: every replica writes it");
                }
            }
        }
    }
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
