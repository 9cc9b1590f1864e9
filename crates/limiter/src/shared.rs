//! What all replicas share, with what this one knows beneath it.

use std::{cmp::Ordering, sync::Arc};

use async_trait::async_trait;
use bursar_ports::{Allowance, Quota, RateLimiter, ReplayGuard, StoreError};

use crate::memory::{MemoryGuard, MemoryLimiter, Verb};

/// A limit that all replicas keep together, and that each keeps by itself while they cannot.
///
/// This replica's own counts go on beneath the shared ones, so a Redis that goes away, or comes
/// back empty, never makes anybody's limit larger than what one replica would allow.
pub struct SharedLimiter {
    shared: Arc<dyn RateLimiter>,
    local: MemoryLimiter,
}

impl SharedLimiter {
    /// Keeps limits in `shared`, and in memory.
    pub fn new(shared: Arc<dyn RateLimiter>) -> Self {
        Self {
            shared,
            local: MemoryLimiter::new(),
        }
    }
}

/// The stricter of the two.
fn stricter(shared: Allowance, local: Allowance) -> Allowance {
    Allowance {
        allowed: shared.allowed && local.allowed,
        remaining: shared.remaining.min(local.remaining),
        // The one with less left says when there will be more.
        reset_ms: match local.remaining.cmp(&shared.remaining) {
            Ordering::Less => local.reset_ms,
            Ordering::Equal => local.reset_ms.max(shared.reset_ms),
            Ordering::Greater => shared.reset_ms,
        },
        retry_after_ms: shared.retry_after_ms.max(local.retry_after_ms),
    }
}

/// What both say of units that are only looked at; what this replica says, if nobody else does.
fn seen_by_both(shared: Result<Allowance, StoreError>, local: Allowance) -> Allowance {
    shared.map_or_else(
        |_| {
            count_fallback();
            local
        },
        |shared| stricter(shared, local),
    )
}

fn count_fallback() {
    metrics::counter!("bursar_rate_limiter_fallback_total").increment(1);
}

#[async_trait]
impl RateLimiter for SharedLimiter {
    async fn take(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError> {
        let local = self.local.call(Verb::Peek, key.clone(), units, quota);
        if !local.allowed {
            // Nobody gets these units, so they are not to be missing from what all replicas share. (They
            // still are if others take the last ones while Redis is asked: for a window, and no more
            // than are asked for at once.)
            let shared = self.shared.peek(key, units, quota).await;
            return Ok(seen_by_both(shared, local));
        }
        let shared = self.shared.take(key.clone(), units, quota).await;
        Ok(match shared {
            Ok(shared) if shared.allowed => {
                stricter(shared, self.local.call(Verb::Take, key, units, quota))
            }
            Ok(refused) => refused,
            Err(_) => {
                count_fallback();
                self.local.call(Verb::Take, key, units, quota)
            }
        })
    }

    async fn peek(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError> {
        let shared = self.shared.peek(key.clone(), units, quota).await;
        let local = self.local.call(Verb::Peek, key, units, quota);
        Ok(seen_by_both(shared, local))
    }

    async fn record(&self, key: String, units: u32, quota: Quota) -> Result<(), StoreError> {
        if self.shared.record(key.clone(), units, quota).await.is_err() {
            count_fallback();
        }
        self.local.call(Verb::Record, key, units, quota);
        Ok(())
    }
}

/// Signatures that all replicas remember together, for an exchange that has only one: it remembers
/// them by itself too, and goes on with that while the shared memory is away.
///
/// With several replicas the shared memory must be used alone: what one of them remembers says
/// nothing about the others.
pub struct SharedGuard {
    shared: Arc<dyn ReplayGuard>,
    local: MemoryGuard,
}

impl SharedGuard {
    /// Remembers in `shared`, and in memory.
    pub fn new(shared: Arc<dyn ReplayGuard>) -> Self {
        Self {
            shared,
            local: MemoryGuard::new(),
        }
    }
}

#[async_trait]
impl ReplayGuard for SharedGuard {
    async fn first_use(&self, signature: String, remember_ms: u32) -> Result<bool, StoreError> {
        let local = self.local.first_use(signature.clone(), remember_ms);
        let first = local.ok_or(StoreError::Overloaded)?;
        if !first {
            return Ok(false);
        }
        Ok(self
            .shared
            .first_use(signature, remember_ms)
            .await
            .unwrap_or_else(|_| {
                metrics::counter!("bursar_replay_guard_fallback_total").increment(1);
                true
            }))
    }
}

#[cfg(test)]
mod tests;
