//! Judges a ledger, what its clients were told and saw, and what its receivers heard.
//!
//! [`Rule`] is what must be true, [`Violation`] what is not. [`history`] judges whether everything that
//! was sent, answered and seen could have happened one after the other, in an order that agrees with
//! the clock (strict serializability).

pub mod history;
mod rule;

pub use rule::{Rule, Violation};
