//! What the service says of a history's transfers, accounts and limits.

use std::collections::BTreeMap;

use bursar_domain::{Kind, Reason, Stage, Status};
use bursar_testkit::model::{Exchange, Holder, Left, Outcome, SCALES, View};
use serde_json::Value;

use super::{HttpRunner, wire::amount_of};
use crate::e2e::client::Answer;

/// What an atomic bulk tells of an item that nothing stands against.
const NOT_EXECUTED: &str = "bulk.not_executed";

impl HttpRunner {
    /// What an answer to a request for one transfer comes to.
    pub(super) async fn outcome(&mut self, answer: &Answer) -> Outcome {
        let body = answer.json();
        if answer.status == 200 {
            let id = self.id_of(&body).await;
            let number = self.number(id);
            return if answer.is_replayed() {
                Outcome::Replayed(number)
            } else {
                Outcome::Made(self.view(id).await)
            };
        }
        let code = body["code"].as_str().unwrap_or_default();
        match (answer.status.as_u16(), code) {
            (503, "service.read_only") => Outcome::ReadOnly,
            (409, _) | (403, "approval.same_operator") => Outcome::Forbidden,
            (422, "idempotency.key_reused") => {
                let original = &body["original"];
                let id = if original.is_null() {
                    None
                } else {
                    Some(self.id_of(original).await)
                };
                Outcome::KeyReused(id.map(|id| self.number(id)))
            }
            (422, code) => match Reason::from_code(code) {
                Some(reason) => Outcome::Refused {
                    reason: reason.code(),
                    replayed: answer.is_replayed(),
                    left: self.left(&body["limit"]),
                },
                None => Outcome::Strange(answer.text.clone()),
            },
            (_, _) => Outcome::Strange(answer.text.clone()),
        }
    }

    fn left(&self, limit: &Value) -> Option<Left> {
        let asset = limit["asset"].as_str()?;
        let asset = self.assets.iter().position(|one| one == asset)?;
        Some(Left {
            units: amount_of(limit["left"].as_str()?, SCALES[asset]),
            asset,
            returns_at: None,
        })
    }

    /// What an answer to a request for many transfers comes to.
    pub(super) async fn bulk_outcome(&mut self, answer: &Answer) -> Outcome {
        let body = answer.json();
        let code = body["code"].as_str().unwrap_or_default();
        match (answer.status.as_u16(), code) {
            (503, "service.read_only") => Outcome::ReadOnly,
            (422, "idempotency.key_reused") => {
                let mut numbers = vec![];
                for code in body["original"]["codes"].as_array().into_iter().flatten() {
                    let id = self.id_of_code(code.as_str().unwrap()).await;
                    numbers.push(self.number(id));
                }
                Outcome::BulkKeyReused(numbers)
            }
            (422, "bulk.refused") => {
                let results = body["results"].as_array().unwrap().iter();
                let codes = results.map(|one| one["code"].as_str().unwrap().to_owned());
                if answer.is_replayed() {
                    return Outcome::BulkReplayed(codes.map(Err).collect());
                }
                let reason = |code: String| match code.as_str() {
                    NOT_EXECUTED => None,
                    code => Some(Reason::from_code(code).unwrap().code()),
                };
                Outcome::BulkRefused {
                    reasons: codes.map(reason).collect(),
                    unable: 0,
                }
            }
            (200, _) => {
                let mut made = vec![];
                for result in body["results"].as_array().unwrap() {
                    let id = self.id_of(result).await;
                    self.number(id);
                    made.push(id);
                }
                if answer.is_replayed() {
                    let numbers = made.into_iter().map(|id| Ok(self.number(id)));
                    return Outcome::BulkReplayed(numbers.collect());
                }
                let mut views = vec![];
                for id in made {
                    views.push(self.view(id).await);
                }
                Outcome::BulkMade(views)
            }
            (_, _) => Outcome::Strange(answer.text.clone()),
        }
    }

    /// A transfer's number; one that was not seen before gets the next.
    fn number(&mut self, id: i64) -> usize {
        *self.numbers.entry(id).or_insert_with(|| {
            self.transfers.push(id);
            self.transfers.len() - 1
        })
    }

    async fn id_of(&self, body: &Value) -> i64 {
        match (body["id"].as_i64(), body["code"].as_str()) {
            (Some(id), _) => id,
            (None, Some(code)) => self.id_of_code(code).await,
            (None, None) => panic!("{body} names no transfer"),
        }
    }

    async fn id_of_code(&self, code: &str) -> i64 {
        let found = self.get(&format!("/admin/v1/transfers?code={code}")).await;
        found["data"][0]["id"].as_i64().unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        self.admin().get(path).await.ok().json()
    }

    async fn transfer(&self, id: i64) -> Value {
        self.get(&format!("/admin/v1/transfers/{id}")).await
    }

    pub(super) async fn owner_of(&self, id: i64) -> String {
        self.transfer(id).await["user_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(super) async fn asset_of(&self, id: i64) -> usize {
        let transfer = self.transfer(id).await;
        self.asset_named(transfer["asset"].as_str().unwrap())
    }

    fn asset_named(&self, name: &str) -> usize {
        self.assets.iter().position(|asset| asset == name).unwrap()
    }

    async fn view(&mut self, id: i64) -> View {
        let transfer = self.transfer(id).await;
        self.view_of(&transfer)
    }

    fn view_of(&mut self, transfer: &Value) -> View {
        let scale = SCALES[self.asset_named(transfer["asset"].as_str().unwrap())];
        let amount = |name: &str| amount_of(transfer[name].as_str().unwrap(), scale);
        let text = |name: &str| transfer[name].as_str();
        let reason = text("reason_code").map(|code| Reason::from_code(code).unwrap().code());
        View {
            number: self.number(transfer["id"].as_i64().unwrap()),
            status: Status::from_name(text("status").unwrap()).unwrap().as_str(),
            stage: text("stage").map(|stage| Stage::from_name(stage).unwrap().as_str()),
            reason,
            amount: amount("amount"),
            fee: amount("fee"),
            reversed: amount("reversed"),
            expires: !transfer["expires_at"].is_null(),
        }
    }

    pub(super) async fn all_views(&mut self) -> Vec<View> {
        let mut views = BTreeMap::new();
        for user in self.users.clone() {
            let mut cursor = String::new();
            loop {
                let path = format!("/admin/v1/transfers?user_id={}&limit=200{cursor}", user.0);
                let page = self.get(&path).await;
                for transfer in page["data"].as_array().unwrap() {
                    let view = self.view_of(transfer);
                    views.insert(view.number, view);
                }
                let Some(next) = page["next_cursor"].as_str() else {
                    break;
                };
                cursor = format!("&cursor={next}");
            }
        }
        views.into_values().collect()
    }

    pub(super) async fn all_balances(&self) -> BTreeMap<(Holder, usize), (i128, i128)> {
        let mut balances = self.system_balances().await;
        for (account, before) in &self.before {
            let balance = balances.entry(*account).or_default();
            balance.0 -= before.0;
            balance.1 -= before.1;
        }
        for (number, (id, _)) in self.users.iter().enumerate() {
            for row in self.balances(&format!("user_id={id}")).await {
                if let Some((asset, balance)) = self.balance_of(&row) {
                    balances.insert((Holder::User(number), asset), balance);
                }
            }
        }
        balances.retain(|_, balance| *balance != (0, 0));
        balances
    }

    /// World and fees.
    pub(super) async fn system_balances(&self) -> BTreeMap<(Holder, usize), (i128, i128)> {
        let mut balances = BTreeMap::new();
        for row in self.balances("owner=system").await {
            let holder = match row["owner"].as_str() {
                Some("world") => Holder::World,
                Some("fees") => Holder::Fees,
                other => panic!("{other:?} owns nothing of the exchange's"),
            };
            if let Some((asset, balance)) = self.balance_of(&row) {
                balances.insert((holder, asset), balance);
            }
        }
        balances
    }

    /// Every row of somebody's balances, in all assets there are.
    async fn balances(&self, whose: &str) -> Vec<Value> {
        let mut rows = vec![];
        let mut cursor = String::new();
        loop {
            let path = format!("/admin/v1/balances?{whose}&limit=200{cursor}");
            let page = self.get(&path).await;
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else {
                return rows;
            };
            cursor = format!("&cursor={next}");
        }
    }

    /// None for an asset of another history.
    fn balance_of(&self, row: &Value) -> Option<(usize, (i128, i128))> {
        let name = row["asset"].as_str().unwrap();
        let asset = self.assets.iter().position(|asset| asset == name)?;
        let amount = |name: &str| amount_of(row[name].as_str().unwrap(), SCALES[asset]);
        Some((asset, (amount("available"), amount("held"))))
    }

    /// What is left of every rolling limit to every user.
    pub(super) async fn limits_against(&self, model: &Exchange) -> Result<(), String> {
        for (number, (id, _)) in self.users.iter().enumerate() {
            let headroom = self.get(&format!("/admin/v1/users/{id}/headroom")).await;
            for row in headroom["data"].as_array().unwrap() {
                let name = row["asset"].as_str();
                let asset = name.and_then(|name| self.assets.iter().position(|one| one == name));
                if name.is_some() && asset.is_none() {
                    continue;
                }
                let kind = Kind::from_name(row["kind"].as_str().unwrap()).unwrap();
                let scale = SCALES[asset.unwrap_or(0)];
                let left = |name: &str| {
                    row[name]["left"]
                        .as_str()
                        .map(|left| amount_of(left, scale))
                };
                let (got, expected) = (
                    (left("daily"), left("monthly")),
                    model.left(number, kind, asset),
                );
                if got != expected {
                    return Err(format!(
                        "user {number} ought to have {expected:?} left, but is told {row}"
                    ));
                }
            }
        }
        Ok(())
    }
}
