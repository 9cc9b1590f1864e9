//! Holds what clients saw against what the ledger says.
//!
//! [`history`] judges whether everything that was sent, answered and seen could have happened one
//! after the other, in an order that agrees with the clock (strict serializability).

pub mod history;
