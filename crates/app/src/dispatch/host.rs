//! What is known of a host.

use bursar_domain::Timestamp;

use super::{Reception, breaker::Breaker, pace::Pace};

/// A host that something was delivered to, or not.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) breaker: Breaker,
    pub(super) pace: Pace,
    /// How much may be under way to it.
    pub(super) places: u32,
    /// Whether it answered last time.
    pub(super) is_proven: bool,
    /// When something was last sent to it, or came back.
    pub(super) used_at: Timestamp,
}

/// A callback that waited for longer than this had an outage, even one that nobody remembers: this
/// replica may have been started since. In milliseconds.
const OUTAGE_LAG_MS: i64 = 60_000;

impl Default for Host {
    fn default() -> Self {
        Self {
            breaker: Breaker::default(),
            pace: Pace::default(),
            places: 1,
            is_proven: false,
            used_at: Timestamp::EPOCH,
        }
    }
}

impl Host {
    /// Takes in what an attempt told.
    pub(super) fn learn(
        &mut self,
        reception: Reception,
        was_probe: bool,
        lag_ms: i64,
        places_max: u32,
        now: Timestamp,
    ) {
        match reception {
            Reception::Taken | Reception::Refused => {
                let is_back = self.breaker.heard() || (!self.is_proven && lag_ms >= OUTAGE_LAG_MS);
                if is_back {
                    self.pace.recover(now);
                }
                if reception == Reception::Taken {
                    self.pace.count(now);
                }
                self.places = self.places.saturating_add(1).min(places_max);
                self.is_proven = true;
            }
            Reception::Away => {
                self.breaker.missed(was_probe, now);
                self.places = 1;
                self.is_proven = false;
            }
            Reception::Unheard => self.breaker.unheard(was_probe, now),
        }
    }
}
