//! Accounts that somebody keeps locked: a session that was left open, a replica whose machine is gone.
//!
//! A batch waits for such a lock until its time is over, and everybody in it does. So when one has
//! waited in vain twice its accounts are looked at. What touches one that is not free is refused from then
//! on, after another look, at once and before any effect, until it is free; nobody waits for it any
//! more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use diesel::{
    QueryableByName,
    result::QueryResult,
    sql_types::{Array, BigInt},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::time::sleep;

use super::{Batcher, describe, trouble::kept};
use crate::engine::{ItemsJob, attempt::Wanted, batch::Batch, round_trips::within};

/// How often an account is looked at before it counts as kept, and how far apart. One that many pay
/// from is hardly ever free, but not locked by the same transaction each time.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// An account and the transaction that has locked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
struct Lock {
    #[diesel(sql_type = BigInt)]
    account: i64,
    #[diesel(sql_type = BigInt)]
    holder: i64,
}

/// The accounts that somebody keeps locked, known to every batcher of a replica.
#[derive(Clone, Default)]
pub(in crate::engine) struct KeptAccounts {
    locks: Arc<Mutex<HashMap<i64, Lock>>>,
}

impl KeptAccounts {
    fn known(&self) -> MutexGuard<'_, HashMap<i64, Lock>> {
        // Whoever panicked left whole entries behind.
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batcher {
    /// Refuses the requests that touch an account that somebody keeps locked, and gives back the others.
    pub(super) async fn refuse_kept(&mut self, jobs: Vec<ItemsJob>) -> Vec<ItemsJob> {
        let is_touched = |job: &ItemsJob| self.touches_known(job.commits.as_slice());
        if self.kept.known().is_empty() || !jobs.iter().any(is_touched) {
            return jobs;
        }
        self.look_again().await;
        self.refuse_known(jobs)
    }

    /// The same, by what is known already.
    pub(super) fn refuse_known(&self, jobs: Vec<ItemsJob>) -> Vec<ItemsJob> {
        let (refused, free): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .partition(|job| self.touches_known(job.commits.as_slice()));
        for job in refused {
            // A caller that has hung up needs no answer.
            let _gone = job.reply.send(Err(kept()));
        }
        free
    }

    /// Whether it touches an account that somebody keeps locked.
    pub(super) async fn is_kept<B: Batch + ?Sized>(&mut self, batch: &B) -> bool {
        if self.kept.known().is_empty() || !self.touches_known(batch) {
            return false;
        }
        self.look_again().await;
        self.touches_known(batch)
    }

    fn touches_known<B: Batch + ?Sized>(&self, batch: &B) -> bool {
        let touched = self.touched(batch);
        let known = self.kept.known();
        touched.iter().any(|account| known.contains_key(account))
    }

    /// The accounts that a batch locks, as far as there are any yet.
    fn touched<B: Batch + ?Sized>(&self, batch: &B) -> Vec<i64> {
        let Wanted {
            mut needed,
            receiving,
            ..
        } = Wanted::by(batch, &self.rules.rules);
        needed.extend(receiving);
        self.accounts.remembered(&needed).into_values().collect()
    }

    /// Looks whether some of a batch's accounts are kept, when it has waited in vain twice; they are
    /// known from then on. An error says why nothing can be seen.
    pub(super) async fn look_for_kept<B: Batch + ?Sized>(
        &mut self,
        batch: &B,
    ) -> Result<bool, String> {
        let touched = self.touched(batch);
        let mut kept = self.locked(&touched).await?;
        for _ in 1..LOOKS {
            if kept.is_empty() {
                break;
            }
            sleep(BETWEEN_LOOKS).await;
            let locked = self.locked(&touched).await?;
            kept.retain(|lock| locked.contains(lock));
        }
        if kept.is_empty() {
            return Ok(false);
        }
        tracing::warn!(locks = ?kept, "somebody keeps accounts locked: what touches them is refused");
        metrics::counter!("bursar_accounts_kept_total").increment(1);
        let kept = kept.into_iter().map(|lock| (lock.account, lock));
        self.kept.known().extend(kept);
        Ok(true)
    }

    /// Forgets those that are free again.
    async fn look_again(&mut self) {
        let known: Vec<Lock> = self.kept.known().values().copied().collect();
        let accounts: Vec<i64> = known.iter().map(|lock| lock.account).collect();
        match self.locked(&accounts).await {
            Ok(locked) => {
                let mut kept = self.kept.known();
                for lock in known.iter().filter(|lock| !locked.contains(lock)) {
                    if kept.get(&lock.account) == Some(lock) {
                        kept.remove(&lock.account);
                        tracing::info!(account = lock.account, "an account is not kept any more");
                    }
                }
            }
            // They are looked at again.
            Err(cause) => tracing::debug!(cause, "accounts cannot be looked at"),
        }
    }

    /// Which of these accounts are locked at this moment, and by whom.
    async fn locked(&mut self, accounts: &[i64]) -> Result<Vec<Lock>, String> {
        let connected = self.take_connection().await;
        let connected = connected.map_err(|error| describe(&error))?;
        let locks = within(locks(&connected.connection, accounts)).await;
        let locks = locks.flatten().map_err(|error| error.to_string())?;
        self.connection = Some(connected);
        Ok(locks)
    }
}

/// Locks whichever accounts are free, and says who has locked the others.
async fn locks(mut connection: &AsyncPgConnection, accounts: &[i64]) -> QueryResult<Vec<Lock>> {
    diesel::sql_query(
        "WITH free AS MATERIALIZED \
         (SELECT id FROM accounts WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED) \
         SELECT id AS account, xmax::text::bigint AS holder FROM accounts \
         WHERE id = ANY($1) AND id NOT IN (SELECT id FROM free)",
    )
    .bind::<Array<BigInt>, _>(accounts)
    .load(&mut connection)
    .await
}
