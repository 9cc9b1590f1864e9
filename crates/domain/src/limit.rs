//! How much may be moved, and how much of that is used.

use crate::{Amount, AssetId, Kind, Scale, Timestamp, UserId};

/// 24 hours, in microseconds.
const DAY: i64 = 24 * 3_600 * 1_000_000;
/// 30 days, in microseconds.
const MONTH: i64 = 30 * DAY;
/// Uses within this many microseconds of each other are kept as one.
const FINE: i64 = 300 * 1_000_000;
/// The same for uses that no daily limit looks at any more.
const COARSE: i64 = 2 * 3_600 * 1_000_000;

/// What may be moved by transfers of one kind: of one asset in smallest units of it, or of all
/// assets together in smallest units of the root asset. What is not set does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The least that one transfer may move.
    pub min_amount: Option<Amount>,
    /// The most that one transfer may move.
    pub max_amount: Option<Amount>,
    /// The most that a user's transfers may move in any 24 hours.
    pub daily: Option<Amount>,
    /// The most that a user's transfers may move in any 30 days.
    pub monthly: Option<Amount>,
    /// Beyond this a second operator must approve.
    pub approval_above: Option<Amount>,
}

impl Limits {
    /// Whether past transfers count.
    #[must_use]
    pub const fn is_rolling(&self) -> bool {
        self.daily.is_some() || self.monthly.is_some()
    }

    /// Those that look at one transfer alone.
    pub(crate) fn without_rolling(self) -> Self {
        Self {
            daily: None,
            monthly: None,
            ..self
        }
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The first of these limits, in the order of their fields, that a transfer of this amount
    /// would pass.
    ///
    /// # Errors
    /// [`OverLimit`] says which, what is left of it, and when enough of it will be again.
    pub fn admit(&self, amount: Amount, used: &Usage, now: Timestamp) -> Result<(), OverLimit> {
        let over = |limit, left, returns_at| OverLimit {
            limit,
            left,
            returns_at,
        };
        if let Some(min) = self.min_amount.filter(|min| amount < *min) {
            return Err(over(Limit::MinAmount, min, None));
        }
        if let Some(max) = self.max_amount.filter(|max| amount > *max) {
            return Err(over(Limit::MaxAmount, max, None));
        }
        for (limit, most, window) in [
            (Limit::Daily, self.daily, DAY),
            (Limit::Monthly, self.monthly, MONTH),
        ] {
            let Some(most) = most else { continue };
            let left = used.left_of(most, window, now);
            if amount > left {
                let returns_at = used.returns_at(most, window, amount);
                return Err(over(limit, left, returns_at));
            }
        }
        Ok(())
    }

    /// What is left of each rolling limit.
    pub fn headroom(&self, used: &Usage, now: Timestamp) -> Headroom {
        let left = |most: Option<Amount>, window| most.map(|most| used.left_of(most, window, now));
        Headroom {
            daily: left(self.daily, DAY),
            monthly: left(self.monthly, MONTH),
        }
    }
}

/// What is left of the rolling limits; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headroom {
    /// Of the 24 hours.
    pub daily: Option<Amount>,
    /// Of the 30 days.
    pub monthly: Option<Amount>,
}

/// Which limit stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The least for one transfer.
    MinAmount,
    /// The most for one transfer.
    MaxAmount,
    /// The most in 24 hours.
    Daily,
    /// The most in 30 days.
    Monthly,
}

/// A limit that a transfer would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Which.
    pub limit: Limit,
    /// What the limit leaves to one transfer right now; of a minimum, the minimum itself.
    pub left: Amount,
    /// When this limit, others aside, will have room for this very transfer, if nothing else
    /// happens; none when there never will be.
    pub returns_at: Option<Timestamp>,
}

/// The same with the asset that it is counted in, for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The limit.
    pub over: OverLimit,
    /// The asset in which it is counted.
    pub asset: AssetId,
    /// That asset's scale.
    pub scale: Scale,
}

/// Whose use of what is counted: a user's transfers of one kind, of one asset or, in the root
/// asset, of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// The user.
    pub user: UserId,
    /// The kind.
    pub kind: Kind,
    /// The asset; none = all, in the root asset.
    pub asset: Option<AssetId>,
}

/// What a user has moved in the last 30 days.
///
/// Uses close to each other are kept as one, with the time of the last of them, so that a user's
/// row stays small however many there are. Room therefore never returns too early, and at most five
/// minutes (of the 24 hours) or two hours (of the 30 days) late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Oldest first: the time of the last use in each, and how much.
    uses: Vec<(Timestamp, Amount)>,
}

impl Usage {
    /// Uses as a store recorded them, oldest first.
    pub const fn from_uses(uses: Vec<(Timestamp, Amount)>) -> Self {
        Self { uses }
    }

    /// The uses, oldest first.
    pub fn uses(&self) -> &[(Timestamp, Amount)] {
        &self.uses
    }

    /// Counts an amount from now on.
    pub fn reserve(&mut self, at: Timestamp, amount: Amount) {
        self.forget(at);
        // Clocks of assets differ by microseconds; what comes behind counts with what came last.
        if let Some(last) = self.uses.last_mut()
            && (last.0 >= at || slot(last.0, FINE) == slot(at, FINE))
        {
            last.0 = last.0.max(at);
            last.1 = sum(last.1, amount);
            return;
        }
        self.uses.push((at, amount));
    }

    /// No longer counts what was reserved at this time, or counted later as of this time.
    ///
    /// What left the longest window meanwhile is not here: it must not be taken from uses that came
    /// later. Of what never was counted, only what comes long after it is safe: do not give that back.
    pub fn give_back(&mut self, reserved_at: Timestamp, amount: Amount, now: Timestamp) {
        if reserved_at <= now.plus_micros(-MONTH) {
            return;
        }
        let is_fresh = reserved_at > now.plus_micros(-DAY);
        // One slot more than uses are kept together, for clocks that differ.
        let together = FINE.saturating_add(if is_fresh { FINE } else { COARSE });
        let until = reserved_at.plus_micros(together);
        let kept = self.uses.iter_mut().find(|(last, _)| *last >= reserved_at);
        if let Some((_, used)) = kept.filter(|(last, _)| *last < until) {
            *used = used.checked_sub(amount).unwrap_or(Amount::ZERO);
        }
    }

    /// Drops what no limit looks at any more, and keeps older uses together.
    fn forget(&mut self, now: Timestamp) {
        let (day_ago, month_ago) = (now.plus_micros(-DAY), now.plus_micros(-MONTH));
        self.uses
            .retain(|(last, amount)| *last > month_ago && !amount.is_zero());
        self.uses.dedup_by(|later, earlier| {
            let together = later.0 <= day_ago && slot(later.0, COARSE) == slot(earlier.0, COARSE);
            if together {
                earlier.0 = later.0;
                earlier.1 = sum(earlier.1, later.1);
            }
            together
        });
    }

    fn used_since(&self, since: Timestamp) -> Amount {
        self.uses
            .iter()
            .filter(|(last, _)| *last > since)
            .fold(Amount::ZERO, |used, (_, amount)| sum(used, *amount))
    }

    fn left_of(&self, most: Amount, window: i64, now: Timestamp) -> Amount {
        let used = self.used_since(now.plus_micros(window.saturating_neg()));
        most.checked_sub(used).unwrap_or(Amount::ZERO)
    }

    /// When so much has left the window that the amount fits.
    fn returns_at(&self, most: Amount, window: i64, amount: Amount) -> Option<Timestamp> {
        let room = most.checked_sub(amount).ok()?;
        let mut later = Amount::ZERO;
        // From the newest back: the first use that may not count any more says when.
        for (last, used) in self.uses.iter().rev() {
            later = sum(later, *used);
            if later > room {
                return Some(last.plus_micros(window));
            }
        }
        None
    }
}

fn slot(at: Timestamp, width: i64) -> i64 {
    at.as_micros().div_euclid(width)
}

/// What no account can hold is as much as can be counted.
fn sum(one: Amount, other: Amount) -> Amount {
    one.checked_add(other).unwrap_or(Amount::MAX)
}

#[cfg(test)]
mod tests;
