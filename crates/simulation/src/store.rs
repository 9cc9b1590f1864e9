//! The database as one replica reaches it: what is sent may not arrive, what is answered neither.

use std::sync::Arc;

use async_trait::async_trait;
use bursar_domain::{
    Bulk, Change, Commit, IdempotencyKey, KeyScope, Status, Transfer, TransferId,
    ledger::StoredClaim,
};
use bursar_ports::{BulkOutcome, CommitOutcome, StoreError, TransferStore};

use crate::{
    bank::Bank,
    bug::Bug,
    scheduler::{Owner, cell},
    world::World,
};

/// One replica's way to the database.
pub(crate) struct Store {
    pub(crate) bank: Arc<Bank>,
    pub(crate) replica: usize,
}

/// What becomes of a transaction on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is applied and answered.
    Plain,
    /// It is applied after a while and answered.
    Slow,
    /// It never arrives, and nobody can say so.
    Vanishes,
    /// It is applied, and the answer is lost.
    AnswerLost,
    /// Nobody waits for it any more when it is applied.
    LandsLate,
}

/// A transaction, and what it would come to, where that can be told.
trait Work: Send + 'static {
    type Outcome: Send + 'static;
    fn apply(&self, bank: &Bank) -> Self::Outcome;
    fn rehearse(&self, bank: &Bank) -> Option<Self::Outcome>;
    fn changes(&self) -> Vec<&Change>;
}

impl Work for Vec<Commit> {
    type Outcome = Vec<CommitOutcome>;

    fn apply(&self, bank: &Bank) -> Self::Outcome {
        bank.apply(self)
    }

    fn rehearse(&self, bank: &Bank) -> Option<Self::Outcome> {
        Some(bank.rehearse(self))
    }

    fn changes(&self) -> Vec<&Change> {
        self.iter().map(|commit| &commit.change).collect()
    }
}

impl Work for Bulk {
    type Outcome = BulkOutcome;

    fn apply(&self, bank: &Bank) -> BulkOutcome {
        bank.apply_bulk(self)
    }

    fn rehearse(&self, _: &Bank) -> Option<BulkOutcome> {
        None
    }

    fn changes(&self) -> Vec<&Change> {
        self.changes.iter().collect()
    }
}

impl Store {
    fn world(&self) -> &World {
        &self.bank.world
    }

    /// Whether the database takes this call.
    fn gate(&self, chance: u64) -> Result<(), StoreError> {
        let unavailable = || StoreError::Unavailable("the database is away".into());
        if self.bank.is_away() {
            self.world().see("database away");
            return Err(unavailable());
        }
        if self.world().fault(chance) {
            self.world().see("refused as unavailable");
            return Err(unavailable());
        }
        Ok(())
    }

    fn fate(&self) -> Fate {
        if self.world().is_mended() {
            return Fate::Plain;
        }
        match self.world().throw(|dice| dice.below(100)) {
            0..=5 => Fate::AnswerLost,
            6..=9 => Fate::Vanishes,
            10..=12 => Fate::LandsLate,
            13..=24 => Fate::Slow,
            _ => Fate::Plain,
        }
    }

    async fn transact<W: Work>(&self, work: W) -> Result<W::Outcome, StoreError> {
        World::pause().await;
        let die = |chance, when| self.world().may_die(self.replica, chance, when);
        die(8, "died before a commit").await;
        self.gate(15)?;
        if self.world().fault(10) {
            self.world().see("refused as overloaded");
            return Err(StoreError::Overloaded);
        }
        let fate = self.fate();
        let (giver, waiting) = cell();
        let bank = Arc::clone(&self.bank);
        let under_way = bank.begin();
        let database = async move {
            if let Some(answer) = execute(&bank, work, fate).await {
                giver.give(answer);
            }
            drop(under_way);
        };
        self.world().scheduler.start(Owner::Database, database);
        die(8, "died during a commit").await;
        let answer = if fate == Fate::LandsLate {
            self.world().see("given up before it landed");
            None
        } else {
            waiting.await
        };
        die(15, "died after a commit").await;
        answer.unwrap_or_else(|| {
            self.world().see("outcome unknown");
            Err(StoreError::OutcomeUnknown("the answer was lost".into()))
        })
    }

    /// A question that changes nothing.
    async fn ask(&self) -> Result<(), StoreError> {
        World::pause().await;
        self.gate(8)
    }
}

/// The database's side of a transaction, which goes on whoever dies. Without an answer it is lost.
async fn execute<W: Work>(
    bank: &Arc<Bank>,
    work: W,
    fate: Fate,
) -> Option<Result<W::Outcome, StoreError>> {
    let world = &bank.world;
    World::pause().await;
    match fate {
        Fate::Vanishes => {
            world.see("answer lost, not landed");
            if world.has(Bug::PhantomCallback, 700) {
                let changes = work.changes().into_iter();
                // A transfer that does not exist has nothing to tell.
                let exists = |change: &&Change| bank.transfer(change.next.id()).is_some();
                for change in changes.filter(exists) {
                    let at = change.next.parts().updated_at;
                    let drafts = &change.callbacks;
                    bank.callbacks.take_in(change.next.id(), at, drafts);
                }
            }
            return None;
        }
        Fate::Slow => world.nap(3_000).await,
        Fate::LandsLate => world.nap(20_000).await,
        Fate::Plain | Fate::AnswerLost => {}
    }
    if world.has(Bug::AnsweredTooEarly, 300)
        && let Some(answer) = work.rehearse(bank)
    {
        let bank = Arc::clone(bank);
        let later = async move {
            bank.world.nap(3_000).await;
            let _late = work.apply(&bank);
        };
        world.scheduler.start(Owner::Database, later);
        return Some(Ok(answer));
    }
    let answer = work.apply(bank);
    match fate {
        Fate::LandsLate => world.see("landed late"),
        Fate::AnswerLost => {
            world.see("answer lost, landed");
            return None;
        }
        Fate::Plain | Fate::Slow | Fate::Vanishes => {}
    }
    World::pause().await;
    if world.has(Bug::DeniedWhatLanded, 100) {
        return Some(Err(StoreError::Unavailable("it says".into())));
    }
    Some(Ok(answer))
}

#[async_trait]
impl TransferStore for Store {
    async fn find(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.ask().await?;
        let found = self.bank.books.find(id).await?;
        World::pause().await;
        Ok(found)
    }

    async fn find_proven(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.find(id).await
    }

    async fn find_many(&self, ids: Vec<TransferId>) -> Result<Vec<Transfer>, StoreError> {
        self.ask().await?;
        let found = self.bank.books.find_many(ids).await?;
        World::pause().await;
        Ok(found)
    }

    async fn find_key(
        &self,
        scope: KeyScope,
        key: IdempotencyKey,
    ) -> Result<Option<StoredClaim>, StoreError> {
        self.ask().await?;
        let found = self.bank.books.find_key(scope, key).await?;
        World::pause().await;
        Ok(found)
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        self.transact(batch).await
    }

    async fn rehearse(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        self.ask().await?;
        self.bank.books.rehearse(batch).await
    }

    async fn commit_bulk(&self, bulk: Bulk) -> Result<BulkOutcome, StoreError> {
        self.transact(bulk).await
    }

    async fn list_unsettled(
        &self,
        older_than_ms: i64,
        limit: i64,
    ) -> Result<Vec<Transfer>, StoreError> {
        self.ask().await?;
        let found = self.bank.books.list_unsettled(older_than_ms, limit).await?;
        World::pause().await;
        Ok(found)
    }

    async fn list_expired(&self, limit: i64) -> Result<Vec<Transfer>, StoreError> {
        self.ask().await?;
        let mut found = self.bank.books.list_expired(limit).await?;
        if self.world().has(Bug::ExpiredTooEarly, 100) {
            let open = |one: &Transfer| one.status() == Status::AwaitingConfirmation;
            found = self.bank.transfers();
            found.retain(open);
        }
        World::pause().await;
        Ok(found)
    }

    fn leave_alone(&self, id: TransferId) {
        self.bank.books.leave_alone(id);
    }

    async fn list_reversals(&self, of: TransferId) -> Result<Vec<Transfer>, StoreError> {
        self.ask().await?;
        self.bank.books.list_reversals(of).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.ask().await
    }
}
