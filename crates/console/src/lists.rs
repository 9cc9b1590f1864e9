//! What the lists share: where a page of one ends, and the days that narrow it.

use std::fmt::Display;

use bursar_domain::Timestamp;

use crate::links::said;

/// The last microsecond of a day.
const DAY_END: i64 = 86_400_000_000 - 1;

/// How many rows to ask for: one more than the page has tells whether there are more.
pub(crate) const fn one_more(rows: u32) -> u32 {
    rows.saturating_add(1)
}

/// The rows of a page out of those that were found, and whether there are more.
pub(crate) fn page_of<T>(mut found: Vec<T>, rows: u32) -> (Vec<T>, bool) {
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let more = found.len() > rows;
    found.truncate(rows);
    (found, more)
}

/// A part of a list that is in memory as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a, T> {
    pub(crate) rows: &'a [T],
    /// How many come before it.
    pub(crate) from: usize,
    /// How many come after it.
    pub(crate) left: usize,
}

impl<'a, T> Part<'a, T> {
    /// So many rows, after those that come before them.
    pub(crate) fn of(all: &'a [T], from: usize, rows: usize) -> Self {
        let from = from.min(all.len());
        let rest = all.get(from..).unwrap_or_default();
        let rows = rest.get(..rows).unwrap_or(rest);
        Self {
            rows,
            from,
            left: rest.len().saturating_sub(rows.len()),
        }
    }

    /// Where the next part begins, if there is one.
    pub(crate) fn next(&self) -> Option<usize> {
        (self.left > 0).then(|| self.from.saturating_add(self.rows.len()))
    }
}

/// Where a page ends, as the address of the next one says it.
pub(crate) fn place_text(at: Timestamp, id: impl Display) -> String {
    format!("{}_{id}", at.as_micros())
}

/// None for a text that no page has written.
pub(crate) fn read_place<I>(
    text: &str,
    read_id: impl FnOnce(&str) -> Option<I>,
) -> Option<(Timestamp, I)> {
    let (at, id) = text.split_once('_')?;
    Some((Timestamp::from_micros(at.parse().ok()?), read_id(id)?))
}

/// Which moment of a day is meant by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    First,
    Last,
}

/// A day of UTC from its first moment or to its last, or an exact time.
pub(crate) fn moment(text: &str, edge: Edge) -> Option<Timestamp> {
    let at = Timestamp::parse(text).ok()?;
    Some(match edge {
        Edge::Last if is_day(text) => at.plus_micros(DAY_END),
        Edge::First | Edge::Last => at,
    })
}

fn is_day(text: &str) -> bool {
    text.len() == "2026-11-28".len() && Timestamp::parse(text).is_ok()
}

/// The type of a field that asks for a day: browsers neither show nor send anything else that stands in one
/// for dates, so that an exact time in force would be lost.
pub(crate) fn day_field(asked: Option<&String>) -> &'static str {
    if said(asked).is_none_or(is_day) {
        "date"
    } else {
        "text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_and_nothing_else_does() {
        let number = |text: &str| text.parse::<i64>().ok();
        let at = Timestamp::from_micros(-5);
        assert_eq!(read_place(&place_text(at, 7), number), Some((at, 7)));
        for text in ["", "1", "x_7", "1_x", "_"] {
            assert_eq!(read_place(text, number), None, "{text}");
        }
    }

    #[test]
    fn a_day_goes_to_its_last_moment_and_a_time_is_exact() {
        let read = |text, edge| moment(text, edge).map(|at| at.to_string());
        let at = |text: &str| Timestamp::parse(text).ok().map(|at| at.to_string());
        assert_eq!(read("2026-11-28", Edge::First), at("2026-11-28T00:00:00Z"));
        assert_eq!(
            read("2026-11-28", Edge::Last),
            at("2026-11-28T23:59:59.999999Z")
        );
        let noon = "2026-11-28T12:00:00Z";
        assert_eq!(read(noon, Edge::Last), at(noon));
        assert_eq!(read("noon", Edge::First), None);
    }

    #[test]
    fn parts_make_up_the_whole() {
        let all = [1, 2, 3, 4, 5];
        let mut seen = vec![];
        let mut from = Some(0);
        while let Some(begin) = from {
            let part = Part::of(&all, begin, 2);
            seen.extend_from_slice(part.rows);
            from = part.next();
        }
        assert_eq!(seen, all);
        assert_eq!(Part::of(&all, 9, 2).rows, [0; 0]);
        assert_eq!(Part::of(&all, 0, 5).next(), None);
        assert_eq!(page_of(vec![1, 2, 3], 2), (vec![1, 2], true));
        assert_eq!(page_of(vec![1, 2], 2), (vec![1, 2], false));
    }
}
