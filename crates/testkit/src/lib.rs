//! Builders, fixed clock and ids, the in-memory store and the contract suite; for tests only.
//!
//! Where to look:
//!
//! * [`FixedClock`] and [`SequentialIds`]: time and ids that a test decides.
//! * [`build`]: users, assets, new transfers, claims and commits with sensible contents.
//! * [`InMemoryStore`]: a complete transfer store that runs the same `ledger::settle` as the real
//!   one, so tests of use cases see real refusals, replays and balances.
//! * [`InMemoryCallbackSecrets`] with [`callback_secrets_contract!`]: callback secrets, and what
//!   every store of them must do.
//! * [`InMemoryOperators`] with [`operators_contract!`]: operators and their sessions, the same way;
//!   [`PlainPasswords`] hashes what they sign in with.
//! * [`InMemoryQueue`] with [`work_queue_contract!`]: what waits for operators and who is at it, and
//!   what every such queue must do.
//! * [`expectations`] with [`expectations_contract!`]: what every directory and rule book must do with
//!   a change that expects something of what it replaces.
//! * [`fakes`]: every other port, which answers what a test put into it.
//! * [`FixedLimiter`]: limits and used signatures by a [`FixedClock`].
//! * [`IdentityProviderServer`]: an identity provider of a test's own, which also lies.
//! * [`RedisServer`]: a real Redis of a test's own.
//! * [`contract`] with [`transfer_store_contract!`]: what every transfer store must do, as cases
//!   that each store runs.
//! * [`model`]: a reference model of the exchange, and histories that it and a store or a server
//!   live through side by side.

pub mod build;
pub mod callback_secrets;
mod clock;
pub mod contract;
pub mod expectations;
pub mod fakes;
pub mod identity_provider;
mod ids;
mod limiter;
mod memory;
pub mod model;
pub mod operators;
mod redis;
pub mod work_queue;

pub use callback_secrets::InMemoryCallbackSecrets;
pub use clock::FixedClock;
pub use identity_provider::IdentityProviderServer;
pub use ids::SequentialIds;
pub use limiter::FixedLimiter;
pub use memory::{AccountView, InMemoryStore};
pub use operators::{InMemoryOperators, PlainPasswords};
pub use redis::RedisServer;
pub use work_queue::InMemoryQueue;
