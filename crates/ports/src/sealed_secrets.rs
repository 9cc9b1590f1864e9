//! Secrets at rest, as whoever changes the key that encrypts them sees them.

use std::fmt;

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Timestamp};
use uuid::Uuid;

use crate::{SealedSecret, StoreError};

/// What a secret belongs to. Its text, which no two have in common, is bound into the encryption: a
/// secret opens nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretOwner {
    /// An access key, by its public half.
    AccessKey(String),
    /// A callback secret, by its id.
    CallbackSecret(Uuid),
    /// What an operator's codes are made from, by the operator's name.
    OperatorTotp(String),
}

impl fmt::Display for SecretOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessKey(access_key) => f.write_str(access_key),
            Self::CallbackSecret(id) => write!(f, "callback-secret:{id}"),
            Self::OperatorTotp(name) => write!(f, "operator-totp:{name}"),
        }
    }
}

/// A secret with what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRecord {
    /// What it belongs to.
    pub belongs_to: SecretOwner,
    /// The secret.
    pub secret: SealedSecret,
}

/// All secrets that are in use: not those of what was revoked or has ended.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SealedSecrets: Send + Sync {
    /// Secrets that are not under this key, after `after` in an order that stays the same, at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list_sealed(
        &self,
        not_under: String,
        after: Option<SecretOwner>,
        limit: u32,
    ) -> Result<Vec<SealedRecord>, StoreError>;

    /// Puts a newly encrypted secret in the place of `old`, with its row of the audit log; `false`
    /// when that has changed or gone meanwhile, and then nothing happens.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn replace_sealed(
        &self,
        old: SealedRecord,
        new: SealedSecret,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError>;

    /// How many secrets there are under each key, by its name.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn count_sealed(&self) -> Result<Vec<(String, u64)>, StoreError>;
}
