//! How long the judge of histories takes.

use std::time::Instant;

use anyhow::ensure;
use bursar_audit::history::{Operation, Outcome, Place, check};
use rand::RngExt as _;

/// How many accounts there are.
const ACCOUNTS: u64 = 10_000;
/// How many operations are under way at once.
const AT_ONCE: u64 = 64;

/// Judges a history of payments and of readers who look at two accounts each, in equal parts.
pub(crate) fn run(operations: u32) -> anyhow::Result<()> {
    let mut lines = vec![0_u64; usize::try_from(ACCOUNTS)?];
    let mut history = Vec::with_capacity(usize::try_from(operations)?);
    let mut random = rand::rng();
    for number in 0..u64::from(operations) {
        let first = random.random_range(0..ACCOUNTS);
        let second = (first + random.random_range(1..ACCOUNTS)) % ACCOUNTS;
        let moves = number % 2 == 0;
        let mut places = vec![];
        for account in [first, second] {
            let line = lines.get_mut(usize::try_from(account)?);
            if let Some(line) = line {
                *line = line.saturating_add(u64::from(moves));
                let line = *line;
                places.push(Place { account, line });
            }
        }
        let (wrote, saw) = if moves {
            (places, vec![])
        } else {
            (vec![], places)
        };
        // Each happens in the middle of the time in which it is under way.
        let happens = number.saturating_add(AT_ONCE);
        history.push(Operation {
            sent: happens.saturating_sub(AT_ONCE / 2),
            answered: Some(happens.saturating_add(AT_ONCE / 2)),
            outcome: Outcome::Done,
            moves,
            wrote,
            saw,
        });
    }
    let began = Instant::now();
    let found = check(&history);
    let took = began.elapsed();
    ensure!(found.is_empty(), "{found:?}");
    println!(
        "{operations} operations judged in {:.2} s",
        took.as_secs_f64()
    );
    Ok(())
}
