//! New ids and random bytes.

use async_trait::async_trait;
use bursar_domain::TransferId;

use crate::StoreError;

/// Makes what must not repeat or be guessed.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait IdSource: Send + Sync {
    /// An id that no other transfer has or will have. Ids grow roughly with time, not strictly.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when a new range of ids is needed and cannot be had.
    async fn next_transfer_id(&self) -> Result<TransferId, StoreError>;

    /// Bytes from a cryptographic random generator.
    fn random_bytes(&self) -> [u8; 32];
}
