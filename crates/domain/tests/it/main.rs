//! The rules of the domain, seen from outside: the state table, the ledger, and properties that
//! hold whatever happens.

mod acts;
mod amounts;
mod bulks;
mod callbacks;
mod exchange;
mod feed;
mod keys;
mod ledger;
mod premises;
mod properties;
mod sample;
#[cfg(feature = "serde")]
mod serde;
mod stamps;
mod state_table;
mod steps;
