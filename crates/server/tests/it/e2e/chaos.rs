//! Kills, again and again, of replicas and of PostgreSQL, in the middle of load: cycle after cycle what
//! was answered is there, what was not happened at most once, nobody saw what could not be, and the
//! books are right.
//!
//! `scripts/chaos` says how many cycles; a seed repeats the kills, though not what they meet.

mod audits;
mod fault;
mod planted;
mod points;
mod scene;
mod signed;

use std::time::{Duration, Instant};

use bursar_audit::Rule;
use rand::{SeedableRng as _, rngs::StdRng};

use self::{
    fault::Tally,
    scene::{Scene, Settings},
};
use super::{service::SINGLE_WRITER, sound::require, trial::forget};

/// How many cycles an exchange lives through. Then it is proven as a whole, and another one begins: what
/// is judged after each cycle takes longer the more there is.
const CYCLES_OF_A_SCENE: u64 = 20;
/// How many cycles more there may be until what is rare has happened.
const CYCLES_MORE: u64 = 10;

/// How much is done.
struct Plan {
    seed: u64,
    cycles: u64,
    /// How many answers come before a kill, at least and at most.
    answers: (usize, usize),
    began: Instant,
    /// No cycle begins later, unless what is rare has not happened yet.
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
            answers: (most / 2, most),
            began: Instant::now(),
            length: Duration::from_secs(number("BURSAR_CHAOS_SECONDS").unwrap_or(3_600)),
        }
    }

    /// Whether another cycle is planned after so many.
    fn goes_on(&self, cycles: u64) -> bool {
        cycles < self.cycles && self.began.elapsed() <= self.length
    }

    /// Whether there may be another one after so many until what is rare has happened: some more, and half
    /// as long again.
    fn may_go_on(&self, cycles: u64) -> bool {
        let length = self.length + self.length / 2;
        cycles < self.cycles + CYCLES_MORE && self.began.elapsed() <= length
    }
}

async fn kills(name: &str, settings: Settings) {
    let plan = Plan::from_env();
    let mut random = StdRng::seed_from_u64(plan.seed);
    println!("chaos, {name}: BURSAR_CHAOS_SEED={}", plan.seed);
    forget(name);
    let mut tally = Tally::default();
    // A run in which what is rare did not happen has tried nothing.
    let goes_on = |tally: &Tally| plan.goes_on(tally.cycles) || !tally.has_tried(plan.cycles);
    while goes_on(&tally) {
        let mut scene = Scene::set(settings, &[]).await;
        let ends_at = tally.cycles + CYCLES_OF_A_SCENE;
        scene.tally = tally;
        while goes_on(&scene.tally) && scene.tally.cycles < ends_at {
            let number = scene.tally.cycles;
            require(plan.may_go_on(number), Rule::RareIsTried, || {
                let tally = &scene.tally;
                format!("{:?} in {tally}", tally.missed(plan.cycles))
            });
            scene.cycle(number, &plan, &mut random).await;
            println!("chaos, {name}: {} of {} cycles", number + 1, plan.cycles);
        }
        tally = scene.end().await;
    }
    tally.save(name, plan.seed);
    // One that was cut short, or that began nothing, has hardly tried anything either.
    let is_enough = 3 * tally.cycles >= plan.cycles.max(1);
    require(is_enough, Rule::RareIsTried, || {
        format!("of {} cycles wanted: {tally}", plan.cycles)
    });
}

#[tokio::test]
async fn kills_lose_nothing() {
    kills("shared", &[]).await;
}

#[tokio::test]
async fn kills_lose_nothing_of_a_single_writer() {
    kills("single_writer", SINGLE_WRITER).await;
}
