//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use bursar_domain::Timestamp;
use bursar_ports::Clock;

/// Shows the same time until it is told another one, which may be an earlier one.
#[derive(Debug)]
pub struct FixedClock {
    micros: AtomicI64,
}

impl FixedClock {
    /// Where [`FixedClock::default`] begins: 2024-01-01T00:00:00Z.
    pub const START: Timestamp = Timestamp::from_micros(1_704_067_200_000_000);

    /// A clock that shows `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            micros: AtomicI64::new(now.as_micros()),
        }
    }

    /// Shows another time from now on.
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves by this much, backwards when negative.
    pub fn advance_ms(&self, millis: i64) {
        self.micros
            .fetch_add(millis.saturating_mul(1_000), Ordering::SeqCst);
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::new(Self::START)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}
