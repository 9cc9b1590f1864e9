//! Leaves a host alone that keeps failing, and finds out when it is back.
//!
//! An open breaker drops nothing and uses nothing up: what is due waits in the queue. Only a
//! **probe** goes out, one at a time, of the subscriber who was probed longest ago, and of that one
//! what comes first in the queue; one that fails goes behind the others by its own schedule, so
//! probes go round. The first answer of any kind closes the breaker.

use bursar_domain::Timestamp;

use super::{OpenBreaker, plus_ms};

/// So many failures in a row open it.
const FAILURES_MAX: u32 = 5;
/// The wait for the first probe, in milliseconds; it doubles with every probe that fails.
const FIRST_WAIT_MS: i64 = 5_000;
/// The longest wait between two probes, in milliseconds.
const LONGEST_WAIT_MS: i64 = 5 * 60 * 1_000;

/// A breaker, closed at first.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Closed {
        /// How many failures there were in a row.
        failures: u32,
    },
    Open {
        wait_ms: i64,
        probe_at: Timestamp,
        is_probing: bool,
    },
}

/// What may be sent to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Whatever there is.
    Everything,
    /// One callback.
    Probe,
    /// Nothing, until then or until the probe has ended.
    Nothing { until: Option<Timestamp> },
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed { failures: 0 },
        }
    }
}

impl Breaker {
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// What others are told of one that is open.
    pub(super) fn opening(&self) -> Option<OpenBreaker> {
        match self.state {
            State::Closed { .. } => None,
            State::Open {
                probe_at,
                is_probing,
                ..
            } => Some(OpenBreaker {
                probe_at: (!is_probing).then_some(probe_at),
            }),
        }
    }

    /// Whether the waits between probes have grown as long as they get.
    pub(super) const fn has_been_open_for_long(&self) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { wait_ms, .. } => wait_ms >= LONGEST_WAIT_MS,
        }
    }

    pub(super) fn leave(&self, now: Timestamp) -> Leave {
        match self.state {
            State::Closed { .. } => Leave::Everything,
            State::Open {
                is_probing: true, ..
            } => Leave::Nothing { until: None },
            State::Open { probe_at, .. } if probe_at > now => Leave::Nothing {
                until: Some(probe_at),
            },
            State::Open { .. } => Leave::Probe,
        }
    }

    /// Something is sent; whether that is a probe.
    pub(super) const fn begin(&mut self) -> bool {
        match &mut self.state {
            State::Closed { .. } => false,
            State::Open { is_probing, .. } => {
                *is_probing = true;
                true
            }
        }
    }

    /// The host answered; whether that closed the breaker.
    pub(super) const fn heard(&mut self) -> bool {
        let was_open = self.is_open();
        self.state = State::Closed { failures: 0 };
        was_open
    }

    /// The host failed.
    pub(super) fn missed(&mut self, was_probe: bool, now: Timestamp) {
        match &mut self.state {
            State::Closed { failures } => {
                *failures = failures.saturating_add(1);
                if *failures >= FAILURES_MAX {
                    self.open(FIRST_WAIT_MS, now);
                }
            }
            // What was sent before it opened tells nothing new.
            State::Open { .. } if !was_probe => {}
            State::Open { wait_ms, .. } => {
                let longer = wait_ms.saturating_mul(2).min(LONGEST_WAIT_MS);
                self.open(longer, now);
            }
        }
    }

    /// The host was not asked after all.
    pub(super) fn unheard(&mut self, was_probe: bool, now: Timestamp) {
        if let State::Open { wait_ms, .. } = self.state
            && was_probe
        {
            self.open(wait_ms, now);
        }
    }

    fn open(&mut self, wait_ms: i64, now: Timestamp) {
        self.state = State::Open {
            wait_ms,
            probe_at: plus_ms(now, wait_ms),
            is_probing: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        plus_ms(Timestamp::EPOCH, seconds * 1_000)
    }

    fn until(seconds: i64) -> Leave {
        Leave::Nothing {
            until: Some(at(seconds)),
        }
    }

    fn opened(now: i64) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(breaker.leave(at(now)), Leave::Everything);
            assert!(!breaker.begin());
            breaker.missed(false, at(now));
        }
        assert!(breaker.is_open());
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_an_answer_between_starts_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                breaker.missed(false, at(0));
            }
            assert!(!breaker.heard());
        }
        assert!(!breaker.is_open());
        assert_eq!(opened(100).leave(at(100)), until(105));
    }

    #[test]
    fn probes_go_one_at_a_time_with_growing_waits() {
        let mut breaker = opened(0);
        let mut now = 5;
        for wait in [10, 20, 40, 80, 160, 300, 300] {
            assert_eq!(breaker.leave(at(now - 1)), until(now));
            assert_eq!(breaker.leave(at(now)), Leave::Probe);
            assert_eq!(breaker.has_been_open_for_long(), now > 600);
            assert!(breaker.begin());
            assert_eq!(breaker.leave(at(now + 9)), Leave::Nothing { until: None });
            breaker.missed(true, at(now + 10));
            now += 10 + wait;
        }
        assert_eq!(breaker.leave(at(now)), Leave::Probe);
        assert!(breaker.heard());
        assert_eq!(breaker.leave(at(now)), Leave::Everything);
        assert!(!breaker.has_been_open_for_long());
    }

    #[test]
    fn what_was_sent_before_it_opened_closes_it_or_tells_nothing() {
        let mut breaker = opened(0);
        breaker.missed(false, at(4));
        assert_eq!(breaker.leave(at(5)), Leave::Probe);
        assert!(breaker.heard());
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_probe_that_never_went_out_is_made_up_for() {
        let mut breaker = opened(0);
        assert!(breaker.begin());
        breaker.unheard(true, at(6));
        assert_eq!(breaker.leave(at(6)), until(11));
        breaker.unheard(false, at(8));
        assert_eq!(breaker.leave(at(11)), Leave::Probe);
    }
}
