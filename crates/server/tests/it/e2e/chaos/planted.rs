//! The trials are tried: with a fault planted in the service, the same kills must find something wrong.

use std::{panic::AssertUnwindSafe, time::Duration};

use bursar_postgres::faults::Planted;
use futures_util::FutureExt as _;
use rand::{SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{
    Plan,
    scene::{Scene, Settings},
};

/// How many cycles a fault may go unnoticed.
const CYCLES: u64 = 25;

/// A fault, and how it is planted.
struct Sabotage {
    fault: Planted,
    settings: Settings,
    /// What makes it show.
    database: Settings,
}

const SABOTAGES: [Sabotage; 10] = [
    sabotage(
        Planted::AnswersEarly,
        &[("FAILPOINTS", "answers_early=return")],
    ),
    Sabotage {
        // What is not on the disk yet is lost with the process that was to write it, unless somebody
        // else waits for the disk.
        database: &[("wal_writer_delay", "10s"), ("synchronous_commit", "off")],
        ..sabotage(
            Planted::CommitsAsynchronously,
            &[("FAILPOINTS", "commits_asynchronously=return")],
        )
    },
    sabotage(
        Planted::ForgetsKeys,
        &[("FAILPOINTS", "forgets_keys=return")],
    ),
    sabotage(
        Planted::TwoTransactions,
        &[("FAILPOINTS", "two_transactions=return")],
    ),
    sabotage(Planted::LosesLines, &[("FAILPOINTS", "loses_lines=return")]),
    sabotage(
        Planted::ReleasesTwice,
        &[("FAILPOINTS", "releases_twice=return")],
    ),
    sabotage(
        Planted::TellsBeforehand,
        &[("FAILPOINTS", "tells_beforehand=return")],
    ),
    sabotage(
        Planted::TellsAfterwards,
        &[("FAILPOINTS", "tells_afterwards=return")],
    ),
    sabotage(Planted::ReadsStale, &[("FAILPOINTS", "reads_stale=return")]),
    sabotage(Planted::Guesses, &[("FAILPOINTS", "guesses=return")]),
];

const fn sabotage(fault: Planted, settings: Settings) -> Sabotage {
    Sabotage {
        fault,
        settings,
        database: &[],
    }
}

impl Sabotage {
    /// Plants it; gives how many cycles it went unnoticed, and what was said then.
    async fn found(&self) -> (u64, String) {
        let plan = Plan {
            seed: rand::random(),
            cycles: CYCLES,
            answers: (100, 400),
            length: Duration::from_secs(600),
        };
        let mut cycles = 0;
        let tried = async {
            let mut random = StdRng::seed_from_u64(plan.seed);
            let mut scene = Scene::set(self.settings, self.database).await;
            while cycles < plan.cycles {
                scene.cycle(cycles, &plan, &mut random).await;
                scene.told().await;
                cycles += 1;
            }
        };
        let found = AssertUnwindSafe(tried).catch_unwind().await;
        let Err(found) = found else {
            panic!("{CYCLES} kills later nobody has found out {:?}", self.fault);
        };
        let said = found.downcast_ref::<String>().cloned();
        let said = said.or_else(|| found.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        (cycles, said.unwrap_or_default())
    }
}

#[tokio::test]
async fn a_planted_fault_is_found_out() {
    let wanted = std::env::var("BURSAR_CHAOS_PLANTED").unwrap_or_else(|_| "1".to_owned());
    let chosen: Vec<&Sabotage> = match wanted.parse() {
        Ok(count) => SABOTAGES.sample(&mut rand::rng(), count).collect(),
        Err(_) => SABOTAGES
            .iter()
            .filter(|sabotage| sabotage.fault.name() == wanted)
            .collect(),
    };
    for sabotage in chosen {
        let (cycles, said) = sabotage.found().await;
        let fault = sabotage.fault.name();
        println!(
            "chaos, planted: {fault} found out in cycle {}: {said}",
            cycles + 1
        );
        // What stands still is found out by waiting for it, and Bursar itself notices some of it.
        let words = [
            "violated A",
            "waited in vain",
            "urn:bursar:problem:internal",
        ];
        let known = words.iter().any(|words| said.contains(words));
        assert!(known, "{fault} was found out by accident: {said}");
    }
}

#[test]
fn every_fault_is_planted() {
    let planted: Vec<Planted> = SABOTAGES.iter().map(|sabotage| sabotage.fault).collect();
    assert_eq!(planted, Planted::ALL);
    for sabotage in SABOTAGES {
        let actions = format!("{}=return", sabotage.fault.name());
        assert_eq!(sabotage.settings, [("FAILPOINTS", actions.as_str())]);
    }
}
