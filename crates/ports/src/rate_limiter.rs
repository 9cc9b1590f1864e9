//! How often something may happen.

use async_trait::async_trait;

use crate::StoreError;

/// How much may happen in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Units that fit into any window.
    pub units: u32,
    /// The length of the window, in milliseconds.
    pub window_ms: u32,
}

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whether the units that were asked for fit.
    pub allowed: bool,
    /// Units that still fit, after what was taken by this very call.
    pub remaining: u32,
    /// Milliseconds until the oldest units that count leave the window; 0 when none count.
    pub reset_ms: u32,
    /// Milliseconds until the units would fit if nobody took any meanwhile; 0 when they fit now,
    /// and the whole window when they are more than the quota and never will.
    pub retry_after_ms: u32,
}

/// Counts units under keys, in windows that slide: with [`RateLimiter::take`] alone, no window of
/// the quota's length, wherever it begins, has more than the quota's units. A window includes its
/// beginning and not its end.
///
/// Calls on one key have one order, on all replicas that share the counts. A quota above 600 units
/// may count a unit for up to 1/600 of the window longer, never shorter, so that a key's memory is
/// bounded. A key should always come with the same window.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Takes units if all of them fit, else none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the counts cannot be reached; it is then unknown whether
    /// the units were taken.
    async fn take(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError>;

    /// Whether units would fit, taking none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the counts cannot be reached.
    async fn peek(&self, key: String, units: u32, quota: Quota) -> Result<Allowance, StoreError>;

    /// Counts units that have been used already, whether or not they fit.
    ///
    /// # Errors
    /// As [`RateLimiter::take`].
    async fn record(&self, key: String, units: u32, quota: Quota) -> Result<(), StoreError>;
}
