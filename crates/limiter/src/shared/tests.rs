use bursar_testkit::{FixedClock, FixedLimiter};

use super::*;

const TEN: Quota = Quota {
    units: 10,
    window_ms: 600_000,
};

#[tokio::test]
async fn what_this_replica_refuses_is_not_taken_from_what_all_share() {
    let clock = Arc::new(FixedClock::default());
    let all = Arc::new(FixedLimiter::new(Arc::clone(&clock)));
    let limiter = SharedLimiter::new(all.clone());
    let take = async |units| limiter.take("a".to_owned(), units, TEN).await.unwrap();
    assert!(take(8).await.allowed);
    assert_eq!(all.counted("a", TEN.window_ms), 8);

    // As after a restart of Redis: it has forgotten what this replica knows of.
    clock.advance_ms(i64::from(TEN.window_ms));
    let refused = take(3).await;
    assert_eq!((refused.allowed, refused.remaining), (false, 2));
    assert!(refused.retry_after_ms > 0);
    assert_eq!(all.counted("a", TEN.window_ms), 0);
    assert!(take(2).await.allowed);
    assert_eq!(all.counted("a", TEN.window_ms), 2);
}

/// Whoever waits as told should not have to wait once more.
#[tokio::test]
async fn a_refusal_tells_the_stricter_of_both_counts() {
    let all = Arc::new(FixedLimiter::new(Arc::default()));
    let limiter = SharedLimiter::new(all.clone());
    let take = async |units| limiter.take("a".to_owned(), units, TEN).await.unwrap();
    assert!(take(8).await.allowed);
    // Through another replica.
    assert!(all.take("a".to_owned(), 1, TEN).await.unwrap().allowed);
    let refused = take(3).await;
    assert_eq!((refused.allowed, refused.remaining), (false, 1));
    assert_eq!(all.counted("a", TEN.window_ms), 9);
}
