//! What fees, limits, the audit log and seals each cost a money transaction.
//!
//! Limits are measured as users have them who pay now and then: the uses of one who pays all month
//! fill up to 700 places, and each payment writes all of them. The audit log tells what operators do:
//! users' own payments are not in it, and cost what "as users pay" does, with everything on; where
//! the log is on here, an operator made each payment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use bursar_domain::{Commit, Kind};
use bursar_ports::TransferStore as _;
use bursar_postgres::PgStore;
use bursar_testkit::build;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rand::RngExt as _;

use crate::{
    Load,
    report::median,
    world::{World, is_made},
};

/// What may be on for payments of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Seals,
    Fees,
    Limits,
    Audit,
}

/// Payments of one asset, and what is on for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    asset: &'static str,
    on: &'static [Part],
}

impl Contestant {
    fn has(self, part: Part) -> bool {
        self.on.contains(&part)
    }
}

const fn contestant(name: &'static str, asset: &'static str, on: &'static [Part]) -> Contestant {
    Contestant { name, asset, on }
}

/// The first is what the others are compared with.
const CONTESTANTS: [Contestant; 7] = [
    contestant("nothing", "none", &[]),
    contestant("seals", "seal", &[Part::Seals]),
    contestant("seals, fees", "fee", &[Part::Seals, Part::Fees]),
    contestant("seals, limits", "limit", &[Part::Seals, Part::Limits]),
    contestant("seals, audit log", "audit", &[Part::Seals, Part::Audit]),
    contestant(
        "as users pay",
        "user",
        &[Part::Seals, Part::Fees, Part::Limits],
    ),
    contestant(
        "all",
        "all",
        &[Part::Seals, Part::Fees, Part::Limits, Part::Audit],
    ),
];
/// How many pay at once before it counts.
const TOGETHER: usize = 64;
/// The one that has seals and nothing else.
const SEALED: usize = 1;

/// A contestant's name on the command line.
pub(crate) fn named(name: &str) -> Result<Contestant, String> {
    let found = CONTESTANTS.iter().find(|one| one.asset == name);
    let names: Vec<&str> = CONTESTANTS.iter().map(|one| one.asset).collect();
    let other = || format!("one of {}", names.join(", "));
    found.copied().ok_or_else(other)
}

/// A world in which these can pay, everybody has paid once, and every statement is prepared.
pub(crate) async fn prepared(
    load: &Load,
    contestants: &[Contestant],
) -> anyhow::Result<Arc<World>> {
    let world = Arc::new(World::start(load).await?);
    world.populate(load.users).await?;
    for contestant in contestants {
        let store = store_of(&world, *contestant);
        world.issue(store, contestant.asset, load.users).await?;
        set_rules(&world, *contestant).await?;
    }
    for contestant in contestants {
        let payments = stream::iter(0..load.users);
        payments
            .map(|from| pay(&world, *contestant, from, load.users))
            .buffer_unordered(TOGETHER)
            .try_collect::<()>()
            .await?;
    }
    world.tidy_up().await?;
    Ok(world)
}

pub(crate) async fn run(load: &Load) -> anyhow::Result<()> {
    println!(
        "{} users, {} in flight, {} rounds of {} s each, durable commits",
        load.users, load.in_flight, load.rounds, load.seconds
    );
    let world = prepared(load, &CONTESTANTS).await?;
    let mut rates: Vec<Vec<f64>> = vec![vec![]; CONTESTANTS.len()];
    for _ in 0..load.rounds {
        for (contestant, rates) in CONTESTANTS.iter().zip(&mut rates) {
            let began = Instant::now();
            let made = turn(&world, *contestant, load).await?;
            rates.push(rate(made, began.elapsed()));
        }
    }
    print(&rates);
    let world = Arc::into_inner(world);
    world.expect("every turn is over").end().await
}

fn store_of(world: &World, contestant: Contestant) -> &Arc<PgStore> {
    if contestant.has(Part::Seals) {
        &world.sealing
    } else {
        &world.plain
    }
}

async fn set_rules(world: &World, contestant: Contestant) -> anyhow::Result<()> {
    if contestant.has(Part::Fees) {
        world.set_fees(Kind::Internal, contestant.asset).await?;
    }
    if contestant.has(Part::Limits) {
        world.set_limits(Kind::Internal, contestant.asset).await?;
    }
    Ok(())
}

/// Pays round as fast as it goes; how many payments were made.
pub(crate) async fn turn(
    world: &Arc<World>,
    contestant: Contestant,
    load: &Load,
) -> anyhow::Result<u32> {
    let made = Arc::new(AtomicU32::new(0));
    let began = Instant::now();
    let mut payers = tokio::task::JoinSet::new();
    for _ in 0..load.in_flight {
        let (world, made) = (Arc::clone(world), Arc::clone(&made));
        let (users, until) = (load.users, load.turn());
        payers.spawn(async move {
            while began.elapsed() < until {
                let from = rand::rng().random_range(0..users);
                pay(&world, contestant, from, users).await?;
                made.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(payer) = payers.join_next().await {
        payer??;
    }
    Ok(made.load(Ordering::Relaxed))
}

async fn pay(world: &World, contestant: Contestant, from: u32, users: u32) -> anyhow::Result<()> {
    let (to, units) = {
        let mut random = rand::rng();
        let other = random.random_range(1..users);
        (
            (from + other) % users,
            random.random_range(1_000..1_000_000),
        )
    };
    let change = world.payment(contestant.asset, from, to, units).await?;
    let key = change.next.id().to_string();
    let target = format!("transfer:{key}");
    let claim = build::claim("bench", "pay", &key, &[("amount", &units.to_string())]);
    let commit = Commit {
        audit: contestant
            .has(Part::Audit)
            .then(|| build::audit("pay", &target)),
        ..build::keyed(change, claim)
    };
    let store = store_of(world, contestant);
    for outcome in store.commit(vec![commit]).await? {
        ensure!(is_made(&outcome), "a payment came to {outcome:?}");
    }
    Ok(())
}

#[expect(clippy::float_arithmetic, reason = "a figure for people")]
fn rate(made: u32, took: Duration) -> f64 {
    f64::from(made) / took.as_secs_f64()
}

#[expect(clippy::float_arithmetic, reason = "figures for people")]
fn print(rates: &[Vec<f64>]) {
    // Machines grow slower and faster, so each round is compared within itself.
    let beside = |rates_of_one: &[f64], other: usize| {
        let others = rates.get(other).into_iter().flatten();
        let ratios: Vec<f64> = rates_of_one
            .iter()
            .zip(others)
            .map(|(one, other)| one / other)
            .collect();
        median(&ratios)
    };
    println!(
        "\n{:<18}{:>12}{:>14}{:>14}  rounds",
        "on", "payments/s", "of nothing", "of seals"
    );
    for (contestant, rates) in CONTESTANTS.iter().zip(rates) {
        let rounds: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
        println!(
            "{:<18}{:>12.0}{:>14.3}{:>14.3}  {}",
            contestant.name,
            median(rates),
            beside(rates, 0),
            beside(rates, SEALED),
            rounds.join(" ")
        );
    }
}
