//! What operators decided: fees, limits and stops, as a money transaction reads them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Amount, AssetId, FeeSchedule, Kind, Limit, Limits, OverLimit, Reason, Room, RootRate, Scale,
    Timestamp, Transfer, Unit, Usage, UsageKey, UserId,
};

/// The rules in force. Changing any of them makes another revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Which version of the rules this is.
    pub revision: i64,
    /// What transfers cost.
    pub fees: BTreeMap<(Kind, AssetId), FeeSchedule>,
    /// How much may be moved of an asset or, without one, of all assets in the root asset.
    pub limits: BTreeMap<(Kind, Option<AssetId>), Limits>,
    /// In which unit the limits over all assets are set, by kind. Of some nobody remembers it: those take
    /// a transfer's value in whichever unit it is told.
    pub root_units: BTreeMap<Kind, Unit>,
    /// What is stopped.
    pub stops: Stops,
}

/// What operators stopped by hand, or the service itself when the books do not add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stops {
    /// Whether nothing moves at all.
    pub read_only: bool,
    /// Assets of which nothing leaves a user's account.
    pub outgoing: BTreeSet<AssetId>,
}

/// What the limits look at in one transfer.
pub(crate) struct Measured<'a> {
    pub(crate) user: UserId,
    pub(crate) kind: Kind,
    pub(crate) asset: AssetId,
    pub(crate) scale: Scale,
    pub(crate) amount: Amount,
    pub(crate) root_rate: Option<&'a RootRate>,
}

impl<'a> Measured<'a> {
    pub(crate) fn of(transfer: &'a Transfer) -> Self {
        let parts = transfer.parts();
        Self {
            user: transfer.owner(),
            kind: transfer.kind(),
            asset: parts.asset,
            scale: parts.scale,
            amount: parts.amount,
            root_rate: parts.root_rate.as_ref(),
        }
    }
}

impl Rules {
    /// What a transfer of this kind, asset and amount costs.
    ///
    /// # Errors
    /// [`Reason::BalanceInsufficient`] when that is more than any account can hold.
    pub fn fee_on(&self, kind: Kind, asset: AssetId, amount: Amount) -> Result<Amount, Reason> {
        self.fees
            .get(&(kind, asset))
            .map_or(Ok(Amount::ZERO), |schedule| schedule.fee_on(amount))
            .map_err(|_| Reason::BalanceInsufficient)
    }

    /// What limits a transfer of this kind. Deposits are limited one by one: what came in earlier
    /// is not held against what comes in now.
    fn limits_on(&self, kind: Kind, scope: Option<AssetId>) -> Option<Limits> {
        let limits = *self.limits.get(&(kind, scope))?;
        let limits = match kind {
            Kind::Deposit => limits.without_rolling(),
            Kind::Withdrawal => limits,
            // Internal transfers wait for nobody.
            Kind::Internal => Limits {
                approval_above: None,
                ..limits
            },
        };
        (!limits.is_empty()).then_some(limits)
    }

    /// Whose use must be known before a user's transfer can be admitted, and is changed by it.
    pub fn usage_keys(&self, user: UserId, kind: Kind, asset: AssetId) -> Vec<UsageKey> {
        [Some(asset), None]
            .into_iter()
            .filter(|scope| {
                let limits = self.limits_on(kind, *scope);
                limits.is_some_and(|limits| limits.is_rolling())
            })
            .map(|asset| UsageKey { user, kind, asset })
            .collect()
    }

    /// What a transfer is worth to the limits over all assets, and in which unit: nothing, when nobody
    /// told it when it was made, or told it in another unit than the one that they are set in. What
    /// was worth 5 of one unit would otherwise be held against 5 of another one.
    fn worth(&self, measured: &Measured<'_>) -> Option<(Amount, Unit)> {
        let rate = measured.root_rate?;
        let unit = rate.unit();
        let set_in = self.root_units.get(&measured.kind);
        if set_in.is_some_and(|set_in| *set_in != unit) {
            return None;
        }
        let value = rate.value_of(measured.amount, measured.scale)?;
        Some((value, unit))
    }

    /// Whether the limits admit a transfer now.
    ///
    /// # Errors
    /// The reason, and for a limit what it leaves.
    pub(crate) fn admit(
        &self,
        measured: &Measured<'_>,
        used: impl Fn(UsageKey) -> Option<Usage>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        for scope in [Some(measured.asset), None] {
            let Some(limits) = self.limits_on(measured.kind, scope) else {
                continue;
            };
            let (amount, asset, scale) = if scope.is_some() {
                (measured.amount, measured.asset, measured.scale)
            } else {
                let (value, unit) = self.worth(measured).ok_or(Reason::RateUnknown)?;
                (value, unit.asset, unit.scale)
            };
            let key = UsageKey {
                user: measured.user,
                kind: measured.kind,
                asset: scope,
            };
            let used = if limits.is_rolling() {
                // A store that forgets to read what was used can never let money pass by it.
                used(key).ok_or(Reason::AssetDisabled)?
            } else {
                Usage::default()
            };
            limits.admit(amount, &used, now).map_err(|over| Refusal {
                reason: reason_of(over),
                room: Some(Room { over, asset, scale }),
            })?;
        }
        Ok(())
    }

    /// What counts as used once the transfer is made, each with how much.
    pub(crate) fn uses(&self, measured: &Measured<'_>) -> Vec<(UsageKey, Amount)> {
        self.usage_keys(measured.user, measured.kind, measured.asset)
            .into_iter()
            .filter_map(|key| {
                let amount = match key.asset {
                    Some(_) => Some(measured.amount),
                    None => self.worth(measured).map(|(value, _)| value),
                };
                Some((key, amount?))
            })
            .collect()
    }

    /// Whether a second operator must approve a transfer before it goes through.
    #[must_use]
    pub fn asks_second(&self, transfer: &Transfer) -> bool {
        self.needs_approval(&Measured::of(transfer))
    }

    /// Whether a second operator must approve. What has no value that the limits over all assets count
    /// needs one as soon as values do.
    pub(crate) fn needs_approval(&self, measured: &Measured<'_>) -> bool {
        [Some(measured.asset), None].into_iter().any(|scope| {
            let limits = self.limits_on(measured.kind, scope);
            let above = limits.and_then(|limits| limits.approval_above);
            above.is_some_and(|above| match scope {
                Some(_) => measured.amount > above,
                None => self.worth(measured).is_none_or(|(value, _)| value > above),
            })
        })
    }
}

const fn reason_of(over: OverLimit) -> Reason {
    match over.limit {
        Limit::MinAmount => Reason::LimitMinAmount,
        Limit::MaxAmount => Reason::LimitMaxAmount,
        Limit::Daily => Reason::LimitDaily,
        Limit::Monthly => Reason::LimitMonthly,
    }
}

/// Why the ledger says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// What the limit leaves, when it is one.
    pub(crate) room: Option<Room>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, room: None }
    }
}
