//! Signatures that count once.

use async_trait::async_trait;

use crate::StoreError;

/// Remembers signatures.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ReplayGuard: Send + Sync {
    /// Whether this is the first use of a signature. It is remembered for at least this many
    /// milliseconds from its first use, and further uses do not prolong that. Of uses at once,
    /// on any of the replicas that share the memory, exactly one is the first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the memory cannot be reached; the signature may then count
    /// as used.
    async fn first_use(&self, signature: String, remember_ms: u32) -> Result<bool, StoreError>;
}
