//! The service as it is deployed, over HTTP: each form of payment in turns with SQL of one's own,
//! which has no HTTP in front of it, and with an echo, which has nothing behind it.

mod audit;
mod client;
mod costs;
mod echo;
mod exchange;
mod overload;
mod payer;
mod receiver;
mod service;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;

use self::{
    audit::Answered,
    costs::{Costs, Spent},
    echo::Echo,
    exchange::Exchange,
    payer::{Client, Form},
    receiver::Receiver,
    service::Service,
};
pub(crate) use self::{echo::serve as echo, overload::run as overload};
use crate::{
    Load,
    baseline::{self, RowByRow},
    load::{Payer, Shape, Spread, Turn, arrivals, turn},
    report::{Report, Rival, Row, millis},
    world::{self, DATABASE, connect, start_server},
};

/// Connections, where nothing else is said.
const CONNECTIONS: u32 = 64;
/// The most payments at once in the open loop.
const ARRIVING: u32 = 256;
/// Arrivals a second, in percent of what the closed loop reaches.
const PERCENT_OF_CLOSED: [u32; 2] = [50, 80];

/// Who pays how.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Contestant {
    RowByRow,
    Echo,
    Service(Form),
}

impl Contestant {
    /// Whether something is left to be done when the last payment is answered.
    const fn leaves_work(&self) -> bool {
        matches!(self, Self::Service(Form::Accepted | Form::Callback(_)))
    }
}

/// Who pays how, and how many at once.
struct Case {
    contestant: Contestant,
    payer: Arc<dyn Payer>,
    row: Row,
}

impl Case {
    /// Whether these are settled transfers between anybody, so many at once.
    fn is_settled(&self, in_flight: u32) -> bool {
        self.contestant == Contestant::Service(Form::Settled) && self.row.shape.is_usual(in_flight)
    }
}

/// What runs the payments.
struct Scene {
    service: Service,
    exchange: Arc<Exchange>,
    receiver: Receiver,
    echo: Arc<dyn Payer>,
    row_by_row: Arc<dyn Payer>,
}

impl Scene {
    async fn set(load: &Load, url: &str) -> anyhow::Result<Self> {
        // The first start migrates; a deployed service finds that done.
        Service::start(url, load).await?.stop()?;
        let service = Service::start(url, load).await?;
        let idle = service.memory("VmRSS:")?;
        println!(
            "service: {} MB, started in {:.2} s, {} MB of memory before its first request",
            service::size_of(&Service::program()?)? >> 20,
            service.started_in.as_secs_f64(),
            idle >> 20
        );
        let exchange = Arc::new(Exchange::open(&service, load.users).await?);
        baseline::prepare(url, load.users).await?;
        Ok(Self {
            service,
            exchange,
            receiver: Receiver::start().await?,
            echo: Arc::new(Echo::start(CONNECTIONS).await?),
            row_by_row: Arc::new(RowByRow::open(url, CONNECTIONS).await?),
        })
    }

    /// What is measured, in the order in which it is printed.
    async fn cases(&self, users: u32) -> anyhow::Result<Vec<Case>> {
        let shape = |spread, in_flight| Shape {
            spread,
            users,
            in_flight,
        };
        let uniform = |in_flight| shape(Spread::Uniform, in_flight);
        let one_account = shape(Spread::OneAccount, CONNECTIONS);
        let mut cases = vec![];
        let (rows, echo) = (&self.row_by_row, &self.echo);
        for (name, contestant, payer, shape) in [
            (
                "row by row",
                Contestant::RowByRow,
                rows,
                uniform(CONNECTIONS),
            ),
            ("row by row", Contestant::RowByRow, rows, one_account),
            ("echo", Contestant::Echo, echo, uniform(CONNECTIONS)),
        ] {
            cases.push(Case {
                contestant,
                payer: Arc::clone(payer),
                row: Row::new(name, shape),
            });
        }
        let callback = Form::Callback(self.receiver.url.clone());
        for (name, form, shape) in [
            (SETTLED, Form::Settled, uniform(1)),
            (SETTLED, Form::Settled, uniform(8)),
            (SETTLED, Form::Settled, uniform(CONNECTIONS)),
            (SETTLED, Form::Settled, uniform(256)),
            (SETTLED, Form::Settled, one_account),
            ("Bursar, accepted", Form::Accepted, uniform(CONNECTIONS)),
            ("Bursar, with callbacks", callback, uniform(CONNECTIONS)),
            ("Bursar, bulks of 100", Form::Bulk(100), uniform(16)),
            ("Bursar, bulks of 1,000", Form::Bulk(1_000), uniform(8)),
            ("Bursar, deposits", Form::Deposit, uniform(CONNECTIONS)),
            (
                "Bursar, withdrawals",
                Form::Withdrawal,
                uniform(CONNECTIONS),
            ),
        ] {
            let (host, exchange) = (&self.service.host, &self.exchange);
            let client = Client::open(host, exchange, form.clone(), shape.in_flight).await?;
            cases.push(Case {
                contestant: Contestant::Service(form),
                payer: Arc::new(client),
                row: Row::new(name, shape),
            });
        }
        Ok(cases)
    }
}

/// The form that all others are compared with.
const SETTLED: &str = "Bursar, settled";

pub(crate) async fn run(load: &Load, out: Option<&PathBuf>) -> anyhow::Result<()> {
    let server = start_server(load).await?;
    let url = server.url(DATABASE);
    let scene = Scene::set(load, &url).await?;
    let client = connect(&url).await?;
    let mut cases = scene.cases(load.users).await?;
    let mut answered = Answered::default();
    let mut costs = Costs::default();
    // The first round warms everything up and counts for the audit alone.
    for round in 0..=load.rounds {
        world::tidy_up(&client).await?;
        for case in &mut cases {
            let spent = Spent::until_now(&scene.service, server.process_id())?;
            let turn = turn(&case.payer, case.row.shape, load.turn()).await?;
            let now = Spent::until_now(&scene.service, server.process_id())?;
            answered.add(&case.contestant, &turn);
            if case.contestant.leaves_work() {
                audit::settle(&client).await?;
            }
            if round == 0 {
                continue;
            }
            case.row.add(&turn)?;
            if case.is_settled(CONNECTIONS) {
                costs.add(&spent, &now, &turn);
            }
        }
    }
    let open = open_loop(load, &cases, &mut answered).await?;
    audit::prove(&client, &scene, load, &answered).await?;
    baseline::audit(&url, load.users, answered.by_baselines).await?;
    let rows = cases.into_iter().map(|case| case.row).collect();
    let rivals = &[Rival::At64("row by row"), Rival::At64("echo")];
    let (by_bursar, by_baselines) = (answered.by_bursar(), answered.by_baselines);
    let report = Report::new(load, rows, rivals, by_bursar, by_baselines);
    report.print();
    print_open(&open);
    costs.print(CONNECTIONS);
    let most = scene.service.memory("VmHWM:")?;
    println!("memory of the service, at most: {} MB", most >> 20);
    report.save(out, "http")?;
    let Scene { service, .. } = scene;
    service.stop()?;
    drop(client);
    server.stop().await.context("PostgreSQL did not stop")
}

/// Payments that become due at a rate, and what came of them.
struct Open {
    percent: u32,
    a_second: u32,
    turn: Turn,
}

/// Arrivals that do not wait, at parts of what the closed loop reached.
async fn open_loop(
    load: &Load,
    cases: &[Case],
    answered: &mut Answered,
) -> anyhow::Result<Vec<Open>> {
    let of = |in_flight| cases.iter().find(|case| case.is_settled(in_flight));
    let (closed, wide) = of(CONNECTIONS)
        .zip(of(ARRIVING))
        .context("a case is missing")?;
    let mut open = vec![];
    for percent in PERCENT_OF_CLOSED {
        let a_second = closed.row.whole_median()?.saturating_mul(percent) / 100;
        let length = load.turn().saturating_mul(load.rounds);
        let turn = arrivals(&wide.payer, wide.row.shape, a_second.max(1), length).await?;
        answered.add(&wide.contestant, &turn);
        open.push(Open {
            percent,
            a_second,
            turn,
        });
    }
    Ok(open)
}

fn print_open(open: &[Open]) {
    println!("\nopen loop, from when a payment was due, at most {ARRIVING} at once");
    for Open {
        percent,
        a_second,
        turn,
    } in open
    {
        let ms = |quantile| millis(turn.latencies.value_at_quantile(quantile));
        println!(
            "{percent:>3} % of the closed loop, {a_second}/s: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, \
             p99.9 {:.2} ms",
            turn.rate(),
            ms(0.5),
            ms(0.99),
            ms(0.999)
        );
    }
}
