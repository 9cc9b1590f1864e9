//! The PostgreSQL adapter: batch engine, directory, outbox and lists.

mod accounts;
mod engine;
mod error;
mod ids;
pub mod local;
pub mod migrations;
mod pool;
mod row;
mod schema;
mod statement;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod tx;
mod value;

pub use crate::engine::{EngineConfig, EngineTasks};
pub use crate::ids::PgIds;
pub use crate::migrations::{MigrateError, MigrationState, migrate, migration_state};
pub use crate::pool::{Database, PoolConfig};
pub use crate::store::PgStore;
