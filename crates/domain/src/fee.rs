//! What a transfer costs.

use crate::{Amount, AmountOverflow, DecimalAmount};

/// How many parts one percent is counted in: percentages have at most 8 decimals.
const PARTS_PER_PERCENT: i128 = 100_000_000;
/// How many of those parts the whole is.
const PARTS_PER_WHOLE: i128 = 100 * PARTS_PER_PERCENT;
/// Units of 10^−18, in which a [`DecimalAmount`] counts, in one part.
const DECIMAL_UNITS_PER_PART: i128 = 10_000_000_000;

/// A share of an amount: 0 to 100 percent, with at most 8 decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(i128);

impl Percent {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads `1.5` as one and a half percent.
    ///
    /// # Errors
    /// [`PercentOutOfRange`] beyond 100 percent or 8 decimals.
    pub fn try_from_decimal(percent: DecimalAmount) -> Result<Self, PercentOutOfRange> {
        let units = percent.units();
        match (
            units.checked_div(DECIMAL_UNITS_PER_PART),
            units.checked_rem(DECIMAL_UNITS_PER_PART),
        ) {
            (Some(parts), Some(0)) => Self::try_from_parts(parts),
            _ => Err(PercentOutOfRange),
        }
    }

    /// From hundred-millionths of a percent.
    ///
    /// # Errors
    /// [`PercentOutOfRange`] below 0 or above 100 percent.
    pub const fn try_from_parts(parts: i128) -> Result<Self, PercentOutOfRange> {
        if parts >= 0 && parts <= PARTS_PER_WHOLE {
            Ok(Self(parts))
        } else {
            Err(PercentOutOfRange)
        }
    }

    /// In hundred-millionths of a percent.
    pub const fn parts(self) -> i128 {
        self.0
    }

    /// `1.5`: plain decimal with trailing zeros trimmed.
    pub fn to_plain(self) -> String {
        let whole = self.0.checked_div(PARTS_PER_PERCENT).unwrap_or_default();
        let fraction = self.0.checked_rem(PARTS_PER_PERCENT).unwrap_or_default();
        let text = format!("{whole}.{fraction:08}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// This share of an amount, rounded to the smallest unit, half away from zero. Exact: the
    /// amount is split so that no product leaves an i128.
    fn of(self, amount: Amount) -> Amount {
        let units = amount.units();
        let (wholes, rest) = (
            units.checked_div(PARTS_PER_WHOLE).unwrap_or_default(),
            units.checked_rem(PARTS_PER_WHOLE).unwrap_or_default(),
        );
        // At most the amount itself.
        let of_wholes = wholes.saturating_mul(self.0);
        // Both factors are at most 10^10.
        let of_rest = rest
            .saturating_mul(self.0)
            .saturating_add(PARTS_PER_WHOLE / 2)
            .checked_div(PARTS_PER_WHOLE)
            .unwrap_or_default();
        Amount::try_from_units(of_wholes.saturating_add(of_rest)).unwrap_or(Amount::MAX)
    }
}

/// A percentage below 0, above 100, or with more than 8 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a percentage is between 0 and 100 and has at most 8 decimals")]
pub struct PercentOutOfRange;

/// What transfers of one kind and asset cost.
///
/// The percentage of the amount is rounded to the asset's smallest unit, half away from zero, then
/// raised to `min` and lowered to `max`; `absolute` comes on top of that. So a fee is never less
/// than the minimum, and nothing else of a fee is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeeSchedule {
    /// The share of the amount.
    pub percent: Percent,
    /// The least that the share comes to.
    pub min: Amount,
    /// The most that the share comes to.
    pub max: Option<Amount>,
    /// What is added whatever the amount.
    pub absolute: Amount,
}

impl FeeSchedule {
    /// The fee on a transfer of this amount.
    ///
    /// # Errors
    /// [`AmountOverflow`] when it is beyond what any account can hold.
    pub fn fee_on(&self, amount: Amount) -> Result<Amount, AmountOverflow> {
        let share = self.percent.of(amount).max(self.min);
        let share = self.max.map_or(share, |max| share.min(max.max(self.min)));
        share.checked_add(self.absolute)
    }
}

#[cfg(test)]
mod tests;
