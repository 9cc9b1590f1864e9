//! Where limits and used signatures are kept: in Redis for several replicas, else in memory.

use std::sync::Arc;

use anyhow::Context;
use bursar_app::Limits;
use bursar_limiter::{
    MemoryGuard, MemoryLimiter, RedisConfig, RedisKeeper, SharedGuard, SharedLimiter,
};
use bursar_ports::{RateLimiter, ReplayGuard};
use secrecy::ExposeSecret;

use crate::config::LimitsConfig;

/// What the replicas share, as far as they do.
pub(super) struct Shared {
    pub(super) limiter: Arc<dyn RateLimiter>,
    pub(super) replay_guard: Arc<dyn ReplayGuard>,
    pub(super) redis: Option<RedisKeeper>,
}

impl Shared {
    pub(super) fn build(config: &LimitsConfig) -> anyhow::Result<Self> {
        let Some(url) = &config.redis_url else {
            return Ok(Self {
                limiter: Arc::new(MemoryLimiter::new()),
                replay_guard: Arc::new(MemoryGuard::new()),
                redis: None,
            });
        };
        let redis = RedisKeeper::try_new(&RedisConfig {
            url: url.expose_secret().to_owned(),
            timeout: config.redis_timeout,
        })
        .context("limits.redis_url")?;
        let guard = Arc::new(redis.guard());
        Ok(Self {
            limiter: Arc::new(SharedLimiter::new(Arc::new(redis.limiter()))),
            // Of several replicas none can know by itself what another has taken.
            replay_guard: if config.replicas > 1 {
                guard
            } else {
                Arc::new(SharedGuard::new(guard))
            },
            redis: Some(redis),
        })
    }
}

pub(super) const fn settings(config: &LimitsConfig) -> Limits {
    Limits {
        internal_per_minute: config.internal_per_minute,
        failed_credentials_per_minute: config.failed_credentials_per_minute,
    }
}
