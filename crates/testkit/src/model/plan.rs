//! Many histories, and the shortest one that goes wrong.

use std::{env, panic};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{Profile, Step};

/// How many steps a history begins with that set rules.
const RULES_FIRST: usize = 8;
/// How often a step is made simpler, at most.
const SIMPLER_MAX: usize = 20;

/// Which histories are tried. The same plan has the same histories, each of them by itself.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many.
    pub cases: u64,
    /// How long each is.
    pub steps: usize,
    /// What they are made from.
    pub seed: u64,
    /// The one to try, if not all of them.
    pub only: Option<u64>,
    /// How many shorter histories are tried to find the shortest that goes wrong.
    pub shrinks: u32,
    /// What can happen in them.
    pub profile: Profile,
}

impl Plan {
    /// So many cases of 50 steps, unless `BURSAR_MODEL_CASES`, `BURSAR_MODEL_STEPS`,
    /// `BURSAR_MODEL_SEED` or `BURSAR_MODEL_CASE` say something else.
    pub fn from_env(cases: u64, profile: Profile) -> Self {
        Self {
            cases: number("BURSAR_MODEL_CASES").unwrap_or(cases),
            steps: number("BURSAR_MODEL_STEPS")
                .and_then(|steps| usize::try_from(steps).ok())
                .unwrap_or(50),
            seed: number("BURSAR_MODEL_SEED").unwrap_or(1),
            only: number("BURSAR_MODEL_CASE"),
            shrinks: 2_000,
            profile,
        }
    }

    /// Tries one of so many equal shares of the histories.
    ///
    /// # Panics
    /// With the shortest history found, when one goes wrong.
    pub fn run(
        &self,
        share: u64,
        shares: u64,
        mut play: impl FnMut(&[Step]) -> Result<(), String>,
    ) {
        let cases = match self.only {
            Some(only) => only..=only,
            None => 0..=self.cases.saturating_sub(1),
        };
        for case in cases.filter(|case| case % shares == share) {
            let mut history = self.history(case);
            let mut fails = |history: &History| caught(|| play(&history.steps())).err();
            let Some(mut wrong) = fails(&history) else {
                continue;
            };
            history.shorten(self.shrinks, |history| {
                let found = fails(history);
                let is_wrong = found.is_some();
                wrong = found.unwrap_or(std::mem::take(&mut wrong));
                is_wrong
            });
            panic!(
                "BURSAR_MODEL_SEED={} BURSAR_MODEL_CASE={case} goes wrong, at the shortest so:\n{wrong}",
                self.seed
            );
        }
    }

    /// One history. Each case draws from a sequence of its own, so that it can be tried alone.
    fn history(&self, case: u64) -> History {
        let mut seed = [0; 32];
        for (byte, from) in seed.iter_mut().zip(
            self.seed
                .to_be_bytes()
                .into_iter()
                .chain(case.to_be_bytes()),
        ) {
            *byte = from;
        }
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let (rule, step) = (Profile::rule(), self.profile.step());
        let draw = |number| {
            let step = if number < RULES_FIRST { &rule } else { &step };
            step.new_tree(&mut runner)
                .expect("no step is ever rejected")
        };
        History((0..self.steps).map(draw).collect())
    }
}

struct History(Vec<Box<dyn ValueTree<Value = Step>>>);

impl History {
    fn steps(&self) -> Vec<Step> {
        self.0.iter().map(ValueTree::current).collect()
    }

    /// Leaves out steps, many at a time at first, and makes those that remain simpler, as long as
    /// it goes wrong. The last call that goes wrong is about the shortest.
    fn shorten(&mut self, tries: u32, mut goes_wrong: impl FnMut(&Self) -> bool) {
        let mut left = tries;
        let mut may_try = || {
            left = left.saturating_sub(1);
            left > 0
        };
        let mut size = self.0.len() / 2;
        while size > 0 {
            let mut from = 0;
            while from < self.0.len() && may_try() {
                let rest = self.0.split_off((from + size).min(self.0.len()));
                let removed = self.0.split_off(from);
                self.0.extend(rest);
                if !goes_wrong(self) {
                    let rest = self.0.split_off(from);
                    self.0.extend(removed);
                    self.0.extend(rest);
                    from += size;
                }
            }
            size /= 2;
        }
        for number in 0..self.0.len() {
            for _ in 0..SIMPLER_MAX {
                let simpler = self.0.get_mut(number).is_some_and(ValueTree::simplify);
                if !simpler || !may_try() {
                    break;
                }
                if !goes_wrong(self) {
                    self.0.get_mut(number).map(ValueTree::complicate);
                }
            }
        }
    }
}

/// A panic is as wrong as a difference.
fn caught(play: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    panic::catch_unwind(panic::AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_else(|| "a panic without words".to_owned()))
    })
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}
