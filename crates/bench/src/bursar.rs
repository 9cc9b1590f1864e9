//! Bursar in process: the store's port.

use std::sync::Arc;

use anyhow::ensure;
use async_trait::async_trait;
use bursar_domain::{Commit, Kind};
use bursar_ports::TransferStore as _;
use bursar_postgres::{Event, PgStore, Verification, verify};
use bursar_testkit::build;

use crate::{
    load::{Payer, Payment},
    world::{World, is_made, seal_keys, user},
};

/// Payments of an asset, each a request of its own.
pub(crate) struct InProcess {
    pub(crate) world: Arc<World>,
    pub(crate) asset: &'static str,
    /// Whether what is written is sealed.
    pub(crate) seals: bool,
    /// Whether an operator makes the payments, so that the audit log tells of them.
    pub(crate) audit: bool,
}

impl InProcess {
    /// Payments with seals, of an asset that so many have and that has fees and limits.
    pub(crate) async fn with_rules(
        world: &Arc<World>,
        asset: &'static str,
        users: u32,
    ) -> anyhow::Result<Self> {
        world.issue(&world.sealing, asset, users).await?;
        world.set_fees(Kind::Internal, asset).await?;
        world.set_limits(Kind::Internal, asset).await?;
        Ok(Self {
            world: Arc::clone(world),
            asset,
            seals: true,
            audit: false,
        })
    }

    /// The store that they go through.
    pub(crate) fn store(&self) -> &PgStore {
        if self.seals {
            &self.world.sealing
        } else {
            &self.world.plain
        }
    }
}

#[async_trait]
impl Payer for InProcess {
    async fn pay(&self, _worker: u32, payment: Payment) -> anyhow::Result<()> {
        let Payment { from, to, units } = payment;
        let change = self
            .world
            .payment(self.asset, from, to, units.into())
            .await?;
        let key = change.next.id().to_string();
        let fields = [("amount", &*units.to_string())];
        let claim = build::claim(&user(from).to_string(), "pay", &key, &fields);
        let target = format!("transfer:{key}");
        let commit = Commit {
            audit: self.audit.then(|| build::audit("pay", &target)),
            ..build::keyed(change, claim)
        };
        for outcome in self.store().commit(vec![commit]).await? {
            ensure!(is_made(&outcome), "a payment came to {outcome:?}");
        }
        Ok(())
    }
}

/// Proves Bursar's books, and that they have as many payments as were answered.
///
/// # Errors
/// What is wrong with them.
pub(crate) async fn audit(world: &World, made: u64) -> anyhow::Result<()> {
    let client = world.connect().await?;
    let paid = client
        .query_one(
            "SELECT count(*) FROM book_main.transfers WHERE kind = 'internal' AND state = 'Success'",
            &[],
        )
        .await?;
    let paid: i64 = paid.get(0);
    ensure!(
        u64::try_from(paid)? == made,
        "Bursar has {paid} payments, of which {made} were answered"
    );
    let mut wrong = vec![];
    let mut tell = |event| {
        if let Event::Violation(violation) = event {
            wrong.push(violation.to_string());
        }
    };
    let verification = Verification {
        seals: seal_keys(),
        sealed_since: None,
        heads: None,
    };
    verify(&world.url(), &verification, &mut tell).await?;
    ensure!(wrong.is_empty(), "Bursar's books are wrong: {wrong:?}");
    Ok(())
}
