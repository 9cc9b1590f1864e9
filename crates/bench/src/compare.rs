//! Bursar beside the SQL that services write themselves, and beside other programs, on one server, in
//! turns.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;

use crate::{
    Load, Rivals,
    baseline::{self, OneStatement, RowByRow},
    bursar::{self, InProcess},
    load::{Payer, Shape, Spread, Turn, turn},
    outside::{Cala, Pgbench},
    report::{Report, Rival, Row},
    world::World,
};

const ASSET: &str = "coin";
/// At more connections than these, SQL of one's own only becomes slower.
const SESSIONS: u32 = 64;

/// With fewer at once cala-ledger is slower, and with more it only takes longer.
const CALA_BATCH: u32 = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    RowByRow,
    OneStatement,
    Bursar,
    SingleWriter,
    Pgbench,
    /// Payments in batches of so many.
    Cala(u32),
}

impl Contestant {
    const fn name(self) -> &'static str {
        match self {
            Self::RowByRow => "row by row",
            Self::OneStatement => "one statement",
            Self::Bursar => "Bursar",
            Self::SingleWriter => "Bursar, single writer",
            Self::Pgbench => "pgbench TPC-B",
            Self::Cala(1) => "cala-ledger",
            Self::Cala(_) => "cala-ledger, batches of 50",
        }
    }
}

/// What is measured, in the order in which it is printed.
fn cases(load: &Load, many: Option<u32>, pgbench: bool, cala: bool) -> Vec<(Contestant, Shape)> {
    let shape = |spread, users, in_flight| Shape {
        spread,
        users,
        in_flight,
    };
    let uniform = |in_flight| shape(Spread::Uniform, load.users, in_flight);
    let mut shapes: Vec<Shape> = [1, 8, 32, 64, 256, 1_024].map(uniform).to_vec();
    shapes.extend([Spread::OnePercent, Spread::OneAccount].map(|one| shape(one, load.users, 64)));
    shapes.extend(many.map(|users| shape(Spread::Uniform, users, 64)));
    let mut cases = vec![];
    for shape in shapes {
        if shape.in_flight <= SESSIONS {
            cases.push((Contestant::RowByRow, shape));
            cases.push((Contestant::OneStatement, shape));
        }
        cases.push((Contestant::Bursar, shape));
        cases.push((Contestant::SingleWriter, shape));
    }
    if pgbench {
        cases.push((Contestant::Pgbench, uniform(64)));
    }
    if cala {
        cases.push((Contestant::Cala(1), uniform(64)));
        cases.push((Contestant::Cala(CALA_BATCH), uniform(4 * CALA_BATCH)));
    }
    cases
}

/// Everybody who takes part.
struct Field {
    rows: Arc<dyn Payer>,
    one: Arc<dyn Payer>,
    bursar: Arc<dyn Payer>,
    single: Arc<dyn Payer>,
    pgbench: Option<Pgbench>,
    cala: Option<Cala>,
}

impl Field {
    async fn turn(
        &self,
        contestant: Contestant,
        shape: Shape,
        length: Duration,
    ) -> anyhow::Result<Turn> {
        let missing = "this contestant does not take part";
        match contestant {
            Contestant::RowByRow => turn(&self.rows, shape, length).await,
            Contestant::OneStatement => turn(&self.one, shape, length).await,
            Contestant::Bursar => turn(&self.bursar, shape, length).await,
            Contestant::SingleWriter => turn(&self.single, shape, length).await,
            Contestant::Pgbench => {
                let pgbench = self.pgbench.as_ref().context(missing)?;
                pgbench.turn(shape, length).await
            }
            Contestant::Cala(batch) => {
                let cala = self.cala.as_ref().context(missing)?;
                cala.turn(shape, batch, length).await
            }
        }
    }
}

/// How many payments were made.
#[derive(Default)]
struct Made {
    bursar: u64,
    single: u64,
    baselines: u64,
    cala: u64,
}

impl Made {
    fn add(&mut self, contestant: Contestant, turn: &Turn) {
        let made = match contestant {
            Contestant::Bursar => &mut self.bursar,
            Contestant::SingleWriter => &mut self.single,
            Contestant::RowByRow | Contestant::OneStatement => &mut self.baselines,
            Contestant::Cala(_) => &mut self.cala,
            // It has no books to prove.
            Contestant::Pgbench => return,
        };
        *made = made.saturating_add(turn.made.into());
    }
}

pub(crate) async fn run(load: &Load, rivals: &Rivals, out: Option<&PathBuf>) -> anyhow::Result<()> {
    let world = Arc::new(World::start(load).await?);
    let alone = Arc::new(world.with_single_writer(load).await?);
    let users = rivals.many.unwrap_or_default().max(load.users);
    let field = enter(load, rivals, users, &world, &alone).await?;
    let (pgbench, cala) = (field.pgbench.is_some(), field.cala.is_some());
    let mut measured: Vec<(Contestant, Row)> = cases(load, rivals.many, pgbench, cala)
        .into_iter()
        .map(|(contestant, shape)| (contestant, Row::new(contestant.name(), shape)))
        .collect();
    let mut made = Made::default();
    // The first round warms everything up and counts for the audit alone.
    for round in 0..=load.rounds {
        world.tidy_up().await?;
        alone.tidy_up().await?;
        for (contestant, row) in &mut measured {
            let turn = field.turn(*contestant, row.shape, load.turn()).await?;
            made.add(*contestant, &turn);
            if round > 0 {
                row.add(&turn)?;
            }
        }
    }
    // A run whose books are wrong has no figures.
    bursar::audit(&world, made.bursar).await?;
    bursar::audit(&alone, made.single).await?;
    baseline::audit(&world.url(), users, made.baselines).await?;
    if let Some(cala) = &field.cala {
        cala.audit(made.cala).await?;
    }
    let rivals = &[
        Rival::At64("row by row"),
        Rival::At64("one statement"),
        Rival::AtItsBest("cala-ledger"),
    ];
    let rows = measured.into_iter().map(|(_, row)| row).collect();
    let by_others = made.baselines.saturating_add(made.cala);
    let by_bursar = made.bursar.saturating_add(made.single);
    let report = Report::new(load, rows, rivals, by_bursar, by_others);
    report.print();
    report.save(out, "compare")?;
    drop(field);
    for world in [alone, world] {
        let world = Arc::into_inner(world);
        world.context("a payment is still under way")?.end().await?;
    }
    Ok(())
}

/// Makes everybody's accounts.
async fn enter(
    load: &Load,
    rivals: &Rivals,
    users: u32,
    world: &Arc<World>,
    alone: &Arc<World>,
) -> anyhow::Result<Field> {
    let url = world.url();
    baseline::prepare(&url, users).await?;
    let bursar = InProcess::with_rules(world, ASSET, users).await?;
    let single = InProcess::with_rules(alone, ASSET, users).await?;
    let cala = match &rivals.cala {
        None => None,
        Some(program) => {
            let url = world.another_database("cala").await?;
            Some(Cala::prepare(program, &url, load.users).await?)
        }
    };
    Ok(Field {
        rows: Arc::new(RowByRow::open(&url, SESSIONS).await?),
        one: Arc::new(OneStatement::open(&url, SESSIONS).await?),
        bursar: Arc::new(bursar),
        single: Arc::new(single),
        pgbench: Pgbench::prepare(load.pg_bin.as_deref(), &url).await?,
        cala,
    })
}
