//! The durable record of transfers and balances.

use async_trait::async_trait;
use bursar_domain::{
    Bulk, Commit, IdempotencyKey, ItemResult, KeyScope, Reason, Room, Transfer, TransferId,
    Version, ledger::StoredClaim,
};

use crate::StoreError;

/// What became of one item of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum CommitOutcome {
    /// It is durable: the transfer as recorded, with its times. A refusal that is recorded
    /// ([`bursar_domain::OnRefusal::Record`]) is here too, as a failed or rejected transfer.
    Committed(Box<Transfer>),
    /// The same request was made with this key before; this is the transfer that came of it.
    Replayed {
        /// That transfer.
        original: TransferId,
    },
    /// The same request was made with this key before and refused.
    RefusalReplayed {
        /// Why.
        reason: Reason,
    },
    /// The key belongs to another request. Nothing happened.
    KeyReused {
        /// The first request's transfer, if it made one.
        original: Option<TransferId>,
        /// The fields in which the two differ.
        fields: Vec<String>,
    },
    /// The transfer, or the one that would change with it, is not at the expected version. Nothing
    /// happened, the key stays free.
    Stale {
        /// The version that one is at; none when it does not exist.
        current: Option<Version>,
    },
    /// The ledger refuses. Nothing moved; the key remembers the refusal.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// A limit refuses. Nothing moved; the key remembers the refusal.
    OverLimit {
        /// Why.
        reason: Reason,
        /// What the limit leaves.
        room: Room,
    },
    /// Nothing moves right now, by an operator's word. Nothing happened, the key stays free.
    ReadOnly,
}

/// What became of a bulk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum BulkOutcome {
    /// It is durable: the transfers as recorded, in the order of the changes. Refusals of an
    /// independent bulk are here too, as failed or rejected transfers.
    Committed(Vec<Transfer>),
    /// An atomic bulk is refused. Nothing moved; the key remembers the refusal.
    Refused {
        /// Why, for each change that its sender's side refuses, in the order of the changes. Whose
        /// recipient cannot be paid is not told, for no money moved.
        reasons: Vec<Option<Reason>>,
        /// How many recipients cannot be paid, for limits on trying; 0 when a sender's side refuses,
        /// which is judged first. Unknown, and 0, when this is an earlier try's refusal.
        recipients_unable: usize,
    },
    /// More recipients of an independent bulk than its limit cannot be paid. Nothing happened, the
    /// key stays free.
    TooManyUnable,
    /// The same request was made with this key before.
    Replayed {
        /// What came of each item of that request.
        results: Vec<ItemResult>,
    },
    /// The key belongs to another request. Nothing happened.
    KeyReused {
        /// The first request's transfers.
        originals: Vec<TransferId>,
        /// The fields in which the two differ.
        fields: Vec<String>,
    },
    /// Nothing moves right now, by an operator's word. Nothing happened, the key stays free.
    ReadOnly,
}

/// The durable record of transfers, balances, keys and the callbacks that are due.
///
/// # Contract, proved for every implementation by `bursar_testkit::contract`
/// - Outcomes are positional. Items that are committed behave as if applied in order, one by one.
/// - A business refusal is an outcome, never an `Err`, and does not disturb its neighbours.
/// - An item is committed whole: transfer, entries, balances, key, callbacks and the row of the audit
///   log, or none of it.
/// - A key has at most one effect, for ever, whoever races.
/// - [`StoreError::OutcomeUnknown`] means that repeating the call unchanged is safe and answers
///   what is true; every other error means that nothing happened.
/// - Dropping the future never cuts a transaction short.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TransferStore: Send + Sync {
    /// The transfer as last committed.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find(&self, id: TransferId) -> Result<Option<Transfer>, StoreError>;

    /// The same for whoever goes on from a transfer that has ended: one that the store cannot prove to
    /// be its own is an error. [`find`](Self::find) gives open ones only if it can, too.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_proven(&self, id: TransferId) -> Result<Option<Transfer>, StoreError>;

    /// The transfers with these ids as last committed, in any order; unknown ids are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_many(&self, ids: Vec<TransferId>) -> Result<Vec<Transfer>, StoreError>;

    /// What a key is bound to.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_key(
        &self,
        scope: KeyScope,
        key: IdempotencyKey,
    ) -> Result<Option<StoredClaim>, StoreError>;

    /// Makes every item durable or says why not, each with its own outcome.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer; see the contract above.
    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError>;

    /// What [`commit`](Self::commit) would come to if it were called now: the same transaction, taken
    /// back at its end. Nothing is durable afterwards, and keys are as free as before. Items see what
    /// those before them in this call would have done, and nothing of other calls.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer; never [`StoreError::OutcomeUnknown`], for there is
    /// no outcome.
    async fn rehearse(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError>;

    /// Makes new transfers durable in one transaction of their own, with one key for all of them.
    /// They behave as if made in order, one by one; all of them are recorded or none.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer; see the contract above.
    async fn commit_bulk(&self, bulk: Bulk) -> Result<BulkOutcome, StoreError>;

    /// Pending deposits and internal transfers that nobody has settled for `older_than_ms`, oldest
    /// first, at most `limit`. Several callers at once may be given the same ones: settling twice
    /// is harmless.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_unsettled(
        &self,
        older_than_ms: i64,
        limit: i64,
    ) -> Result<Vec<Transfer>, StoreError>;

    /// Open withdrawals and transfers that wait for approval whose time is up by the store's own
    /// clock, longest first, at most `limit`. Several callers at once may be given the same ones:
    /// expiring twice is harmless.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_expired(&self, limit: i64) -> Result<Vec<Transfer>, StoreError>;

    /// Has those two lists pass this transfer over for a minute at most, by this caller's store alone: it
    /// could not be committed, for a reason that may be its own, and others wait behind it.
    fn leave_alone(&self, id: TransferId);

    /// The transfers that take this one back, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_reversals(&self, of: TransferId) -> Result<Vec<Transfer>, StoreError>;

    /// Whether the store can be reached and takes writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    async fn ready(&self) -> Result<(), StoreError>;
}
