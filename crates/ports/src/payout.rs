//! Paying withdrawals out.

use async_trait::async_trait;
use bursar_domain::{AssetId, Timestamp, Transfer, TransferId, UserId, UserStatus};

use crate::{LeaseToken, StoreError};

/// What is to be paid out. The same order is given again until it is known what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutOrder {
    /// The withdrawal. It is what a gateway tells one payout from another by.
    pub id: TransferId,
    /// What.
    pub asset: AssetId,
    /// How much, as a plain decimal text.
    pub amount: String,
    /// Whose money it was.
    pub user: UserId,
    /// The operator's comment.
    pub comment: Option<String>,
    /// When the withdrawal was made.
    pub created_at: Timestamp,
    /// The time of this try.
    pub at: Timestamp,
}

/// What a gateway says about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayoutAnswer {
    /// It is paid.
    Paid,
    /// It is not paid and never will be.
    Refused {
        /// Why, in the gateway's words, for the log.
        detail: Option<String>,
    },
    /// It is being paid; the gateway says later what came of it, or is asked again.
    UnderWay,
    /// Nobody knows: it must be asked again, for it may have been paid.
    Unknown {
        /// What went wrong, in one fixed word.
        what: &'static str,
    },
}

/// A message that says that it is the gateway's, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMessage {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
    /// The body, to the byte.
    pub body: Vec<u8>,
}

/// Pays withdrawals out, each order at most once however often it is given.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PayoutGateway: Send + Sync {
    /// Asks for a payout, or what became of it. Whatever is not certain is
    /// [`PayoutAnswer::Unknown`]; it never takes longer than [`PayoutGateway::try_max_ms`].
    async fn pay(&self, order: PayoutOrder) -> PayoutAnswer;

    /// How long a try may take, in milliseconds.
    fn try_max_ms(&self) -> i64;

    /// Whether the gateway signed this message, and signed it about `now`.
    fn is_genuine(&self, message: &SignedMessage, now: Timestamp) -> bool;
}

/// A payout that is to be tried now, by whoever holds the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedPayout {
    /// The withdrawal as last committed.
    pub transfer: Transfer,
    /// The lease.
    pub lease: LeaseToken,
    /// How often it was tried before.
    pub attempts: u32,
}

/// A payout that ends its lease without an end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostponedPayout {
    /// The withdrawal.
    pub id: TransferId,
    /// The lease it was claimed under.
    pub lease: LeaseToken,
    /// In how many milliseconds it is due again.
    pub wait_ms: i64,
    /// What came of it, in one fixed word.
    pub outcome: &'static str,
    /// Whether the gateway was asked.
    pub was_tried: bool,
}

/// What the books say, at one moment, about who and what a payout is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutClearance {
    /// Whether its owner may move money.
    pub owner: UserStatus,
    /// Whether everything is stopped, or what leaves users' accounts of its asset.
    pub is_stopped: bool,
}

/// What is being paid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayoutFigures {
    /// How many payouts have not ended.
    pub under_way: u32,
    /// For how long the oldest of them has been under way, in milliseconds; 0 when there is none.
    pub oldest_ms: i64,
}

/// When payouts under way are tried next.
///
/// A payout is in the schedule from the very transaction that begins it. Due and leased are judged
/// by the store's own clock, so that all replicas agree.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PayoutSchedule: Send + Sync {
    /// Takes payouts that are due, those first that have been due for longest, and keeps everybody
    /// else from them for `lease_ms`. Never gives the same one to two callers within that time.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer. What was claimed then stays leased.
    async fn claim_due(&self, lease_ms: i64, limit: u32) -> Result<Vec<ClaimedPayout>, StoreError>;

    /// What the books say right now about whoever owns a payout and about its asset: a freeze or a
    /// stop that has returned before this is asked is seen, on every replica.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer, or has no such user.
    async fn clearance(&self, owner: UserId, asset: AssetId)
    -> Result<PayoutClearance, StoreError>;

    /// Ends a lease; `false` when it had run out and somebody else took the payout.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written; the payout is then due when the lease ends.
    async fn postpone(&self, postponed: PostponedPayout) -> Result<bool, StoreError>;

    /// Takes a payout off the schedule that has ended.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    async fn end(&self, id: TransferId) -> Result<(), StoreError>;

    /// What is under way.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn figures(&self) -> Result<PayoutFigures, StoreError>;
}
