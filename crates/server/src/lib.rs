//! The binary `bursar`: configuration, wiring, command line and shutdown.
//!
//! Nothing here decides anything about transfers. A library, so that its parts can be tested; the
//! binary itself only calls [`run`].

mod cli;
mod commands;
pub mod config;
pub mod telemetry;

pub use cli::run;
