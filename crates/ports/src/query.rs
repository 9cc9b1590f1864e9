//! The read side: lists, balances and the whole story of one transfer.

use crate::{LedgerOwner, Statement, StatementFilter, StoreError};
use async_trait::async_trait;
use bursar_domain::{
    AccountKey, Amount, AssetId, Kind, Status, Timestamp, Transfer, TransferId, UserId,
};

/// Which deposits and withdrawals of one user to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountHistory {
    /// The user.
    pub user: UserId,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created at or before.
    pub to: Option<Timestamp>,
    /// How many.
    pub limit: u32,
    /// How many to pass over first.
    pub offset: u64,
}

/// Which deposits and withdrawals of all users to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferFilter {
    /// Only of these users; `None` = of all, an empty list = of nobody.
    pub users: Option<Vec<UserId>>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created at or before.
    pub to: Option<Timestamp>,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// How many.
    pub limit: u32,
    /// How many to pass over first.
    pub offset: u64,
}

/// A page of a list with the number of all matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferPage {
    /// The rows.
    pub transfers: Vec<Transfer>,
    /// How many match in all: exact up to 10,000, beyond that an estimate.
    pub total: u64,
    /// Whether `total` is an estimate.
    pub estimated: bool,
    /// Whether there are more after these rows. Read with them, so it holds whatever `total` says.
    pub more: bool,
}

/// Where a transfer stands in a list that is newest first: creation, then id, both descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPlace {
    /// When it was created.
    pub created_at: Timestamp,
    /// Its id.
    pub id: TransferId,
}

/// Which transfers of every kind to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferScan {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only where one of these is the owner, or the recipient of an internal transfer that
    /// succeeded; `None` = of all, an empty list = of nobody.
    pub users: Option<Vec<UserId>>,
    /// Only of this asset.
    pub asset: Option<AssetId>,
    /// Of this amount, in smallest units, or more.
    pub amount_min: Option<Amount>,
    /// Of this amount, in smallest units, or less.
    pub amount_max: Option<Amount>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created at or before.
    pub to: Option<Timestamp>,
    /// Only with this identifier of the sender's.
    pub custom_id: Option<String>,
    /// Only this one.
    pub id: Option<TransferId>,
    /// Only what comes after this place.
    pub after: Option<ListPlace>,
    /// How many.
    pub limit: u32,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferSlice {
    /// The rows; fewer than asked for, even none, when the filters leave few of those looked at.
    pub transfers: Vec<Transfer>,
    /// Where the next part begins; `None` when there is nothing more.
    pub next: Option<ListPlace>,
}

/// Which internal transfers of one user to list: those it sent, and those it received that
/// succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalFilter {
    /// The user.
    pub user: UserId,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only of this asset.
    pub asset: Option<AssetId>,
    /// Only with this identifier, which only the sender sees.
    pub custom_id: Option<String>,
    /// `timestamp` (when done, else when created) at or after this whole second.
    pub from: Option<Timestamp>,
    /// `timestamp` at or before the end of this whole second.
    pub to: Option<Timestamp>,
    /// How many.
    pub limit: u32,
    /// How many to pass over first.
    pub offset: u64,
}

/// What one account holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountBalance {
    /// The account.
    pub account: AccountKey,
    /// Free to be spent, in smallest units.
    pub available: i128,
    /// Reserved, in smallest units.
    pub held: i128,
    /// When it last changed; the epoch before the first change.
    pub updated_at: Timestamp,
}

/// A ledger line of one transfer.
pub type LedgerLine = bursar_domain::Entry;

/// Lists and look-ups that change nothing.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TransferQuery: Send + Sync {
    /// Deposits and withdrawals of one user, newest first (creation, then id, both descending).
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_account_history(
        &self,
        filter: AccountHistory,
    ) -> Result<Vec<Transfer>, StoreError>;

    /// Deposits and withdrawals of all users, newest first (creation, then id, both descending).
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_transfers(&self, filter: TransferFilter) -> Result<TransferPage, StoreError>;

    /// Transfers of every kind, newest first (creation, then id, both descending). A part looks at
    /// a bounded number of rows, so one with few matches may be short and still not the last.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn scan_transfers(&self, scan: TransferScan) -> Result<TransferSlice, StoreError>;

    /// Internal transfers that one user may see, newest first (creation, then id, descending).
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_internal(&self, filter: InternalFilter) -> Result<Vec<Transfer>, StoreError>;

    /// Every account of one user, in order of assets.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_user_balances(&self, user: UserId) -> Result<Vec<AccountBalance>, StoreError>;

    /// Every system account, in order of assets.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_system_balances(&self) -> Result<Vec<AccountBalance>, StoreError>;

    /// The ledger lines of one transfer, in the order they were written.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_entries(&self, transfer: TransferId) -> Result<Vec<LedgerLine>, StoreError>;

    /// A page of a user's statement.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn read_statement(&self, filter: StatementFilter) -> Result<Statement, StoreError>;

    /// What these accounts held at a time, in order of assets: the sum of their lines up to it, by
    /// the lines' own times. Whatever the time, the accounts of an asset sum to zero.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_balances_at(
        &self,
        owner: LedgerOwner,
        at: Timestamp,
    ) -> Result<Vec<AccountBalance>, StoreError>;
}
