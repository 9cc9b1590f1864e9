//! Used signatures in Redis.

use std::sync::Arc;

use async_trait::async_trait;
use bursar_ports::{ReplayGuard, StoreError};

use super::keeper::Link;

const PREFIX: &str = "bursar:signature:";

/// A guard that remembers in Redis, for all replicas.
pub struct RedisGuard {
    link: Arc<Link>,
}

impl RedisGuard {
    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link }
    }
}

#[async_trait]
impl ReplayGuard for RedisGuard {
    async fn first_use(&self, signature: String, remember_ms: u32) -> Result<bool, StoreError> {
        let mut lent = self.link.lend()?;
        let set: Result<Option<String>, _> = redis::cmd("SET")
            .arg(format!("{PREFIX}{signature}"))
            .arg(1)
            .arg("NX")
            .arg("PX")
            .arg(remember_ms)
            .query_async(&mut lent.connection)
            .await;
        set.map(|set| set.is_some())
            .map_err(|error| lent.complain(error))
    }
}
