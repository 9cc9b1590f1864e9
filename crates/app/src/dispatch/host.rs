//! What is known of a host.

use std::collections::HashMap;

use bursar_domain::Timestamp;
use bursar_ports::DueLane;

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
    /// When each subscriber's last probe went out, while the breaker is open.
    pub(super) probed_at: HashMap<String, Timestamp>,
}

/// A callback that waited for longer than this had an outage, even one that nobody remembers: this
/// replica may have been started since. In milliseconds.
const OUTAGE_LAG_MS: i64 = 60_000;

/// So many subscribers' probes are remembered at most: as many as go out in 85 hours, one every
/// five minutes.
const PROBED_MAX: usize = 1_024;

impl Default for Host {
    fn default() -> Self {
        Self {
            breaker: Breaker::default(),
            pace: Pace::default(),
            places: 1,
            is_proven: false,
            used_at: Timestamp::EPOCH,
            probed_at: HashMap::new(),
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
                self.probed_at.clear();
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

    /// A subscriber's probe goes out.
    pub(super) fn remember_probe(&mut self, subscriber: &str, now: Timestamp) {
        self.probed_at.insert(subscriber.to_owned(), now);
        if self.probed_at.len() > PROBED_MAX {
            // Whoever is forgotten was the next of them anyway.
            let oldest = self.probed_at.iter().min_by_key(|(name, at)| (*at, *name));
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.probed_at.remove(&name);
            }
        }
    }

    /// Where a lane comes among those that wait for a probe, the least first: whose subscriber had
    /// none yet, then whose had one longest ago. By age alone, one subscriber's backlog that the
    /// host never takes would have all the probes, and those whom it would answer none.
    pub(super) fn turn_of<'d>(
        &self,
        due: &'d DueLane,
    ) -> (Option<Timestamp>, bool, Timestamp, &'d str) {
        let subscriber = due.lane.subscriber.as_str();
        let probed_at = self.probed_at.get(subscriber).copied();
        (probed_at, !due.is_final, due.due_at, subscriber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is normal for it is told by what it takes, not by what it answers.
    #[test]
    fn what_a_host_refuses_makes_its_normal_rate_no_higher() {
        for (reception, room) in [(Reception::Taken, 8), (Reception::Refused, 1)] {
            let mut host = Host::default();
            let mut now = Timestamp::EPOCH;
            for _ in 0..2_000 {
                now = now.plus_micros(10_000);
                host.learn(reception, false, 0, 8, now);
            }
            host.pace.recover(now);
            let (found, _) = host.pace.room(8, now.plus_micros(1_000_000));
            assert_eq!(found, room, "{reception:?}");
        }
    }

    #[test]
    fn only_so_many_probes_are_remembered_and_the_oldest_is_forgotten_first() {
        let mut host = Host::default();
        let mut now = Timestamp::EPOCH;
        let mut probe = |host: &mut Host, name: &str| {
            now = now.plus_micros(1);
            host.remember_probe(name, now);
        };
        for n in 0..PROBED_MAX {
            probe(&mut host, &format!("s{n}"));
        }
        probe(&mut host, "s0");
        assert_eq!(host.probed_at.len(), PROBED_MAX);
        assert!(host.probed_at.contains_key("s1"));
        probe(&mut host, "new");
        assert_eq!(host.probed_at.len(), PROBED_MAX);
        assert!(!host.probed_at.contains_key("s1"));
        assert!(host.probed_at.contains_key("s0"));
        assert!(host.probed_at.contains_key("new"));
    }
}
