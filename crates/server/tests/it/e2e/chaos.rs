//! Kills, again and again, of replicas and of PostgreSQL, in the middle of load: cycle after cycle what
//! was answered is there, what was not happened at most once, nobody saw what could not be, and the
//! books are right.
//!
//! `scripts/chaos` says how many cycles; a seed repeats the kills, though not what they meet.

mod fault;
mod planted;
mod scene;

use std::time::{Duration, Instant};

use bursar_audit::Rule;
use rand::{SeedableRng as _, rngs::StdRng};

use self::scene::{Scene, Settings};
use super::{service::SINGLE_WRITER, sound::require, trial::forget};

/// How much is done.
struct Plan {
    seed: u64,
    cycles: u64,
    /// How many answers come before a kill, at least and at most.
    answers: (usize, usize),
    /// No cycle begins later.
    length: Duration,
}

impl Plan {
    /// Two cycles, unless `BURSAR_CHAOS_CYCLES`, `BURSAR_CHAOS_SEED`, `BURSAR_CHAOS_ANSWERS` or
    /// `BURSAR_CHAOS_SECONDS` say something else.
    fn from_env() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let answers = number("BURSAR_CHAOS_ANSWERS").unwrap_or(60);
        let most = usize::try_from(answers).unwrap();
        Self {
            seed: number("BURSAR_CHAOS_SEED").unwrap_or_else(rand::random),
            cycles: number("BURSAR_CHAOS_CYCLES").unwrap_or(2),
            answers: (most / 4, most),
            length: Duration::from_secs(number("BURSAR_CHAOS_SECONDS").unwrap_or(3_600)),
        }
    }
}

async fn kills(name: &str, settings: Settings) {
    let plan = Plan::from_env();
    let mut random = StdRng::seed_from_u64(plan.seed);
    let began = Instant::now();
    println!("chaos, {name}: BURSAR_CHAOS_SEED={}", plan.seed);
    forget(name);
    let mut scene = Scene::set(settings, &[]).await;
    for number in 0..plan.cycles {
        if began.elapsed() > plan.length {
            break;
        }
        scene.cycle(number, &plan, &mut random).await;
        println!("chaos, {name}: {} of {} cycles", number + 1, plan.cycles);
    }
    let mut number = plan.cycles;
    // A run in which what is rare did not happen has tried nothing.
    while !scene.tally.has_tried() {
        let goes_on = number < plan.cycles + 10;
        require(goes_on, Rule::RareIsTried, || scene.tally.to_string());
        scene.cycle(number, &plan, &mut random).await;
        number += 1;
    }
    scene.end().await.save(name, plan.seed);
}

#[tokio::test]
async fn kills_lose_nothing() {
    kills("shared", &[]).await;
}

#[tokio::test]
async fn kills_lose_nothing_of_a_single_writer() {
    kills("single_writer", SINGLE_WRITER).await;
}
