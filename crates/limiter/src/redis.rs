//! Limits and used signatures in Redis, where all replicas meet.
//!
//! A single primary is meant (release 6.2 or newer, or what speaks like one), not a cluster.

mod guard;
mod keeper;
mod limiter;

use std::{fmt, time::Duration};

pub use self::{guard::RedisGuard, keeper::RedisKeeper, limiter::RedisLimiter};

/// How Redis is reached.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://` or, with TLS, `rediss://user:password@host:port/number`.
    pub url: String,
    /// How long one command or one try to connect may take. A request waits that long at most, and
    /// only at the moment at which Redis goes away.
    pub timeout: Duration,
}

/// Leaves the URL out, which may hold a password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Why Redis is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// Its address is none.
    #[error("the address of Redis is not of the form redis://user:password@host:port/number")]
    Address,
    /// There is no connection right now; one is being looked for.
    #[error("Redis is away")]
    Away,
    /// A command failed. What Redis says of it names no key and no value.
    #[error("Redis did not do as it was told")]
    Failed(#[source] redis::RedisError),
}
