//! Redis goes away and comes back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bursar_limiter::{SharedGuard, SharedLimiter};
use bursar_ports::{RateLimiter, ReplayGuard, StoreError};
use bursar_testkit::RedisServer;
use tokio::task::JoinSet;

use crate::scene::{PATIENCE, Replica, connection, eventually, quota, takes};

const RULE: bursar_ports::Quota = quota(10, 600_000);
/// How long a Redis that hangs is waited for. One that is gone says so at once.
const TIMEOUT: Duration = Duration::from_millis(500);

async fn is_up(replica: &Replica) -> bool {
    let peeked = replica.limiter.peek("any".to_owned(), 1, RULE).await;
    peeked.is_ok()
}

/// Whether signatures, which need no script, are remembered.
async fn remembers(replica: &Replica) -> bool {
    let used = replica.guard.first_use("s".to_owned(), 600_000).await;
    used.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_limit_holds_while_redis_is_away_and_it_comes_back_by_itself() {
    let mut server = RedisServer::start();
    let replica = Replica::of(&server).await;
    let limiter = SharedLimiter::new(replica.limiter.clone());
    for _ in 0..4 {
        assert!(takes(&limiter, "a", RULE).await);
    }
    server.kill();
    // What was taken through this replica before still counts.
    for _ in 4..10 {
        assert!(takes(&limiter, "a", RULE).await);
    }
    assert!(!takes(&limiter, "a", RULE).await);
    assert!(!limiter.peek("a".to_owned(), 1, RULE).await.unwrap().allowed);
    limiter.record("b".to_owned(), 10, RULE).await.unwrap();
    assert!(!takes(&limiter, "b", RULE).await);

    server.start_again();
    eventually("Redis is used again", async || is_up(&replica).await).await;
    // It is empty, but this replica is not.
    assert!(!takes(&limiter, "a", RULE).await);
    assert!(!takes(&limiter, "b", RULE).await);
    let other = SharedLimiter::new(Replica::of(&server).await.limiter.clone());
    for limiter in [&limiter, &other].repeat(5) {
        assert!(takes(limiter, "c", RULE).await);
    }
    assert!(!takes(&limiter, "c", RULE).await);
    assert!(!takes(&other, "c", RULE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_slows_nobody() {
    let server = RedisServer::start();
    let replica = Replica::with_timeout(&server.url(), TIMEOUT).await;
    let limiter = Arc::new(SharedLimiter::new(replica.limiter.clone()));
    assert!(takes(&*limiter, "a", quota(1_000, 600_000)).await);
    server.freeze();
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let limiter = Arc::clone(&limiter);
        callers.spawn(async move { takes(&*limiter, "a", quota(1_000, 600_000)).await });
    }
    assert!(callers.join_all().await.iter().all(|taken| *taken));
    let first = began.elapsed();
    // One after the other they would have waited for more than a minute.
    assert!(first < PATIENCE, "{first:?}");
    // Those who come later do not even wait for that.
    let began = Instant::now();
    for _ in 0..1_000 {
        assert!(limiter.peek("a".to_owned(), 1, RULE).await.is_ok());
    }
    let later = began.elapsed();
    assert!(later < PATIENCE, "{later:?}");
    server.thaw();
    eventually("Redis is used again", async || is_up(&replica).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_memory_that_is_away_accepts_no_signature() {
    let mut server = RedisServer::start();
    let replica = Replica::of(&server).await;
    let strict = Arc::clone(&replica.guard);
    let lenient = SharedGuard::new(replica.guard.clone());
    let first = async |signature: &str| lenient.first_use(signature.to_owned(), 600_000).await;
    assert!(first("before").await.unwrap());
    server.kill();
    for _ in 0..2 {
        let refused = strict.first_use("a".to_owned(), 600_000).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{refused:?}"
        );
    }
    // The only replica goes on with what it remembers itself.
    assert!(!first("before").await.unwrap());
    assert!(first("during").await.unwrap());
    assert!(!first("during").await.unwrap());
    server.start_again();
    eventually("Redis is used again", async || is_up(&replica).await).await;
    assert!(!first("during").await.unwrap());
    assert!(strict.first_use("a".to_owned(), 600_000).await.unwrap());
    assert!(!strict.first_use("a".to_owned(), 600_000).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_first_finds_redis_later() {
    let mut server = RedisServer::start();
    server.kill();
    let replica = Replica::of(&server).await;
    assert!(!is_up(&replica).await);
    let limiter = SharedLimiter::new(replica.limiter.clone());
    assert!(takes(&limiter, "a", RULE).await);
    server.start_again();
    eventually("Redis is found", async || is_up(&replica).await).await;
}

/// Away, and not there and away by turns.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_what_counting_needs_is_away_until_it_does_not() {
    let server = RedisServer::start();
    let replica = Replica::of(&server).await;
    let mut redis = connection(&server).await;
    let mut may = async |rule: String| {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg("default").arg(rule);
        acl.exec_async(&mut redis).await.unwrap();
    };
    assert!(is_up(&replica).await && remembers(&replica).await);
    for needed in ["@scripting", "rpush", "pexpire", "llen"] {
        may(format!("-{needed}")).await;
        eventually("Redis is away", async || {
            !is_up(&replica).await && !remembers(&replica).await
        })
        .await;
        for _ in 0..20 {
            assert!(!remembers(&replica).await, "{needed}");
            assert!(!is_up(&replica).await, "{needed}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        may(format!("+{needed}")).await;
        eventually("Redis is used again", async || is_up(&replica).await).await;
        assert!(remembers(&replica).await, "{needed}");
    }
}
