//! Secrets at rest, as whoever changes the key that encrypts them sees them.

use async_trait::async_trait;

use crate::{SealedSecret, StoreError};

/// A secret with what it belongs to, which is bound into its encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRecord {
    /// What it belongs to, such as an access key; unique.
    pub belongs_to: String,
    /// The secret.
    pub secret: SealedSecret,
}

/// All secrets that are in use: not those of what was revoked.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SealedSecrets: Send + Sync {
    /// Secrets that are not under this key, after `after` in order of what they belong to, at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_sealed(
        &self,
        not_under: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<SealedRecord>, StoreError>;

    /// Puts a newly encrypted secret in the place of `old`; `false` when that has changed or gone
    /// meanwhile, and then nothing happens.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn replace_sealed(
        &self,
        old: SealedRecord,
        new: SealedSecret,
    ) -> Result<bool, StoreError>;

    /// How many secrets there are under each key, by its name.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn count_sealed(&self) -> Result<Vec<(String, u64)>, StoreError>;
}
