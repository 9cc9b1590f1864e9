//! What one key has taken: the rule itself, without a clock.

use std::collections::VecDeque;

use bursar_ports::{Allowance, Quota};

/// How many moments a window is told apart into when the quota is larger than this. Smaller quotas
/// are counted to the microsecond: they have at most this many entries anyway.
pub(crate) const SLOTS: u32 = 600;

/// How many moments one key ever has: the slots of a window, and the one that it ends in. `take.lua`
/// has the same number.
const MOMENTS_MAX: usize = 601;

/// Microseconds within which units are counted together, as if all came at the last of them.
pub(crate) fn slot_us(quota: Quota) -> u64 {
    if quota.units <= SLOTS {
        1
    } else {
        (window_us(quota) / u64::from(SLOTS)).max(1)
    }
}

pub(crate) fn window_us(quota: Quota) -> u64 {
    u64::from(quota.window_ms).saturating_mul(1_000)
}

/// Whole milliseconds, rounded up: whoever waits that long has waited long enough.
pub(crate) fn ceil_ms(micros: u64) -> u32 {
    u32::try_from(micros.div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// Units with the times at which they were taken, in microseconds, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Log {
    taken: VecDeque<(u64, u32)>,
    sum: u64,
}

impl Log {
    /// Forgets what has left the window.
    pub(crate) fn forget(&mut self, now: u64, quota: Quota) {
        while let Some((at, units)) = self.taken.front().copied()
            && at.saturating_add(window_us(quota)) <= now
        {
            self.taken.pop_front();
            self.sum = self.sum.saturating_sub(u64::from(units));
        }
    }

    /// Whether units would fit on top of what is in the log.
    pub(crate) fn judge(&self, now: u64, units: u32, quota: Quota) -> Allowance {
        let leaves = |at: u64| at.saturating_add(window_us(quota)).saturating_sub(now);
        let limit = u64::from(quota.units);
        let excess = self
            .sum
            .saturating_add(u64::from(units))
            .saturating_sub(limit);
        let retry_after = if excess == 0 {
            0
        } else if excess > self.sum {
            window_us(quota)
        } else {
            let mut freed = 0_u64;
            let enough = self.taken.iter().find(|(_, units)| {
                freed = freed.saturating_add(u64::from(*units));
                freed >= excess
            });
            enough.map_or(window_us(quota), |(at, _)| leaves(*at))
        };
        Allowance {
            allowed: excess == 0,
            remaining: u32::try_from(limit.saturating_sub(self.sum)).unwrap_or(u32::MAX),
            reset_ms: self.taken.front().map_or(0, |(at, _)| ceil_ms(leaves(*at))),
            retry_after_ms: ceil_ms(retry_after),
        }
    }

    /// Adds units that are taken now. What is recorded beyond the quota may be any number of units: of
    /// more than [`MOMENTS_MAX`] moments the last ones are told apart no more.
    pub(crate) fn add(&mut self, now: u64, units: u32, quota: Quota) {
        if units == 0 {
            return;
        }
        let slot = slot_us(quota);
        let at = now.saturating_sub(now % slot).saturating_add(slot - 1);
        let is_full = self.taken.len() >= MOMENTS_MAX;
        match self.taken.back_mut() {
            Some((last, taken)) if *last >= at || is_full => {
                *last = at.max(*last);
                *taken = taken.saturating_add(units);
            }
            Some(_) | None => self.taken.push_back((at, units)),
        }
        self.sum = self.sum.saturating_add(u64::from(units));
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests;
