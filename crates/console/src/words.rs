//! How things are called and written: amounts, times, people, states.

mod figures;
mod moments;
mod names;
mod people;

pub(crate) use figures::{grouped, money, number, signed, unit};
pub(crate) use moments::Clock;
pub(crate) use names::{kind_word, reason_line, state_badge, status_word};
pub(crate) use people::{People, recipient};
