//! Anomalies made by hand are named, histories of one after the other are accepted.

use proptest::prelude::*;

use super::*;

fn place((account, line): (u64, u64)) -> Place {
    Place { account, line }
}

/// An operation that overlaps with all others.
fn op(wrote: &[(u64, u64)], saw: &[(u64, u64)]) -> Operation {
    Operation {
        sent: 0,
        answered: Some(1_000),
        outcome: Outcome::Done,
        moves: !wrote.is_empty(),
        wrote: wrote.iter().copied().map(place).collect(),
        saw: saw.iter().copied().map(place).collect(),
    }
}

/// The same, sent and answered then.
fn at(sent: u64, answered: u64, op: Operation) -> Operation {
    Operation {
        sent,
        answered: Some(answered),
        ..op
    }
}

/// What is wrong, without where.
fn named(history: &[Operation]) -> Vec<(Kind, Vec<usize>)> {
    let found = check(history).into_iter();
    found
        .map(|anomaly| {
            let mut operations = anomaly.operations;
            operations.sort_unstable();
            (anomaly.kind, operations)
        })
        .collect()
}

#[test]
fn writes_in_a_circle() {
    let history = [op(&[(1, 1), (2, 2)], &[]), op(&[(1, 2), (2, 1)], &[])];
    assert_eq!(named(&history), [(Kind::WriteCycle, vec![0, 1])]);
}

#[test]
fn a_read_of_what_never_was() {
    let history = [op(&[(1, 1)], &[]), op(&[], &[(1, 2)])];
    assert_eq!(named(&history), [(Kind::AbortedRead, vec![1])]);
}

#[test]
fn a_read_of_what_was_half_way() {
    let history = [op(&[(1, 1), (1, 2)], &[]), op(&[], &[(1, 1)])];
    assert_eq!(named(&history), [(Kind::IntermediateRead, vec![0, 1])]);
}

#[test]
fn two_that_saw_each_other() {
    let history = [op(&[(1, 1)], &[(2, 1)]), op(&[(2, 1)], &[(1, 1)])];
    assert_eq!(named(&history), [(Kind::CircularFlow, vec![0, 1])]);
}

#[test]
fn half_of_an_operation_was_seen() {
    let history = [op(&[(1, 1), (2, 1)], &[]), op(&[], &[(1, 1), (2, 0)])];
    assert_eq!(named(&history), [(Kind::FracturedRead, vec![0, 1])]);
}

#[test]
fn two_saw_two_in_opposite_orders() {
    let history = [
        op(&[(1, 1)], &[]),
        op(&[(2, 1)], &[]),
        op(&[], &[(1, 1), (2, 0)]),
        op(&[], &[(1, 0), (2, 1)]),
    ];
    assert_eq!(named(&history), [(Kind::LongFork, vec![0, 1, 2, 3])]);
}

#[test]
fn two_missed_what_the_other_wrote() {
    let both = [(1, 0), (2, 0)];
    let history = [op(&[(1, 1)], &both), op(&[(2, 1)], &both)];
    assert_eq!(named(&history), [(Kind::WriteSkew, vec![0, 1])]);
}

#[test]
fn one_wrote_over_what_it_had_not_seen() {
    let history = [op(&[(1, 1)], &[(1, 0)]), op(&[(1, 2)], &[(1, 0)])];
    assert_eq!(named(&history), [(Kind::LostUpdate, vec![0, 1])]);
    let history = [op(&[(1, 1)], &[]), op(&[(1, 1)], &[])];
    assert_eq!(named(&history), [(Kind::LostUpdate, vec![0, 1])]);
}

#[test]
fn what_had_been_answered_was_missed() {
    let paid = at(10, 20, op(&[(1, 1)], &[]));
    let history = [paid.clone(), at(21, 30, op(&[], &[(1, 0)]))];
    assert_eq!(named(&history), [(Kind::StaleRead, vec![0, 1])]);
    // Sent in the moment of the answer it may have come first.
    let history = [paid.clone(), at(20, 30, op(&[], &[(1, 0)]))];
    assert_eq!(named(&history), []);
    // Without an answer it may have come later.
    let open = Operation {
        answered: None,
        outcome: Outcome::Unknown,
        ..paid
    };
    let history = [open, at(21, 30, op(&[], &[(1, 0)]))];
    assert_eq!(named(&history), []);
}

#[test]
fn what_was_sent_after_an_answer_was_written_before_it() {
    let history = [
        at(10, 20, op(&[(1, 2)], &[])),
        at(30, 40, op(&[(1, 1)], &[])),
    ];
    assert_eq!(named(&history), [(Kind::OrderInversion, vec![0, 1])]);
}

#[test]
fn answers_that_the_ledger_contradicts() {
    let lost = Operation {
        moves: true,
        ..op(&[], &[])
    };
    let refused = Operation {
        outcome: Outcome::Refused,
        ..op(&[(1, 1)], &[])
    };
    let unknown = Operation {
        outcome: Outcome::Unknown,
        ..lost.clone()
    };
    let found = named(&[lost, refused, unknown]);
    assert_eq!(
        found,
        [(Kind::LostAnswer, vec![0]), (Kind::RefusedWrite, vec![1])]
    );
}

#[test]
fn a_line_is_missing() {
    let history = [op(&[(1, 1)], &[]), op(&[(1, 3)], &[]), op(&[(2, 2)], &[])];
    let found = check(&history);
    let missing: Vec<_> = found
        .iter()
        .map(|found| (found.kind, found.place))
        .collect();
    assert_eq!(
        missing,
        [
            (Kind::MissingLine, Some(place((1, 2)))),
            (Kind::MissingLine, Some(place((2, 1)))),
        ]
    );
    let told = "missing line: operations [1], line 2 of account 1";
    assert_eq!(found[0].to_string(), told);
}

/// A cycle is found also where much came before it and much comes after it.
#[test]
fn a_circle_among_many_is_told_as_short_as_it_is() {
    let mut history: Vec<Operation> = (0..2_000)
        .map(|number| at(number * 10, number * 10 + 5, op(&[(9, number + 1)], &[])))
        .collect();
    history.push(at(10_001, 10_009, op(&[(1, 1), (2, 2)], &[])));
    history.push(at(10_001, 10_009, op(&[(1, 2), (2, 1)], &[])));
    assert_eq!(named(&history), [(Kind::WriteCycle, vec![2_000, 2_001])]);
}

/// Much lies between two cycles, and none of it is on one.
#[test]
fn of_two_circles_far_apart_one_is_told() {
    let mut history: Vec<Operation> = (1..=100)
        .map(|number| at(90 + number * 10, 95 + number * 10, op(&[(9, number)], &[])))
        .collect();
    for begin in [0, 2_000] {
        let account = begin + 1;
        history.push(at(begin, begin + 10, op(&[(account, 1)], &[])));
        history.push(at(begin + 20, begin + 30, op(&[], &[(account, 0)])));
    }
    let found = named(&history);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, Kind::StaleRead);
    assert!([[100, 101], [102, 103]].contains(&[found[0].1[0], found[0].1[1]]));
}

/// What one operation does when they come one after the other.
#[derive(Clone, Debug)]
struct Step {
    /// Whose lines it writes, and whether it looks before.
    writes: Vec<(u64, bool)>,
    reads: Vec<u64>,
    /// How long before and after it happens it is sent and answered.
    before: u64,
    after: Option<u64>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        prop::collection::vec((0_u64..5, any::<bool>()), 0..4),
        prop::collection::vec(0_u64..5, 0..3),
        0_u64..60,
        prop::option::weighted(0.9, 0_u64..60),
    );
    let step = step.prop_map(|(writes, reads, before, after)| Step {
        writes,
        reads,
        before,
        after,
    });
    prop::collection::vec(step, 0..120)
}

/// The history of these steps, the n-th of which happens at (n + 10) * 10.
fn executed(steps: &[Step]) -> Vec<Operation> {
    let mut last = [0_u64; 5];
    let happened = steps.iter().zip(10_u64..).map(|(step, number)| {
        let now = number * 10;
        let of = |account: u64| usize::try_from(account).unwrap();
        let looked = step.writes.iter().filter(|(_, looks)| *looks);
        let looked = looked.map(|(account, _)| *account);
        let saw = looked.chain(step.reads.iter().copied());
        let saw = saw.map(|account| place((account, last[of(account)])));
        let saw: Vec<Place> = saw.collect();
        let mut wrote = vec![];
        for (account, _) in &step.writes {
            last[of(*account)] += 1;
            wrote.push(place((*account, last[of(*account)])));
        }
        Operation {
            sent: now - step.before,
            answered: step.after.map(|after| now + after),
            outcome: step.after.map_or(Outcome::Unknown, |_| Outcome::Done),
            moves: !wrote.is_empty(),
            wrote,
            saw,
        }
    });
    happened.collect()
}

proptest! {
    #[test]
    fn what_came_one_after_the_other_is_accepted(steps in steps()) {
        prop_assert_eq!(check(&executed(&steps)), []);
    }

    /// One of those who looked saw less than was there and answered for long.
    #[test]
    fn who_saw_too_little_is_found(steps in steps(), which in any::<prop::sample::Index>()) {
        let mut history = executed(&steps);
        let wide = Operation { sent: 9_000, answered: Some(9_001), ..op(&[], &[]) };
        history.push(wide);
        let last = history.len() - 1;
        let lines = Lines::of(&history);
        let accounts: Vec<Place> = (0..5)
            .filter_map(|account| {
                let all = lines.sorted.iter().filter(|(place, _)| place.account == account);
                all.map(|(place, _)| *place).max()
            })
            .filter(|place| lines.writer(*place).is_some_and(|author| history[author].answered.is_some()))
            .collect();
        prop_assume!(!accounts.is_empty());
        let seen = *which.get(&accounts);
        history[last].saw = vec![Place { line: seen.line - 1, ..seen }];
        prop_assert_ne!(check(&history), []);
    }
}

/// Which of these refusals of 10 units by account 1 had no reason: it had 0, 20, 5 and 20, by lines that
/// were written at these times.
fn without_reason(times: [(u64, u64); 3], refusals: &[(u64, u64)]) -> Vec<usize> {
    let lines = (1..).map(|line| op(&[(1, line)], &[]));
    let wrote = times.iter().zip(lines);
    let history: Vec<Operation> = wrote
        .map(|((sent, answered), op)| at(*sent, *answered, op))
        .collect();
    assert_eq!(check(&history), []);
    let lack = |(sent, answered): &(u64, u64)| Lack {
        sent: *sent,
        answered: *answered,
        account: 1,
        units: 10,
    };
    let lacks: Vec<Lack> = refusals.iter().map(lack).collect();
    let found = unfounded(&lacks, &history, |_| Some(&[0, 20, 5, 20])).into_iter();
    found.map(|unfounded| unfounded.lack).collect()
}

#[test]
fn a_refusal_needs_a_moment_at_which_the_money_was_missing() {
    let times = [(10, 20), (30, 40), (50, 60)];
    // Before, between and after the lines.
    let refusals = [(1, 9), (21, 29), (41, 49), (61, 70)];
    assert_eq!(without_reason(times, &refusals), [1, 3]);
    // While a line was being written it was there, or was not yet.
    let refusals = [
        (11, 29),
        (21, 31),
        (31, 39),
        (41, 55),
        (55, 70),
        (20, 29),
        (60, 70),
    ];
    assert_eq!(without_reason(times, &refusals), Vec::<usize>::new());
    // The second line was answered before the first one was, so the first one was there too.
    assert_eq!(
        without_reason([(10, 90), (30, 40), (50, 60)], &[(41, 49), (61, 70)]),
        [1]
    );
    // The third line was sent before the second one was.
    assert_eq!(
        without_reason([(10, 20), (30, 90), (25, 90)], &[(21, 24)]),
        [0]
    );
}

proptest! {
    /// Of operations that come one after the other a refusal is founded exactly if the account has too
    /// little where it stands.
    #[test]
    fn a_refusal_between_two_lines_is_judged_by_what_was_there(
        states in prop::collection::vec(0_i128..10, 1..20),
        place in 0_usize..20,
        units in 1_i128..10,
    ) {
        let place = place % (states.len() + 1);
        let lines = (1_u64..).zip(&states);
        let history: Vec<Operation> = lines
            .map(|(line, _)| at(line * 10, line * 10 + 5, op(&[(1, line)], &[])))
            .collect();
        let sent = u64::try_from(place).unwrap() * 10 + 6;
        let lacks = [Lack { sent, answered: sent + 1, account: 1, units }];
        let available: Vec<i128> = [0].into_iter().chain(states).collect();
        let has = available[place];
        let found = unfounded(&lacks, &history, |_| Some(&available));
        prop_assert_eq!(found.is_empty(), has < units);
    }
}
