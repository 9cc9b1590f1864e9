//! Rate limits and used signatures: in memory for one replica, in Redis for several.
//!
//! Both count by the same rule, a log of what was taken (`log`, and the same in `take.lua`).
//! [`SharedLimiter`] and [`SharedGuard`] put the two together: Redis knows what all replicas let
//! through, the memory holds the limit for this replica when Redis is away.
#![warn(clippy::missing_errors_doc)]

mod log;
mod memory;
mod redis;
mod shared;

pub use self::{
    memory::{MemoryGuard, MemoryLimiter},
    redis::{RedisConfig, RedisError, RedisGuard, RedisKeeper, RedisLimiter},
    shared::{SharedGuard, SharedLimiter},
};
