//! How most services write it: the same payment as SQL of their own, on the same server.
//!
//! Both do the same work as Bursar's: a check of the balance, two balances, a transfer with a unique
//! key, two entries with the balance after, one event. They have no limits, fees, seals or lists.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Statement};
use uuid::{Builder, Uuid};

use crate::{
    load::{Payer, Payment},
    world,
};

const SCHEMA: &str = include_str!("baseline.sql");
/// More than any run spends.
const MONEY: i64 = 1_000_000_000_000;

/// Makes the tables, with so many accounts that have money.
pub(crate) async fn prepare(url: &str, accounts: u32) -> anyhow::Result<()> {
    let client = connect(url).await?;
    client.batch_execute(SCHEMA).await?;
    client
        .execute(
            "INSERT INTO baseline.balances SELECT n, $1, 0 FROM generate_series(0, $2::bigint - 1) AS n",
            &[&MONEY, &i64::from(accounts)],
        )
        .await?;
    client.batch_execute("VACUUM (ANALYZE)").await?;
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let client = world::connect(url).await?;
    client.batch_execute("SET search_path = baseline").await?;
    Ok(client)
}

/// What most services take for an id.
fn random_id() -> Uuid {
    Builder::from_random_bytes(rand::random()).into_uuid()
}

/// A connection with its statements.
struct Session {
    client: Client,
    statements: Vec<Statement>,
}

/// Sessions, one for each worker.
struct Sessions(Vec<Mutex<Session>>);

impl Sessions {
    async fn open(url: &str, count: u32, statements: &[&str]) -> anyhow::Result<Self> {
        let mut sessions = vec![];
        for _ in 0..count {
            let client = connect(url).await?;
            let mut prepared = vec![];
            for statement in statements {
                prepared.push(client.prepare(statement).await?);
            }
            sessions.push(Mutex::new(Session {
                client,
                statements: prepared,
            }));
        }
        Ok(Self(sessions))
    }

    fn of(&self, worker: u32) -> anyhow::Result<&Mutex<Session>> {
        let found = self.0.get(usize::try_from(worker)?);
        found.context("more workers than sessions")
    }
}

/// Row by row: nine round trips for each payment.
pub(crate) struct RowByRow(Sessions);

impl RowByRow {
    const STATEMENTS: [&str; 6] = [
        "SELECT available FROM balances WHERE account_id = ANY($1) ORDER BY account_id FOR UPDATE",
        "UPDATE balances SET available = available - $2, version = version + 1 \
         WHERE account_id = $1 AND available >= $2 RETURNING available",
        "UPDATE balances SET available = available + $2, version = version + 1 \
         WHERE account_id = $1 RETURNING available",
        "INSERT INTO transfers (id, idempotency_key, sender, recipient, amount, created_at) \
         VALUES ($1, $2, $3, $4, $5, now())",
        "INSERT INTO entries (account_id, transfer_id, amount, balance_after, created_at) \
         VALUES ($1, $2, $3, $4, now())",
        "INSERT INTO events (transfer_id, payload) \
         VALUES ($1, jsonb_build_object('status', 'Success', 'amount', $2::bigint))",
    ];

    pub(crate) async fn open(url: &str, sessions: u32) -> anyhow::Result<Self> {
        Ok(Self(
            Sessions::open(url, sessions, &Self::STATEMENTS).await?,
        ))
    }
}

#[async_trait]
impl Payer for RowByRow {
    async fn pay(&self, worker: u32, payment: Payment) -> anyhow::Result<()> {
        let Session { client, statements } = &*self.0.of(worker)?.lock().await;
        let [lock, take, give, transfer, entry, event] = statements.as_slice() else {
            anyhow::bail!("there are six statements");
        };
        let (from, to) = (i64::from(payment.from), i64::from(payment.to));
        let (id, units) = (random_id(), payment.units);
        client.batch_execute("BEGIN").await?;
        client.query(lock, &[&[from, to].as_slice()]).await?;
        let taken: i64 = client.query_one(take, &[&from, &units]).await?.get(0);
        let given: i64 = client.query_one(give, &[&to, &units]).await?.get(0);
        let key = id.to_string();
        client
            .execute(transfer, &[&id, &key, &from, &to, &units])
            .await?;
        let less = units.checked_neg().context("an amount is positive")?;
        client.execute(entry, &[&from, &id, &less, &taken]).await?;
        client.execute(entry, &[&to, &id, &units, &given]).await?;
        client.execute(event, &[&id, &units]).await?;
        client.batch_execute("COMMIT").await?;
        Ok(())
    }
}

/// One statement for each payment: a function does all of it in one round trip.
pub(crate) struct OneStatement(Sessions);

impl OneStatement {
    pub(crate) async fn open(url: &str, sessions: u32) -> anyhow::Result<Self> {
        let statement = "SELECT pay($1, $2, $3, $4, $5)";
        Ok(Self(Sessions::open(url, sessions, &[statement]).await?))
    }
}

#[async_trait]
impl Payer for OneStatement {
    async fn pay(&self, worker: u32, payment: Payment) -> anyhow::Result<()> {
        let Session { client, statements } = &*self.0.of(worker)?.lock().await;
        let [pay] = statements.as_slice() else {
            anyhow::bail!("there is one statement");
        };
        let (from, to) = (i64::from(payment.from), i64::from(payment.to));
        let id = random_id();
        client
            .query_one(pay, &[&id, &id.to_string(), &from, &to, &payment.units])
            .await?;
        Ok(())
    }
}

/// What the baseline's books say, against how many payments were answered.
///
/// # Errors
/// What is wrong with them.
pub(crate) async fn audit(url: &str, accounts: u32, made: u64) -> anyhow::Result<()> {
    let client = connect(url).await?;
    let number = async |statement: &str| -> anyhow::Result<i64> {
        Ok(client.query_one(statement, &[]).await?.get(0))
    };
    let transfers = number("SELECT count(*) FROM transfers").await?;
    ensure!(
        u64::try_from(transfers)? == made,
        "the baseline has {transfers} transfers, of which {made} were answered"
    );
    let sum = number("SELECT sum(available)::bigint FROM balances").await?;
    let put_in = MONEY.checked_mul(i64::from(accounts));
    ensure!(
        Some(sum) == put_in,
        "the baseline's balances sum up to {sum}"
    );
    let wrong = format!(
        "SELECT count(*) FROM (SELECT e.account_id, sum(e.amount) AS moved, count(*) AS entries \
         FROM entries e GROUP BY 1) AS e JOIN balances b USING (account_id) \
         WHERE b.available <> {MONEY} + e.moved OR b.version <> e.entries \
         OR b.available < 0"
    );
    let wrong = number(&wrong).await?;
    ensure!(wrong == 0, "{wrong} of the baseline's accounts are wrong");
    Ok(())
}
