//! The rules of the domain, seen from outside: the state table, the ledger, and properties that
//! hold whatever happens.

mod acts;
mod amounts;
mod approvals;
mod bulks;
mod callbacks;
mod exchange;
mod expiry;
mod feed;
mod fees;
mod interesting;
mod keys;
mod ledger;
mod limit_uses;
mod limited_bulks;
mod limits;
mod payouts;
mod premises;
mod properties;
mod reversal_rules;
mod reversals;
mod review_callbacks;
mod root_units;
mod rulebook;
mod sample;
#[cfg(feature = "serde")]
mod serde;
mod stamps;
mod state_table;
mod steps;
mod stops;
mod watch;
