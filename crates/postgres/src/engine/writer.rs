//! The single writer: one replica that holds the book keeps its balances in memory, so that a batch
//! neither locks accounts nor reads them, and is decided before the one before it is committed.
//!
//! Batches stand in one order, in which they are decided and committed. A batch reads and writes
//! ahead whatever nobody else writes, while the one before it commits; then it writes balances, counts
//! itself and commits. What a batch is decided by may never be committed, so when one fails, all
//! behind it are given up too, and everything in memory is forgotten: a new term begins, in an epoch
//! of its own, in which nothing of the terms before it can be committed any more. See ADR 0016.

mod hold;
mod remembered;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use bursar_domain::{AccountKey, Kind, UsageKey};
use bursar_ports::StoreError;
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    time::timeout,
};
use uuid::Uuid;

use self::hold::Standing;
pub(super) use self::hold::{Hold, release};
pub(super) use self::remembered::{Kept, Remembered};
use super::{
    attempt::Failure,
    books::Read,
    round_trips::within,
    rules::{RULE_SET, RootUseKeys},
    writes::Writes,
};
use crate::{error::inconsistent, pool::PoolConfig, schema::writers};

/// How long a batch waits for the book to be held. It takes no longer when nobody else holds it.
const HOLD_WITHIN: Duration = Duration::from_secs(3);

/// What all batchers of the single writer share.
#[derive(Clone)]
pub(super) struct Writer {
    order: Arc<Mutex<Order>>,
    standing: watch::Receiver<Standing>,
}

/// The order of batches, and what the last of them leaves.
struct Order {
    term: Option<Arc<Term>>,
    /// How many batches have a place in this term.
    batches: i64,
    /// Whether the last of them is committed. It never is once the sender is gone.
    last: Option<watch::Receiver<bool>>,
    /// The latest rules that a batch was decided by. What was decided by later ones must not be
    /// followed by earlier ones: of a limit that is new, uses would be missed.
    revision: i64,
    remembered: Remembered,
}

/// A time in which nobody but this writer changes what it remembers.
struct Term {
    holder: Uuid,
    epoch: i64,
    /// A batch has failed, or somebody has changed what is remembered: nothing that was decided
    /// here may be committed any more.
    broken: watch::Sender<bool>,
}

/// What a batch has to read, as long as the term is the same and nothing is forgotten.
pub(super) struct Ticket {
    term: Arc<Term>,
    forgotten: u64,
    /// The accounts that are not in memory.
    pub(super) accounts: Vec<i64>,
    /// The uses in the root asset that are not in memory.
    pub(super) root_uses: RootUseKeys,
}

impl Writer {
    /// A writer, and the task that holds the book for it until its last clone is gone.
    pub(super) fn new(pool: &PoolConfig) -> (Self, Hold) {
        let (hold, standing) = Hold::new(pool.clone());
        let order = Order {
            term: None,
            batches: 0,
            last: None,
            revision: 0,
            remembered: Remembered::new(),
        };
        let order = Arc::new(Mutex::new(order));
        (Self { order, standing }, hold)
    }

    /// Says what a batch has to read. It begins a new term when there is none.
    pub(super) async fn ticket(
        &self,
        connection: &AsyncPgConnection,
        ids: &HashMap<AccountKey, i64>,
        usage: &BTreeSet<UsageKey>,
    ) -> Result<Ticket, Failure> {
        let holder = self.holder().await?;
        let mut order = self.order.lock().await;
        let term = match order.term(holder) {
            Some(term) => term,
            None => order.begin(connection, holder).await?,
        };
        let remembered = &mut order.remembered;
        let accounts = ids.values().copied();
        let accounts = accounts.filter(|id| !remembered.accounts.has(id)).collect();
        let root_uses = usage.iter().filter(|key| {
            let row = (key.user.as_uuid(), key.kind.as_str());
            key.asset.is_none() && !remembered.root_uses.has(&row)
        });
        Ok(Ticket {
            root_uses: RootUseKeys::of(root_uses),
            accounts,
            forgotten: remembered.forgotten(),
            term,
        })
    }

    /// Waits for the turn of a batch that is decided by the rules of this revision, and completes what
    /// it read. None when what it read, or what is remembered, may be out of date.
    pub(super) async fn turn(
        &self,
        ticket: &Ticket,
        revision: i64,
        read: &mut Read,
        ids: &HashMap<AccountKey, i64>,
        usage: &BTreeSet<UsageKey>,
    ) -> Result<Option<Turn>, StoreError> {
        if read.epoch != ticket.term.epoch {
            // Batches that write nothing are not counted, so nothing else would tell them.
            ticket.term.broken.send_replace(true);
            return Ok(None);
        }
        let mut order = Arc::clone(&self.order).lock_owned().await;
        let current = order.term(ticket.term.holder);
        let is_current = current.is_some_and(|term| Arc::ptr_eq(&term, &ticket.term));
        let is_fresh = order.remembered.forgotten() == ticket.forgotten;
        if !is_current || !is_fresh || revision < order.revision {
            return Ok(None);
        }
        order.revision = revision;
        order.remembered.complete(read, ids, usage)?;
        Ok(Some(Turn { order }))
    }

    /// Whether this replica holds the book.
    pub(super) fn is_holder(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Held(_))
    }

    /// As whom this replica holds the book.
    async fn holder(&self) -> Result<Uuid, StoreError> {
        let mut standing = self.standing.clone();
        let known = standing.wait_for(|standing| *standing != Standing::Seeking);
        let known = timeout(HOLD_WITHIN, known)
            .await
            .map(|known| known.map(|known| *known));
        match known {
            Ok(Ok(Standing::Held(holder))) => Ok(holder),
            Ok(Ok(Standing::Elsewhere)) => Err(StoreError::Standby),
            Ok(Ok(Standing::Seeking) | Err(_)) | Err(_) => {
                Err(StoreError::Unavailable("the book is not held yet".into()))
            }
        }
    }
}

impl Order {
    /// The term, if it is this holder's and whole.
    fn term(&self, holder: Uuid) -> Option<Arc<Term>> {
        let term = self.term.as_ref()?;
        let is_whole = term.holder == holder && !*term.broken.borrow();
        is_whole.then(|| Arc::clone(term))
    }

    /// Begins a term. The statement waits for a batch of the term before that is just committing,
    /// and none of them can commit after it; what is read from now on is what they left.
    async fn begin(
        &mut self,
        connection: &AsyncPgConnection,
        holder: Uuid,
    ) -> Result<Arc<Term>, Failure> {
        self.term = None;
        self.last = None;
        self.batches = 0;
        // A database that another one has taken the place of may have lost a change of the rules.
        self.revision = 0;
        self.remembered.clear();
        let mine = writers::table
            .filter(writers::name.eq(RULE_SET))
            .filter(writers::holder.eq(holder));
        let begun = within(async {
            diesel::update(mine)
                .set((writers::epoch.eq(writers::epoch + 1), writers::batch.eq(0)))
                .returning(writers::epoch)
                .get_result::<i64>(&mut &*connection)
                .await
                .optional()
        });
        let epoch = begun.await.flatten().map_err(Failure::NotCommitted)?;
        let term = Arc::new(Term {
            holder,
            epoch: epoch.ok_or(StoreError::Standby)?,
            broken: watch::Sender::new(false),
        });
        self.term = Some(Arc::clone(&term));
        Ok(term)
    }
}

impl Remembered {
    /// Remembers what was read, and completes it with what was remembered.
    fn complete(
        &mut self,
        read: &mut Read,
        ids: &HashMap<AccountKey, i64>,
        usage: &BTreeSet<UsageKey>,
    ) -> Result<(), StoreError> {
        // What somebody else has remembered meanwhile is newer.
        for row in std::mem::take(&mut read.accounts) {
            if !self.accounts.has(&row.id) {
                self.accounts.put(row.id, row);
            }
        }
        for id in ids.values() {
            let row = self.accounts.get(id);
            let missing = || inconsistent("accounts", format!("id {id} is gone"));
            read.accounts.push(row.ok_or_else(missing)?.clone());
        }
        for (user, kind, uses) in std::mem::take(&mut read.root_uses) {
            if let Some(kind) = Kind::from_name(&kind).map(Kind::as_str)
                && !self.root_uses.has(&(user, kind))
            {
                self.root_uses.put((user, kind), uses);
            }
        }
        for key in usage.iter().filter(|key| key.asset.is_none()) {
            let (user, kind) = (key.user.as_uuid(), key.kind.as_str());
            if let Some(uses) = self.root_uses.get(&(user, kind)) {
                read.root_uses.push((user, kind.to_owned(), uses.clone()));
            }
        }
        Ok(())
    }
}

/// The time in which a batch is decided: nobody else decides anything.
pub(super) struct Turn {
    order: OwnedMutexGuard<Order>,
}

impl Turn {
    /// Waits until everything is committed that this batch stands on.
    pub(super) async fn alone(&self) -> Result<(), Failure> {
        committed(self.order.last.clone()).await
    }

    /// Ends the turn of a batch that writes nothing. What it answers holds once everything is
    /// committed that it stands on.
    pub(super) async fn pass(self) -> Result<(), Failure> {
        let last = self.order.last.clone();
        drop(self);
        committed(last).await
    }

    /// Ends the turn of a batch that writes this, and has the next ones stand on it.
    pub(super) fn leave(mut self, writes: &Writes<'_>) -> Result<Place, Failure> {
        let order = &mut *self.order;
        let term = order.term.clone().ok_or(Failure::Overtaken)?;
        order.batches = order.batches.saturating_add(1);
        let (committed, is_committed) = watch::channel(false);
        // First, so that whatever happens from here on breaks the term.
        let place = Place {
            before: order.last.replace(is_committed),
            batch: order.batches,
            committed,
            term,
        };
        writes.remember(&mut order.remembered);
        Ok(place)
    }
}

/// A batch's place in the order. Unless it is told to be committed, everything behind it is given up.
pub(super) struct Place {
    before: Option<watch::Receiver<bool>>,
    batch: i64,
    committed: watch::Sender<bool>,
    term: Arc<Term>,
}

impl Place {
    /// Whether everything before it is committed.
    pub(super) fn is_next(&self) -> bool {
        self.before.as_ref().is_none_or(|before| *before.borrow())
    }

    /// Waits until everything before it is committed, or cannot be any more.
    pub(super) async fn next(&self) -> Result<(), Failure> {
        let mut broken = self.term.broken.subscribe();
        tokio::select! {
            committed = committed(self.before.clone()) => committed,
            _broken = broken.wait_for(|is_broken| *is_broken) => Err(Failure::Overtaken),
        }
    }

    /// Its epoch and its number, to be counted with it.
    pub(super) fn number(&self) -> (i64, i64) {
        (self.term.epoch, self.batch)
    }

    /// The batch is committed.
    pub(super) fn commit(self) {
        self.committed.send_replace(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !*self.committed.borrow() {
            self.term.broken.send_replace(true);
        }
    }
}

/// Waits until a batch is committed, if there is one.
async fn committed(batch: Option<watch::Receiver<bool>>) -> Result<(), Failure> {
    let Some(mut batch) = batch else {
        return Ok(());
    };
    let committed = batch.wait_for(|committed| *committed).await;
    committed.map(|_| ()).map_err(|_gone| Failure::Overtaken)
}
