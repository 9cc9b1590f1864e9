//! The binary `bursar`: configuration, wiring, command line and shutdown.
//!
//! Nothing here decides anything about transfers. A library, so that its parts can be tested; the
//! binary itself only calls [`run`].

pub mod background;
mod cli;
mod commands;
pub mod config;
mod demo;
#[cfg(feature = "failpoints")]
mod failpoints;
pub mod passwords;
mod serve;
pub mod shutdown;
pub mod system;
pub mod telemetry;
#[cfg(test)]
mod test_support;
mod wiring;

pub use cli::run;
