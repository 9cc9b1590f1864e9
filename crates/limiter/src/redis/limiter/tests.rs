//! The script against the rule that it repeats, with times that the test decides.

use bursar_testkit::RedisServer;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use redis::Connection;

use super::*;
use crate::log::Log;

/// Of a quota and of what comes when: pause in microseconds, verb, units.
type Story = (u32, Vec<(u64, usize, u32)>);

const VERBS: [&str; 3] = ["take", "peek", "record"];
/// Some time in 2026, with a tail that a number of 14 digits would lose.
const START: u64 = 1_795_000_000_123_457;

fn stories() -> impl Strategy<Value = Story> {
    let quotas = prop_oneof![1..20_u32, 590..610_u32, 601..3_000_u32];
    let pauses = prop_oneof![
        Just(0),
        1..1_000_u64,
        0..3_000_000_u64,
        50_000_000..70_000_000_u64,
        Just(60_000_000),
    ];
    let verbs = prop_oneof![8 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    let units = prop_oneof![Just(1), 0..10_u32, 0..700_u32];
    (quotas, vec((pauses, verbs, units), 1..60))
}

fn run(redis: &mut Connection, script: &Script, (units, arrivals): Story) {
    redis::cmd("FLUSHALL").exec(redis).unwrap();
    let quota = Quota {
        units,
        window_ms: 60_000,
    };
    let mut log = Log::default();
    let mut now = START;
    for (pause, verb, units) in arrivals {
        now += pause;
        let answer: Answer = script
            .key("log")
            .arg(VERBS[verb])
            .arg(units)
            .arg(quota.units)
            .arg(window_us(quota))
            .arg(slot_us(quota))
            .arg(now / 1_000_000)
            .arg(now % 1_000_000)
            .invoke(redis)
            .unwrap();
        log.forget(now, quota);
        let judged = log.judge(now, units, quota);
        if verb == 2 || verb == 0 && judged.allowed {
            log.add(now, units, quota);
        }
        let after = log.judge(now, 0, quota);
        let expected = Allowance {
            remaining: after.remaining,
            reset_ms: after.reset_ms,
            ..judged
        };
        assert_eq!(
            allowance(answer),
            expected,
            "{} {units} at {now}",
            VERBS[verb]
        );
    }
}

/// The script with a clock that the test sets.
fn script() -> Script {
    let clock = "redis.call('TIME')";
    assert_eq!(SCRIPT.matches(clock).count(), 1);
    Script::new(&SCRIPT.replace(clock, "{ ARGV[6], ARGV[7] }"))
}

#[test]
fn the_script_counts_as_the_log_does() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    let redis = std::cell::RefCell::new(client.get_connection().unwrap());
    let script = script();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
    runner
        .run(&stories(), |story| {
            run(&mut redis.borrow_mut(), &script, story);
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_is_recorded_on_and_on_takes_no_more_room() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    let mut redis = client.get_connection().unwrap();
    let record = 2;
    let mut failures = vec![(1, record, 1); 700];
    failures.push((59_999_300, 0, 1));
    failures.push((700, 0, 1));
    run(&mut redis, &script(), (3, failures));
    let length: usize = redis::cmd("LLEN").arg("log").query(&mut redis).unwrap();
    assert!(length <= 1_203, "{length}");
    run(&mut redis, &script(), (3, vec![(1, record, 1); 700]));
    let length: usize = redis::cmd("LLEN").arg("log").query(&mut redis).unwrap();
    assert_eq!(length, 1_203);
}
