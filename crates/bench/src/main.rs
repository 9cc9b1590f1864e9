//! `bursar-bench`: what things cost, as ratios of one run on one machine.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

mod baseline;
mod bursar;
mod compare;
mod costs;
mod growth;
mod history;
mod http;
mod load;
mod outside;
mod prices;
mod processor;
mod report;
mod world;

use std::{path::PathBuf, time::Duration};

use bursar_postgres::{EngineConfig, EngineKind};
use clap::{Args, Parser};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of Bursar on a private PostgreSQL with durable commits.
#[derive(Debug, Parser)]
#[command(name = "bursar-bench", version, arg_required_else_help = true)]
enum Cli {
    /// How long it takes to judge whether a history could have happened one after the other.
    History {
        /// How many operations it has.
        #[arg(long, default_value_t = 1_000_000)]
        operations: u32,
    },
    /// Bursar in process beside SQL of one's own, row by row and one statement for each payment, and
    /// beside pgbench and cala-ledger where they are.
    Compare {
        #[command(flatten)]
        load: Load,

        #[command(flatten)]
        rivals: Rivals,

        /// A folder for the figures as JSON and as a chart (SVG).
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// The service over HTTP: each form of payment, beside SQL of one's own and an echo.
    Http {
        #[command(flatten)]
        load: Load,

        /// A folder for the figures as JSON and as a chart (SVG).
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// The service over HTTP when two and five times as much is asked of it as it can do.
    Overload {
        #[command(flatten)]
        load: Load,

        /// A folder for the figures as JSON.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// How payments and lists fare while the books grow.
    Growth {
        #[command(flatten)]
        load: Load,

        /// How many transfers there are at the end.
        #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1..))]
        transfers: u32,

        /// A folder for the chart (SVG).
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// What `http` starts as the floor.
    #[command(hide = true)]
    Echo { listen: String },
    /// What fees, limits, the audit log and seals each cost a money transaction.
    Prices(Load),
    /// What a payment costs: processor time, write-ahead log, disk, and each statement's share.
    Costs {
        #[command(flatten)]
        load: Load,

        /// What is on: none, seal, fee, limit, audit or all.
        #[arg(long, default_value = "seal", value_parser = prices::named)]
        on: prices::Contestant,

        /// Statements that are run beforehand, to see what something costs by doing without it:
        /// "DROP INDEX transfers_sent_idx".
        #[arg(long)]
        before: Vec<String>,
    },
}

/// Who else takes part.
#[derive(Debug, Args)]
struct Rivals {
    /// So many users as well, to see what many accounts cost.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
    many: Option<u32>,

    /// The program of crates/bench-cala.
    #[arg(long)]
    cala: Option<PathBuf>,
}

/// How much is done, and where.
#[derive(Debug, Args)]
struct Load {
    /// How often each contestant runs; they take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// How long each contestant runs in a round, in seconds.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// How many users pay each other, uniformly.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..))]
    users: u32,

    /// How many requests are under way at once; `compare` has its own.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,

    /// Bursar's engine: shared or single_writer; `compare` has both.
    #[arg(long, default_value = "shared")]
    engine: EngineKind,

    /// How many batchers each store has.
    #[arg(long, default_value_t = EngineConfig::default().batchers)]
    batchers: usize,

    /// The most payments in one batch, if not what suits the engine.
    #[arg(long)]
    batch_items: Option<usize>,

    /// The new folder of the database; it is left there.
    #[arg(long, default_value = "target/bench-data")]
    directory: PathBuf,

    /// The folder with PostgreSQL's server programs; searched for when it is not given.
    #[arg(long, env = "PG_BIN")]
    pg_bin: Option<PathBuf>,
}

impl Load {
    const fn turn(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match Cli::parse() {
        Cli::Compare { load, rivals, out } => {
            runtime.block_on(compare::run(&load, &rivals, out.as_ref()))
        }
        Cli::Growth {
            load,
            transfers,
            out,
        } => runtime.block_on(growth::run(&load, transfers, out.as_ref())),
        Cli::Http { load, out } => runtime.block_on(http::run(&load, out.as_ref())),
        Cli::Overload { load, out } => runtime.block_on(http::overload(&load, out.as_ref())),
        Cli::Echo { listen } => actix_web::rt::System::new().block_on(http::echo(&listen)),
        Cli::History { operations } => history::run(operations),
        Cli::Prices(load) => runtime.block_on(prices::run(&load)),
        Cli::Costs { load, on, before } => runtime.block_on(costs::run(&load, on, &before)),
    }
}
