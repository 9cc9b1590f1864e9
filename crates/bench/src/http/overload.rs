//! More than the service can do: how much of what it can it still does, how soon the others hear that
//! nothing happened, and how soon everything is as before.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    exchange::Exchange,
    payer::{Client, Form},
    service::Service,
};
use crate::{
    Load,
    load::{Payer, Shape, Spread, no_latencies, turn},
    report::{median, millis},
    world::{DATABASE, connect, start_server},
};

/// How many payments are under way at once while it is found out how much the service can do: enough
/// to fill every batch, and none waits so long that it is refused.
const SATURATING: u32 = 64;
/// The most requests at once when more is offered: more than wait in the service, so that those who
/// come are not kept back here.
const OFFERED: u32 = 3_000;
/// What is offered before and after, in percent of what the service can do.
const CALM: u32 = 50;
/// What is offered too much, in percent, and the least that must still be done of what can be.
const TOO_MUCH: [(u32, u32); 2] = [(200, 90), (500, 80)];
/// Everything is as before once payments of a second take no longer than so many times as long.
const AS_BEFORE: u64 = 2;

/// What came of one payment.
#[derive(Clone, Copy, Debug)]
struct Came {
    /// When it was due, since the beginning.
    due: Duration,
    /// How long it took from then, in microseconds.
    micros: u64,
    is_served: bool,
}

/// What came of everything that was offered.
struct Offered {
    a_second: u32,
    length: Duration,
    all: Vec<Came>,
}

impl Offered {
    fn latencies(&self, which: impl Fn(&Came) -> bool) -> anyhow::Result<Histogram<u64>> {
        let mut latencies = no_latencies();
        for came in self.all.iter().filter(|came| which(came)) {
            latencies.record(came.micros.clamp(1, latencies.high()))?;
        }
        Ok(latencies)
    }

    fn served(&self) -> anyhow::Result<Histogram<u64>> {
        self.latencies(|came| came.is_served)
    }

    fn refused(&self) -> anyhow::Result<Histogram<u64>> {
        self.latencies(|came| !came.is_served)
    }

    /// Payments that were made in each second of the time in which they were offered.
    #[expect(clippy::float_arithmetic, reason = "a figure for people")]
    fn goodput(&self) -> f64 {
        let in_time = |came: &&Came| {
            let end = came.due.saturating_add(Duration::from_micros(came.micros));
            came.is_served && end <= self.length
        };
        let served = u32::try_from(self.all.iter().filter(in_time).count());
        f64::from(served.unwrap_or(u32::MAX)) / self.length.as_secs_f64()
    }

    /// The first second from which on nobody is refused and payments take no longer than this at the
    /// 99th percentile.
    fn calm_after(&self, micros: u64) -> anyhow::Result<Option<u64>> {
        let seconds = self.length.as_secs();
        let mut calm = None;
        for second in 0..seconds {
            let of_it = |came: &Came| came.due.as_secs() == second;
            let refused = self.latencies(|came| of_it(came) && !came.is_served)?;
            let served = self.latencies(|came| of_it(came) && came.is_served)?;
            let is_calm = refused.is_empty() && served.value_at_quantile(0.99) <= micros;
            calm = calm.filter(|_| is_calm).or(is_calm.then_some(second));
        }
        Ok(calm)
    }

    fn to_json(&self) -> anyhow::Result<Value> {
        let (served, refused) = (self.served()?, self.refused()?);
        let ms = |of: &Histogram<u64>, quantile| millis(of.value_at_quantile(quantile));
        Ok(json!({
            "offered_a_second": self.a_second,
            "served": served.len(), "refused": refused.len(), "goodput": self.goodput(),
            "served_ms": {"p50": ms(&served, 0.5), "p99": ms(&served, 0.99), "max": ms(&served, 1.0)},
            "refused_ms":
                {"p50": ms(&refused, 0.5), "p99": ms(&refused, 0.99), "max": ms(&refused, 1.0)},
        }))
    }
}

/// Offers payments at a rate, whether or not others are answered.
async fn offer(
    client: &Arc<Client>,
    users: u32,
    a_second: u32,
    length: Duration,
) -> anyhow::Result<Offered> {
    let (began, arrived) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let mut workers = JoinSet::new();
    for worker in 0..OFFERED {
        let (client, arrived) = (Arc::clone(client), Arc::clone(&arrived));
        workers.spawn(async move {
            let mut came = vec![];
            loop {
                let number = arrived.fetch_add(1, Ordering::Relaxed);
                let due = Duration::from_secs(number.into()).checked_div(a_second);
                let due = due.filter(|due| *due < length);
                let Some((due, at)) = due.and_then(|due| Some((due, began.checked_add(due)?)))
                else {
                    return anyhow::Ok(came);
                };
                tokio::time::sleep_until(at.into()).await;
                let payment = Spread::Uniform.payment(users);
                let is_served = client.try_pay(worker, payment).await?;
                came.push(Came {
                    due,
                    micros: u64::try_from(at.elapsed().as_micros())?,
                    is_served,
                });
            }
        });
    }
    let mut all = vec![];
    while let Some(worker) = workers.join_next().await {
        all.extend(worker??);
    }
    Ok(Offered {
        a_second,
        length,
        all,
    })
}

/// How many payments a second the service makes when it has always enough to do, and how many it made.
async fn saturation(load: &Load, client: &Arc<dyn Payer>) -> anyhow::Result<(u32, u64)> {
    let shape = Shape {
        spread: Spread::Uniform,
        users: load.users,
        in_flight: SATURATING,
    };
    let (mut rates, mut made) = (vec![], 0_u64);
    // The first round warms everything up.
    for round in 0..=load.rounds {
        let turn = turn(client, shape, load.turn()).await?;
        made = made.saturating_add(turn.made.into());
        if round > 0 {
            rates.push(turn.rate());
        }
    }
    Ok((format!("{:.0}", median(&rates)).parse()?, made))
}

pub(crate) async fn run(load: &Load, out: Option<&PathBuf>) -> anyhow::Result<()> {
    let server = start_server(load).await?;
    let url = server.url(DATABASE);
    // The first start migrates; a deployed service finds that done.
    Service::start(&url, load).await?.stop()?;
    let service = Service::start(&url, load).await?;
    let exchange = Arc::new(Exchange::open(&service, load.users).await?);
    let client = Client::open(&service.host, &exchange, Form::Settled, OFFERED).await?;
    let client = Arc::new(client);
    let payer: Arc<dyn Payer> = Arc::<Client>::clone(&client);
    let (saturated, mut made) = saturation(load, &payer).await?;
    println!("saturated: {saturated} settled transfers a second, {SATURATING} at once");

    let length = load.turn().saturating_mul(load.rounds);
    let part = |percent: u32| (saturated.saturating_mul(percent) / 100).max(1);
    let before = offer(&client, load.users, part(CALM), length).await?;
    let calm = before.served()?.value_at_quantile(0.99);
    println!("at {CALM} %: p99 {:.1} ms", millis(calm));
    let mut stages = vec![before.to_json()?];
    let mut offered = vec![before];
    for (percent, least) in TOO_MUCH {
        let burst = offer(&client, load.users, part(percent), length).await?;
        let after = offer(&client, load.users, part(CALM), length).await?;
        let mut told = burst.to_json()?;
        let recovered = after.calm_after(calm.saturating_mul(AS_BEFORE))?;
        let ratio = ratio(burst.goodput(), saturated);
        if let Some(told) = told.as_object_mut() {
            told.insert("percent_of_saturation".to_owned(), json!(percent));
            told.insert("goodput_ratio".to_owned(), json!(ratio));
            told.insert("goal".to_owned(), json!(least));
            told.insert("as_before_after_seconds".to_owned(), json!(recovered));
        }
        println!(
            "at {percent} % ({}/s): goodput {:.0}/s, {ratio:.1} % of saturation (goal {least} %); \
             served p50 {:.0} ms, p99 {:.0} ms; refused {}, p99 {:.0} ms, all within {:.0} ms; as \
             before after {recovered:?} s",
            burst.a_second,
            burst.goodput(),
            millis(burst.served()?.value_at_quantile(0.5)),
            millis(burst.served()?.value_at_quantile(0.99)),
            burst.refused()?.len(),
            millis(burst.refused()?.value_at_quantile(0.99)),
            millis(burst.refused()?.max()),
        );
        stages.push(told);
        offered.extend([burst, after]);
    }
    for offered in &offered {
        made = made.saturating_add(offered.served()?.len());
    }
    prove(&url, &service, made).await?;
    if let Some(folder) = out {
        let report = json!({"saturation": saturated, "stages": stages});
        let file = folder.join("overload.json");
        fs::write(&file, report.to_string()).context("the report cannot be written")?;
    }
    service.stop()?;
    server.stop().await.context("PostgreSQL did not stop")
}

/// In percent.
#[expect(clippy::float_arithmetic, reason = "a figure for people")]
fn ratio(goodput: f64, saturated: u32) -> f64 {
    goodput * 100.0 / f64::from(saturated)
}

/// As many transfers were made as were answered so, and the books are right.
async fn prove(url: &str, service: &Service, made: u64) -> anyhow::Result<()> {
    let client = connect(url).await?;
    let count = "SELECT count(*) FROM book_main.transfers WHERE kind = 'internal'";
    let found: i64 = client.query_one(count, &[]).await?.get(0);
    ensure!(
        u64::try_from(found)? == made,
        "{made} were made, {found} are there"
    );
    service.run(&["verify"])?;
    println!("{made} transfers were answered and are there; the books are proven");
    Ok(())
}
