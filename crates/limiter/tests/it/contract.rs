//! What every limiter and every guard must do, as cases that each runs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bursar_limiter::{MemoryGuard, MemoryLimiter, SharedGuard, SharedLimiter};
use bursar_ports::{RateLimiter, ReplayGuard};
use bursar_testkit::RedisServer;
use tokio::task::JoinSet;

use crate::scene::{PATIENCE, Replica, quota, takes};

/// A window that no test outlives.
const LONG: u32 = 600_000;
/// One that a test can wait for.
const SHORT: u32 = 400;

async fn units_are_taken_until_they_are_used_up(limiter: Arc<dyn RateLimiter>) {
    let three = quota(3, LONG);
    for left in [2, 1, 0] {
        let taken = limiter.take("a".to_owned(), 1, three).await.unwrap();
        assert!(taken.allowed);
        assert_eq!((taken.remaining, taken.retry_after_ms), (left, 0));
        assert!(
            (LONG - 60_000..=LONG).contains(&taken.reset_ms),
            "{taken:?}"
        );
    }
    let refused = limiter.take("a".to_owned(), 1, three).await.unwrap();
    assert!(!refused.allowed);
    assert_eq!(refused.remaining, 0);
    assert!(refused.retry_after_ms > LONG - 60_000, "{refused:?}");
    assert_eq!(refused.retry_after_ms, refused.reset_ms);
    assert!(takes(&*limiter, "another", three).await);
}

async fn all_units_are_taken_or_none(limiter: Arc<dyn RateLimiter>) {
    let ten = quota(10, LONG);
    let take = async |units| limiter.take("a".to_owned(), units, ten).await.unwrap();
    assert!(take(7).await.allowed);
    let refused = take(4).await;
    assert_eq!((refused.allowed, refused.remaining), (false, 3));
    assert!(take(3).await.allowed);
    assert!(!take(1).await.allowed);
    // None fit always.
    assert!(take(0).await.allowed);
    let never = limiter.take("b".to_owned(), 11, ten).await.unwrap();
    assert_eq!((never.allowed, never.remaining), (false, 10));
    assert_eq!((never.retry_after_ms, never.reset_ms), (LONG, 0));
}

async fn peeking_takes_nothing(limiter: Arc<dyn RateLimiter>) {
    let two = quota(2, LONG);
    let peek = async |units| limiter.peek("a".to_owned(), units, two).await.unwrap();
    for _ in 0..5 {
        let peeked = peek(2).await;
        assert_eq!(
            (peeked.allowed, peeked.remaining, peeked.reset_ms),
            (true, 2, 0)
        );
    }
    assert!(!peek(3).await.allowed);
    assert!(takes(&*limiter, "a", two).await);
    let peeked = peek(1).await;
    assert_eq!((peeked.allowed, peeked.remaining), (true, 1));
    assert!(peeked.reset_ms > 0);
    assert!(!peek(2).await.allowed);
}

async fn what_is_recorded_counts_whether_or_not_it_fits(limiter: Arc<dyn RateLimiter>) {
    let two = quota(2, LONG);
    limiter.record("a".to_owned(), 1, two).await.unwrap();
    assert!(takes(&*limiter, "a", two).await);
    limiter.record("a".to_owned(), 5, two).await.unwrap();
    limiter.record("a".to_owned(), 0, two).await.unwrap();
    let peeked = limiter.peek("a".to_owned(), 1, two).await.unwrap();
    assert_eq!((peeked.allowed, peeked.remaining), (false, 0));
}

async fn units_come_back_one_by_one(limiter: Arc<dyn RateLimiter>) {
    let two = quota(2, SHORT);
    assert!(takes(&*limiter, "a", two).await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(takes(&*limiter, "a", two).await);
    let refused = limiter.take("a".to_owned(), 1, two).await.unwrap();
    // A busy machine may have slept for longer than the window.
    if !refused.allowed {
        let wait = Duration::from_millis(refused.retry_after_ms.into());
        assert!(wait <= Duration::from_millis(200), "{refused:?}");
        tokio::time::sleep(wait).await;
        assert!(takes(&*limiter, "a", two).await, "after {wait:?}");
    }
}

async fn whoever_hurries_never_gets_more_in_any_window(limiter: Arc<dyn RateLimiter>) {
    for rule in [quota(7, 150), quota(1_000, 300)] {
        let units = rule.units.div_ceil(50);
        let key = format!("{}", rule.units);
        let began = Instant::now();
        let mut admitted = Vec::new();
        let mut total = 0;
        // It does slide: more than one window's worth comes through in the end.
        while began.elapsed() < Duration::from_millis(1_200) || total <= rule.units {
            assert!(began.elapsed() < PATIENCE, "{total} of {rule:?}");
            let before = Instant::now();
            let taken = limiter.take(key.clone(), units, rule).await.unwrap();
            if taken.allowed {
                // It was counted somewhere between these two.
                admitted.push((before, Instant::now()));
                total += units;
            } else {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        let window = Duration::from_millis(rule.window_ms.into());
        for (number, (from, _)) in admitted.iter().enumerate() {
            let surely_inside = |(_, after): &&(Instant, Instant)| *after < *from + window;
            let inside = admitted[number..].iter().filter(surely_inside).count();
            let taken = u32::try_from(inside).unwrap() * units;
            assert!(taken <= rule.units, "{taken} of {rule:?}");
        }
    }
}

async fn of_callers_at_once_as_many_succeed_as_fit(limiter: Arc<dyn RateLimiter>) {
    for units in [50, 700] {
        let rule = quota(units, LONG);
        let mut callers = JoinSet::new();
        for _ in 0..units + 100 {
            let limiter = Arc::clone(&limiter);
            let key = format!("{units}");
            callers.spawn(async move { takes(&*limiter, &key, rule).await });
        }
        let succeeded = callers.join_all().await.into_iter().filter(|taken| *taken);
        assert_eq!(succeeded.count(), usize::try_from(units).unwrap());
    }
}

async fn a_signature_counts_once(guard: Arc<dyn ReplayGuard>) {
    let first = async |signature: &str| guard.first_use(signature.to_owned(), LONG).await.unwrap();
    assert!(first("a").await);
    assert!(!first("a").await);
    assert!(first("b").await);
    assert!(!first("a").await);
}

async fn of_uses_at_once_one_is_the_first(guard: Arc<dyn ReplayGuard>) {
    let mut users = JoinSet::new();
    for _ in 0..200 {
        let guard = Arc::clone(&guard);
        users.spawn(async move { guard.first_use("a".to_owned(), LONG).await.unwrap() });
    }
    let firsts = users.join_all().await.into_iter().filter(|first| *first);
    assert_eq!(firsts.count(), 1);
}

async fn a_signature_is_forgotten_in_the_end(guard: Arc<dyn ReplayGuard>) {
    let began = Instant::now();
    let first = async || guard.first_use("a".to_owned(), SHORT).await.unwrap();
    assert!(first().await);
    // Asking again does not prolong it.
    while !first().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(began.elapsed() < PATIENCE);
    }
    assert!(began.elapsed() >= Duration::from_millis(u64::from(SHORT) - 1));
}

/// Stamps one test per case for each way to make what is tested.
macro_rules! cases {
    ($make:ident: $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let (tested, _kept) = super::$make().await;
                super::$case(tested).await;
            }
        )+
    };
    (limiter $make:ident) => {
        cases! { $make:
            units_are_taken_until_they_are_used_up
            all_units_are_taken_or_none
            peeking_takes_nothing
            what_is_recorded_counts_whether_or_not_it_fits
            units_come_back_one_by_one
            whoever_hurries_never_gets_more_in_any_window
            of_callers_at_once_as_many_succeed_as_fit
        }
    };
    (guard $make:ident) => {
        cases! { $make:
            a_signature_counts_once
            of_uses_at_once_one_is_the_first
            a_signature_is_forgotten_in_the_end
        }
    };
}

/// What must live as long as the test.
type Kept = Option<(RedisServer, Replica)>;

async fn memory_limiter() -> (Arc<dyn RateLimiter>, Kept) {
    (Arc::new(MemoryLimiter::new()), None)
}

async fn memory_guard() -> (Arc<dyn ReplayGuard>, Kept) {
    (Arc::new(MemoryGuard::new()), None)
}

async fn redis() -> (RedisServer, Replica) {
    let server = RedisServer::start();
    let replica = Replica::of(&server).await;
    (server, replica)
}

async fn redis_limiter() -> (Arc<dyn RateLimiter>, Kept) {
    let (server, replica) = redis().await;
    (replica.limiter.clone(), Some((server, replica)))
}

async fn redis_guard() -> (Arc<dyn ReplayGuard>, Kept) {
    let (server, replica) = redis().await;
    (replica.guard.clone(), Some((server, replica)))
}

async fn shared_limiter() -> (Arc<dyn RateLimiter>, Kept) {
    let (server, replica) = redis().await;
    let shared = SharedLimiter::new(replica.limiter.clone());
    (Arc::new(shared), Some((server, replica)))
}

async fn shared_guard() -> (Arc<dyn ReplayGuard>, Kept) {
    let (server, replica) = redis().await;
    let shared = SharedGuard::new(replica.guard.clone());
    (Arc::new(shared), Some((server, replica)))
}

/// The shared limiter while there is no Redis.
async fn lonely_limiter() -> (Arc<dyn RateLimiter>, Kept) {
    let (mut server, replica) = redis().await;
    server.kill();
    let shared = SharedLimiter::new(replica.limiter.clone());
    (Arc::new(shared), Some((server, replica)))
}

mod in_memory {
    cases! { limiter memory_limiter }
    cases! { guard memory_guard }
}

mod in_redis {
    cases! { limiter redis_limiter }
    cases! { guard redis_guard }
}

mod shared {
    cases! { limiter shared_limiter }
    cases! { guard shared_guard }
}

mod shared_without_redis {
    cases! { limiter lonely_limiter }
}
