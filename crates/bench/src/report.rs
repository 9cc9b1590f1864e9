//! What was measured, as a table, as JSON and as a chart.

use std::{fmt::Write as _, fs, path::PathBuf};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    Load,
    load::{Shape, Turn, no_latencies},
    world::SETTINGS,
};

/// A contestant under one load, over all rounds.
pub(crate) struct Row {
    contestant: &'static str,
    pub(crate) shape: Shape,
    rates: Vec<f64>,
    latencies: Histogram<u64>,
}

impl Row {
    pub(crate) fn new(contestant: &'static str, shape: Shape) -> Self {
        Self {
            contestant,
            shape,
            rates: vec![],
            latencies: no_latencies(),
        }
    }

    pub(crate) fn add(&mut self, turn: &Turn) -> anyhow::Result<()> {
        self.rates.push(turn.rate());
        self.latencies.add(&turn.latencies)?;
        Ok(())
    }

    /// Payments a second: the middle of all rounds.
    pub(crate) fn median(&self) -> f64 {
        median(&self.rates)
    }

    /// The same in whole payments.
    pub(crate) fn whole_median(&self) -> anyhow::Result<u32> {
        Ok(format!("{:.0}", self.median()).parse()?)
    }

    /// Who pays whom, among how many.
    fn load(&self) -> String {
        let Shape { spread, users, .. } = self.shape;
        format!("{}, {users} users", spread.name())
    }

    fn ms(&self, quantile: f64) -> f64 {
        millis(self.latencies.value_at_quantile(quantile))
    }

    /// The same for people; nothing where nobody said how long each took.
    fn shown_ms(&self, quantile: f64) -> String {
        if self.latencies.is_empty() {
            return String::new();
        }
        format!("{:.2}", self.ms(quantile))
    }
}

#[derive(Serialize)]
struct Figure<'r> {
    contestant: &'r str,
    spread: &'static str,
    users: u32,
    in_flight: u32,
    /// Payments a second, round by round.
    rates: &'r [f64],
    median: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// All of it.
pub(crate) struct Report {
    heading: String,
    rows: Vec<Row>,
    rivals: &'static [Rival],
}

/// Whom all are compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rival {
    /// A contestant with 64 in flight and else the same load.
    At64(&'static str),
    /// The fastest of those whose names begin like this, whatever their load is.
    AtItsBest(&'static str),
}

impl Rival {
    const fn name(self) -> &'static str {
        match self {
            Self::At64(name) | Self::AtItsBest(name) => name,
        }
    }
}

impl Report {
    /// What was measured beside these rivals, and how many payments were audited afterwards.
    pub(crate) fn new(
        load: &Load,
        rows: Vec<Row>,
        rivals: &'static [Rival],
        by_bursar: u64,
        by_baselines: u64,
    ) -> Self {
        let settings: Vec<String> = SETTINGS
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        let heading = format!(
            "{} users, {} rounds of {} s each, closed loop; durable commits (fsync, \
             synchronous_commit and full_page_writes on), {}.\nAudited: {by_bursar} payments of \
             Bursar and {by_baselines} of the baselines, with all they say about balances.",
            load.users,
            load.rounds,
            load.seconds,
            settings.join(", ")
        );
        Self {
            heading,
            rows,
            rivals,
        }
    }

    /// What a rival reaches that has this load.
    fn rate_of(&self, rival: Rival, shape: Shape) -> Option<f64> {
        let usual = Shape {
            in_flight: 64,
            ..shape
        };
        let rates = self.rows.iter().filter(|row| match rival {
            Rival::At64(name) => row.contestant == name && row.shape == usual,
            Rival::AtItsBest(name) => row.contestant.starts_with(name),
        });
        rates.map(Row::median).max_by(f64::total_cmp)
    }

    #[expect(
        clippy::print_stdout,
        clippy::float_arithmetic,
        reason = "figures for people"
    )]
    pub(crate) fn print(&self) {
        println!("{}\n", self.heading);
        let rivals = self.rivals.iter();
        let rivals: Vec<String> = rivals
            .map(|rival| format!("{:>18}", format!("of {}", rival.name())))
            .collect();
        let rivals = rivals.concat();
        println!(
            "{:<30}{:<34}{:>10}{:>12}{:>9}{:>9}{:>9}{rivals}",
            "", "", "in flight", "payments/s", "p50 ms", "p99 ms", "p99.9"
        );
        for row in &self.rows {
            let rates = self
                .rivals
                .iter()
                .map(|rival| self.rate_of(*rival, row.shape));
            let of: Vec<String> = rates
                .map(|rate| {
                    let of = rate.map(|rate| format!("{:.2}", row.median() / rate));
                    format!("{:>18}", of.unwrap_or_default())
                })
                .collect();
            let of = of.concat();
            println!(
                "{:<30}{:<34}{:>10}{:>12.0}{:>9}{:>9}{:>9}{of}",
                row.contestant,
                row.load(),
                row.shape.in_flight,
                row.median(),
                row.shown_ms(0.5),
                row.shown_ms(0.99),
                row.shown_ms(0.999),
            );
        }
    }

    /// Leaves the figures and the chart in a folder, if there is one.
    pub(crate) fn save(&self, out: Option<&PathBuf>, name: &str) -> anyhow::Result<()> {
        let Some(out) = out else {
            return Ok(());
        };
        fs::create_dir_all(out)?;
        fs::write(out.join(format!("{name}.json")), self.json()?)?;
        fs::write(out.join(format!("{name}.svg")), self.svg())?;
        Ok(())
    }

    fn json(&self) -> anyhow::Result<String> {
        let figures: Vec<Figure<'_>> = self
            .rows
            .iter()
            .map(|row| Figure {
                contestant: row.contestant,
                spread: row.shape.spread.name(),
                users: row.shape.users,
                in_flight: row.shape.in_flight,
                rates: &row.rates,
                median: row.median(),
                p50_ms: row.ms(0.5),
                p99_ms: row.ms(0.99),
            })
            .collect();
        Ok(serde_json::to_string_pretty(&figures)?)
    }

    /// A bar for each row, as long as its median.
    #[expect(clippy::float_arithmetic, reason = "a picture for people")]
    fn svg(&self) -> String {
        const STEP: u32 = 22;
        const LABEL: f64 = 430.0;
        const WIDTH: f64 = 420.0;
        let most = self.rows.iter().map(Row::median).fold(1.0, f64::max);
        let height = STEP.saturating_mul(u32::try_from(self.rows.len()).unwrap_or(0));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 930 {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <title>Durable payments a second, medians of one run</title>\n"
        );
        for (row, place) in self.rows.iter().zip(0_u32..) {
            let y = place.saturating_mul(STEP);
            let color = if row.contestant.starts_with("Bursar") {
                "#0b6e4f"
            } else {
                "#9aa0a6"
            };
            let _infallible = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{}\" text-anchor=\"end\">{}, {}, {} in flight</text>\
                 <rect x=\"{LABEL:.0}\" y=\"{}\" width=\"{:.0}\" height=\"16\" fill=\"{color}\"/>\
                 <text x=\"{:.0}\" y=\"{}\">{:.0}</text>",
                LABEL - 8.0,
                y.saturating_add(15),
                row.contestant,
                row.load(),
                row.shape.in_flight,
                y.saturating_add(3),
                WIDTH * row.median() / most,
                LABEL + 6.0 + WIDTH * row.median() / most,
                y.saturating_add(15),
                row.median(),
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// A line through these points, from zero on.
#[expect(clippy::float_arithmetic, reason = "a picture for people")]
pub(crate) fn curve(points: &[(f64, f64)]) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 240.0;
    const LEFT: f64 = 60.0;
    let (mut right, mut top) = (1.0, 1.0);
    for (x, y) in points {
        right = f64::max(right, *x);
        top = f64::max(top, *y);
    }
    let mut line = String::new();
    for (x, y) in points {
        let (x, y) = (LEFT + WIDTH * x / right, HEIGHT - HEIGHT * y / top + 10.0);
        let _infallible = write!(line, "{x:.0},{y:.0} ");
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 290\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>Durable payments a second while the books grow</title>\n\
         <path d=\"M{LEFT:.0} 10V250H700\" fill=\"none\" stroke=\"#9aa0a6\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#0b6e4f\" stroke-width=\"2\"/>\n\
         <text x=\"52\" y=\"20\" text-anchor=\"end\">{top:.0}</text>\
         <text x=\"52\" y=\"252\" text-anchor=\"end\">0/s</text>\
         <text x=\"700\" y=\"270\" text-anchor=\"end\">{right:.0} transfers</text>\n</svg>\n",
        line.trim_end()
    )
}

/// The middle one.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::float_arithmetic, reason = "a figure for people")]
pub(crate) fn millis(micros: u64) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1_000.0
}
