//! What is recorded as used of a limit, beside the transfers that used it.

use uuid::Uuid;

use super::Fault;

/// 30 days, in microseconds: the longest that a limit looks back.
const MONTH: i64 = 30 * 24 * 3_600 * 1_000_000;
/// What clocks may differ by. They differ by less; a limit does not notice a minute.
const SKEW: i64 = 60 * 1_000_000;
/// More than what lies between the first and the last of uses that are kept as one sum.
const SUM: i64 = 3 * 3_600 * 1_000_000;

/// What is recorded as used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// Oldest first: the time of the last use in each sum, and the sum.
    Uses(Vec<(i64, i128)>),
    /// It is counted anew before anybody looks at it, and says nothing.
    OfAnotherEpoch,
    /// Nobody can tell.
    Unreadable,
}

/// What is recorded as used of a limit, and what the transfers say.
#[derive(Clone, Debug)]
pub(crate) struct UsageFacts {
    pub(crate) user: Uuid,
    pub(crate) kind: &'static str,
    /// The asset; empty for all of them, counted in the root asset.
    pub(crate) asset: String,
    /// What is recorded.
    pub(crate) uses: Recorded,
    /// What the transfers moved that count, oldest first: when it began to count, and how much.
    pub(crate) moved: Vec<(i64, Option<i128>)>,
    /// When the snapshot was taken.
    pub(crate) now: i64,
}

/// What is wrong with it, if anything.
///
/// At any time of the last 30 days, what is recorded since then must be at least what was moved since
/// then: else a limit could be passed. What is recorded of the last 30 days must be no more than what
/// was moved in them; what is older may be there or not.
pub(super) fn judge(facts: &UsageFacts) -> Option<Fault> {
    let month_ago = facts.now.saturating_sub(MONTH);
    let uses = match &facts.uses {
        Recorded::OfAnotherEpoch => return None,
        Recorded::Uses(uses) => uses.iter().map(|(at, amount)| (*at, Some(*amount))),
        Recorded::Unreadable => {
            let moved = sum(&facts.moved, month_ago);
            return Some(Fault::Used {
                recorded: None,
                moved,
            });
        }
    };
    let uses: Vec<(i64, Option<i128>)> = uses.collect();
    let times = uses.iter().map(|(at, _)| *at);
    for since in times.chain([month_ago]).filter(|at| *at >= month_ago) {
        let recorded = sum(&uses, since);
        let moved = sum(&facts.moved, since.saturating_add(SKEW));
        if !holds(recorded, moved, |recorded, moved| recorded >= moved) {
            return Some(Fault::Used { recorded, moved });
        }
    }
    let recorded = sum(&uses, month_ago.saturating_add(SUM));
    let moved = sum(&facts.moved, month_ago);
    let is_no_more = holds(recorded, moved, |recorded, moved| recorded <= moved);
    (!is_no_more).then_some(Fault::Used { recorded, moved })
}

/// Whether both are numbers, of which this is true.
fn holds(one: Option<i128>, other: Option<i128>, is_true: fn(i128, i128) -> bool) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| is_true(one, other))
}

/// All after a time; none when it is no number.
fn sum(amounts: &[(i64, Option<i128>)], after: i64) -> Option<i128> {
    let later = amounts.iter().rev().take_while(|(at, _)| *at > after);
    later
        .map(|(_, amount)| *amount)
        .try_fold(0_i128, |sum, amount| sum.checked_add(amount?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600 * 1_000_000;
    const NOW: i64 = 100 * DAY;

    fn empty() -> UsageFacts {
        UsageFacts {
            user: Uuid::nil(),
            kind: "withdrawal",
            asset: String::new(),
            uses: Recorded::Uses(vec![]),
            moved: vec![],
            now: NOW,
        }
    }

    fn judged(uses: &[(i64, i128)], moved: &[(i64, i128)]) -> Option<(i128, i128)> {
        let uses = uses.iter().map(|(days, amount)| (days * DAY, *amount));
        let moved = moved
            .iter()
            .map(|(days, amount)| (days * DAY, Some(*amount)));
        let fault = judge(&UsageFacts {
            uses: Recorded::Uses(uses.collect()),
            moved: moved.collect(),
            ..empty()
        });
        fault.map(|fault| {
            let Fault::Used { recorded, moved } = fault else {
                panic!("{fault:?}");
            };
            (recorded.unwrap(), moved.unwrap())
        })
    }

    #[test]
    fn what_was_moved_is_recorded() {
        assert_eq!(judged(&[], &[]), None);
        assert_eq!(judged(&[(90, 5), (99, 3)], &[(90, 5), (99, 3)]), None);
        // What is older than 30 days may be forgotten or not, whether it was given back or not.
        assert_eq!(judged(&[(90, 5)], &[(50, 7), (90, 5)]), None);
        assert_eq!(judged(&[(50, 7), (90, 5)], &[(50, 7), (90, 5)]), None);
        assert_eq!(judged(&[(50, 7), (90, 5)], &[(90, 5)]), None);
        assert_eq!(judged(&[(9, 5)], &[]), None);
        // What a new limit found was given back, and what it did not look at is older.
        assert_eq!(judged(&[(90, 0)], &[(65, 7)]), None);
        // Sums are kept with the time of the last use in them.
        let hours = |hours: i64| NOW - hours * DAY / 24;
        let facts = UsageFacts {
            uses: Recorded::Uses(vec![(hours(10), 12)]),
            moved: vec![(hours(12), Some(7)), (hours(10), Some(5))],
            ..empty()
        };
        assert_eq!(judge(&facts), None);
    }

    #[test]
    fn what_is_recorded_too_low_or_too_early_or_too_high_is_found() {
        assert_eq!(judged(&[], &[(99, 3)]), Some((0, 3)));
        assert_eq!(judged(&[(99, 2)], &[(99, 3)]), Some((2, 3)));
        let earlier = judged(&[(80, 5), (99, 3)], &[(90, 5), (99, 3)]);
        assert_eq!(earlier, Some((3, 8)), "5 would leave the window too early");
        assert_eq!(judged(&[(60, 3)], &[(99, 3)]), Some((0, 3)));
        assert_eq!(judged(&[(99, 4)], &[(99, 3)]), Some((4, 3)));
        assert_eq!(judged(&[(99, 3)], &[(65, 3)]), Some((3, 0)));
    }

    #[test]
    fn what_nobody_can_read_is_found() {
        let facts = UsageFacts {
            uses: Recorded::Unreadable,
            ..empty()
        };
        let found = Fault::Used {
            recorded: None,
            moved: Some(0),
        };
        assert_eq!(judge(&facts), Some(found));
        let facts = UsageFacts {
            uses: Recorded::Uses(vec![]),
            moved: vec![(NOW - DAY, None)],
            ..empty()
        };
        let found = Fault::Used {
            recorded: Some(0),
            moved: None,
        };
        assert_eq!(judge(&facts), Some(found));
    }

    #[test]
    fn what_is_out_of_date_says_nothing() {
        let facts = UsageFacts {
            uses: Recorded::OfAnotherEpoch,
            moved: vec![(NOW - DAY, Some(5))],
            ..empty()
        };
        assert_eq!(judge(&facts), None);
    }
}
