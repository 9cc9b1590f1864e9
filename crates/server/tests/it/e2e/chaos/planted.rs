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

/// What makes a fault show. What is not on the disk yet is lost with the process that was to write it,
/// unless somebody else waits for the disk.
const fn database_of(fault: Planted) -> Settings {
    match fault {
        Planted::CommitsAsynchronously => {
            &[("wal_writer_delay", "10s"), ("synchronous_commit", "off")]
        }
        Planted::AnswersEarly
        | Planted::ForgetsKeys
        | Planted::TwoTransactions
        | Planted::LosesLines
        | Planted::ReleasesTwice
        | Planted::TellsBeforehand
        | Planted::TellsAfterwards
        | Planted::ReadsStale
        | Planted::Guesses => &[],
    }
}

/// Plants a fault; gives how many cycles it went unnoticed, and what was said then.
async fn found(fault: Planted) -> (u64, String) {
    let plan = Plan {
        seed: rand::random(),
        cycles: CYCLES,
        answers: (100, 400),
        length: Duration::from_secs(600),
    };
    let mut cycles = 0;
    let tried = async {
        let mut random = StdRng::seed_from_u64(plan.seed);
        let planted = format!("{}=return", fault.name());
        let settings = &[("FAILPOINTS", planted.as_str())];
        let mut scene = Scene::set(settings, database_of(fault)).await;
        while cycles < plan.cycles {
            scene.cycle(cycles, &plan, &mut random).await;
            scene.told().await;
            cycles += 1;
        }
    };
    let found = AssertUnwindSafe(tried).catch_unwind().await;
    let Err(found) = found else {
        panic!("{CYCLES} kills later nobody has found out {fault:?}");
    };
    let said = found.downcast_ref::<String>().cloned();
    let said = said.or_else(|| found.downcast_ref::<&str>().map(|said| (*said).to_owned()));
    (cycles, said.unwrap_or_default())
}

#[tokio::test]
async fn a_planted_fault_is_found_out() {
    let wanted = std::env::var("BURSAR_CHAOS_PLANTED").unwrap_or_else(|_| "1".to_owned());
    let chosen: Vec<Planted> = match wanted.parse() {
        Ok(count) => Planted::ALL
            .sample(&mut rand::rng(), count)
            .copied()
            .collect(),
        Err(_) => Planted::ALL
            .into_iter()
            .filter(|fault| fault.name() == wanted)
            .collect(),
    };
    assert!(!chosen.is_empty(), "{wanted}: nothing is planted");
    for planted in chosen {
        let (cycles, said) = found(planted).await;
        let fault = planted.name();
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
