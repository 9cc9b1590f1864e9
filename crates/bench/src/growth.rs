//! How payments and lists fare while the books grow: payments a second for each part of the way, and
//! then what eight readers see.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_trait::async_trait;
use bursar_ports::{
    BookIntegrity as _, InternalFilter, StatementFilter, TransferFilter, TransferQuery,
    TransferScan,
};
use bursar_testkit::build;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    Load,
    bursar::{self, InProcess},
    load::{Payer, Payment, Shape, Spread, Turn, turn},
    report::{curve, millis},
    world::{World, user},
};

const ASSET: &str = "coin";
/// Of how many parts the way to the full size is.
const PARTS: u32 = 10;
const READERS: u32 = 8;

pub(crate) async fn run(load: &Load, transfers: u32, out: Option<&PathBuf>) -> anyhow::Result<()> {
    let world = Arc::new(World::start(load).await?);
    let payer: Arc<dyn Payer> = Arc::new(InProcess::with_rules(&world, ASSET, load.users).await?);
    println!(
        "{} users, {} in flight, durable commits, seals, fees and limits on",
        load.users, load.in_flight
    );
    let (made, rates) = grow(load, transfers, &payer).await?;
    let begun = Instant::now();
    world.tidy_up().await?;
    println!(
        "vacuumed and analyzed in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let client = world.connect().await?;
    let size = "SELECT pg_database_size(current_database())";
    let size: i64 = client.query_one(size, &[]).await?.get(0);
    println!(
        "{} MB on disk, {} bytes for each transfer",
        size >> 20,
        u64::try_from(size)?.checked_div(made).unwrap_or_default()
    );
    drop(client);
    read(load, &world).await?;
    let begun = Instant::now();
    let _assets = world.integrity().examine().await?;
    println!(
        "integrity, all accounts: {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    let begun = Instant::now();
    bursar::audit(&world, made).await?;
    println!(
        "bursar verify: {made} payments proven in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    if let Some(out) = out {
        fs::create_dir_all(out)?;
        fs::write(out.join("growth.svg"), curve(&rates))?;
    }
    drop(payer);
    let world = Arc::into_inner(world);
    world.context("a payment is still under way")?.end().await
}

/// Pays until there are so many transfers; how many there are, and for each part of the way how many
/// there were at its end and payments a second.
async fn grow(
    load: &Load,
    transfers: u32,
    payer: &Arc<dyn Payer>,
) -> anyhow::Result<(u64, Vec<(f64, f64)>)> {
    let shape = Shape {
        spread: Spread::Uniform,
        users: load.users,
        in_flight: load.in_flight,
    };
    let part = (transfers / PARTS).max(1);
    let (mut made, mut rates) = (0_u32, vec![]);
    // Shown in a terminal only.
    let style = "{bar:40} {human_pos}/{human_len} transfers, {eta} to go";
    let bar = ProgressBar::new(transfers.into()).with_style(ProgressStyle::with_template(style)?);
    while made < transfers {
        let (mut in_part, mut took) = (0_u32, Duration::ZERO);
        while in_part < part {
            let turn = turn(payer, shape, Duration::from_secs(1)).await?;
            in_part = in_part.saturating_add(turn.made);
            took = took.saturating_add(turn.took);
            bar.inc(turn.made.into());
        }
        made = made.saturating_add(in_part);
        let rate = f64::from(in_part) / took.as_secs_f64();
        bar.suspend(|| println!("{made:>12} transfers: {rate:>8.0} payments/s"));
        rates.push((f64::from(made), rate));
    }
    bar.finish_and_clear();
    Ok((made.into(), rates))
}

/// A list that a user or an operator reads.
#[derive(Clone, Copy)]
enum List {
    Statement,
    Own,
    All,
    OfUser,
    WithTotal,
    Balances,
}

struct Reader {
    query: Arc<dyn TransferQuery>,
    list: List,
}

#[async_trait]
impl Payer for Reader {
    async fn pay(&self, _worker: u32, payment: Payment) -> anyhow::Result<()> {
        let user = user(payment.from);
        let (query, limit) = (&self.query, 50);
        match self.list {
            List::Statement => {
                let filter = StatementFilter {
                    user,
                    asset: Some(build::asset_id(ASSET)),
                    from: None,
                    to: None,
                    after: None,
                    limit,
                };
                drop(query.read_statement(filter).await?);
            }
            List::Own => {
                let filter = InternalFilter {
                    user,
                    status: None,
                    asset: None,
                    custom_id: None,
                    from: None,
                    to: None,
                    limit,
                    offset: 0,
                };
                drop(query.list_internal(filter).await?);
            }
            List::All | List::OfUser => {
                let scan = TransferScan {
                    users: matches!(self.list, List::OfUser).then(|| vec![user]),
                    limit,
                    ..TransferScan::default()
                };
                drop(query.scan_transfers(scan).await?);
            }
            List::WithTotal => {
                let filter = TransferFilter {
                    limit,
                    ..TransferFilter::default()
                };
                drop(query.list_transfers(filter).await?);
            }
            List::Balances => drop(query.list_user_balances(user).await?),
        }
        Ok(())
    }
}

async fn read(load: &Load, world: &World) -> anyhow::Result<()> {
    let shape = Shape {
        spread: Spread::Uniform,
        users: load.users,
        in_flight: READERS,
    };
    println!("\n{READERS} readers, 50 rows each");
    for (name, list) in [
        ("an account's statement", List::Statement),
        ("a user's own transfers", List::Own),
        ("operators: all transfers", List::All),
        ("operators: a user's transfers", List::OfUser),
        ("back office, with the total", List::WithTotal),
        ("a user's balances", List::Balances),
    ] {
        let query = Arc::new(world.query());
        let reader: Arc<dyn Payer> = Arc::new(Reader { query, list });
        let turn = turn(&reader, shape, load.turn()).await?;
        tell(name, &turn);
    }
    Ok(())
}

fn tell(name: &str, turn: &Turn) {
    let ms = |quantile| millis(turn.latencies.value_at_quantile(quantile));
    println!(
        "{name:<32}{:>8.0}/s  p50 {:>6.2} ms  p99 {:>6.2} ms",
        turn.rate(),
        ms(0.5),
        ms(0.99)
    );
}
