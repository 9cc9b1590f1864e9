//! Whether the books are what they must be, asked again and again while they are in use.

use async_trait::async_trait;
use bursar_domain::AssetId;

use crate::StoreError;

/// What the accounts of one asset come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetSums {
    /// The asset.
    pub asset: AssetId,
    /// The sum of all accounts, which must be zero; none when it is no number.
    pub sum: Option<i128>,
    /// What accounts hold beyond what open withdrawals hold, which must be zero; none when it is no
    /// number.
    pub holds: Option<i128>,
    /// How many entries the accounts have.
    pub entries: u64,
}

impl AssetSums {
    /// Whether both are as they must be.
    pub fn is_ok(&self) -> bool {
        (self.sum, self.holds) == (Some(0), Some(0))
    }
}

/// What the accounts of one asset come to, and how many are not what their entries say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetIntegrity {
    /// What they come to.
    pub sums: AssetSums,
    /// How many accounts are not what their last entry says.
    pub accounts: u64,
}

impl AssetIntegrity {
    /// Whether all is as it must be.
    pub fn is_ok(&self) -> bool {
        self.sums.is_ok() && self.accounts == 0
    }
}

/// A part of the accounts, compared with their entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedAccounts {
    /// How many accounts.
    pub accounts: u64,
    /// How many of their entries, each with its seal.
    pub entries: u64,
    /// The last account; none when there were fewer than asked for, so that a round has ended.
    pub last: Option<i64>,
    /// What is wrong.
    pub breaches: Vec<Breach>,
}

/// Something in the books that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The asset; none when what is wrong names none that can be.
    pub asset: Option<AssetId>,
    /// Where and what, for operators.
    pub detail: String,
}

/// Judges the books.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BookIntegrity: Send + Sync {
    /// What every asset comes to, in one snapshot. It reads every account once. What is of no asset that
    /// can be keeps none from being summed up: [`BookIntegrity::check_accounts`] finds it, and what an
    /// account had before it was changed is missing in the asset that it was of.
    ///
    /// # Errors
    /// [`StoreError`] when the books cannot be read.
    async fn sums(&self) -> Result<Vec<AssetSums>, StoreError>;

    /// As [`BookIntegrity::sums`], with every account compared with its last entry in the same
    /// snapshot, and with what is of no asset that can be. It reads all of that, one call at a time.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when others are waiting for theirs, or when the books cannot be
    /// read.
    async fn examine(&self) -> Result<(Vec<AssetIntegrity>, Vec<Breach>), StoreError>;

    /// Compares up to `limit` accounts, by id after `after`, with their entries and seals since they
    /// were compared last; of an account with very many, with the last of them. One of no asset that can
    /// be is wrong, whatever its entries say.
    ///
    /// # Errors
    /// [`StoreError`] when the books cannot be read.
    async fn check_accounts(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<CheckedAccounts, StoreError>;
}

/// Who stops an asset whose books are not what they must be.
pub const WATCH: &str = "integrity";

/// Which stop keeps an asset from leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum OutgoingStop {
    /// The watch's own: whoever lifts it knows what it is about.
    Own,
    /// Somebody's, who may lift it for reasons of their own.
    Another,
}

/// Who must act when the books of an asset are not what they must be.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait IntegrityAlarm: Send + Sync {
    /// Stops what leaves the exchange in this asset, because of this, unless a stop of it stands
    /// already. Repeating it changes nothing. Answers which stop stands now.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stopped; it is then asked for again.
    async fn stop_outgoing(
        &self,
        asset: AssetId,
        reason: String,
    ) -> Result<OutgoingStop, StoreError>;
}
