//! Many seeds, and whether the simulation would notice if something were wrong.

use std::{
    env,
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    bug::Bug,
    run::{Report, run},
    world::Seen,
};

/// How many seeds every run tries.
const SEEDS: u64 = 6_000;
/// One seed in so many is lived through twice.
const TWICE_EVERY: u64 = 100;
/// Within so many seeds a planted fault must be found.
const SEEDS_PER_BUG: u64 = 200;
/// How much of the end of a trace is printed.
const LINES_SHOWN: usize = 150;

/// Everything that must have happened, at least once in so many seeds: a run without it has not tried
/// what it is for.
const FLOOR: [(&str, u64); 23] = [
    ("answer lost, landed", 2),
    ("answer lost, not landed", 2),
    ("attempt recorded too late", 200),
    ("clock jumped", 4),
    ("confirm against cancel", 2),
    ("database away", 4),
    ("database died", 4),
    ("died after a commit", 4),
    ("died before a commit", 4),
    ("died between POST and mark", 10),
    ("died between claim and POST", 20),
    ("died during a commit", 4),
    ("ends of withdrawals judged", 2),
    ("expired by the background pass", 4),
    ("given up, as it did not happen", 10),
    ("landed late", 4),
    ("no answer", 2),
    ("receiver gone for good", 10),
    ("receiver took it, and its answer was lost", 4),
    ("refused as overloaded", 4),
    ("settled by the background pass", 2),
    ("statements read and judged", 2),
    ("the same request twice at once", 2),
];

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

/// What to do to see a seed go wrong again, and how its trace ends.
fn shown(seed: u64, bug: Option<Bug>) -> String {
    let Report { wrong, text, .. } = run(seed, bug, true);
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
    let wrong = wrong.join("\n");
    format!("{end}\nBURSAR_SIM_SEED={seed} goes wrong:\n{wrong}")
}

/// Lives through seeds on every processor; what was seen, and the first seed that went wrong.
fn run_all(first: u64, seeds: u64) -> (Seen, Option<u64>) {
    let (next, seen) = (AtomicU64::new(first), Mutex::new(Seen::new()));
    let failed: Mutex<Option<u64>> = Mutex::default();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= first + seeds || failed.lock().unwrap().is_some() {
                return;
            }
            let report = run(seed, None, false);
            let mut wrong = !report.wrong.is_empty();
            if seed.is_multiple_of(TWICE_EVERY) {
                wrong |= run(seed, None, false) != report;
            }
            for (what, count) in report.seen {
                *seen.lock().unwrap().entry(what).or_default() += count;
            }
            if wrong {
                let mut failed = failed.lock().unwrap();
                *failed = Some(failed.map_or(seed, |one| one.min(seed)));
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    (seen.into_inner().unwrap(), failed.into_inner().unwrap())
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number("BURSAR_SIM_SEED") {
        let report = run(seed, None, true);
        println!("{}\n{:#?}", report.text, report.seen);
        assert_eq!(report.wrong, Vec::<String>::new());
        return;
    }
    let seeds = number("BURSAR_SIM_SEEDS").unwrap_or(SEEDS);
    let first = number("BURSAR_SIM_FIRST_SEED").unwrap_or(0);
    let (seen, failed) = run_all(first, seeds);
    if let Some(seed) = failed {
        panic!("{}", shown(seed, None));
    }
    println!("{seeds} seeds from {first}: {seen:#?}");
    for (what, every) in FLOOR {
        let count = seen.get(what).copied().unwrap_or_default();
        assert!(
            count >= seeds / every,
            "in {seeds} seeds only {count} times: {what}"
        );
    }
}

#[test]
fn a_seed_replays_bit_for_bit_and_no_two_are_alike() {
    let mut hashes = vec![];
    for seed in 0..50 {
        let (one, other) = (run(seed, None, true), run(seed, None, false));
        assert_eq!(one.hash, other.hash, "seed {seed}");
        assert_eq!(one.text, run(seed, None, true).text, "seed {seed}");
        hashes.push(one.hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 50);
}

/// The first seed that finds a planted fault, and how.
fn found(bug: Bug) -> (u64, Vec<String>) {
    let finds = |seed| {
        let report = run(seed, Some(bug), false);
        (!report.wrong.is_empty()).then_some((seed, report.wrong))
    };
    let found = (0..SEEDS_PER_BUG).find_map(finds);
    found.unwrap_or_else(|| panic!("{SEEDS_PER_BUG} seeds do not find {bug:?}"))
}

#[test]
fn every_planted_fault_is_found() {
    for bug in Bug::ALL {
        let (seed, wrong) = found(bug);
        println!("{bug:?}: found by seed {seed}: {}", wrong[0]);
        assert!(
            wrong.iter().any(|wrong| bug.breaks(wrong)),
            "{bug:?} is found as something else: {wrong:#?}"
        );
    }
}

#[test]
fn a_seed_that_goes_wrong_says_which_it_is_and_goes_wrong_again() {
    let bug = Bug::HoldReleasedTwice;
    let (seed, wrong) = found(bug);
    let shown = shown(seed, Some(bug));
    assert!(shown.contains(&format!("BURSAR_SIM_SEED={seed} goes wrong:")));
    assert!(shown.ends_with(&wrong.join("\n")), "{shown}");
}
