//! What operators decide: fees, limits and stops.

use std::sync::Arc;

use async_trait::async_trait;
use bursar_domain::{
    ActorId, AssetId, AuditDraft, FeeSchedule, Kind, Limits, Rules, Timestamp, Unit, Usage,
    UsageKey,
};

use crate::{Expected, StoreError};

/// What is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StopScope {
    /// Everything: nothing moves at all.
    ReadOnly,
    /// What leaves users' accounts of one asset.
    Outgoing(AssetId),
}

/// A stop that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What is stopped.
    pub scope: StopScope,
    /// Why.
    pub reason: String,
    /// Who stopped it.
    pub stopped_by: ActorId,
    /// When.
    pub stopped_at: Timestamp,
}

impl Stop {
    /// What tells it from every other stop of the same scope.
    pub fn mark(&self) -> StopMark {
        StopMark {
            stopped_by: self.stopped_by.clone(),
            stopped_at: self.stopped_at,
        }
    }
}

/// What tells a stop from those that stood at its place before or stand there later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopMark {
    /// Who stopped it.
    pub stopped_by: ActorId,
    /// When.
    pub stopped_at: Timestamp,
}

/// What became of lifting a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Lift {
    /// It stands no longer.
    Lifted,
    /// Nothing of that scope is stopped.
    NotStopped,
    /// Another stop than the expected one stands there, and goes on standing.
    Overtaken,
}

/// What became of writing a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum PutRule {
    /// It is in force.
    Written,
    /// What is there is not what was expected: nothing was written.
    Overtaken,
    /// The asset has another scale than the one that the amounts were read with: nothing was written.
    OtherScale,
}

/// The rules by which money transactions decide.
///
/// A change binds every money transaction on every replica that has not read the rules yet when it
/// is committed; one that is under way ends, within milliseconds, as it began.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RuleBook: Send + Sync {
    /// The rules in force right now.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    async fn rules(&self) -> Result<Arc<Rules>, StoreError>;

    /// Sets what transfers of a kind and of this unit's asset cost, in this unit, if they cost so far
    /// what is expected: nothing, when nobody said.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    async fn put_fees(
        &self,
        kind: Kind,
        unit: Unit,
        schedule: FeeSchedule,
        was: Expected<FeeSchedule>,
        audit: AuditDraft,
    ) -> Result<PutRule, StoreError>;

    /// Sets how much transfers of a kind may move of an asset or, without one, of all assets
    /// together, if the limits so far are the ones that are expected: none, when nobody said. A
    /// rolling limit counts what was moved before it was set, too.
    ///
    /// The amounts are in this unit: the asset's own or, for limits over all assets, the one in which
    /// transfers tell their value from now on. Those limits remember it and count nothing that is worth
    /// something in another one, whenever that was made.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    async fn put_limits(
        &self,
        kind: Kind,
        asset: Option<AssetId>,
        limits: Limits,
        unit: Unit,
        was: Expected<Limits>,
        audit: AuditDraft,
    ) -> Result<PutRule, StoreError>;

    /// What is stopped, by scope.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    async fn list_stops(&self) -> Result<Vec<Stop>, StoreError>;

    /// Stops something; what is stopped already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    async fn stop(&self, stop: Stop, audit: AuditDraft) -> Result<(), StoreError>;

    /// Lifts the stop of a scope, if it is the expected one.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    async fn lift(
        &self,
        scope: StopScope,
        was: Expected<StopMark>,
        audit: AuditDraft,
    ) -> Result<Lift, StoreError>;

    /// What was used of each of these limits until now, in the same order.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    async fn usage(&self, keys: Vec<UsageKey>) -> Result<Vec<Usage>, StoreError>;
}
