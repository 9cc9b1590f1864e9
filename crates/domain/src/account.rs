//! Accounts, their balances, and the lines that change them.

use crate::{AssetId, Timestamp, TransferId, UserId, UserStatus};

/// Whose an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A user of the exchange; never below zero.
    User(UserId),
    /// What the exchange earned in fees.
    Fees,
    /// Everything outside the exchange; goes below zero as money comes in.
    World,
}

impl Owner {
    /// The user, if it is one.
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Fees | Self::World => None,
        }
    }
}

/// Names one account: there is one per owner and asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// Whose it is.
    pub owner: Owner,
    /// What it holds.
    pub asset: AssetId,
}

impl AccountKey {
    /// A user's account.
    pub const fn user(user: UserId, asset: AssetId) -> Self {
        Self {
            owner: Owner::User(user),
            asset,
        }
    }

    /// The account of everything outside.
    pub const fn world(asset: AssetId) -> Self {
        Self {
            owner: Owner::World,
            asset,
        }
    }

    /// The account that collects fees.
    pub const fn fees(asset: AssetId) -> Self {
        Self {
            owner: Owner::Fees,
            asset,
        }
    }
}

/// What an account holds, in smallest units of its asset, and what a decision needs beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Free to be spent. Of users' accounts never below zero.
    pub available: i128,
    /// Reserved for open withdrawals.
    pub held: i128,
    /// The number of the last entry; 0 before the first.
    pub seq: i64,
    /// The owner's status, copied here so that a freeze binds what is in flight.
    pub status: UserStatus,
    /// The latest time given to a transfer that touches or names this account.
    pub stamped_at: Timestamp,
}

impl Balance {
    /// An account that nothing ever touched.
    pub const fn empty(status: UserStatus) -> Self {
        Self {
            available: 0,
            held: 0,
            seq: 0,
            status,
            stamped_at: Timestamp::EPOCH,
        }
    }
}

/// One signed line of a change: what it adds to one account. The lines of a change sum to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: AccountKey,
    /// Added to what is available; may be negative.
    pub available: i128,
    /// Added to what is held; may be negative.
    pub held: i128,
}

/// A posting as it stands in the books: numbered, timed, with the balances after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account.
    pub account: AccountKey,
    /// 1, 2, 3 … without a gap for each account.
    pub seq: i64,
    /// The transfer it belongs to.
    pub transfer: TransferId,
    /// Added to what is available.
    pub available_delta: i128,
    /// Added to what is held.
    pub held_delta: i128,
    /// Available after it.
    pub available_after: i128,
    /// Held after it.
    pub held_after: i128,
    /// The transfer's time at this step.
    pub at: Timestamp,
}
