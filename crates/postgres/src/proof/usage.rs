//! What is recorded as used of a limit, beside the transfers that used it.

use uuid::Uuid;

use super::Fault;

/// 30 days, in microseconds: the longest that a limit looks back.
const MONTH: i64 = 30 * 24 * 3_600 * 1_000_000;
/// What clocks may differ by. They differ by less; a limit does not notice a minute.
const SKEW: i64 = 60 * 1_000_000;
/// How long before the time of a use what it sums up may have begun: some hours of sums, and a
/// payment that waited for its settlement.
const BEFORE: i64 = 2 * 24 * 3_600 * 1_000_000;

/// A row of `limit_usage` and what the transfers say.
#[derive(Clone, Debug)]
pub(crate) struct UsageFacts {
    pub(crate) user: Uuid,
    pub(crate) kind: String,
    /// The asset; empty for all of them, counted in the root asset.
    pub(crate) asset: String,
    /// What is recorded, oldest first: the time of the last use in each sum, and the sum.
    pub(crate) uses: Vec<(i64, Option<i128>)>,
    /// What the transfers moved that count, oldest first: when they were made, and how much.
    pub(crate) moved: Vec<(i64, Option<i128>)>,
    /// When the snapshot was taken.
    pub(crate) now: i64,
}

/// What is wrong with it, if anything.
///
/// At any time, what is recorded since then must be at least what was moved since then: else a limit
/// could be passed. All of it together must be no more than what was moved since it began.
pub(super) fn judge(facts: &UsageFacts) -> Option<Fault> {
    let last = facts.uses.last().map_or(facts.now, |(at, _)| *at);
    let month_ago = last.saturating_sub(MONTH);
    let boundaries = facts.uses.iter().map(|(at, _)| *at);
    let boundaries = boundaries.filter(|at| *at > month_ago);
    for since in [month_ago].into_iter().chain(boundaries) {
        let recorded = sum(&facts.uses, since);
        let moved = sum(&facts.moved, since.saturating_add(SKEW));
        if recorded
            .zip(moved)
            .is_none_or(|(recorded, moved)| recorded < moved)
        {
            return Some(Fault::Used { recorded, moved });
        }
    }
    let first = facts.uses.first().map_or(facts.now, |(at, _)| *at);
    let recorded = sum(&facts.uses, i64::MIN);
    let moved = sum(&facts.moved, first.saturating_sub(BEFORE));
    let is_more = recorded
        .zip(moved)
        .is_none_or(|(recorded, moved)| recorded > moved);
    is_more.then_some(Fault::Used { recorded, moved })
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

    fn judged(uses: &[(i64, i128)], moved: &[(i64, i128)]) -> Option<(i128, i128)> {
        let amounts = |rows: &[(i64, i128)]| {
            let rows = rows
                .iter()
                .map(|(days, amount)| (days * DAY, Some(*amount)));
            rows.collect::<Vec<_>>()
        };
        let fault = judge(&UsageFacts {
            user: Uuid::nil(),
            kind: "withdrawal".to_owned(),
            asset: String::new(),
            uses: amounts(uses),
            moved: amounts(moved),
            now: NOW,
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
        // What is older than 30 days before the last use may be forgotten, or not.
        assert_eq!(judged(&[(90, 5)], &[(50, 7), (90, 5)]), None);
        assert_eq!(judged(&[(50, 7), (90, 5)], &[(50, 7), (90, 5)]), None);
        // Sums are kept with the time of the last use in them.
        assert_eq!(judged(&[(91, 12)], &[(90, 7), (91, 5)]), None);
        // Nothing was moved for months.
        assert_eq!(judged(&[(9, 5)], &[(9, 5)]), None);
    }

    #[test]
    fn what_is_recorded_too_low_or_too_early_or_too_high_is_found() {
        assert_eq!(judged(&[], &[(99, 3)]), Some((0, 3)));
        assert_eq!(judged(&[(99, 2)], &[(99, 3)]), Some((2, 3)));
        let earlier = judged(&[(80, 5), (99, 3)], &[(90, 5), (99, 3)]);
        assert_eq!(earlier, Some((3, 8)), "5 would leave the window too early");
        assert_eq!(judged(&[(60, 3)], &[(99, 3)]), Some((0, 3)));
        assert_eq!(judged(&[(99, 4)], &[(99, 3)]), Some((4, 3)));
        assert_eq!(judged(&[(99, 3)], &[(90, 3)]), Some((3, 0)));
    }

    #[test]
    fn what_is_no_number_is_found() {
        let facts = UsageFacts {
            user: Uuid::nil(),
            kind: "internal".to_owned(),
            asset: "btc".to_owned(),
            uses: vec![(NOW, None)],
            moved: vec![],
            now: NOW,
        };
        let found = Fault::Used {
            recorded: None,
            moved: Some(0),
        };
        assert_eq!(judge(&facts), Some(found));
    }
}
