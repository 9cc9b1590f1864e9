//! The ledger in the order in which it was written.
//!
//! Lines are numbered per account without a gap, so how many there are between two of them needs no
//! counting, and everything here is found by the primary key `(account_id, seq)` alone. The times of
//! a user's account never go back, so a time is found among its lines by halving; those of a system
//! account may (`domain::ledger` says why), so there each line is looked at.

mod accounts;
mod bounds;
mod lines;
#[cfg(test)]
mod plan_tests;

pub(crate) use self::{
    accounts::{Chosen, LedgerAccount, choose},
    bounds::{holdings, lines_before},
    lines::{Span, Window, read_lines},
};
