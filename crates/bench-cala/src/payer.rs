//! Payments through cala-ledger, under the load of all contestants.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use cala_ledger::{AccountId, CalaLedger, JournalId, posting::PostingInput};
use clap::Args;

use crate::{
    ledger::{self, Ledger, PAYMENT},
    load::{self, Payer, Payment, Shape, Spread},
};

/// The most connections that pay, unless more are asked for.
const CONNECTIONS_MAX: u32 = 64;

/// How much is asked for at once, and of whom.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Asked {
    /// How many users pay each other.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
    users: u32,

    /// Who pays whom: uniform, one-percent or one-account.
    #[arg(long, value_parser = spread, default_value = "uniform")]
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

fn spread(name: &str) -> Result<Spread, String> {
    match name {
        "uniform" => Ok(Spread::Uniform),
        "one-percent" => Ok(Spread::OnePercent),
        "one-account" => Ok(Spread::OneAccount),
        _ => Err("none of uniform, one-percent and one-account".to_owned()),
    }
}

/// Everything that is needed to pay.
struct Cala {
    cala: CalaLedger,
    journal: JournalId,
    accounts: Vec<AccountId>,
    asked: Asked,
}

impl Cala {
    fn posting(&self, payment: Payment) -> anyhow::Result<PostingInput> {
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

    fn any(&self) -> Payment {
        self.asked.spread.payment(self.asked.users)
    }

    /// Posts without committing, so that neither a template has to be read nor a statement to be
    /// prepared when the clock runs.
    async fn warm_up(&self) -> anyhow::Result<()> {
        let mut op = self.cala.begin_operation().await?;
        self.cala
            .post_transactions_in_op(&mut op, vec![self.posting(self.any())?])
            .await?;
        Ok(())
    }
}

#[async_trait]
impl Payer for Cala {
    async fn pay(&self, _worker: u32, payment: Payment) -> anyhow::Result<()> {
        let one = self.posting(payment)?;
        if self.asked.batch == 1 {
            self.cala
                .post_transaction(one.tx_id, &one.tx_template_code, one.params)
                .await?;
            return Ok(());
        }
        let others = (1..self.asked.batch).map(|_| self.posting(self.any()));
        let mut batch = others.collect::<anyhow::Result<Vec<_>>>()?;
        batch.push(one);
        self.cala.post_transactions(batch).await?;
        Ok(())
    }

    fn payments_a_call(&self) -> u32 {
        self.asked.batch
    }
}

/// Pays as fast as it goes, and tells what came of it as JSON.
pub(crate) async fn turn(url: &str, asked: Asked) -> anyhow::Result<String> {
    let connections = asked.connections;
    let connections = connections.unwrap_or(asked.in_flight.min(CONNECTIONS_MAX));
    let ledger = Ledger::open(url, connections, false).await?;
    let (journal, accounts) = ledger::world(ledger.cala.pool(), asked.users).await?;
    let cala = Cala {
        cala: ledger.cala.clone(),
        journal,
        accounts,
        asked,
    };
    // The pool hands out the one that has been idle longest: this comes by all of them.
    for _ in 0..2 * connections {
        cala.warm_up().await?;
    }
    let payer: Arc<dyn Payer> = Arc::new(cala);
    let shape = Shape {
        spread: asked.spread,
        users: asked.users,
        in_flight: asked.in_flight,
    };
    let turn = load::turn(&payer, shape, Duration::from_secs(asked.seconds)).await?;
    Ok(format!(
        r#"{{"made":{},"micros":{},"p50_us":{},"p99_us":{}}}"#,
        turn.made,
        turn.took.as_micros(),
        turn.latencies.value_at_quantile(0.5),
        turn.latencies.value_at_quantile(0.99),
    ))
}
