//! `bursar-bench-cala`: durable payments with the published `cala-ledger`, as a contestant of
//! benchmarks.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

mod audit;
mod ledger;
// The same load as everybody else's; what only others need of it is not used here.
#[expect(dead_code, reason = "a module of bursar-bench")]
#[path = "../../bench/src/load.rs"]
mod load;
mod payer;
mod prepare;

use clap::{Args, Parser};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Durable payments with cala-ledger.
#[derive(Debug, Parser)]
#[command(name = "bursar-bench-cala", version, arg_required_else_help = true)]
enum Cli {
    /// Fills an empty database: cala's tables, a journal, templates and users with money.
    Prepare {
        #[command(flatten)]
        place: Place,

        /// How many users there are.
        #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
        users: u32,

        /// Nobody can spend what they do not have: a velocity limit on each user.
        #[arg(long)]
        no_overdraft: bool,
    },
    /// Pays in a closed loop for a while, and prints one line of JSON.
    Turn {
        #[command(flatten)]
        place: Place,

        #[command(flatten)]
        asked: payer::Asked,
    },
    /// Whether the ledger says what was paid, and balances.
    Audit {
        #[command(flatten)]
        place: Place,

        /// How many payments were made since `prepare`.
        #[arg(long)]
        made: i64,
    },
}

/// Where the ledger is.
#[derive(Debug, Args)]
struct Place {
    /// The database: postgres://user@host:port/name
    #[arg(long)]
    url: String,
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        match Cli::parse() {
            Cli::Prepare {
                place,
                users,
                no_overdraft,
            } => prepare::run(&place.url, users, no_overdraft).await,
            Cli::Turn { place, asked } => {
                println!("{}", payer::turn(&place.url, asked).await?);
                Ok(())
            }
            Cli::Audit { place, made } => audit::run(&place.url, made).await,
        }
    });
    // Cala's listener and notifier run for as long as they are let.
    runtime.shutdown_background();
    done
}
