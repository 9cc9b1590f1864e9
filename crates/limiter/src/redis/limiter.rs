//! Limits in Redis: one script, which nothing interrupts.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bursar_ports::{Allowance, Quota, RateLimiter, StoreError};
use redis::{Script, aio::MultiplexedConnection};

use super::keeper::Link;
use crate::log::{ceil_ms, slot_us, window_us};

pub(super) const SCRIPT: &str = include_str!("../take.lua");
const PREFIX: &str = "bursar:limit:";

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(SCRIPT));

/// What the script answers: whether the units fit, what is left, and two times in microseconds.
pub(super) type Answer = (u8, u32, u64, u64);

/// Where the script is tried out. What is counted there has left a millisecond later.
const CHECK_KEY: &str = "check";
const CHECK_QUOTA: Quota = Quota {
    units: 1,
    window_ms: 1,
};

/// Has the script do something.
async fn ask(
    connection: &mut MultiplexedConnection,
    verb: &str,
    key: &str,
    units: u32,
    quota: Quota,
) -> Result<Allowance, redis::RedisError> {
    let answer = TAKE
        .key(format!("{PREFIX}{key}"))
        .arg(verb)
        .arg(units)
        .arg(quota.units)
        .arg(window_us(quota))
        .arg(slot_us(quota))
        .invoke_async(connection)
        .await;
    answer.map(allowance)
}

/// Counts something: a server that refuses what every count needs is found out before requests do.
pub(super) async fn try_out(
    connection: &mut MultiplexedConnection,
) -> Result<(), redis::RedisError> {
    let taken = ask(connection, "take", CHECK_KEY, 1, CHECK_QUOTA).await;
    taken.map(drop)
}

/// A limiter that counts in Redis, by Redis' clock.
pub struct RedisLimiter {
    link: Arc<Link>,
}

impl RedisLimiter {
    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    async fn call(
        &self,
        verb: &str,
        key: &str,
        units: u32,
        quota: Quota,
    ) -> Result<Allowance, StoreError> {
        let mut lent = self.link.lend()?;
        let answer = ask(&mut lent.connection, verb, key, units, quota).await;
        answer.map_err(|error| lent.complain(error))
    }
}

pub(super) fn allowance((allowed, remaining, reset, retry_after): Answer) -> Allowance {
    Allowance {
        allowed: allowed == 1,
        remaining,
        reset_ms: ceil_ms(reset),
        retry_after_ms: ceil_ms(retry_after),
    }
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    async fn take(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError> {
        self.call("take", &key, units, quota).await
    }

    async fn peek(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError> {
        self.call("peek", &key, units, quota).await
    }

    async fn record(&self, key: String, units: u32, quota: Quota) -> Result<(), StoreError> {
        self.call("record", &key, units, quota).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
