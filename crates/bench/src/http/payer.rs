//! Payments over the API, in the forms in which clients make them.

use std::{fmt::Write as _, sync::Arc};

use anyhow::{bail, ensure};
use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::sleep;
use uuid::Builder;

use super::{
    client::{ATTEMPTS, Connection, Connections, LATER},
    exchange::{ASSET, Exchange},
};
use crate::{
    load::{Payer, Payment},
    world::user,
};

/// What one call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A transfer, answered when it is settled.
    Settled,
    /// A transfer, answered when it is accepted; it is settled afterwards.
    Accepted,
    /// A transfer that is settled, with a callback to this address.
    Callback(String),
    /// So many transfers of one sender.
    Bulk(u32),
    /// A deposit, completed.
    Deposit,
    /// A withdrawal: held by one call, and confirmed by another.
    Withdrawal,
}

/// A client with a connection for each worker.
pub(super) struct Client {
    exchange: Arc<Exchange>,
    form: Form,
    connections: Connections,
}

#[derive(Deserialize)]
struct Made {
    id: u64,
}

impl Client {
    pub(super) async fn open(
        host: &str,
        exchange: &Arc<Exchange>,
        form: Form,
        connections: u32,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            exchange: Arc::clone(exchange),
            form,
            connections: Connections::open(host, connections).await?,
        })
    }

    /// Pays, unless the service is overloaded: then nothing happens, and it says so.
    pub(super) async fn try_pay(&self, worker: u32, payment: Payment) -> anyhow::Result<bool> {
        let mut connection = self.connections.of(worker).await?;
        self.transfer(&mut connection, payment).await
    }

    /// One or several transfers of a user; false when they were refused because of too much to do.
    async fn transfer(
        &self,
        connection: &mut Connection,
        payment: Payment,
    ) -> anyhow::Result<bool> {
        let (path, body) = match &self.form {
            Form::Bulk(items) => (
                "/internal-transfer/bulk",
                bulk(payment, *items, self.exchange.users())?,
            ),
            Form::Callback(url) => ("/internal-transfer", item(payment, payment.to, Some(url))?),
            Form::Settled | Form::Accepted | Form::Deposit | Form::Withdrawal => {
                ("/internal-transfer", item(payment, payment.to, None)?)
            }
        };
        let signed = self.exchange.key(payment.from)?.sign(path, &body)?;
        let key = random_key();
        let mut headers: Vec<(&str, &str)> = vec![("Idempotency-Key", &key)];
        headers.extend(signed.iter().map(|(name, value)| (*name, &**value)));
        if self.form != Form::Accepted {
            headers.push(("Prefer", "wait"));
        }
        let answer = connection.ask("POST", path, &headers, &body).await?;
        if answer.status == 503 {
            return Ok(false);
        }
        if self.form == Form::Accepted {
            let _accepted = answer.ok()?;
            return Ok(true);
        }
        answer.ok_with("\"success\"", usize::try_from(self.payments_a_call())?)?;
        Ok(true)
    }

    /// What the back office does with a user's money.
    async fn operate(&self, connection: &mut Connection, payment: Payment) -> anyhow::Result<()> {
        let authorization = format!("Bearer {}", self.exchange.operator);
        let id = user(payment.to).to_string();
        let amount = coins(payment);
        let body = format!(r#"{{"userId":"{id}","assetId":"{ASSET}","amount":"{amount}"}}"#);
        let path = "/back-api/backoffice/transfers";
        let deposits = self.form == Form::Deposit;
        let begun = format!("{path}/{}", if deposits { "deposit" } else { "withdraw" });
        let key = random_key();
        let headers = [
            ("Authorization", &*authorization),
            ("Idempotency-Key", &*key),
            ("Prefer", "wait"),
        ];
        let answer = connection.ask("POST", &begun, &headers, &body).await?;
        if deposits {
            return answer.ok_with("\"Completed\"", 1);
        }
        let held: Made = serde_json::from_slice(answer.ok()?)?;
        let body = format!(r#"{{"userId":"{id}","transferId":{}}}"#, held.id);
        let path = format!("{path}/withdraw-confirm");
        let headers = [("Authorization", &*authorization), ("Prefer", "wait")];
        let answer = connection.ask("POST", &path, &headers, &body).await?;
        answer.ok_with("\"Completed\"", 1)
    }
}

#[async_trait]
impl Payer for Client {
    async fn pay(&self, worker: u32, payment: Payment) -> anyhow::Result<()> {
        let mut connection = self.connections.of(worker).await?;
        match self.form {
            Form::Deposit | Form::Withdrawal => self.operate(&mut connection, payment).await,
            Form::Settled | Form::Accepted | Form::Callback(_) | Form::Bulk(_) => {
                for _ in 0..ATTEMPTS {
                    if self.transfer(&mut connection, payment).await? {
                        return Ok(());
                    }
                    sleep(LATER).await;
                }
                bail!("the service is overloaded")
            }
        }
    }

    fn payments_a_call(&self) -> u32 {
        match self.form {
            Form::Bulk(items) => items,
            Form::Settled
            | Form::Accepted
            | Form::Callback(_)
            | Form::Deposit
            | Form::Withdrawal => 1,
        }
    }
}

/// An amount as it is written.
fn coins(payment: Payment) -> String {
    // Units are below one coin.
    format!("0.{:08}", payment.units)
}

/// A transfer as it is asked for.
pub(super) fn item(payment: Payment, to: u32, callback: Option<&str>) -> anyhow::Result<String> {
    let (to, amount) = (user(to), coins(payment));
    let mut body = format!(r#"{{"currency_code":"{ASSET}","amount":"{amount}","recipient":"{to}""#);
    if let Some(url) = callback {
        write!(body, r#","callback_url":"{url}""#)?;
    }
    body.push('}');
    Ok(body)
}

/// Many payments of one user, each to another one.
fn bulk(payment: Payment, items: u32, users: u32) -> anyhow::Result<String> {
    let mut body = String::from(r#"{"transfers":["#);
    for number in 0..items {
        // To the one, the next one, and so on; never to oneself.
        let to = payment.to.wrapping_add(number) % users;
        let to = if to == payment.from { payment.to } else { to };
        if number > 0 {
            body.push(',');
        }
        body.push_str(&item(payment, to, None)?);
    }
    body.push_str("]}");
    ensure!(body.len() < 8 << 20, "too much for one call");
    Ok(body)
}

fn random_key() -> String {
    Builder::from_random_bytes(rand::random())
        .into_uuid()
        .to_string()
}
