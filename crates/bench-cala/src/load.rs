//! A closed loop: so many payers, each of whom pays again when it is answered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use cala_ledger::{AccountId, CalaLedger, JournalId, posting::PostingInput};
use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use rand::RngExt as _;
use tokio::task::JoinSet;

use crate::ledger::{self, Ledger, PAYMENT};

/// The longest latency that is told apart, in microseconds.
const LATENCY_MAX: u64 = 60_000_000;

/// The most connections that pay, unless more are asked for.
const CONNECTIONS_MAX: u32 = 64;

/// Who pays whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spread {
    /// Anybody pays anybody.
    Uniform,
    /// Nine out of ten payments go to one user in a hundred.
    OnePercent,
    /// Everybody pays the same one.
    OneAccount,
}

/// One payment between users, by their numbers.
#[derive(Clone, Copy, Debug)]
struct Payment {
    from: u32,
    to: u32,
    units: i64,
}

impl Spread {
    /// A payment among so many users.
    fn payment(self, users: u32) -> Payment {
        let mut random = rand::rng();
        let few = (users / 100).max(1);
        let to = match self {
            Self::OneAccount => 0,
            Self::OnePercent if random.random_range(0..10) > 0 => random.random_range(0..few),
            Self::Uniform | Self::OnePercent => random.random_range(0..users),
        };
        let other = random.random_range(1..users);
        Payment {
            from: to.wrapping_add(other) % users,
            to,
            units: random.random_range(1_000..1_000_000),
        }
    }
}

/// How much is asked for at once, and of whom.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shape {
    /// How many users pay each other.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
    users: u32,

    /// Who pays whom.
    #[arg(long, value_enum, default_value_t = Spread::Uniform)]
    spread: Spread,

    /// How many calls are under way at once.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,

    /// For how long it goes on.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// How many payments each call makes, all or none of them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    batch: u32,

    /// How many connections pay: one for each call under way, up to 64, when it is not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    connections: Option<u32>,
}

/// Everything that a payer needs.
struct Payer {
    cala: CalaLedger,
    journal: JournalId,
    accounts: Vec<AccountId>,
    shape: Shape,
}

impl Payer {
    fn posting(&self) -> anyhow::Result<PostingInput> {
        let payment = self.shape.spread.payment(self.shape.users);
        let account = |user: u32| {
            let account = self.accounts.get(usize::try_from(user)?);
            account.copied().context("a user without an account")
        };
        let parties = (account(payment.from)?, account(payment.to)?);
        Ok(ledger::posting(
            PAYMENT,
            self.journal,
            parties,
            payment.units,
        ))
    }

    /// Makes as many payments as a call does, and comes back when they are durable.
    async fn call(&self) -> anyhow::Result<()> {
        if self.shape.batch == 1 {
            let one = self.posting()?;
            self.cala
                .post_transaction(one.tx_id, &one.tx_template_code, one.params)
                .await?;
            return Ok(());
        }
        let batch = (0..self.shape.batch).map(|_| self.posting());
        let batch = batch.collect::<anyhow::Result<_>>()?;
        self.cala.post_transactions(batch).await?;
        Ok(())
    }

    /// Posts without committing, so that neither a template has to be read nor a statement to be
    /// prepared when the clock runs.
    async fn warm_up(&self) -> anyhow::Result<()> {
        let mut op = self.cala.begin_operation().await?;
        self.cala
            .post_transactions_in_op(&mut op, vec![self.posting()?])
            .await?;
        Ok(())
    }
}

/// Pays as fast as it goes, and tells what came of it as JSON.
pub(crate) async fn turn(url: &str, shape: Shape) -> anyhow::Result<String> {
    let connections = shape.connections;
    let connections = connections.unwrap_or(shape.in_flight.min(CONNECTIONS_MAX));
    let ledger = Ledger::open(url, connections, false).await?;
    let (journal, accounts) = ledger::world(ledger.cala.pool(), shape.users).await?;
    let payer = Arc::new(Payer {
        cala: ledger.cala.clone(),
        journal,
        accounts,
        shape,
    });
    // The pool hands out the one that has been idle longest: this comes by all of them.
    for _ in 0..2 * connections {
        payer.warm_up().await?;
    }

    let length = Duration::from_secs(shape.seconds);
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..shape.in_flight {
        let payer = Arc::clone(&payer);
        workers.spawn(async move {
            let mut latencies = no_latencies();
            while began.elapsed() < length {
                let asked = Instant::now();
                payer.call().await?;
                let micros = u64::try_from(asked.elapsed().as_micros())?;
                latencies.record(micros.clamp(1, LATENCY_MAX))?;
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = no_latencies();
    while let Some(worker) = workers.join_next().await {
        latencies.add(worker??)?;
    }
    Ok(format!(
        r#"{{"made":{},"micros":{},"p50_us":{},"p99_us":{}}}"#,
        latencies.len() * u64::from(shape.batch),
        began.elapsed().as_micros(),
        latencies.value_at_quantile(0.5),
        latencies.value_at_quantile(0.99),
    ))
}

/// Latencies in microseconds, none so far.
fn no_latencies() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX, 3).expect("bounds that a histogram can have")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_pays_themselves() {
        for spread in [Spread::Uniform, Spread::OnePercent, Spread::OneAccount] {
            for _ in 0..1_000 {
                let payment = spread.payment(3);
                assert!(payment.from < 3 && payment.to < 3, "{payment:?}");
                assert_ne!(payment.from, payment.to);
            }
        }
    }

    #[test]
    fn hot_accounts_are_hot() {
        let hot = |spread: Spread, below: u32| {
            let payments = (0..1_000).map(|_| spread.payment(10_000));
            payments.filter(|payment| payment.to < below).count()
        };
        assert_eq!(hot(Spread::OneAccount, 1), 1_000);
        assert!(hot(Spread::OnePercent, 100) > 800);
        assert!(hot(Spread::Uniform, 100) < 100);
    }
}
