use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000;

fn quota(units: u32) -> Quota {
    Quota {
        units,
        window_ms: 60_000,
    }
}

fn take(log: &mut Log, now: u64, units: u32, quota: Quota) -> Allowance {
    log.forget(now, quota);
    let judged = log.judge(now, units, quota);
    if judged.allowed {
        log.add(now, units, quota);
    }
    judged
}

#[test]
fn what_was_taken_comes_back_when_the_window_has_passed() {
    let mut log = Log::default();
    let two = quota(2);
    assert!(take(&mut log, 5 * SECOND, 1, two).allowed);
    assert!(take(&mut log, 20 * SECOND, 1, two).allowed);
    let refused = take(&mut log, 30 * SECOND + 1, 1, two);
    let expected = Allowance {
        allowed: false,
        remaining: 0,
        reset_ms: 35_000,
        retry_after_ms: 35_000,
    };
    assert_eq!(refused, expected);
    assert!(!take(&mut log, 65 * SECOND - 1, 1, two).allowed);
    assert!(take(&mut log, 65 * SECOND, 1, two).allowed);
    assert!(!take(&mut log, 65 * SECOND, 1, two).allowed);
}

#[test]
fn whoever_wants_more_waits_for_more() {
    let mut log = Log::default();
    let ten = quota(10);
    for second in 0..10 {
        assert!(take(&mut log, second * SECOND, 1, ten).allowed);
    }
    let now = 10 * SECOND;
    let waits = |units| log.judge(now, units, ten).retry_after_ms;
    assert_eq!([waits(1), waits(2), waits(10)], [50_000, 51_000, 59_000]);
    // More than the quota never fits.
    assert_eq!(waits(11), 60_000);
    assert_eq!(Log::default().judge(now, 11, ten).retry_after_ms, 60_000);
}

#[test]
fn what_is_recorded_counts_beyond_the_quota() {
    let mut log = Log::default();
    let three = quota(3);
    log.add(0, 5, three);
    let judged = log.judge(SECOND, 1, three);
    assert_eq!((judged.allowed, judged.remaining), (false, 0));
    assert_eq!(judged.retry_after_ms, 59_000);
}

/// Whoever fails on and on is kept in as little memory as anybody, and waits no less.
#[test]
fn what_is_recorded_takes_no_more_room_than_what_is_taken() {
    let mut log = Log::default();
    let three = quota(3);
    for moment in 0..2_000 {
        log.add(moment, 1, three);
        assert!(log.len() <= 601);
    }
    let judged = log.judge(2_000, 1, three);
    assert_eq!((judged.allowed, judged.remaining), (false, 0));
    // All but the first six hundred count as if they had come with the last.
    assert_eq!(judged.retry_after_ms, 60_000);
    log.forget(60 * SECOND + 1_999, three);
    assert_eq!(log.len(), 0);
}

/// Arrivals as they come: pauses from none to more than a window, and units.
fn arrivals() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let pause = prop_oneof![
        Just(0),
        1..1_000_u64,
        0..2 * SECOND,
        55 * SECOND..65 * SECOND,
        Just(60 * SECOND),
    ];
    let units = prop_oneof![Just(1), Just(1), 0..6_u32, 1..1_300_u32];
    proptest::collection::vec((pause, units), 1..400)
}

/// How many units fall into any window that begins with a unit; no other window has more.
fn most_in_a_window(admitted: &[(u64, u32)], window: u64) -> u64 {
    let inside = |from: u64| {
        let window = from..from + window;
        let units = admitted.iter().filter(|(at, _)| window.contains(at));
        units.map(|(_, units)| u64::from(*units)).sum::<u64>()
    };
    admitted
        .iter()
        .map(|(at, _)| inside(*at))
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_window_ever_has_more_than_the_quota(arrivals in arrivals(), units in 1..1_500_u32) {
        let quota = quota(units);
        let mut log = Log::default();
        let mut admitted = Vec::new();
        let mut now = 0;
        for (pause, units) in arrivals {
            now += pause;
            if take(&mut log, now, units, quota).allowed {
                admitted.push((now, units));
            }
            prop_assert!(log.len() <= 601);
        }
        prop_assert!(most_in_a_window(&admitted, window_us(quota)) <= u64::from(units));
    }

    /// Against the definition itself: a quota that is counted exactly admits all that fits.
    #[test]
    fn whatever_fits_is_admitted(arrivals in arrivals(), units in 1..=SLOTS) {
        let quota = quota(units);
        let mut log = Log::default();
        let mut admitted: Vec<(u64, u32)> = Vec::new();
        let mut now = 0;
        for (pause, wanted) in arrivals {
            now += pause;
            let counted = |(at, _): &&(u64, u32)| now - at < window_us(quota);
            let used: u64 = admitted.iter().filter(counted).map(|(_, n)| u64::from(*n)).sum();
            let fits = used + u64::from(wanted) <= u64::from(units);
            let answer = take(&mut log, now, wanted, quota);
            prop_assert_eq!(answer.allowed, fits);
            prop_assert_eq!(u64::from(answer.remaining), u64::from(units) - used);
            if fits {
                admitted.push((now, wanted));
            } else if wanted <= units {
                // Whoever waits as told is admitted, and not a millisecond earlier is promised.
                let wait = u64::from(answer.retry_after_ms) * 1_000;
                let free_at = |at: u64| {
                    let counted = |(then, _): &&(u64, u32)| at - then < window_us(quota);
                    let used = admitted.iter().filter(counted);
                    let used: u64 = used.map(|(_, n)| u64::from(*n)).sum();
                    used + u64::from(wanted) <= u64::from(units)
                };
                prop_assert!(free_at(now + wait));
                prop_assert!(!free_at(now + wait.saturating_sub(1_000)));
            }
        }
    }

    /// A quota that is counted in slots keeps nobody waiting for longer than a slot more.
    #[test]
    fn slots_hold_units_back_by_a_600th_of_the_window_at_most(
        arrivals in arrivals(),
        units in SLOTS + 1..5_000_u32,
    ) {
        let quota = quota(units);
        let mut log = Log::default();
        let mut admitted: Vec<(u64, u32)> = Vec::new();
        let mut now = 0;
        for (pause, wanted) in arrivals {
            now += pause;
            let lenient = window_us(quota) + slot_us(quota);
            let counted = |(at, _): &&(u64, u32)| now - at < lenient;
            let used: u64 = admitted.iter().filter(counted).map(|(_, n)| u64::from(*n)).sum();
            let answer = take(&mut log, now, wanted, quota);
            if used + u64::from(wanted) <= u64::from(units) {
                prop_assert!(answer.allowed);
            }
            if answer.allowed {
                admitted.push((now, wanted));
            }
        }
    }
}
