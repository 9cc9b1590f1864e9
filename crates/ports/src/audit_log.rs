//! Who did what, as operators read it.

use async_trait::async_trait;
use bursar_domain::Timestamp;
use uuid::Uuid;

use crate::StoreError;

/// One row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its id.
    pub id: Uuid,
    /// When it was done.
    pub at: Timestamp,
    /// Whoever did it.
    pub actor: String,
    /// The credential it was done with.
    pub credential: String,
    /// The request it was done in.
    pub request_id: String,
    /// Where that request came from.
    pub address: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// What was there before, as JSON; none for what did not exist.
    pub before: Option<String>,
    /// What was there afterwards, as JSON.
    pub after: Option<String>,
}

impl AuditRecord {
    /// Where it stands in the log.
    pub const fn place(&self) -> AuditPlace {
        AuditPlace {
            at: self.at,
            id: self.id,
        }
    }
}

/// A place in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPlace {
    /// When something was done.
    pub at: Timestamp,
    /// The row's id.
    pub id: Uuid,
}

/// Which rows of the audit log to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only what this one did.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only what was done to this.
    pub target: Option<String>,
    /// Done at or after.
    pub from: Option<Timestamp>,
    /// Done at or before.
    pub to: Option<Timestamp>,
    /// Only what comes after this place.
    pub after: Option<AuditPlace>,
    /// How many.
    pub limit: u32,
}

/// Reads the audit log. Nothing here writes it: a row is written with what it tells of, by whoever
/// makes that durable.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Rows, newest first (time, then id, both descending). To read all of them, ask again after
    /// the place of the last one.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list(&self, filter: AuditFilter) -> Result<Vec<AuditRecord>, StoreError>;
}
