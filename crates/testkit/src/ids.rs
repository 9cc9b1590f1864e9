//! Ids that count up, so that a failing test names the same ids every time.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bursar_domain::{CodeSalt, TransferId, UserId};
use bursar_ports::{IdSource, StoreError};
use uuid::Uuid;

/// Counts up from a first number; every id of whatever type takes the next one.
#[derive(Debug)]
pub struct SequentialIds {
    next: AtomicI64,
}

impl SequentialIds {
    /// Begins at `first`, which must be positive.
    pub const fn starting_at(first: i64) -> Self {
        Self {
            next: AtomicI64::new(first),
        }
    }

    /// The next transfer id.
    pub fn transfer(&self) -> TransferId {
        TransferId::try_new(self.number()).expect("a test makes fewer than 2^53 ids")
    }

    /// The next user id.
    pub fn user(&self) -> UserId {
        UserId::new(Uuid::from_u128(u128::from(self.number().unsigned_abs())))
    }

    /// The next salt of an internal transfer's code.
    pub fn salt(&self) -> CodeSalt {
        let mut bytes = [0; 10];
        for (byte, from) in bytes.iter_mut().rev().zip(self.number().to_le_bytes()) {
            *byte = from;
        }
        CodeSalt::new(bytes)
    }

    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }
}

impl Default for SequentialIds {
    fn default() -> Self {
        Self::starting_at(1)
    }
}

#[async_trait]
impl IdSource for SequentialIds {
    async fn next_transfer_id(&self) -> Result<TransferId, StoreError> {
        Ok(self.transfer())
    }

    fn random_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (byte, from) in bytes.iter_mut().zip(self.number().to_le_bytes()) {
            *byte = from;
        }
        bytes
    }
}
