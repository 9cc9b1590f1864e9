//! Who did what: a change by an operator as the audit log keeps it.

use crate::ActorId;

/// Everything about an audit row that is known before the change is made. Whoever makes the change
/// durable writes the row with it, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDraft {
    /// Whoever did it, as operators see them.
    pub actor: ActorId,
    /// The credential it was done with.
    pub credential: String,
    /// The request it was done in.
    pub request_id: String,
    /// Where that request came from.
    pub address: String,
    /// What was done, as a thing and a verb: `asset.put`.
    pub action: &'static str,
    /// What it was done to, as a kind and an id: `asset:btc`.
    pub target: String,
    /// What was there before, as JSON, if the use case knows it; otherwise it is read where the
    /// change is made. None for what did not exist.
    pub before: Option<String>,
    /// What is there now, as JSON; otherwise it is told where the change is made.
    pub after: Option<String>,
}
