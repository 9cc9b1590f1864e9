//! What a clause is tried with: users, money and credentials of its own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Deployment,
    answer::{Answer, text},
    client::Client,
    signing::AccessKey,
};

pub(crate) const DEPOSIT: &str = "/back-api/backoffice/transfers/deposit";
pub(crate) const WITHDRAW: &str = "/back-api/backoffice/transfers/withdraw";
pub(crate) const CONFIRM: &str = "/back-api/backoffice/transfers/withdraw-confirm";
pub(crate) const CANCEL: &str = "/back-api/backoffice/transfers/withdraw-cancel";
pub(crate) const HISTORY: &str = "/back-api/backoffice/transfers/account/";
pub(crate) const TRANSFERS: &str = "/back-api/api/v2/transfers";
pub(crate) const INTERNAL: &str = "/internal-transfer";
/// A GUID that belongs to nobody.
pub(crate) const NOBODY: &str = "99999999-9999-4999-8999-999999999999";
/// What a user's token may do.
pub(crate) const OWN: [&str; 2] = ["allow_transfer", "allow_balance"];

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// A deployment, as the people of an exchange see it.
pub(crate) struct Scene {
    deployment: Deployment,
    client: Client,
}

/// A user of the clause's own.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: String,
    /// A client with a token of the user's.
    pub(crate) own: Client,
}

impl Scene {
    pub(crate) fn new(deployment: Deployment) -> Self {
        let client = Client::new(deployment.url());
        Self { deployment, client }
    }

    /// What the deployment calls this, by its name without the prefix.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.deployment.value(name)
    }

    /// A client without credentials.
    pub(crate) fn stranger(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn admin(&self) -> Client {
        self.client.bearer(self.deployment.value("ADMIN_TOKEN"))
    }

    pub(crate) fn office(&self) -> Client {
        self.client
            .bearer(self.deployment.value("BACKOFFICE_TOKEN"))
    }

    pub(crate) fn reader(&self) -> Client {
        self.client.bearer(self.deployment.value("READONLY_TOKEN"))
    }

    /// A new user without money.
    pub(crate) async fn user(&self) -> User {
        let id = Uuid::new_v4().to_string();
        let name = unique("user");
        let email = format!("{name}@example.com");
        let mut user = User {
            id,
            name,
            email,
            own: self.client.clone(),
        };
        self.put_user(&user, "Active").await;
        user.own = self.token(Some(&user.id), &OWN).await;
        user
    }

    /// A new user with money.
    pub(crate) async fn rich(&self, asset: &str, amount: &str) -> User {
        let user = self.user().await;
        self.fund(&user, asset, amount).await;
        user
    }

    /// Gives a user another status.
    pub(crate) async fn put_user(&self, user: &User, status: &str) {
        let body = json!({
            "username": user.name, "email": user.email, "roles": ["trader"], "status": status,
        });
        let path = format!("/admin/v1/users/{}", user.id);
        self.admin().put(&path, body).await.ok();
    }

    /// A client with a new token.
    pub(crate) async fn token(&self, user: Option<&str>, permissions: &[&str]) -> Client {
        let body = json!({
            "subject": unique("token"), "user_id": user,
            "permissions": permissions, "ttl_seconds": 3_600,
        });
        let issued = self.admin().post("/admin/v1/tokens", body).await.ok();
        self.client.bearer(&issued.text("token"))
    }

    /// A new access key of a user's.
    pub(crate) async fn access_key(&self, user: &User, allowed_ips: Option<&[&str]>) -> AccessKey {
        let mut body = json!({"user_id": user.id, "permissions": OWN});
        if let Some(ips) = allowed_ips {
            body["allowed_ips"] = json!(ips);
        }
        let issued = self.admin().post("/admin/v1/access-keys", body).await.ok();
        AccessKey {
            name: issued.text("access_key"),
            secret: issued.text("secret_key"),
        }
    }

    /// An asset that exists for the suite alone, with these flags for ever.
    pub(crate) async fn asset(&self, id: &str, scale: u8, deposit: bool, others: bool) {
        let body = json!({
            "name": id, "scale": scale,
            "can_deposit": deposit, "can_withdraw": others, "can_transfer": others,
        });
        self.admin()
            .put(&format!("/admin/v1/assets/{id}"), body)
            .await
            .ok();
    }

    /// Deposits and waits until it is there.
    pub(crate) async fn fund(&self, user: &User, asset: &str, amount: &str) -> Answer {
        let answer = self
            .office()
            .waiting()
            .post(DEPOSIT, open(user, asset, amount))
            .await
            .ok();
        assert_eq!(answer.text("status"), "Completed", "{}", answer.text);
        answer
    }

    /// An open withdrawal.
    pub(crate) async fn withdrawal(&self, user: &User, asset: &str, amount: &str) -> Answer {
        self.office()
            .post(WITHDRAW, open(user, asset, amount))
            .await
            .ok()
    }

    /// A settled transfer between users.
    pub(crate) async fn paid(
        &self,
        from: &User,
        to: &User,
        currency: &str,
        amount: &str,
    ) -> Answer {
        let body = send(currency, amount, &to.id);
        let answer = from.own.waiting().post(INTERNAL, body).await.ok();
        assert_eq!(answer.text("status"), "success", "{}", answer.text);
        answer
    }

    /// A row of the back office's list about this transfer, once it has this status.
    pub(crate) async fn row(&self, user: &User, id: i64, status: &str) -> Value {
        let path = format!("{TRANSFERS}?userId={}&pageSize=999", user.id);
        eventually(&format!("{id} is {status}"), async || {
            let rows = self.office().get(&path).await.ok().rows();
            rows.into_iter()
                .find(|row| row["id"] == id && row["status"] == status)
        })
        .await
    }

    /// What a user has of a currency: available and frozen.
    pub(crate) async fn balance(&self, user: &User, currency: &str) -> (String, String) {
        let rows = user.own.get("/balance").await.ok().rows();
        let row = rows.iter().find(|row| row["currency"] == currency);
        let row = row.unwrap_or_else(|| panic!("no {currency} in {rows:?}"));
        (text(row, "available"), text(row, "frozen"))
    }
}

/// The body of a deposit or withdrawal.
pub(crate) fn open(user: &User, asset: &str, amount: &str) -> Value {
    json!({"userId": user.id, "assetId": asset, "amount": amount})
}

/// The body of a confirm or cancel.
pub(crate) fn finish(user: &User, transfer: i64) -> Value {
    json!({"userId": user.id, "transferId": transfer})
}

/// The body of an internal transfer.
pub(crate) fn send(currency: &str, amount: &str, recipient: &str) -> Value {
    json!({"currency_code": currency, "amount": amount, "recipient": recipient})
}

/// A body with one more member, or another value of one it has.
pub(crate) fn and(mut body: Value, key: &str, value: impl Into<Value>) -> Value {
    body[key] = value.into();
    body
}

/// A name that nobody else has.
pub(crate) fn unique(what: &str) -> String {
    format!("cf-{what}-{}", Uuid::new_v4().simple())
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
