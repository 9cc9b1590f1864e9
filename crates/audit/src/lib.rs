//! Judges a ledger, what its clients were told and saw, and what its receivers heard.
//!
//! [`Rule`] is what must be true, [`Violation`] what is not. A [`record`] is what clients and receivers
//! know, and [`judge()`] holds it against the [`Ledger`]. [`history`] judges whether everything that was
//! sent, answered and seen could have happened one after the other, in an order that agrees with the
//! clock (strict serializability).

pub mod history;
mod judge;
pub mod record;
mod rule;

pub use judge::{Bound, Callback, Judged, Ledger, Step, judge};
pub use rule::{Rule, Violation};
