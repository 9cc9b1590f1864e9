//! The PostgreSQL adapter: batch engine, directory, outbox and lists.

pub mod local;
pub mod migrations;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::migrations::{MigrateError, MigrationState, migrate, migration_state};
