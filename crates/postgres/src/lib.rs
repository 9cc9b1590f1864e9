//! The PostgreSQL adapter: batch engine, directory, outbox and lists.

mod cache;
mod credentials;
mod directory;
mod error;
mod explain;
pub mod local;
pub mod migrations;
mod outbox;
mod pool;
mod query;
mod row;
mod schema;
#[cfg(feature = "testing")]
pub mod testing;
mod tx;
mod value;

pub use crate::credentials::PgCredentials;
pub use crate::directory::PgDirectory;
pub use crate::migrations::{MigrateError, MigrationState, migrate, migration_state};
pub use crate::outbox::PgOutbox;
pub use crate::pool::{Database, PoolConfig};
pub use crate::query::PgQuery;
