//! What fees, limits, the audit log and seals each cost a money transaction.
//!
//! Limits are measured as users have them who pay now and then: the uses of one who pays all month
//! fill up to 700 places, and each payment writes all of them. The audit log tells what operators do:
//! users' own payments are not in it, and cost what "as users pay" does, with everything on; where
//! the log is on here, an operator made each payment.

use std::sync::Arc;

use anyhow::Context as _;
use bursar_domain::Kind;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Load,
    bursar::InProcess,
    load::{Payer, Payment, Shape, Spread, turn},
    report::median,
    world::World,
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

/// A world in which these can pay, everybody has paid once, and every statement is prepared; and how
/// each of them pays.
pub(crate) async fn prepared(
    load: &Load,
    contestants: &[Contestant],
) -> anyhow::Result<(Arc<World>, Vec<Arc<dyn Payer>>)> {
    let world = Arc::new(World::start(load).await?);
    world.populate(load.users).await?;
    let mut payers: Vec<Arc<dyn Payer>> = vec![];
    for contestant in contestants {
        let asset = contestant.asset;
        let payer = InProcess {
            world: Arc::clone(&world),
            asset,
            seals: contestant.has(Part::Seals),
            audit: contestant.has(Part::Audit),
        };
        world.issue(payer.store(), asset, load.users).await?;
        if contestant.has(Part::Fees) {
            world.set_fees(Kind::Internal, asset).await?;
        }
        if contestant.has(Part::Limits) {
            world.set_limits(Kind::Internal, asset).await?;
        }
        payers.push(Arc::new(payer));
    }
    for payer in &payers {
        let payments = stream::iter(0..load.users).map(|from| {
            let to = from.wrapping_add(1) % load.users;
            let units = 1_000;
            payer.pay(0, Payment { from, to, units })
        });
        let payments = payments.buffer_unordered(TOGETHER);
        payments.try_collect::<()>().await?;
    }
    world.tidy_up().await?;
    Ok((world, payers))
}

/// How contestants are asked.
pub(crate) const fn shape(load: &Load) -> Shape {
    Shape {
        spread: Spread::Uniform,
        users: load.users,
        in_flight: load.in_flight,
    }
}

pub(crate) async fn run(load: &Load) -> anyhow::Result<()> {
    println!(
        "{} users, {} in flight, {} rounds of {} s each, durable commits",
        load.users, load.in_flight, load.rounds, load.seconds
    );
    let (world, payers) = prepared(load, &CONTESTANTS).await?;
    let mut rates: Vec<Vec<f64>> = vec![vec![]; payers.len()];
    for _ in 0..load.rounds {
        for (payer, rates) in payers.iter().zip(&mut rates) {
            rates.push(turn(payer, shape(load), load.turn()).await?.rate());
        }
    }
    print(&rates);
    drop(payers);
    let world = Arc::into_inner(world);
    world.context("a payment is still under way")?.end().await
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
