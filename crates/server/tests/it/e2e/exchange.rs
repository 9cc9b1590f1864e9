//! Assets, users, credentials and money, made through the admin API and the back office.

use serde_json::{Value, json};

use super::{client::Client, service::create_token};

pub(super) const DEPOSIT: &str = "/back-api/backoffice/transfers/deposit";
pub(super) const WITHDRAW: &str = "/back-api/backoffice/transfers/withdraw";
pub(super) const CONFIRM: &str = "/back-api/backoffice/transfers/withdraw-confirm";
pub(super) const CANCEL: &str = "/back-api/backoffice/transfers/withdraw-cancel";
pub(super) const INTERNAL: &str = "/internal-transfer";
pub(super) const BULK: &str = "/internal-transfer/bulk";
pub(super) const WAIT: (&str, &str) = ("prefer", "wait");

/// The assets, and how many decimal places each has.
pub(super) const SCALES: [(&str, u8); 3] = [("btc", 8), ("eth", 18), ("usd", 2)];

/// A limit that nobody reaches: the most that an amount may be.
const NEVER_REACHED: &str = "999999999999999";

/// An exchange that is open for business: `btc` (8), `eth` (18) and `usd` (2).
pub(super) struct Exchange {
    pub(super) admin: String,
    pub(super) backoffice: String,
    pub(super) traders: Vec<Trader>,
    /// What sending, withdrawing and depositing btc costs, in smallest units.
    pub(super) fee: i128,
}

/// A user with a token for its own money.
#[derive(Clone)]
pub(super) struct Trader {
    pub(super) id: String,
    pub(super) token: String,
}

impl Exchange {
    /// Opens one with this many users, who have nothing yet.
    pub(super) async fn open(database_url: &str, client: &Client, traders: usize) -> Self {
        let admin = create_token(database_url, "admin", "admin").await;
        Self::open_by(admin, client, traders).await
    }

    /// The same by whoever has this token.
    pub(super) async fn open_by(admin: String, client: &Client, traders: usize) -> Self {
        let operator = client.with(&admin);
        for (asset, scale) in SCALES {
            let body = json!({
                "name": asset, "scale": scale,
                "can_deposit": true, "can_withdraw": true, "can_transfer": true,
            });
            let path = format!("/admin/v1/assets/{asset}");
            operator.put(&path, body.to_string()).await.ok();
        }
        let permissions = ["backoffice_read", "backoffice_write", "backoffice_confirm"];
        let backoffice = issue(&operator, "backoffice", None, &permissions).await;
        let mut opened = Self {
            admin,
            backoffice,
            traders: Vec::new(),
            fee: 0,
        };
        for number in 0..traders {
            let id = format!("00000000-0000-4000-8000-{number:012}");
            let name = format!("trader{number}");
            let body = json!({
                "username": name, "email": format!("{name}@example.com"),
                "roles": ["trader"], "status": "Active",
            });
            let path = format!("/admin/v1/users/{id}");
            operator.put(&path, body.to_string()).await.ok();
            let permissions = ["allow_transfer", "allow_balance"];
            let token = issue(&operator, &name, Some(&id), &permissions).await;
            opened.traders.push(Trader { id, token });
        }
        opened
    }

    /// Sets a rule: fees or limits.
    pub(super) async fn rule(&self, client: &Client, path: &str, rule: &Value) {
        let path = format!("/admin/v1{path}");
        let answer = client.with(&self.admin).put(&path, rule.to_string()).await;
        answer.ok();
    }

    /// From now on every transfer of btc costs ten smallest units of it, and what users send and withdraw
    /// of it is counted, for limits that nobody reaches.
    pub(super) async fn charge(&mut self, client: &Client) {
        let rule = json!({"absolute": "0.0000001"});
        for kind in ["deposit", "withdrawal", "internal"] {
            let path = format!("/fees/{kind}/btc");
            self.rule(client, &path, &rule).await;
        }
        let rule = json!({"daily": NEVER_REACHED});
        for kind in ["withdrawal", "internal"] {
            let path = format!("/limits/{kind}/btc");
            self.rule(client, &path, &rule).await;
        }
        self.fee = 10;
    }

    /// An operator with these permissions.
    pub(super) async fn operator(
        &self,
        client: &Client,
        name: &str,
        permissions: &[&str],
    ) -> Client {
        let admin = client.with(&self.admin);
        client.with(&issue(&admin, name, None, permissions).await)
    }

    /// The whole story of a transfer.
    pub(super) async fn story(&self, client: &Client, id: &str) -> Value {
        let path = format!("/admin/v1/transfers/{id}");
        client.with(&self.admin).get(&path).await.ok().json()
    }

    /// Gives a user money.
    pub(super) async fn fund(&self, client: &Client, trader: &Trader, asset: &str, amount: &str) {
        let body = json!({"userId": trader.id, "assetId": asset, "amount": amount});
        let answer = client
            .with(&self.backoffice)
            .post_with(DEPOSIT, body.to_string(), &[WAIT])
            .await
            .ok();
        assert_eq!(answer.text_of("status"), "Completed");
    }

    /// Gives every user so much btc.
    pub(super) async fn fund_all(&self, client: &Client, amount: &str) {
        for trader in &self.traders {
            self.fund(client, trader, "btc", amount).await;
        }
    }

    /// What `/balance` says of one asset: available and frozen.
    pub(super) async fn balance(
        client: &Client,
        trader: &Trader,
        currency: &str,
    ) -> (String, String) {
        let answer = client.with(&trader.token).get("/balance").await.ok();
        let rows = answer.json();
        let row = rows.as_array().unwrap().iter();
        let row = row.clone().find(|row| row["currency"] == currency);
        let row = row.unwrap_or_else(|| panic!("no {currency} in {}", answer.text));
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        (text("available"), text("frozen"))
    }
}

/// Issues a token through the admin API.
pub(super) async fn issue(
    operator: &Client,
    subject: &str,
    user: Option<&str>,
    permissions: &[&str],
) -> String {
    let body = json!({
        "subject": subject, "user_id": user,
        "permissions": permissions, "ttl_seconds": 3_600,
    });
    let answer = operator.post("/admin/v1/tokens", body.to_string()).await;
    answer.ok().text_of("token")
}
