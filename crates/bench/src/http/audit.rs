//! What was answered against what is in the books.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;
use tokio_postgres::Client;

use super::{Contestant, Scene, payer::Form};
use crate::{Load, load::Turn};

/// How long what was accepted may take to be settled and told.
const SETTLED_MAX: Duration = Duration::from_secs(120);

/// How many payments were answered.
#[derive(Debug, Default)]
pub(super) struct Answered {
    transfers: u64,
    callbacks: u64,
    deposits: u64,
    withdrawals: u64,
    pub(super) by_baselines: u64,
}

impl Answered {
    pub(super) fn add(&mut self, contestant: &Contestant, turn: &Turn) {
        let made = u64::from(turn.made);
        let counts: &mut [&mut u64] = match contestant {
            Contestant::Echo => &mut [],
            Contestant::RowByRow => &mut [&mut self.by_baselines],
            Contestant::Service(Form::Deposit) => &mut [&mut self.deposits],
            Contestant::Service(Form::Withdrawal) => &mut [&mut self.withdrawals],
            Contestant::Service(Form::Callback(_)) => {
                &mut [&mut self.transfers, &mut self.callbacks]
            }
            Contestant::Service(Form::Settled | Form::Accepted | Form::Bulk(_)) => {
                &mut [&mut self.transfers]
            }
        };
        for count in counts {
            **count = count.saturating_add(made);
        }
    }

    pub(super) fn by_bursar(&self) -> u64 {
        [self.transfers, self.deposits, self.withdrawals]
            .iter()
            .sum()
    }
}

/// Waits until nothing is left to be settled or told: it would be done while others are measured.
///
/// # Errors
/// When it takes too long.
pub(super) async fn settle(client: &Client) -> anyhow::Result<()> {
    let began = Instant::now();
    for waiting in [
        "transfers WHERE state = 'Pending' AND stage IS NULL",
        "callbacks WHERE state <> 'succeeded'",
    ] {
        while count(client, waiting).await? > 0 {
            ensure!(began.elapsed() < SETTLED_MAX, "there are still {waiting}");
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

async fn count(client: &Client, rows: &str) -> anyhow::Result<u64> {
    let statement = format!("SELECT count(*) FROM book_main.{rows}");
    let found: i64 = client.query_one(&statement, &[]).await?.get(0);
    Ok(u64::try_from(found)?)
}

/// Proves the books: every balance, entry and seal,
/// as many payments as were answered, and a callback for each that asked for one.
///
/// # Errors
/// What is wrong.
pub(super) async fn prove(
    client: &Client,
    scene: &Scene,
    load: &Load,
    answered: &Answered,
) -> anyhow::Result<()> {
    let deposits = answered.deposits.saturating_add(load.users.into());
    for (condition, expected) in [
        (
            "transfers WHERE kind = 'internal' AND state = 'Success'",
            answered.transfers,
        ),
        (
            "transfers WHERE kind = 'deposit' AND state = 'Completed'",
            deposits,
        ),
        (
            "transfers WHERE kind = 'withdrawal' AND state = 'Completed'",
            answered.withdrawals,
        ),
        ("callbacks", answered.callbacks),
    ] {
        let found = count(client, condition).await?;
        ensure!(
            found == expected,
            "{found} {condition}, of which {expected} were answered"
        );
    }
    let told = scene.receiver.received();
    ensure!(
        told >= answered.callbacks,
        "{told} of {} callbacks have come",
        answered.callbacks
    );
    let proof = scene.service.run(&["verify"])?;
    println!("{}", proof.lines().last().unwrap_or_default());
    Ok(())
}
