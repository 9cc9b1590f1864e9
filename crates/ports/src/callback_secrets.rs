//! The secrets that sign callbacks.

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Subscriber, Timestamp};
use uuid::Uuid;

use crate::{SealedSecret, StoreError};

/// A subscriber's secret as it is kept.
///
/// A subscriber has at most one that is *current*, which is to say that it has no end, and beside it
/// at most one that a rotation has given an end. Both sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCallbackSecret {
    /// Its id; ids grow with time.
    pub id: Uuid,
    /// Whose callbacks it signs.
    pub subscriber: Subscriber,
    /// The secret, encrypted.
    pub secret: SealedSecret,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends because another took its place.
    pub expires_at: Option<Timestamp>,
    /// When it was ended before that.
    pub revoked_at: Option<Timestamp>,
}

impl StoredCallbackSecret {
    /// Whether it signs at this time.
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > at)
    }

    /// Whether it is the one that others take the place of.
    pub const fn is_current(&self) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none()
    }
}

/// Every subscriber's secrets.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CallbackSecrets: Send + Sync {
    /// What signs a subscriber's callbacks at this time, the current one first; none when there is
    /// nothing yet. What other replicas wrote may be missing for up to 30 seconds.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_active(
        &self,
        subscriber: Subscriber,
        at: Timestamp,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError>;

    /// Keeps a first secret, unless the subscriber has a current one: of several callers at once
    /// one wins. Answers what signs at the secret's time of creation, for the losers too.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn add_first(
        &self,
        secret: StoredCallbackSecret,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError>;

    /// Keeps a new current secret. The one before it ends at `overlap_until`, and one that had an
    /// end already ends at once. The row of the audit log that is written with it tells the secret
    /// that was current before.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn rotate(
        &self,
        secret: StoredCallbackSecret,
        overlap_until: Timestamp,
        audit: AuditDraft,
    ) -> Result<(), StoreError>;

    /// Secrets after `after` in order of ids, of everybody or of one subscriber, at most `limit`;
    /// also those that have ended.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list(
        &self,
        subscriber: Option<Subscriber>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError>;

    /// Ends a secret at once, with its row of the audit log; `false` when there is none with this
    /// id. Repeating it changes nothing and writes no row.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn revoke(&self, id: Uuid, at: Timestamp, audit: AuditDraft) -> Result<bool, StoreError>;
}
