//! Fees, limits and stops.

mod reading;

use bursar_domain::{
    Asset, AssetId, DecimalAmount, FeeSchedule, Headroom, Kind, Limits, Rules, Unit, UsageKey,
    UserId,
};
use bursar_ports::{Expected, Lift, Permission, PutRule, Stop, StopMark, StopScope, StoreError};

use super::READERS;
use crate::{App, Error, Grant, Missing};

/// What transfers of a kind and asset are to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFees {
    /// Percent of the amount.
    pub percent: DecimalAmount,
    /// The least that the share comes to.
    pub min: DecimalAmount,
    /// The most that the share comes to.
    pub max: Option<DecimalAmount>,
    /// What is added whatever the amount.
    pub absolute: DecimalAmount,
}

/// How much is to be moved at most; what is none does not limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLimits {
    /// The least that one transfer may move.
    pub min_amount: Option<DecimalAmount>,
    /// The most that one transfer may move.
    pub max_amount: Option<DecimalAmount>,
    /// The most in any 24 hours.
    pub daily: Option<DecimalAmount>,
    /// The most in any 30 days.
    pub monthly: Option<DecimalAmount>,
    /// Beyond this a second operator must approve.
    pub approval_above: Option<DecimalAmount>,
}

/// The fees of one kind and asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The kind.
    pub kind: Kind,
    /// The asset, in whose units the amounts are.
    pub asset: Asset,
    /// What transfers cost.
    pub schedule: FeeSchedule,
}

/// The limits of one kind and asset, or of all assets together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindLimits {
    /// The kind.
    pub kind: Kind,
    /// The asset that is limited; none = all.
    pub asset: Option<AssetId>,
    /// The asset in whose units the amounts are: of limits over all assets, the root asset or the one that
    /// was it when they were set.
    pub counted_in: Asset,
    /// How much may be moved.
    pub limits: Limits,
}

/// What a user may still move under one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitHeadroom {
    /// The limit.
    pub limits: KindLimits,
    /// What is left of its rolling parts.
    pub left: Headroom,
}

impl App {
    /// Sets what transfers of a kind and asset cost, from the next one on, if they cost so far what is
    /// expected.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such asset, [`Error::Invalid`] for what cannot be,
    /// [`Error::Overtaken`] when they cost something else by now, [`Error::Store`] also when the asset
    /// gets another scale meanwhile.
    pub async fn put_fees(
        &self,
        grant: &Grant,
        kind: Kind,
        asset: AssetId,
        new: NewFees,
        was: Expected<FeeSchedule>,
    ) -> Result<Fees, Error> {
        grant.require(Permission::Admin)?;
        let asset = self.asset(asset, Missing::Asset).await?;
        let schedule = new.read(asset.scale).map_err(Error::Invalid)?;
        let audit = grant.audit("fees.put", target("fees", kind, Some(asset.id)));
        let book = &self.ports.rule_book;
        let put = book.put_fees(kind, asset.unit(), schedule, was, audit);
        written(put.await?)?;
        Ok(Fees {
            kind,
            asset,
            schedule,
        })
    }

    /// What transfers of a kind and asset cost: nothing, when nobody said.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such asset.
    pub async fn find_fees(
        &self,
        grant: &Grant,
        kind: Kind,
        asset: AssetId,
    ) -> Result<Fees, Error> {
        grant.require_any(&READERS)?;
        let asset = self.asset(asset, Missing::Asset).await?;
        let rules = self.ports.rule_book.rules().await?;
        let schedule = rules.fees.get(&(kind, asset.id)).copied();
        Ok(Fees {
            kind,
            asset,
            schedule: schedule.unwrap_or_default(),
        })
    }

    /// Sets how much transfers of a kind may move of an asset, or of all of them together, if the limits
    /// so far are the ones that are expected. Those over all assets are in the root asset, whatever they
    /// were in before.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such asset, [`Error::Invalid`] for what cannot be or
    /// means nothing for the kind, [`Error::Overtaken`] when there are other limits by now,
    /// [`Error::Store`] also when the asset gets another scale meanwhile.
    pub async fn put_limits(
        &self,
        grant: &Grant,
        kind: Kind,
        asset: Option<AssetId>,
        new: NewLimits,
        was: Expected<Limits>,
    ) -> Result<KindLimits, Error> {
        grant.require(Permission::Admin)?;
        let counted_in = self.counted_in(asset).await?;
        let limits = new.read(kind, counted_in.scale).map_err(Error::Invalid)?;
        let audit = grant.audit("limits.put", target("limits", kind, asset));
        let book = &self.ports.rule_book;
        let put = book.put_limits(kind, asset, limits, counted_in.unit(), was, audit);
        written(put.await?)?;
        Ok(KindLimits {
            kind,
            asset,
            counted_in,
            limits,
        })
    }

    /// How much transfers of a kind may move of an asset, or of all of them together: anything, when
    /// nobody said.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such asset.
    pub async fn find_limits(
        &self,
        grant: &Grant,
        kind: Kind,
        asset: Option<AssetId>,
    ) -> Result<KindLimits, Error> {
        grant.require_any(&READERS)?;
        let rules = self.ports.rule_book.rules().await?;
        self.limits_on(&rules, kind, asset).await
    }

    /// The limits of these rules, in the asset that they were set in. Where nobody remembers that, or it
    /// has another scale by now, they are taken to be in the root asset.
    async fn limits_on(
        &self,
        rules: &Rules,
        kind: Kind,
        asset: Option<AssetId>,
    ) -> Result<KindLimits, Error> {
        let limits = rules.limits.get(&(kind, asset)).copied();
        let limits = limits.unwrap_or_default();
        // Of limits that are none it does not matter.
        let set_in = rules.root_units.get(&kind).copied();
        let set_in = set_in.filter(|_| asset.is_none() && !limits.is_empty());
        let found = match set_in {
            Some(unit) => self.asset_in(unit).await?,
            None => None,
        };
        let counted_in = match found {
            Some(found) => found,
            None => self.counted_in(asset).await?,
        };
        Ok(KindLimits {
            kind,
            asset,
            counted_in,
            limits,
        })
    }

    /// What a user may still move under each limit.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user.
    pub async fn user_headroom(
        &self,
        grant: &Grant,
        user: UserId,
    ) -> Result<Vec<LimitHeadroom>, Error> {
        grant.require_any(&READERS)?;
        let found = self.ports.directory.find_user(user).await?;
        found.ok_or(Error::NotFound(Missing::User))?;
        self.headroom_of(user).await
    }

    /// What the caller may still move under each limit.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn own_headroom(&self, grant: &Grant) -> Result<Vec<LimitHeadroom>, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let mut headroom = self.headroom_of(user).await?;
        // When a second operator looks is the exchange's own business.
        for one in &mut headroom {
            one.limits.limits.approval_above = None;
        }
        headroom.retain(|one| !one.limits.limits.is_empty());
        Ok(headroom)
    }

    async fn headroom_of(&self, user: UserId) -> Result<Vec<LimitHeadroom>, Error> {
        let rules = self.ports.rule_book.rules().await?;
        let (mut limited, mut keys) = (vec![], vec![]);
        for ((kind, asset), limits) in &rules.limits {
            if limits.is_empty() {
                continue;
            }
            limited.push(self.limits_on(&rules, *kind, *asset).await?);
            keys.push(UsageKey {
                user,
                kind: *kind,
                asset: *asset,
            });
        }
        let now = self.now();
        let usage = self.ports.rule_book.usage(keys).await?;
        let headroom = limited.into_iter().zip(usage).map(|(limits, used)| {
            let left = limits.limits.headroom(&used, now);
            LimitHeadroom { limits, left }
        });
        Ok(headroom.collect())
    }

    /// What is stopped.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_stops(&self, grant: &Grant) -> Result<Vec<Stop>, Error> {
        grant.require_any(&READERS)?;
        Ok(self.ports.rule_book.list_stops().await?)
    }

    /// Stops everything, or what leaves users' accounts of one asset. What is stopped already stays
    /// so, for the reason it was stopped for.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such asset.
    pub async fn stop(&self, grant: &Grant, scope: StopScope, reason: String) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        if let StopScope::Outgoing(asset) = scope {
            self.asset(asset, Missing::Asset).await?;
        }
        let stop = Stop {
            scope,
            reason,
            stopped_by: grant.actor(),
            stopped_at: self.now(),
        };
        let audit = grant.audit("stop.put", stop_target(scope));
        Ok(self.ports.rule_book.stop(stop, audit).await?)
    }

    /// Lifts the stop of a scope, if it is the expected one.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; [`Error::Overtaken`] when another one stands there.
    pub async fn lift_stop(
        &self,
        grant: &Grant,
        scope: StopScope,
        was: Expected<StopMark>,
    ) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        let audit = grant.audit("stop.lift", stop_target(scope));
        match self.ports.rule_book.lift(scope, was, audit).await? {
            Lift::Lifted => Ok(()),
            Lift::NotStopped => Err(Error::NotFound(Missing::Stop)),
            Lift::Overtaken => Err(Error::Overtaken),
        }
    }

    /// The asset of a unit, if it still has the unit's scale.
    async fn asset_in(&self, unit: Unit) -> Result<Option<Asset>, Error> {
        let found = self.ports.directory.find_asset(unit.asset).await?;
        Ok(found.filter(|found| found.unit() == unit))
    }

    /// The asset in which a limit is counted that is set now.
    async fn counted_in(&self, asset: Option<AssetId>) -> Result<Asset, Error> {
        self.asset(asset.unwrap_or(self.settings.root_asset), Missing::Asset)
            .await
    }
}

fn written(put: PutRule) -> Result<(), Error> {
    match put {
        PutRule::Written => Ok(()),
        PutRule::Overtaken => Err(Error::Overtaken),
        // What was known of the asset is seconds old at most, so the next try finds it as it is.
        PutRule::OtherScale => {
            let cause = "the asset's scale changes right now";
            Err(Error::Store(StoreError::Unavailable(cause.into())))
        }
    }
}

/// What the audit log calls a rule.
fn target(rule: &str, kind: Kind, asset: Option<AssetId>) -> String {
    match asset {
        Some(asset) => format!("{rule}:{}:{asset}", kind.as_str()),
        None => format!("{rule}:{}", kind.as_str()),
    }
}

/// What the audit log calls a stop.
fn stop_target(scope: StopScope) -> String {
    match scope {
        StopScope::ReadOnly => "stop:read_only".to_owned(),
        StopScope::Outgoing(asset) => format!("stop:outgoing:{asset}"),
    }
}

#[cfg(test)]
mod tests;
