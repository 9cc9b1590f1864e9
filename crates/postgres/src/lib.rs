//! The PostgreSQL adapter: batch engine, directory, outbox and lists.

mod accounts;
mod address_book;
mod cache;
mod callback_host;
mod callback_log;
mod callback_secrets;
mod connect;
mod credentials;
mod directory;
mod engine;
mod error;
mod explain;
mod ids;
pub mod local;
pub mod migrations;
mod outbox;
mod payouts;
mod pool;
mod query;
mod row;
mod rule_book;
mod schema;
mod statement;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod tx;
mod usage;
mod value;

pub use crate::address_book::PgAddressBook;
pub use crate::callback_log::PgCallbackLog;
pub use crate::callback_secrets::PgCallbackSecrets;
pub use crate::credentials::PgCredentials;
pub use crate::directory::PgDirectory;
pub use crate::engine::{EngineConfig, EngineTasks};
pub use crate::ids::PgIds;
pub use crate::migrations::{MigrateError, MigrationState, migrate, migration_state};
pub use crate::outbox::PgOutbox;
pub use crate::payouts::PgPayouts;
pub use crate::pool::{Database, PoolConfig};
pub use crate::query::PgQuery;
pub use crate::rule_book::PgRuleBook;
pub use crate::store::PgStore;
