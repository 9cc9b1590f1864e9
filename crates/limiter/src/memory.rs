//! Limits and used signatures in this process.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use bursar_ports::{Allowance, Quota, RateLimiter, ReplayGuard, StoreError};

use crate::log::{Log, slot_us, window_us};

/// Locks that keys are spread over, so that sweeping one part holds up few callers.
const SHARDS: usize = 16;
/// How often a shard is swept of what no longer counts, in microseconds.
const SWEEP_US: u64 = 10_000_000;
/// The same where there is no room for another signature.
const FULL_SWEEP_US: u64 = 1_000_000;
/// What a shard holds at most, in entries of 16 bytes; a key counts as [`KEY_COST`] of them.
const SHARD_ENTRIES_MAX: usize = 1 << 18;
/// What a key takes up beside its entries, in entries.
const KEY_COST: usize = 10;
/// How many signatures are remembered at most. More than a replica can verify meanwhile.
const SIGNATURES_MAX: usize = 1 << 20;

/// A limiter of one process. Its clock never goes back; its memory is bounded: beyond some
/// 64 MiB an arbitrary key is forgotten for each new one.
#[derive(Debug)]
pub struct MemoryLimiter {
    started: Instant,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    keys: HashMap<String, Counted>,
    entries: usize,
    swept_at: u64,
}

#[derive(Debug, Default)]
struct Counted {
    log: Log,
    /// When the last of it has left the window.
    empty_at: u64,
}

/// What a call does with the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Take,
    Peek,
    Record,
}

impl MemoryLimiter {
    /// A limiter that has counted nothing yet.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            hasher: RandomState::new(),
            shards: Default::default(),
        }
    }

    /// Does what is asked in this process, where nothing can stand in the way.
    pub(crate) fn call(&self, verb: Verb, key: String, units: u32, quota: Quota) -> Allowance {
        let mut shard = self.shard(&key);
        // Read under the lock, so that times in a log are in order.
        let now = micros_since(self.started);
        if now >= shard.swept_at.saturating_add(SWEEP_US) {
            shard.sweep(now);
        }
        shard.call(now, verb, key, units, quota)
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(key);
        let [first, rest @ ..] = &self.shards;
        let number = usize::try_from(hash).unwrap_or_default() % SHARDS;
        let shard = number.checked_sub(1).and_then(|number| rest.get(number));
        locked(shard.unwrap_or(first))
    }
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Shard {
    fn call(&mut self, now: u64, verb: Verb, key: String, units: u32, quota: Quota) -> Allowance {
        if verb == Verb::Peek && !self.keys.contains_key(&key) {
            return Log::default().judge(now, units, quota);
        }
        let counted = self.keys.entry(key).or_default();
        let before = counted.log.len();
        let allowance = counted.call(now, verb, units, quota);
        let after = counted.log.len();
        self.entries = self.entries.saturating_sub(before).saturating_add(after);
        self.keep_bounded();
        allowance
    }

    /// Forgets arbitrary keys while there is too much.
    fn keep_bounded(&mut self) {
        while self.size() > SHARD_ENTRIES_MAX
            && let Some(key) = self.keys.keys().next().cloned()
        {
            let gone = self.keys.remove(&key).unwrap_or_default();
            self.entries = self.entries.saturating_sub(gone.log.len());
        }
    }

    fn size(&self) -> usize {
        let keys = self.keys.len().saturating_mul(KEY_COST);
        self.entries.saturating_add(keys)
    }

    fn sweep(&mut self, now: u64) {
        self.keys.retain(|_, counted| counted.empty_at > now);
        self.entries = self.keys.values().map(|counted| counted.log.len()).sum();
        self.swept_at = now;
    }
}

impl Counted {
    fn call(&mut self, now: u64, verb: Verb, units: u32, quota: Quota) -> Allowance {
        self.log.forget(now, quota);
        let judged = self.log.judge(now, units, quota);
        let adds = match verb {
            Verb::Take => judged.allowed,
            Verb::Peek => false,
            Verb::Record => true,
        };
        if !adds || units == 0 {
            return judged;
        }
        self.log.add(now, units, quota);
        let counts_for = window_us(quota).saturating_add(slot_us(quota));
        self.empty_at = self.empty_at.max(now.saturating_add(counts_for));
        let after = self.log.judge(now, 0, quota);
        Allowance {
            remaining: after.remaining,
            reset_ms: after.reset_ms,
            ..judged
        }
    }
}

#[async_trait]
impl RateLimiter for MemoryLimiter {
    async fn take(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError> {
        Ok(self.call(Verb::Take, key, units, quota))
    }

    async fn peek(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError> {
        Ok(self.call(Verb::Peek, key, units, quota))
    }

    async fn record(&self, key: String, units: u32, quota: Quota) -> Result<(), StoreError> {
        self.call(Verb::Record, key, units, quota);
        Ok(())
    }
}

/// The used signatures of one process. It forgets them with the process, so a signature could be
/// used again on a replica that was restarted within the time that it should be remembered.
#[derive(Debug)]
pub struct MemoryGuard {
    started: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    until: HashMap<String, u64>,
    swept_at: u64,
}

impl MemoryGuard {
    /// A guard that has seen nothing yet.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            seen: Mutex::default(),
        }
    }

    /// Whether this is the first use of a signature; none when there is no room to remember it.
    pub(crate) fn first_use(&self, signature: String, remember_ms: u32) -> Option<bool> {
        let mut seen = locked(&self.seen);
        let now = micros_since(self.started);
        // A full one is looked through sooner, but not for every signature that comes.
        let full = seen.until.len() >= SIGNATURES_MAX;
        let rest_us = if full { FULL_SWEEP_US } else { SWEEP_US };
        if now >= seen.swept_at.saturating_add(rest_us) {
            seen.until.retain(|_, until| *until > now);
            seen.swept_at = now;
        }
        if seen.until.get(&signature).is_some_and(|until| *until > now) {
            return Some(false);
        }
        if seen.until.len() >= SIGNATURES_MAX {
            return None;
        }
        let remember_us = u64::from(remember_ms).saturating_mul(1_000);
        seen.until
            .insert(signature, now.saturating_add(remember_us));
        Some(true)
    }
}

impl Default for MemoryGuard {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl ReplayGuard for MemoryGuard {
    async fn first_use(&self, signature: String, remember_ms: u32) -> Result<bool, StoreError> {
        Self::first_use(self, signature, remember_ms).ok_or(StoreError::Overloaded)
    }
}

fn micros_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
