//! What only Redis can get wrong: its script, its clock, its keys, several replicas at once.

use std::{sync::Arc, time::Duration};

use bursar_limiter::{RedisConfig, RedisKeeper};
use bursar_ports::{RateLimiter, ReplayGuard, StoreError};
use bursar_testkit::RedisServer;
use redis::AsyncCommands;
use tokio::task::JoinSet;

use crate::scene::{Replica, connection, eventually, quota, takes};

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_limits_and_signatures() {
    let server = RedisServer::start();
    let replicas = [Replica::of(&server).await, Replica::of(&server).await];
    let rule = quota(600, 600_000);
    let mut callers = JoinSet::new();
    for number in 0..700 {
        let replica = &replicas[number % 2];
        let (limiter, guard) = (Arc::clone(&replica.limiter), Arc::clone(&replica.guard));
        callers.spawn(async move {
            let signature = format!("{}", number / 2);
            let first = guard.first_use(signature, 600_000).await.unwrap();
            (takes(&*limiter, "a", rule).await, first)
        });
    }
    let answers = callers.join_all().await;
    let count = |chosen: fn(&(bool, bool)) -> bool| answers.iter().filter(|a| chosen(a)).count();
    assert_eq!(count(|(taken, _)| *taken), 600);
    assert_eq!(count(|(_, first)| *first), 350);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_namespaced_and_end_by_themselves() {
    let server = RedisServer::start();
    let replica = Replica::of(&server).await;
    let mut redis = connection(&server).await;
    let long = 600_000;
    assert!(takes(&*replica.limiter, "a", quota(2, long)).await);
    replica
        .limiter
        .record("b".to_owned(), 9, quota(2, long))
        .await
        .unwrap();
    replica.guard.first_use("s".to_owned(), long).await.unwrap();
    replica
        .limiter
        .peek("looked at".to_owned(), 1, quota(2, long))
        .await
        .unwrap();
    let mut keys: Vec<String> = redis.keys("*").await.unwrap();
    keys.sort();
    // The script was tried out just now; what that has counted is about to leave.
    keys.retain(|key| key != "bursar:limit:check");
    let expected = [
        "bursar:check",
        "bursar:limit:a",
        "bursar:limit:b",
        "bursar:signature:s",
    ];
    assert_eq!(keys, expected);
    for key in keys {
        let ttl_ms: i64 = redis.pttl(&key).await.unwrap();
        assert!((1..=600_001).contains(&ttl_ms), "{key}: {ttl_ms}");
    }
    assert!(takes(&*replica.limiter, "short", quota(2, 300)).await);
    eventually("a key ends", async || {
        !redis.exists::<_, bool>("bursar:limit:short").await.unwrap()
    })
    .await;
}

/// It would be refused over any other connection, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_redis_refuses_about_one_key_costs_the_others_nothing() {
    let server = RedisServer::start();
    let replica = Replica::of(&server).await;
    let mut redis = connection(&server).await;
    let rule = quota(10, 600_000);
    // No list, so the script fails.
    let mut set = redis::cmd("SET");
    set.arg("bursar:limit:odd").arg("text");
    set.exec_async(&mut redis).await.unwrap();
    for _ in 0..10 {
        let odd = replica.limiter.take("odd".to_owned(), 1, rule).await;
        assert!(matches!(odd, Err(StoreError::Unavailable(_))), "{odd:?}");
        assert!(takes(&*replica.limiter, "even", rule).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_quota_takes_bounded_room() {
    let server = RedisServer::start();
    let replica = Replica::of(&server).await;
    let mut redis = connection(&server).await;
    for _ in 0..5_000 {
        assert!(takes(&*replica.limiter, "a", quota(1_000_000, 600)).await);
    }
    let length: usize = redis.llen("bursar:limit:a").await.unwrap();
    assert!(length <= 2 * 601 + 1, "{length}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_used_and_never_shown() {
    let server = RedisServer::start_protected("canary-4711");
    let replica = Replica::of(&server).await;
    assert!(takes(&*replica.limiter, "a", quota(1, 60_000)).await);

    let config = RedisConfig {
        url: server.url().replace("4711", "4712"),
        timeout: Duration::from_secs(5),
    };
    assert!(!format!("{config:?}").contains("canary"));
    let wrong = Replica::with_timeout(&config.url, config.timeout).await;
    let error = wrong
        .limiter
        .peek("a".to_owned(), 1, quota(1, 1))
        .await
        .unwrap_err();
    assert!(
        !format!("{error:?} {error}").contains("canary"),
        "{error:?}"
    );

    let url = "redis//:canary-4711@nowhere".to_owned();
    let config = RedisConfig { url, ..config };
    let Err(error) = RedisKeeper::try_new(&config) else {
        panic!("that is no address");
    };
    assert!(
        !format!("{error:?} {error}").contains("canary"),
        "{error:?}"
    );
}
