//! Processor time of processes, as the system tells it.

use std::fs;

use anyhow::Context as _;

/// It is told in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

/// Processor time of a process, in seconds; with that of its children that have ended.
#[expect(clippy::float_arithmetic, reason = "a figure for people")]
pub(crate) fn seconds_of(process: &str) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may have spaces, and its parenthesis.
    let (_, fields) = stat.rsplit_once(") ").context("no stat")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let times = fields.get(11..15).context("a short stat")?;
    let mut ticks = 0.0;
    for time in times {
        ticks += time.parse::<f64>()?;
    }
    Ok(ticks / TICKS_A_SECOND)
}

/// The same of a process and its children.
#[expect(clippy::float_arithmetic, reason = "a figure for people")]
pub(crate) fn seconds_of_family(parent: i32) -> anyhow::Result<f64> {
    let mut sum = seconds_of(&parent.to_string())?;
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    for child in children.split_whitespace() {
        // One that has just ended is counted with its parent.
        sum += seconds_of(child).unwrap_or(0.0);
    }
    Ok(sum)
}
