//! A Redis of a test's own, and replicas that use it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bursar_limiter::{RedisConfig, RedisKeeper};
use bursar_ports::{Quota, RateLimiter};
use bursar_testkit::RedisServer;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Long enough for a busy machine; nothing that works ever takes it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a replica has: its limiter and guard, over a connection that is looked after.
pub(crate) struct Replica {
    pub(crate) limiter: Arc<bursar_limiter::RedisLimiter>,
    pub(crate) guard: Arc<bursar_limiter::RedisGuard>,
    _stop: DropGuard,
}

impl Replica {
    pub(crate) async fn of(server: &RedisServer) -> Self {
        // Long: only a test of outages wants to see them.
        Self::with_timeout(&server.url(), PATIENCE).await
    }

    pub(crate) async fn with_timeout(url: &str, timeout: Duration) -> Self {
        let url = url.to_owned();
        let keeper = RedisKeeper::try_new(&RedisConfig { url, timeout }).unwrap();
        let (limiter, guard) = (Arc::new(keeper.limiter()), Arc::new(keeper.guard()));
        keeper.connect().await;
        let stop = CancellationToken::new();
        tokio::spawn(keeper.run(stop.clone()));
        Self {
            limiter,
            guard,
            _stop: stop.drop_guard(),
        }
    }
}

/// A connection of the test's own.
pub(crate) async fn connection(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

pub(crate) const fn quota(units: u32, window_ms: u32) -> Quota {
    Quota { units, window_ms }
}

/// Whether one more unit was taken.
pub(crate) async fn takes(limiter: &dyn RateLimiter, key: &str, quota: Quota) -> bool {
    let taken = limiter.take(key.to_owned(), 1, quota).await;
    taken.unwrap().allowed
}

/// Asks until it is so.
pub(crate) async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
