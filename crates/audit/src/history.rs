//! Strict serializability, judged by the numbers of ledger lines.
//!
//! Every line of an account has a number, without a gap, so the ledger itself tells in which order an
//! account was written, and what a reader saw tells where among the writers it stands. Nothing has
//! to be searched for: the operations are nodes of a graph, with an edge to each that must come later,
//! and the history is strictly serializable exactly if that has no cycle. All of it is linear in the
//! number of lines written and seen, but for sorting them.
//!
//! What becomes of an operation without an answer is looked up in the ledger too: with lines it
//! happened, at any time after it was sent; without any it did not.
//!
//! The anomalies are those of Adya's thesis (G0 to G2) and of what is named after it; see
//! [`Kind`].

mod anomaly;
mod graph;
mod lack;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use self::graph::Graph;
pub use self::{
    anomaly::{Anomaly, Kind},
    lack::{Lack, Unfounded, unfounded},
};

/// A line of an account, by the account's and its own number. Number 0 is before the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The account's number.
    pub account: u64,
    /// The line's number.
    pub line: u64,
}

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// That it happened.
    Done,
    /// That it did not, and never will.
    Refused,
    /// Nothing that is certain.
    Unknown,
}

/// What a client asked for, and what the ledger has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it was sent, by the one clock of all clients, in nanoseconds.
    pub sent: u64,
    /// When the answer came; none when there was none that is certain.
    pub answered: Option<u64>,
    /// What the answer said.
    pub outcome: Outcome,
    /// Whether it leaves lines in the ledger when it is done.
    pub moves: bool,
    /// The lines that the ledger has of it.
    pub wrote: Vec<Place>,
    /// The last line of each account that it saw.
    pub saw: Vec<Place>,
}

/// A line with the operation that wrote it.
type Written = (Place, usize);

/// All lines, sorted.
struct Lines {
    sorted: Vec<Written>,
    /// Where each account's lines begin.
    begins: HashMap<u64, usize>,
}

impl Lines {
    fn of(operations: &[Operation]) -> Self {
        let mut sorted: Vec<Written> = operations
            .iter()
            .enumerate()
            .flat_map(|(number, op)| op.wrote.iter().map(move |place| (*place, number)))
            .collect();
        sorted.sort_unstable();
        let mut begins = HashMap::new();
        for (place, (line, _)) in sorted.iter().enumerate() {
            begins.entry(line.account).or_insert(place);
        }
        Self { sorted, begins }
    }

    /// Who wrote a line.
    fn writer(&self, place: Place) -> Option<usize> {
        let begin = self.begins.get(&place.account)?;
        let line = usize::try_from(place.line.checked_sub(1)?).ok()?;
        // Where no line is missing or there twice, this is it.
        let guess = self.sorted.get(begin.checked_add(line)?);
        if let Some((_, number)) = guess.filter(|(found, _)| *found == place) {
            return Some(*number);
        }
        let found = self
            .sorted
            .binary_search_by_key(&place, |(place, _)| *place);
        let (_, number) = self.sorted.get(found.ok()?)?;
        Some(*number)
    }
}

/// What is wrong with a history; nothing when it is strictly serializable. Operations are named by
/// their places in it. Every line of an account that appears must be some operation's.
///
/// Of cycles the one is told that says most, for one wrong line makes many.
pub fn check(operations: &[Operation]) -> Vec<Anomaly> {
    let mut found = told_otherwise(operations);
    let lines = Lines::of(operations);
    found.extend(miswritten(&lines.sorted));
    found.extend(misread(operations, &lines));
    // With these, nobody can say who came before whom.
    if found.is_empty() {
        found.extend(Graph::of(operations, &lines).anomaly());
    }
    found
}

/// Answers that the ledger contradicts.
fn told_otherwise(operations: &[Operation]) -> Vec<Anomaly> {
    let wrong = operations.iter().enumerate().filter_map(|(number, op)| {
        let kind = match op.outcome {
            Outcome::Done if op.moves && op.wrote.is_empty() => Kind::LostAnswer,
            Outcome::Refused if !op.wrote.is_empty() => Kind::RefusedWrite,
            Outcome::Done | Outcome::Refused | Outcome::Unknown => return None,
        };
        Some(Anomaly::of(kind, [number], op.wrote.first().copied()))
    });
    wrong.collect()
}

/// Lines that two wrote, and lines that nobody did.
fn miswritten(lines: &[Written]) -> Vec<Anomaly> {
    let mut found = vec![];
    let mut before: Option<Written> = None;
    for (place, number) in lines {
        let expected = match before {
            Some((last, writer)) if last.account == place.account => {
                if last.line == place.line {
                    let both = [writer, *number];
                    found.push(Anomaly::of(Kind::LostUpdate, both, Some(*place)));
                    continue;
                }
                last.line.saturating_add(1)
            }
            Some(_) | None => 1,
        };
        if place.line != expected {
            let missing = Place {
                line: expected,
                ..*place
            };
            found.push(Anomaly::of(Kind::MissingLine, [*number], Some(missing)));
        }
        before = Some((*place, *number));
    }
    found
}

/// Reads of what never was, or of what was only half way, and writes that passed over what was read.
fn misread(operations: &[Operation], lines: &Lines) -> Vec<Anomaly> {
    let mut found = vec![];
    for (number, op) in operations.iter().enumerate() {
        for saw in &op.saw {
            let next = Place {
                line: saw.line.saturating_add(1),
                ..*saw
            };
            let author = lines.writer(*saw);
            if saw.line > 0 && author.is_none() {
                found.push(Anomaly::of(Kind::AbortedRead, [number], Some(*saw)));
            } else if let Some(author) = author
                && author != number
                && lines.writer(next) == Some(author)
            {
                let both = [author, number];
                found.push(Anomaly::of(Kind::IntermediateRead, both, Some(*saw)));
            }
            let own = op.wrote.iter().filter(|own| own.account == saw.account);
            if let Some(own) = own.min()
                && own.line > next.line
                && let Some(passed) = lines.writer(next)
            {
                let both = [passed, number];
                found.push(Anomaly::of(Kind::LostUpdate, both, Some(next)));
            }
        }
    }
    found
}
