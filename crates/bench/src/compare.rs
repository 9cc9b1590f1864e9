//! Bursar beside the SQL that services write themselves, on one server, in turns.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use bursar_domain::Kind;

use crate::{
    Load,
    baseline::{self, OneStatement, RowByRow},
    bursar::{self, InProcess},
    load::{Payer, Shape, Spread, turn},
    report::{Report, Row},
    world::World,
};

const ASSET: &str = "coin";
/// At more connections than these, SQL of one's own only becomes slower.
const SESSIONS: u32 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    RowByRow,
    OneStatement,
    Bursar,
}

impl Contestant {
    const ALL: [Self; 3] = [Self::RowByRow, Self::OneStatement, Self::Bursar];

    const fn name(self) -> &'static str {
        match self {
            Self::RowByRow => "row by row",
            Self::OneStatement => "one statement",
            Self::Bursar => "Bursar",
        }
    }
}

/// What is measured, in the order in which it is printed.
fn cases(users: u32) -> Vec<(Contestant, Shape)> {
    let mut cases = vec![];
    for (spread, in_flight) in [
        (Spread::Uniform, 1),
        (Spread::Uniform, 8),
        (Spread::Uniform, 64),
        (Spread::Uniform, 256),
        (Spread::OnePercent, 64),
        (Spread::OneAccount, 64),
    ] {
        let shape = Shape {
            spread,
            users,
            in_flight,
        };
        let able = Contestant::ALL
            .into_iter()
            .filter(|one| *one == Contestant::Bursar || in_flight <= SESSIONS);
        cases.extend(able.map(|contestant| (contestant, shape)));
    }
    cases
}

pub(crate) async fn run(load: &Load, out: Option<&PathBuf>) -> anyhow::Result<()> {
    let world = Arc::new(World::start(load).await?);
    baseline::prepare(&world.url(), load.users).await?;
    world.issue(&world.sealing, ASSET, load.users).await?;
    world.set_fees(Kind::Internal, ASSET).await?;
    world.set_limits(Kind::Internal, ASSET).await?;
    let rows: Arc<dyn Payer> = Arc::new(RowByRow::open(&world.url(), SESSIONS).await?);
    let one: Arc<dyn Payer> = Arc::new(OneStatement::open(&world.url(), SESSIONS).await?);
    let bursar: Arc<dyn Payer> = Arc::new(InProcess {
        world: Arc::clone(&world),
        asset: ASSET,
        seals: true,
        audit: false,
    });
    let payer = |contestant| match contestant {
        Contestant::RowByRow => &rows,
        Contestant::OneStatement => &one,
        Contestant::Bursar => &bursar,
    };
    let mut measured: Vec<(Contestant, Row)> = cases(load.users)
        .into_iter()
        .map(|(contestant, shape)| (contestant, Row::new(contestant.name(), shape)))
        .collect();
    let (mut by_bursar, mut by_baselines) = (0_u64, 0_u64);
    // The first round warms everything up and counts for the audit alone.
    for round in 0..=load.rounds {
        world.tidy_up().await?;
        for (contestant, row) in &mut measured {
            let turn = turn(payer(*contestant), row.shape, load.turn()).await?;
            let made = match *contestant {
                Contestant::Bursar => &mut by_bursar,
                Contestant::RowByRow | Contestant::OneStatement => &mut by_baselines,
            };
            *made = made.saturating_add(turn.made.into());
            if round > 0 {
                row.add(&turn)?;
            }
        }
    }
    // A run whose books are wrong has no figures.
    bursar::audit(&world, by_bursar).await?;
    baseline::audit(&world.url(), load.users, by_baselines).await?;
    let measured = measured.into_iter().map(|(_, row)| row).collect();
    let report = Report::new(
        load,
        measured,
        ["row by row", "one statement"],
        by_bursar,
        by_baselines,
    );
    report.print();
    if let Some(out) = out {
        fs::create_dir_all(out)?;
        fs::write(out.join("compare.json"), report.json()?)?;
        fs::write(out.join("compare.svg"), report.svg())?;
    }
    drop((rows, one, bursar));
    let world = Arc::into_inner(world);
    world.context("a payment is still under way")?.end().await
}
