//! An exchange behind the API: users with an access key and money each.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use tokio::{sync::Mutex, task::JoinSet, time::sleep};

use super::{
    client::{ATTEMPTS, Connection, LATER},
    service::Service,
};
use crate::world::{now, user};

pub(super) const ASSET: &str = "coin";
/// How many make users at once.
const MAKERS: u32 = 32;

/// A user's key and its secret.
#[derive(Clone, Deserialize)]
pub(super) struct AccessKey {
    access_key: String,
    secret_key: String,
}

/// Who pays whom, and who runs it.
pub(super) struct Exchange {
    users: u32,
    /// The keys of users by their number.
    keys: Vec<AccessKey>,
    /// The back office's token.
    pub(super) operator: String,
}

impl AccessKey {
    /// Signs a request as of now.
    pub(super) fn sign(
        &self,
        path: &str,
        body: &str,
    ) -> anyhow::Result<[(&'static str, String); 3]> {
        let timestamp = now().as_micros().div_euclid(1_000).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret_key.as_bytes())?;
        for part in [&self.access_key, path, &timestamp, body] {
            mac.update(part.as_bytes());
        }
        Ok([
            ("X-Access-Key", self.access_key.clone()),
            ("X-Signature", HEXLOWER.encode(&mac.finalize().into_bytes())),
            ("X-Timestamp", timestamp),
        ])
    }
}

impl Exchange {
    /// Makes it, with fees and limits that nobody reaches.
    pub(super) async fn open(service: &Service, users: u32) -> anyhow::Result<Self> {
        let operator = issue_operator(service)?;
        let authorization = format!("Bearer {operator}");
        let admin = [("Authorization", &*authorization), ("Prefer", "wait")];
        let mut connection = Connection::open(&service.host).await?;
        let asset = |name: &str| {
            json!({"name": name, "scale": 8, "can_deposit": true, "can_withdraw": true,
                "can_transfer": true})
        };
        for (path, body) in [
            ("assets/usd".to_owned(), asset("usd")),
            (format!("assets/{ASSET}"), asset(ASSET)),
            (format!("rates/{ASSET}"), json!({"rate": "1"})),
            (
                format!("fees/internal/{ASSET}"),
                json!({"percent": "0.1", "min": "0.00000001"}),
            ),
            (
                format!("limits/internal/{ASSET}"),
                json!({"max_amount": "1000000000", "daily": "1000000000", "monthly": "1000000000"}),
            ),
        ] {
            let path = format!("/admin/v1/{path}");
            let body = body.to_string();
            let answer = connection.ask("PUT", &path, &admin, &body).await?;
            let _written = answer.ok()?;
        }
        let keys = Arc::new(Mutex::new(vec![None; usize::try_from(users)?]));
        let mut makers = JoinSet::new();
        for first in 0..MAKERS {
            let (keys, authorization) = (Arc::clone(&keys), authorization.clone());
            let mut connection = Connection::open(&service.host).await?;
            makers.spawn(async move {
                for number in (first..users).step_by(usize::try_from(MAKERS)?) {
                    let key = make_user(&mut connection, &authorization, number).await?;
                    let mut keys = keys.lock().await;
                    *keys.get_mut(usize::try_from(number)?).context("no place")? = Some(key);
                }
                anyhow::Ok(())
            });
        }
        while let Some(made) = makers.join_next().await {
            made??;
        }
        let keys = std::mem::take(&mut *keys.lock().await);
        let keys: Option<Vec<AccessKey>> = keys.into_iter().collect();
        let keys = keys.context("a user is missing")?;
        Ok(Self {
            users,
            keys,
            operator,
        })
    }

    /// How many there are.
    pub(super) const fn users(&self) -> u32 {
        self.users
    }

    /// The key of a user.
    pub(super) fn key(&self, number: u32) -> anyhow::Result<&AccessKey> {
        let key = self.keys.get(usize::try_from(number)?);
        key.context("no such user")
    }
}

/// A token that may do everything.
fn issue_operator(service: &Service) -> anyhow::Result<String> {
    let mut arguments = vec!["token", "create", "--subject", "bench"];
    for permission in [
        "admin",
        "backoffice_read",
        "backoffice_write",
        "backoffice_confirm",
    ] {
        arguments.extend(["--permission", permission]);
    }
    service.run(&arguments)
}

/// A user with a key and money.
async fn make_user(
    connection: &mut Connection,
    authorization: &str,
    number: u32,
) -> anyhow::Result<AccessKey> {
    let admin = [("Authorization", authorization), ("Prefer", "wait")];
    let id = user(number).to_string();
    let profile = json!({"username": format!("bench-{number}"), "email": "", "roles": [],
        "status": "Active"})
    .to_string();
    let path = format!("/admin/v1/users/{id}");
    let answer = connection.ask("PUT", &path, &admin, &profile).await?;
    let _written = answer.ok()?;
    let money = json!({"userId": id, "assetId": ASSET, "amount": "10000000"}).to_string();
    deposit(connection, &admin, &money).await?;
    let key =
        json!({"user_id": id, "permissions": ["allow_transfer", "allow_balance"]}).to_string();
    let path = "/admin/v1/access-keys";
    let answer = connection.ask("POST", path, &admin, &key).await?;
    Ok(serde_json::from_slice(answer.ok()?)?)
}

/// Comes back when there is too much to do: then nothing happened.
async fn deposit(
    connection: &mut Connection,
    headers: &[(&str, &str)],
    money: &str,
) -> anyhow::Result<()> {
    let path = "/back-api/backoffice/transfers/deposit";
    for _ in 0..ATTEMPTS {
        let answer = connection.ask("POST", path, headers, money).await?;
        if answer.status != 503 {
            return answer.ok_with("\"Completed\"", 1);
        }
        sleep(LATER).await;
    }
    bail!("the service is overloaded")
}
