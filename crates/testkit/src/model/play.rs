//! One history, lived through twice.

use std::{collections::BTreeMap, fmt::Write};

use async_trait::async_trait;

use super::{Exchange, Holder, Outcome, Step, View, generate::prologue};

/// After how many steps everything is compared, and not only what the step came to.
const COMPARE_EVERY: usize = 10;

/// The real thing.
#[async_trait]
pub trait Runner: Send {
    /// Does what a resolved step says.
    async fn perform(&mut self, step: &Step) -> Outcome;

    /// What the runner can tell of what the model expects: not everybody is told everything.
    fn told(&self, expected: Outcome, _model: &Exchange) -> Outcome {
        expected
    }

    /// Every transfer, in the order in which they came to be.
    async fn views(&mut self) -> Vec<View>;

    /// Everything that accounts hold: available and held, zeros left out.
    async fn balances(&mut self) -> BTreeMap<(Holder, usize), (i128, i128)>;

    /// What is left of rolling limits, as far as it can be asked for: what differs from the model.
    async fn compare_limits(&mut self, model: &Exchange) -> Result<(), String>;

    /// What must be true of the books by themselves: what is not.
    async fn audit(&mut self) -> Result<(), String>;
}

/// Lives through a history.
///
/// # Errors
/// The history up to the first difference between the model and the real thing.
pub async fn play(runner: &mut dyn Runner, steps: &[Step]) -> Result<(), String> {
    let mut model = Exchange::default();
    let mut history = String::new();
    let prologue = prologue();
    for (number, step) in prologue.iter().chain(steps).enumerate() {
        let Some(step) = model.resolve(step) else {
            continue;
        };
        let got = runner.perform(&step).await;
        let expected = model.apply(&step);
        let _ = writeln!(history, "{number:>4}. {step}\n        → {expected:?}");
        let expected = runner.told(expected, &model);
        if got != expected {
            return Err(format!("{history}expected {expected:?}\n     got {got:?}"));
        }
        if number % COMPARE_EVERY == 0 {
            compare(runner, &model)
                .await
                .map_err(|wrong| format!("{history}{wrong}"))?;
        }
    }
    let compared = compare(runner, &model).await;
    let audited = compared.and(runner.audit().await);
    audited.map_err(|wrong| format!("{history}{wrong}"))
}

async fn compare(runner: &mut dyn Runner, model: &Exchange) -> Result<(), String> {
    let expected: Vec<View> = (0..model.transfers())
        .map(|number| model.view(number))
        .collect();
    let views = runner.views().await;
    if let Some((expected, got)) = expected
        .iter()
        .zip(&views)
        .find(|(one, other)| one != other)
    {
        return Err(format!(
            "a transfer ought to be {expected:?}\n                  but is {got:?}"
        ));
    }
    if views.len() != expected.len() {
        return Err(format!("{} transfers, not {}", views.len(), expected.len()));
    }
    let (expected, got) = (model.balances(), runner.balances().await);
    if got != expected {
        return Err(format!(
            "balances ought to be {expected:?}\n                 but are {got:?}"
        ));
    }
    runner.compare_limits(model).await
}
