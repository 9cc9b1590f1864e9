//! Loads: a closed loop of so many payers, each of whom pays again when it is answered, and an open
//! one, in which payments become due whether or not others are answered.
//!
//! What a closed loop says of latency leaves out those who would have come meanwhile (coordinated
//! omission): it tells how long an answer takes at this many in flight. In an open loop a payment's
//! time runs from when it was due, also while no payer was free to make it; timers are exact to a
//! millisecond.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
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

    /// How many payments each call makes.
    fn payments_a_call(&self) -> u32 {
        1
    }
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

impl Shape {
    /// Whether anybody pays anybody, so many at once.
    pub(crate) fn is_usual(self, in_flight: u32) -> bool {
        self.spread == Spread::Uniform && self.in_flight == in_flight
    }
}

/// What came of a turn.
pub(crate) struct Turn {
    /// How many payments were made.
    pub(crate) made: u32,
    pub(crate) took: Duration,
    /// How long each call took, in microseconds.
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
    let next = move || (began.elapsed() < length).then(Instant::now);
    run(payer, shape, began, next).await
}

/// Makes payments that become due at this rate, each by whoever is free; `in_flight` is the most at
/// once.
pub(crate) async fn arrivals(
    payer: &Arc<dyn Payer>,
    shape: Shape,
    a_second: u32,
    length: Duration,
) -> anyhow::Result<Turn> {
    let began = Instant::now();
    let arrived = Arc::new(AtomicU32::new(0));
    let next = move || {
        let number = arrived.fetch_add(1, Ordering::Relaxed);
        let after = Duration::from_secs(number.into()).checked_div(a_second)?;
        began.checked_add(after).filter(|_| after < length)
    };
    run(payer, shape, began, next).await
}

/// Pays with so many workers, each of whom asks `next` when its payment is due, until there is none.
async fn run(
    payer: &Arc<dyn Payer>,
    shape: Shape,
    began: Instant,
    next: impl Fn() -> Option<Instant> + Clone + Send + 'static,
) -> anyhow::Result<Turn> {
    let mut workers = JoinSet::new();
    for worker in 0..shape.in_flight {
        let (payer, next) = (Arc::clone(payer), next.clone());
        workers.spawn(async move {
            let mut latencies = no_latencies();
            while let Some(due) = next() {
                if due > Instant::now() {
                    tokio::time::sleep_until(due.into()).await;
                }
                payer.pay(worker, shape.spread.payment(shape.users)).await?;
                let micros = u64::try_from(due.elapsed().as_micros())?;
                latencies.record(micros.clamp(1, LATENCY_MAX))?;
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = no_latencies();
    while let Some(worker) = workers.join_next().await {
        latencies.add(worker??)?;
    }
    let calls = u32::try_from(latencies.len())?;
    Ok(Turn {
        made: calls.saturating_mul(payer.payments_a_call()),
        took: began.elapsed(),
        latencies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes its time.
    struct Slow(Duration);

    #[async_trait]
    impl Payer for Slow {
        async fn pay(&self, _worker: u32, _payment: Payment) -> anyhow::Result<()> {
            tokio::time::sleep(self.0).await;
            Ok(())
        }

        fn payments_a_call(&self) -> u32 {
            10
        }
    }

    #[tokio::test]
    async fn who_has_to_wait_for_a_payer_has_waited_since_it_was_due() {
        let payer: Arc<dyn Payer> = Arc::new(Slow(Duration::from_millis(20)));
        let alone = Shape {
            spread: Spread::Uniform,
            users: 2,
            in_flight: 1,
        };
        let length = Duration::from_millis(100);
        let open = arrivals(&payer, alone, 100, length).await.unwrap();
        // Ten became due within the tenth of a second, one every ten milliseconds, and each took
        // twenty: the last one was due after 90 ms and began after 180.
        assert_eq!(open.made, 100);
        assert!(open.latencies.max() >= 110_000, "{}", open.latencies.max());
        let closed = turn(&payer, alone, length).await.unwrap();
        assert!(closed.made <= 50, "{}", closed.made);
    }

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
