//! Several new transfers that one request asks for.

use crate::{Change, IdempotencyClaim, Reason, TransferId};

/// New transfers that become durable in one transaction, with one key for all of them.
///
/// They are decided in order, each on what the ones before it left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Bulk {
    /// The new transfers, each with an id of its own. A reversal is none of them, for it changes another
    /// transfer as well.
    pub changes: Vec<Change>,
    /// What the refusal of one means for the others.
    pub mode: BulkMode,
    /// With how many recipients who cannot be paid an independent bulk is still made. None does not
    /// count them.
    pub unable_max: Option<usize>,
    /// The key that must have no other effect.
    pub idempotency: Option<BulkClaim>,
}

/// What the refusal of one transfer means for the others of its bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkMode {
    /// Nothing: every transfer is recorded, a refused one as failed or rejected.
    Independent,
    /// None of them is made. An atomic bulk has a change for every item of its request.
    Atomic,
}

/// A bulk's claim on a key, made in the transaction that moves the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkClaim {
    /// The claim on the key.
    pub claim: IdempotencyClaim,
    /// What came of each item of the request, in order, once the bulk is made: also of items that
    /// were refused beforehand, so that a repetition can tell the same of them.
    pub results: Vec<ItemResult>,
}

/// What came of one item of a bulk, as its key remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemResult {
    /// This transfer.
    Made(TransferId),
    /// No transfer.
    Refused(ItemRefusal),
}

/// Why an item made no transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRefusal {
    /// The stable code that the caller was told.
    pub code: String,
    /// The fields that were wrong in themselves.
    pub errors: Vec<RefusedField>,
}

/// A field that was wrong in itself, as the caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedField {
    /// Its name.
    pub field: String,
    /// The stable code of what is wrong.
    pub code: String,
    /// The sentence for people.
    pub detail: String,
}

impl Bulk {
    /// The id by which a key knows this very bulk: that of its first transfer. None for a bulk
    /// without transfers, which claims nothing.
    pub fn first_id(&self) -> Option<TransferId> {
        self.changes.first().map(|change| change.next.id())
    }
}

impl ItemResult {
    /// The transfer, when there is one.
    pub const fn made(&self) -> Option<TransferId> {
        match self {
            Self::Made(id) => Some(*id),
            Self::Refused(_) => None,
        }
    }
}

impl ItemRefusal {
    /// The code of an item of an atomic bulk that was not made because of another one, or because
    /// of somebody's recipient, whose is not told.
    pub const NOT_EXECUTED: &'static str = "bulk.not_executed";

    /// What an atomic bulk that was refused tells of one item: its own refusal, if it has one.
    pub fn in_atomic(refusal: Option<Reason>) -> Self {
        Self {
            code: refusal.map_or(Self::NOT_EXECUTED, Reason::code).to_owned(),
            errors: vec![],
        }
    }
}
