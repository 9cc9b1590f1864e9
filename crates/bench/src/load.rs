//! A closed loop: so many payers, each of whom pays again when it is answered.
//!
//! What a closed loop says of latency leaves out those who would have come meanwhile (coordinated
//! omission): it tells how long an answer takes at this many in flight, and nothing about arrivals
//! that do not wait.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hdrhistogram::Histogram;
use rand::RngExt as _;
use tokio::task::JoinSet;

/// The longest latency that is told apart, in microseconds.
const LATENCY_MAX: u64 = 60_000_000;

/// Latencies in microseconds, none so far.
pub(crate) fn no_latencies() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX, 3).expect("bounds that a histogram can have")
}

/// One way to move money from one account to another, durably.
#[async_trait]
pub(crate) trait Payer: Send + Sync {
    /// Pays, and comes back when that is durable. `worker` is whose connection it is, where each has
    /// one.
    async fn pay(&self, worker: u32, payment: Payment) -> anyhow::Result<()>;
}

/// One payment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) units: i64,
}

/// Who pays whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Anybody pays anybody.
    Uniform,
    /// Nine out of ten payments go to one user in a hundred.
    OnePercent,
    /// Everybody pays the same one.
    OneAccount,
}

impl Spread {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::OnePercent => "1 % hot",
            Self::OneAccount => "one account in all",
        }
    }

    /// A payment among so many users.
    pub(crate) fn payment(self, users: u32) -> Payment {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) spread: Spread,
    pub(crate) users: u32,
    pub(crate) in_flight: u32,
}

/// What came of a turn.
pub(crate) struct Turn {
    /// How many payments were made.
    pub(crate) made: u32,
    pub(crate) took: Duration,
    /// How long they took, in microseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Turn {
    /// Payments a second.
    #[expect(clippy::float_arithmetic, reason = "a figure for people")]
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.made) / self.took.as_secs_f64()
    }
}

/// Pays as fast as it goes for this long.
pub(crate) async fn turn(
    payer: &Arc<dyn Payer>,
    shape: Shape,
    length: Duration,
) -> anyhow::Result<Turn> {
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..shape.in_flight {
        let payer = Arc::clone(payer);
        workers.spawn(async move {
            let mut latencies = no_latencies();
            while began.elapsed() < length {
                let asked = Instant::now();
                payer.pay(worker, shape.spread.payment(shape.users)).await?;
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
    Ok(Turn {
        made: u32::try_from(latencies.len())?,
        took: began.elapsed(),
        latencies,
    })
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
