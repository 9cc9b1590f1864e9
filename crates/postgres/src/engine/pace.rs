//! How long whoever comes now would wait for a batch.
//!
//! Whoever would wait for too long is better told at once: they can go elsewhere or come back later,
//! and what is served was not kept waiting behind what nobody waits for any more.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::intake::Shares;

/// How fast batches go, to about the last ten of them.
pub(super) struct Pace {
    shares: Shares,
    batch_micros: AtomicU64,
}

impl Pace {
    pub(super) const fn new(shares: Shares) -> Self {
        Self {
            shares,
            batch_micros: AtomicU64::new(0),
        }
    }

    /// Notes how long a batch took. What took long once is soon forgotten, when batches are quick again.
    pub(super) fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let next = |before: u64| before.saturating_sub(before / 4).saturating_add(took / 4);
        // Of two that end at once the later is noted, which is as good.
        let before = self.batch_micros.load(Ordering::Relaxed);
        self.batch_micros.store(next(before), Ordering::Relaxed);
    }

    /// How long somebody would wait behind so many: for what is under way, and for full batches until
    /// they are all gone. Whoever goes along with the next batches waits for nothing that is known.
    pub(super) fn wait_behind(&self, waiting: usize) -> Duration {
        let round = self.shares.items_max.saturating_mul(self.shares.batchers);
        let round = round.max(1);
        if waiting < round {
            return Duration::ZERO;
        }
        let batch = Duration::from_micros(self.batch_micros.load(Ordering::Relaxed));
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let behind = batch.saturating_mul(waiting) / u32::try_from(round).unwrap_or(u32::MAX);
        behind.saturating_add(batch / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: Shares = Shares {
        batchers: 2,
        items_max: 50,
    };

    fn pace(batches: &[u64]) -> Pace {
        let pace = Pace::new(SHARES);
        for took in batches {
            pace.note(Duration::from_millis(*took));
        }
        pace
    }

    /// In milliseconds.
    fn wait(pace: &Pace, waiting: usize) -> u128 {
        pace.wait_behind(waiting).as_millis()
    }

    #[test]
    fn who_comes_waits_for_the_full_batches_before_and_half_of_what_is_under_way() {
        let steady = pace(&[20; 40]);
        assert_eq!(
            [100, 150, 1_000].map(|many| wait(&steady, many)),
            [30, 40, 210]
        );
    }

    #[test]
    fn who_goes_along_with_the_next_batches_waits_for_nothing_however_slow_they_are() {
        let stalled = pace(&[60_000; 10]);
        assert_eq!(wait(&stalled, 99), 0);
        assert!(wait(&stalled, 100) > 30_000);
        assert_eq!(wait(&pace(&[]), 4_000), 0);
    }

    #[test]
    fn a_stall_is_forgotten_after_some_quick_batches() {
        let mut batches = vec![6_000];
        batches.extend([4; 30]);
        assert!(wait(&pace(&batches), 1_000) < 60);
    }
}
