//! Refusals for lack of money: whether there was a moment for each at which the money was missing.
//!
//! A refusal leaves no line, so nothing says where among the lines it stands. But it comes after every
//! line that was answered before it was sent, and before every line that was sent after its answer; in
//! one of the states between them the account must have had less than was asked for.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::Operation;

/// Somebody was told that an account had too little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// When it was asked for, by the one clock of all clients, in nanoseconds.
    pub sent: u64,
    /// When the answer came.
    pub answered: u64,
    /// The account that was to pay.
    pub account: u64,
    /// How much it was to pay, in the asset's smallest units.
    pub units: i128,
}

/// A refusal that had no reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfounded {
    /// The refusal, by its place among them.
    pub lack: usize,
    /// What the account had at least all the while; none where nothing is known of the account.
    pub had: Option<i128>,
}

impl fmt::Display for Unfounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.had {
            Some(had) => write!(f, "the account had at least {had} all the while"),
            None => write!(f, "the account never was as it must have been"),
        }
    }
}

/// The refusals that had no reason. `available` says what an account had before its first line and
/// after each; the operations are all that wrote lines, and [`check`](super::check) has found nothing
/// wrong with them.
pub fn unfounded<'l>(
    lacks: &[Lack],
    operations: &[Operation],
    available: impl Fn(u64) -> Option<&'l [i128]>,
) -> Vec<Unfounded> {
    let times = times(lacks, operations);
    let found = lacks.iter().enumerate().filter_map(|(number, lack)| {
        let (first, last) = times
            .get(&lack.account)
            .map_or((0, 0), |times| times.around(lack));
        let states = available(lack.account).and_then(|states| states.get(first..=last));
        let had = states.and_then(|states| states.iter().min()).copied();
        let is_founded = had.is_some_and(|had| had < lack.units);
        (!is_founded).then_some(Unfounded { lack: number, had })
    });
    found.collect()
}

/// When the lines of an account were asked for and answered, line by line.
struct Times {
    /// The first answer to whoever wrote this line or a later one.
    answered_from: Vec<u64>,
    /// When the last of those was sent who wrote this line or an earlier one.
    sent_until: Vec<u64>,
}

impl Times {
    fn of(mut lines: Vec<(u64, u64, u64)>) -> Self {
        lines.sort_unstable();
        let mut answered_from: Vec<u64> = lines.iter().map(|(_, _, answered)| *answered).collect();
        let mut first = u64::MAX;
        for answered in answered_from.iter_mut().rev() {
            first = first.min(*answered);
            *answered = first;
        }
        let mut last = 0;
        let sent_until = lines.iter().map(|(_, sent, _)| {
            last = last.max(*sent);
            last
        });
        Self {
            sent_until: sent_until.collect(),
            answered_from,
        }
    }

    /// The first and the last line after which the account may have been refused.
    fn around(&self, lack: &Lack) -> (usize, usize) {
        // As for the order: what happened in the same moment may have come before it, or after.
        let before = |answered: &u64| *answered < lack.sent;
        let until = |sent: &u64| *sent <= lack.answered;
        (
            self.answered_from.partition_point(before),
            self.sent_until.partition_point(until),
        )
    }
}

fn times(lacks: &[Lack], operations: &[Operation]) -> HashMap<u64, Times> {
    let accounts: HashSet<u64> = lacks.iter().map(|lack| lack.account).collect();
    let mut lines: HashMap<u64, Vec<(u64, u64, u64)>> = HashMap::new();
    for op in operations {
        for place in &op.wrote {
            if accounts.contains(&place.account) {
                let answered = op.answered.unwrap_or(u64::MAX);
                let lines = lines.entry(place.account).or_default();
                lines.push((place.line, op.sent, answered));
            }
        }
    }
    lines
        .into_iter()
        .map(|(account, lines)| (account, Times::of(lines)))
        .collect()
}
