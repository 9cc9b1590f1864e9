//! The tour as it stands in the README: blocks of commands, each with what it prints.

/// Commands that are run one after the other, and what the README says they print.
pub(super) struct Step {
    pub(super) commands: String,
    pub(super) printed: String,
}

/// Where a line of the README belongs.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Text,
    Commands,
    Printed,
}

/// Gives every line its place; the fences themselves are text.
fn placed(readme: &str) -> impl Iterator<Item = (Place, &str)> {
    let mut place = Place::Text;
    let mut on_tour = false;
    readme.lines().map(move |line| {
        if line.starts_with("## ") {
            on_tour = line == "## A tour";
        }
        let fence = match line {
            "```sh" if on_tour => Some(Place::Commands),
            "```json" if on_tour => Some(Place::Printed),
            "```" => Some(Place::Text),
            _ => None,
        };
        if let Some(next) = fence {
            place = next;
            return (Place::Text, line);
        }
        (place, line)
    })
}

/// The steps of the tour.
pub(super) fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = Place::Text;
    for (place, line) in placed(readme) {
        if place == Place::Commands && before != Place::Commands {
            steps.push(Step {
                commands: String::new(),
                printed: String::new(),
            });
        }
        let into = match place {
            Place::Text => None,
            Place::Commands => steps.last_mut().map(|step| &mut step.commands),
            Place::Printed => steps.last_mut().map(|step| &mut step.printed),
        };
        if let Some(into) = into {
            into.push_str(line);
            into.push('\n');
        }
        before = place;
    }
    assert!(steps.len() > 4, "the tour has {} steps", steps.len());
    steps
}

/// The README with these outputs in place of its own.
pub(super) fn rewrite(readme: &str, printed: &[String]) -> String {
    let mut text = String::new();
    let mut step = 0;
    for (place, line) in placed(readme) {
        match (place, line) {
            (Place::Printed, _) => continue,
            (Place::Text, "```sh") => step += 1,
            _ => {}
        }
        text.push_str(line);
        text.push('\n');
        if line == "```json" {
            text.push_str(&super::mask::without_tokens(&printed[step - 1]));
        }
    }
    text
}
