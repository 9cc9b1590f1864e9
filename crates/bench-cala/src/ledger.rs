//! The ledger: how it is opened, and what is called what.

use std::str::FromStr as _;

use anyhow::Context as _;
use cala_ledger::{
    AccountId, CalaLedger, CalaLedgerConfig, JournalId, TransactionId, job, posting::PostingInput,
    tx_template::Params,
};
use rust_decimal::Decimal;
use sqlx::{
    ConnectOptions as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

/// The code of the only journal.
pub(crate) const JOURNAL: &str = "bench";

/// The code of the account that everybody's money came from.
pub(crate) const FUNDING: &str = "funding";

/// The code of the template of a payment.
pub(crate) const PAYMENT: &str = "payment";

/// The code of the template of what users have at the start: the same as a payment, so that
/// payments can be told from it.
pub(crate) const GRANT: &str = "grant";

/// The only currency.
pub(crate) const CURRENCY: &str = "USD";

/// What cala takes from its pool for itself: one connection that listens, one that notifies.
const OF_ITS_OWN: u32 = 2;

/// The code of a user's account.
pub(crate) fn user(index: u32) -> String {
    format!("user-{index}")
}

/// A pool of so many connections, all of them open.
pub(crate) async fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("bursar-bench-cala")
        .disable_statement_logging();
    PgPoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        // Spares cala a round trip for each payment.
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .context("cannot connect to the database")
}

/// An open ledger.
pub(crate) struct Ledger {
    pub(crate) cala: CalaLedger,
    /// Never polled: there are no account sets to roll up.
    _jobs: job::Jobs,
}

impl Ledger {
    /// Opens the ledger for so many payments at once.
    pub(crate) async fn open(url: &str, at_once: u32, migrate: bool) -> anyhow::Result<Self> {
        let pool = pool(url, at_once + OF_ITS_OWN).await?;
        let config = job::JobSvcConfig::builder().pool(pool.clone()).build();
        let config = config.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut jobs = job::Jobs::init(config).await?;
        let config = CalaLedgerConfig::builder()
            .pool(pool)
            .exec_migrations(migrate)
            .build()?;
        let cala = CalaLedger::init(config, &mut jobs).await?;
        Ok(Self { cala, _jobs: jobs })
    }
}

/// A posting with one of the two templates.
pub(crate) fn posting(
    template: &str,
    journal: JournalId,
    (sender, recipient): (AccountId, AccountId),
    units: i64,
) -> PostingInput {
    let mut params = Params::new();
    params.insert("journal", journal);
    params.insert("sender", sender);
    params.insert("recipient", recipient);
    params.insert("amount", Decimal::from(units));
    params.insert("currency", CURRENCY);
    PostingInput::new(TransactionId::new(), template, params)
}

/// The journal and the accounts of the first so many users.
pub(crate) async fn world(
    pool: &PgPool,
    users: u32,
) -> anyhow::Result<(JournalId, Vec<AccountId>)> {
    let journal: Uuid = sqlx::query_scalar("SELECT id FROM cala_journals WHERE code = $1")
        .bind(JOURNAL)
        .fetch_optional(pool)
        .await?
        .context("no journal: has `prepare` been run here?")?;
    let accounts: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM cala_accounts WHERE code LIKE 'user-%' \
         ORDER BY substr(code, 6)::int LIMIT $1",
    )
    .bind(i64::from(users))
    .fetch_all(pool)
    .await?;
    anyhow::ensure!(
        u32::try_from(accounts.len())? == users,
        "there are only {} users",
        accounts.len(),
    );
    let accounts = accounts.into_iter().map(AccountId::from).collect();
    Ok((JournalId::from(journal), accounts))
}
