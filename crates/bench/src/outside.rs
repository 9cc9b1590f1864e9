//! Contestants that are programs of their own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::load::{Shape, Spread, Turn, no_latencies};

/// How big PostgreSQL's own benchmark is: a hundred branches, ten million accounts.
const SCALE: &str = "100";

/// PostgreSQL's own benchmark: three balances and a row for each transaction, each on its own.
pub(crate) struct Pgbench {
    program: PathBuf,
    url: String,
}

impl Pgbench {
    /// Makes its tables, if the program is there.
    pub(crate) async fn prepare(folder: Option<&Path>, url: &str) -> anyhow::Result<Option<Self>> {
        let program = folder.map_or_else(|| "pgbench".into(), |folder| folder.join("pgbench"));
        let url = url.to_owned();
        let pgbench = Self { program, url };
        if pgbench.run(&["--version"]).await.is_err() {
            return Ok(None);
        }
        let initialize = ["--initialize", "--quiet", "--scale", SCALE];
        pgbench.run(&initialize).await?;
        Ok(Some(pgbench))
    }

    pub(crate) async fn turn(&self, shape: Shape, length: Duration) -> anyhow::Result<Turn> {
        let (clients, seconds) = (shape.in_flight.to_string(), length.as_secs().to_string());
        let jobs = shape.in_flight.min(2).to_string();
        let said = self
            .run(&[
                "--no-vacuum",
                "--protocol",
                "prepared",
                "--client",
                &clients,
                "--jobs",
                &jobs,
                "--time",
                &seconds,
            ])
            .await?;
        let line = |prefix: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(prefix));
            line.map(str::to_owned)
                .with_context(|| format!("pgbench did not say {prefix}: {said}"))
        };
        let made = line("number of transactions actually processed: ")?;
        let rate = line("tps = ")?;
        let rate = rate.split_whitespace().next().context("no rate")?;
        let made: u32 = made.parse()?;
        Ok(Turn {
            made,
            took: duration(made, rate.parse()?),
            latencies: no_latencies(),
        })
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg(&self.url);
        output(command).await
    }
}

/// cala-ledger, built from `crates/bench-cala`.
pub(crate) struct Cala {
    program: PathBuf,
    url: String,
}

/// What it prints.
#[derive(Deserialize)]
struct Said {
    made: u32,
    micros: u64,
}

impl Cala {
    /// Makes its accounts in an empty database.
    pub(crate) async fn prepare(program: &Path, url: &str, users: u32) -> anyhow::Result<Self> {
        let cala = Self {
            program: program.to_owned(),
            url: url.to_owned(),
        };
        let _said = cala
            .run(&["prepare", "--users", &users.to_string()])
            .await?;
        Ok(cala)
    }

    /// Payments in batches of so many, each batch by one of so many callers.
    pub(crate) async fn turn(
        &self,
        shape: Shape,
        batch: u32,
        length: Duration,
    ) -> anyhow::Result<Turn> {
        let spread = match shape.spread {
            Spread::Uniform => "uniform",
            Spread::OnePercent => "one-percent",
            Spread::OneAccount => "one-account",
        };
        let callers = (shape.in_flight / batch.max(1)).max(1);
        // More connections than these only make it slower.
        let connections = callers.min(8);
        let said = self
            .run(&[
                "turn",
                "--users",
                &shape.users.to_string(),
                "--spread",
                spread,
                "--in-flight",
                &callers.to_string(),
                "--connections",
                &connections.to_string(),
                "--batch",
                &batch.to_string(),
                "--seconds",
                &length.as_secs().to_string(),
            ])
            .await?;
        let said: Said = serde_json::from_str(&said)?;
        Ok(Turn {
            made: said.made,
            took: Duration::from_micros(said.micros),
            latencies: no_latencies(),
        })
    }

    /// Proves its books.
    pub(crate) async fn audit(&self, made: u64) -> anyhow::Result<()> {
        let _said = self.run(&["audit", "--made", &made.to_string()]).await?;
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--url", &self.url]);
        output(command).await
    }
}

/// What a program prints that ends well.
async fn output(mut command: Command) -> anyhow::Result<String> {
    let told = format!("{command:?}");
    command.stdin(Stdio::null());
    let done = spawn_blocking(move || command.output()).await??;
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout).into_owned(),
        String::from_utf8_lossy(&done.stderr),
    );
    ensure!(done.status.success(), "{told}: {out}{err}");
    Ok(out)
}

/// How long so many take at this rate.
#[expect(clippy::float_arithmetic, reason = "figures for people")]
fn duration(made: u32, rate: f64) -> Duration {
    Duration::from_secs_f64(f64::from(made) / rate.max(1.0))
}
