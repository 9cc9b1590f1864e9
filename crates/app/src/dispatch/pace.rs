//! How fast a host gets what piled up while it was away.
//!
//! A host that comes back gets at most twice of what it normally takes, and at least a few a
//! second. Normal is what it has taken lately, weighed so that five minutes ago counts for a third;
//! what it takes while it catches up does not count. When that is not enough to catch up, since
//! more comes in than normal or nobody knows what normal is, the rate doubles every ten seconds.

use std::time::Duration;

use bursar_domain::Timestamp;

use super::{ms_between, plus_ms};

/// How far back the normal rate looks, in seconds.
const MEMORY_S: f64 = 300.0;
/// The shortest time that a rate is told from, in seconds: one callback is no rate.
const SHORTEST_S: f64 = 10.0;
/// The least that a host gets while it catches up, per second.
const FLOOR_PER_S: f64 = 5.0;
/// What has waited for longer than this is old: the host has not caught up. In milliseconds.
const OLD_MS: i64 = 2_000;
/// How often to ask whether the host is catching up, in milliseconds.
const JUDGED_EVERY_MS: i64 = 10_000;

/// What a host takes, and what it gets.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// How many it took, each weighed by its age when the last one was taken.
    taken: f64,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    recovery: Option<Recovery>,
}

/// A host that catches up: a bucket of tokens, one for each callback.
#[derive(Clone, Debug)]
struct Recovery {
    /// What it gets in any one second.
    per_s: f64,
    tokens: f64,
    filled_at: Timestamp,
    /// When something old was last seen waiting.
    old_seen_at: Timestamp,
    judged: Option<Judged>,
}

/// What waited first when it was last asked whether the host catches up.
#[derive(Clone, Copy, Debug)]
struct Judged {
    at: Timestamp,
    is_final: bool,
    waited_ms: i64,
}

impl Recovery {
    /// How many may go out at once. That and what comes in during a second are the rate together,
    /// so no second has more.
    fn burst(&self) -> f64 {
        (self.per_s / 10.0).max(1.0)
    }

    fn refill_per_s(&self) -> f64 {
        self.per_s - self.burst()
    }

    fn tokens_at(&self, now: Timestamp) -> f64 {
        let refilled = self.refill_per_s() * seconds_between(self.filled_at, now);
        (self.tokens + refilled).min(self.burst())
    }
}

impl Pace {
    /// The host took something.
    pub(super) fn count(&mut self, now: Timestamp) {
        if self.is_recovering() {
            return;
        }
        let since_last = self.last_at.map_or(0.0, |last| seconds_between(last, now));
        self.taken = self.taken * (-since_last / MEMORY_S).exp() + 1.0;
        self.first_at = self.first_at.or(Some(now));
        self.last_at = Some(now);
    }

    /// How many it takes in a second.
    fn normal_per_s(&self) -> f64 {
        let (Some(first), Some(last)) = (self.first_at, self.last_at) else {
            return 0.0;
        };
        let seen = seconds_between(first, last).max(SHORTEST_S);
        self.taken / (MEMORY_S * (1.0 - (-seen / MEMORY_S).exp()))
    }

    /// The host is back.
    pub(super) fn recover(&mut self, now: Timestamp) {
        self.recovery = Some(Recovery {
            per_s: (2.0 * self.normal_per_s()).max(FLOOR_PER_S),
            tokens: 0.0,
            filled_at: now,
            old_seen_at: now,
            judged: None,
        });
    }

    /// Whether it catches up.
    pub(super) const fn is_recovering(&self) -> bool {
        self.recovery.is_some()
    }

    /// What waits first for it, and since when.
    pub(super) fn see(&mut self, is_final: bool, due_at: Timestamp, now: Timestamp) {
        let Some(recovery) = &mut self.recovery else {
            return;
        };
        let waited_ms = ms_between(due_at, now);
        if waited_ms < OLD_MS {
            return;
        }
        recovery.old_seen_at = now;
        let seen = Judged {
            at: now,
            is_final,
            waited_ms,
        };
        match recovery.judged {
            // Once the final states are through, others come that have waited for longer.
            Some(judged) if judged.is_final == is_final => {
                if ms_between(judged.at, now) >= JUDGED_EVERY_MS {
                    recovery.judged = Some(seen);
                    if waited_ms >= judged.waited_ms {
                        recovery.tokens = recovery.tokens_at(now);
                        recovery.filled_at = now;
                        recovery.per_s *= 2.0;
                    }
                }
            }
            Some(_) | None => recovery.judged = Some(seen),
        }
    }

    /// Ends a recovery when nothing old has been seen for a while.
    pub(super) fn end_recovery(&mut self, now: Timestamp) {
        self.recovery
            .take_if(|recovery| ms_between(recovery.old_seen_at, now) >= OLD_MS);
    }

    /// How many of `wanted` may go out now, and if it is not all, when there is one more.
    pub(super) fn room(&self, wanted: u32, now: Timestamp) -> (u32, Option<Timestamp>) {
        let Some(recovery) = &self.recovery else {
            return (wanted, None);
        };
        let tokens = recovery.tokens_at(now);
        let mut room = 0_u32;
        while room < wanted && f64::from(room) + 1.0 <= tokens {
            room = room.saturating_add(1);
        }
        if room == wanted {
            return (room, None);
        }
        let missing = f64::from(room) + 1.0 - tokens;
        let wait = Duration::from_secs_f64(missing / recovery.refill_per_s());
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        (room, Some(plus_ms(now, wait_ms.saturating_add(1))))
    }

    /// Something goes out.
    pub(super) fn spend(&mut self, now: Timestamp) {
        if let Some(recovery) = &mut self.recovery {
            recovery.tokens = recovery.tokens_at(now) - 1.0;
            recovery.filled_at = now;
        }
    }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or_default()).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        plus_ms(Timestamp::EPOCH, ms)
    }

    /// A host that took something every so many milliseconds for ten minutes.
    fn accustomed(every_ms: i64) -> (Pace, i64) {
        let mut pace = Pace::default();
        let end = 600_000;
        for ms in (0..=end).step_by(usize::try_from(every_ms).unwrap()) {
            pace.count(at(ms));
        }
        (pace, end)
    }

    #[test]
    fn normal_is_what_was_taken_lately() {
        for every_ms in [10, 100, 1_000] {
            let (pace, _) = accustomed(every_ms);
            let expected = 1_000.0 / f64::from(i32::try_from(every_ms).unwrap());
            let normal = pace.normal_per_s();
            assert!((normal / expected - 1.0).abs() < 0.02, "{normal}");
        }
        let mut pace = Pace::default();
        assert!(pace.normal_per_s() < f64::EPSILON);
        // The first minute tells a rate too.
        for second in 0..60 {
            pace.count(at(second * 1_000));
        }
        assert!((pace.normal_per_s() - 1.0).abs() < 0.05);
    }

    #[test]
    fn who_was_never_away_gets_everything() {
        let (pace, now) = accustomed(10);
        assert_eq!(pace.room(8, at(now)), (8, None));
    }

    #[test]
    fn no_second_of_a_recovery_has_more_than_twice_the_normal_rate() {
        for (every_ms, most) in [(10, 200), (100, 20), (1_000, 5), (60_000, 5)] {
            let (mut pace, start) = accustomed(every_ms);
            pace.recover(at(start));
            let mut sent: Vec<i64> = vec![];
            for ms in start..start + 20_000 {
                // What waits is an hour old, and gets younger.
                pace.see(true, at(ms * 2 - start - 3_600_000), at(ms));
                while let (1, None) = pace.room(1, at(ms)) {
                    pace.spend(at(ms));
                    sent.push(ms);
                }
            }
            for (index, from) in sent.iter().enumerate() {
                let within = sent[index..].iter().take_while(|ms| **ms < from + 1_000);
                let within = within.count();
                assert!(within <= most, "{within} of {most} from {from}");
            }
            // And it gets most of it.
            assert!(sent.len() * 10 >= most * 20 * 7, "{} {most}", sent.len());
        }
    }

    #[test]
    fn a_rate_that_does_not_catch_up_doubles() {
        let (mut pace, start) = accustomed(1_000);
        pace.recover(at(start));
        for ms in (start..=start + 35_000).step_by(100) {
            pace.see(true, at(start - 60_000), at(ms));
        }
        let per_s = pace.recovery.as_ref().unwrap().per_s;
        assert!((per_s - 8.0 * FLOOR_PER_S).abs() < 0.1, "{per_s}");
    }

    #[test]
    fn a_recovery_ends_when_nothing_old_waits() {
        let (mut pace, start) = accustomed(100);
        pace.recover(at(start));
        pace.see(true, at(start - 60_000), at(start + 1_000));
        pace.end_recovery(at(start + 2_999));
        assert!(pace.is_recovering());
        pace.see(true, at(start + 2_000), at(start + 2_999));
        pace.end_recovery(at(start + 3_000));
        assert!(!pace.is_recovering());
        assert_eq!(pace.room(8, at(start + 3_000)), (8, None));
    }

    #[test]
    fn what_has_waited_for_two_seconds_to_the_millisecond_is_old() {
        for (due_at, is_old) in [(0, true), (1, false)] {
            let mut pace = Pace::default();
            pace.recover(at(0));
            pace.see(true, at(due_at), at(2_000));
            pace.end_recovery(at(2_000));
            assert_eq!(pace.is_recovering(), is_old, "{due_at}");
        }
    }

    #[test]
    fn a_wait_ends_when_there_is_a_token() {
        let (mut pace, start) = accustomed(10_000);
        pace.recover(at(start));
        let (0, Some(again)) = pace.room(4, at(start)) else {
            panic!("nothing at once");
        };
        assert_eq!(again, at(start + 251));
        assert_eq!(pace.room(1, again), (1, None));
        let (room, _) = pace.room(4, again);
        assert_eq!(room, 1);
    }
}
