//! What a payment costs: processor time of the service and of the database, write-ahead log, disk,
//! and the share of each statement in the database's time.

use std::time::Instant;

use anyhow::Context as _;
use tokio_postgres::Client;

use crate::{
    Load,
    load::turn,
    prices::{Contestant, prepared, shape},
    processor,
    world::World,
};

pub(crate) async fn run(load: &Load, on: Contestant, before: &[String]) -> anyhow::Result<()> {
    let (world, payers) = prepared(load, &[on]).await?;
    let client = world.connect().await?;
    client.batch_execute("SET search_path = book_main").await?;
    for statement in before {
        client.batch_execute(statement).await?;
    }
    client
        .batch_execute("CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()")
        .await?;
    let before = Spent::until_now(&world, &client).await?;
    let began = Instant::now();
    let mut made = 0_u32;
    for _ in 0..load.rounds {
        for payer in &payers {
            made = made.saturating_add(turn(payer, shape(load), load.turn()).await?.made);
        }
    }
    let took = began.elapsed();
    let after = Spent::until_now(&world, &client).await?;
    let statements = statements(&client).await?;
    print(&Costs {
        name: on.name,
        made: f64::from(made),
        seconds: took.as_secs_f64(),
        before,
        after,
        statements,
    });
    drop((client, payers));
    let world = std::sync::Arc::into_inner(world);
    world.context("a payment is still under way")?.end().await
}

struct Costs {
    name: &'static str,
    made: f64,
    seconds: f64,
    before: Spent,
    after: Spent,
    statements: Vec<Statement>,
}

/// What was used since the start.
struct Spent {
    /// Processor seconds of this process.
    client: f64,
    /// Processor seconds of the database's processes.
    server: f64,
    /// Bytes of write-ahead log.
    wal: f64,
    /// Bytes of the database on disk.
    disk: f64,
    /// Commits.
    commits: f64,
}

impl Spent {
    async fn until_now(world: &World, client: &Client) -> anyhow::Result<Self> {
        let written = client
            .query_one(
                "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, \
                 pg_database_size(current_database())::float8, \
                 (SELECT xact_commit::float8 FROM pg_stat_database \
                 WHERE datname = current_database())",
                &[],
            )
            .await?;
        Ok(Self {
            client: processor::seconds_of("self")?,
            server: processor::seconds_of_family(world.server_id())?,
            wal: written.get(0),
            disk: written.get(1),
            commits: written.get(2),
        })
    }
}

/// A statement by the comment that it begins with.
struct Statement {
    name: String,
    calls: f64,
    rows: f64,
    ms: f64,
    wal: f64,
}

async fn statements(client: &Client) -> anyhow::Result<Vec<Statement>> {
    let found = client
        .query(
            "SELECT coalesce(substring(query FROM '^/[*] ([a-z_]+) [*]/'), left(query, 20)), \
             sum(calls)::float8, sum(rows)::float8, sum(total_exec_time)::float8 AS ms, \
             sum(wal_bytes)::float8 \
             FROM pg_stat_statements WHERE dbid = \
             (SELECT oid FROM pg_database WHERE datname = current_database()) \
             GROUP BY 1 ORDER BY ms DESC LIMIT 25",
            &[],
        )
        .await?;
    let statement = |row: tokio_postgres::Row| Statement {
        name: row.get(0),
        calls: row.get(1),
        rows: row.get(2),
        ms: row.get(3),
        wal: row.get(4),
    };
    Ok(found.into_iter().map(statement).collect())
}

#[expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "figures for people"
)]
fn print(costs: &Costs) {
    let Costs {
        name,
        made,
        seconds,
        before,
        after,
        statements,
    } = costs;
    let each = |spent: fn(&Spent) -> f64| (spent(after) - spent(before)) / made;
    println!(
        "{name}: {made} payments in {seconds:.1} s, {:.0} a second",
        made / seconds
    );
    println!("\nfor each payment");
    for (what, figure) in [
        (
            "service, µs of processor time",
            each(|spent| spent.client) * 1e6,
        ),
        (
            "database, µs of processor time",
            each(|spent| spent.server) * 1e6,
        ),
        ("write-ahead log, bytes", each(|spent| spent.wal)),
        ("disk, bytes", each(|spent| spent.disk)),
        ("commits", each(|spent| spent.commits)),
    ] {
        println!("{what:<34}{figure:>10.3}");
    }
    println!(
        "\n{:<26}{:>9}{:>11}{:>12}{:>14}{:>14}",
        "statement", "calls", "rows/call", "µs/call", "µs/payment", "WAL/payment"
    );
    for statement in statements {
        let calls = statement.calls;
        println!(
            "{:<26}{calls:>9}{:>11.1}{:>12.1}{:>14.2}{:>14.0}",
            statement.name,
            statement.rows / calls,
            statement.ms * 1e3 / calls,
            statement.ms * 1e3 / made,
            statement.wal / made
        );
    }
}
