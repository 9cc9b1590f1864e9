//! Transfers between users, and a user's own balances (contract §2).
//!
//! `send` makes one transfer and `bulk` many; both come from [`App::prepare`], so what is checked of
//! a transfer is checked of an item too. `unbroken` sees both to their end, whoever hangs up. `view`
//! is what a user sees of them.

mod bulk;
mod prepare;
mod send;
mod unbroken;
mod view;

use bursar_domain::{Amount, Asset, AssetId, DecimalAmount, Timestamp, Transfer};

pub use self::{
    bulk::{BulkRequest, WrongItem},
    prepare::ItemError,
};

/// A request to send money to another user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalRequest {
    /// What.
    pub currency: AssetId,
    /// How much.
    pub amount: DecimalAmount,
    /// A user id, email or username, as typed.
    pub recipient: String,
    /// The entry of the sender's address book that must name the same user.
    pub address_book_code: Option<String>,
    /// Where the final state goes.
    pub callback_url: Option<String>,
    /// The sender's own identifier.
    pub custom_id: Option<String>,
    /// A note for the recipient.
    pub note: Option<String>,
}

/// An internal transfer as one of its two users sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalView {
    /// Its public code.
    pub code: String,
    /// The transfer.
    pub transfer: Transfer,
    /// Whether the sender is looking; the recipient sees neither `custom_id` nor `callback_url`.
    pub seen_by_sender: bool,
}

/// What a user has of one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserBalance {
    /// The asset.
    pub asset: Asset,
    /// Free to be spent.
    pub available: Amount,
    /// Held for open withdrawals.
    pub held: Amount,
    /// When it last changed; never, for an account that nothing touched.
    pub updated_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests;
