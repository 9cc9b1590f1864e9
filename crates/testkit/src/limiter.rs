//! Limits by a clock that a test decides.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bursar_domain::Timestamp;
use bursar_ports::{Allowance, Clock, Quota, RateLimiter, ReplayGuard, StoreError};

use crate::FixedClock;

/// Counts by the definition: it looks at everything that was ever taken.
#[derive(Debug)]
pub struct FixedLimiter {
    clock: Arc<FixedClock>,
    taken: Mutex<BTreeMap<String, Vec<(Timestamp, u32)>>>,
    signatures: Mutex<BTreeMap<String, Timestamp>>,
}

impl FixedLimiter {
    /// A limiter that has counted nothing yet.
    pub fn new(clock: Arc<FixedClock>) -> Self {
        Self {
            clock,
            taken: Mutex::default(),
            signatures: Mutex::default(),
        }
    }

    /// Units that count under a key now.
    pub fn counted(&self, key: &str, window_ms: u32) -> u32 {
        let now = self.clock.now();
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = taken.get(key).into_iter().flatten();
        counted
            .filter(|(at, _)| ms_left(*at, now, window_ms) > 0)
            .fold(0, |sum, (_, units)| sum.saturating_add(*units))
    }

    fn judge(&self, key: &str, units: u32, quota: Quota) -> Allowance {
        let now = self.clock.now();
        let sum = self.counted(key, quota.window_ms);
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<(u32, u32)> = taken
            .get(key)
            .into_iter()
            .flatten()
            .map(|(at, units)| (ms_left(*at, now, quota.window_ms), *units))
            .filter(|(left, _)| *left > 0)
            .collect();
        let excess = sum.saturating_add(units).saturating_sub(quota.units);
        let mut freed = 0_u32;
        let enough = left.iter().find(|(_, units)| {
            freed = freed.saturating_add(*units);
            freed >= excess
        });
        Allowance {
            allowed: excess == 0,
            remaining: quota.units.saturating_sub(sum),
            reset_ms: left.first().map_or(0, |(left, _)| *left),
            retry_after_ms: match enough {
                _ if excess == 0 => 0,
                Some((left, _)) => *left,
                None => quota.window_ms,
            },
        }
    }

    fn add(&self, key: String, units: u32) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken
            .entry(key)
            .or_default()
            .push((self.clock.now(), units));
    }
}

fn ms_left(at: Timestamp, now: Timestamp, window_ms: u32) -> u32 {
    let passed_ms = now
        .as_micros()
        .saturating_sub(at.as_micros())
        .div_euclid(1_000);
    let left = i64::from(window_ms).saturating_sub(passed_ms).max(0);
    u32::try_from(left).unwrap_or(window_ms)
}

#[async_trait]
impl RateLimiter for FixedLimiter {
    async fn take(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError> {
        let judged = self.judge(&key, units, quota);
        if !judged.allowed || units == 0 {
            return Ok(judged);
        }
        self.add(key.clone(), units);
        Ok(self.judge(&key, 0, quota))
    }

    async fn peek(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError> {
        Ok(self.judge(&key, units, quota))
    }

    async fn record(&self, key: String, units: u32, _quota: Quota) -> Result<(), StoreError> {
        self.add(key, units);
        Ok(())
    }
}

#[async_trait]
impl ReplayGuard for FixedLimiter {
    async fn first_use(&self, signature: String, remember_ms: u32) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut seen = self
            .signatures
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if seen.get(&signature).is_some_and(|until| *until > now) {
            return Ok(false);
        }
        let remember_us = i64::from(remember_ms).saturating_mul(1_000);
        seen.insert(signature, now.plus_micros(remember_us));
        Ok(true)
    }
}
