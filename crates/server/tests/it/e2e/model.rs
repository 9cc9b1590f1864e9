//! The whole service, over HTTP, agrees with the reference model.

mod books;
mod wire;

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use bursar_domain::{Kind, UserStatus};
use bursar_postgres::testing::TestDatabase;
use bursar_testkit::model::{
    BulkRequest, Command, Exchange, Finish, Holder, Outcome, Plan, Profile, Request, Reversal,
    Runner, SCALES, Step, Stopped, USERS, View, play,
};
use serde_json::{Value, json};
use tokio::runtime;
use uuid::Uuid;

use self::wire::{fees, limits, plain};
use super::{
    books::Books,
    client::{Answer, Client},
    exchange::{BULK, CANCEL, CONFIRM, DEPOSIT, INTERNAL, WAIT, WITHDRAW, issue},
    service::{Service, create_token},
    verify::{SEALED, verified},
};

/// How many operators there are; each is somebody else's second.
const OPERATORS: u8 = 3;
/// What an operator of these histories may do.
const PERMISSIONS: [&str; 5] = [
    "admin",
    "backoffice_read",
    "backoffice_write",
    "backoffice_confirm",
    "backoffice_approve",
];

/// A service with its operators, for one history after the other.
struct House {
    operators: Vec<Client>,
    client: Client,
    /// How many histories there were.
    histories: u64,
}

impl House {
    async fn open(database_url: &str, service: &Service) -> Self {
        let client = service.client();
        let admin = create_token(database_url, "admin", "admin").await;
        let admin = client.with(&admin);
        let mut operators = vec![];
        for number in 0..OPERATORS {
            let name = format!("operator-{number}");
            let token = issue(&admin, &name, None, &PERMISSIONS).await;
            operators.push(client.with(&token));
        }
        Self {
            operators,
            client,
            histories: 0,
        }
    }

    /// New users, new assets but for the root asset, and no rules.
    async fn begin(&mut self) -> HttpRunner {
        self.histories += 1;
        let number = self.histories;
        let assets = (0..SCALES.len()).map(|at| match at {
            0 => "usd".to_owned(),
            _ => format!("m{number}x{at}"),
        });
        let mut runner = HttpRunner {
            name: format!("m{number}"),
            operators: self.operators.clone(),
            users: vec![],
            assets: assets.collect(),
            before: BTreeMap::new(),
            transfers: vec![],
            numbers: HashMap::new(),
            about: 0,
        };
        for asset in 0..SCALES.len() {
            runner.put_asset(asset, [true; 3]).await;
        }
        runner.begin_without_rules().await;
        for user in 0..USERS {
            let id = Uuid::from_u128(u128::from(number) * 1_000 + u128::try_from(user).unwrap());
            let id = id.to_string();
            let name = format!("m{number}-user-{user}");
            runner.users.push((id.clone(), self.client.clone()));
            runner.put_user(user, UserStatus::Active).await;
            let permissions = ["allow_transfer", "allow_balance"];
            let token = issue(runner.admin(), &name, Some(&id), &permissions).await;
            runner.users[user].1 = self.client.with(&token);
        }
        runner.before = runner.system_balances().await;
        runner
    }
}

/// One history's users, assets and transfers.
struct HttpRunner {
    name: String,
    operators: Vec<Client>,
    users: Vec<(String, Client)>,
    assets: Vec<String>,
    /// What earlier histories left in the accounts that belong to nobody.
    before: BTreeMap<(Holder, usize), (i128, i128)>,
    transfers: Vec<i64>,
    numbers: HashMap<i64, usize>,
    /// The transfer of the step under way.
    about: usize,
}

impl HttpRunner {
    fn admin(&self) -> &Client {
        &self.operators[0]
    }

    async fn put_asset(&self, asset: usize, [deposits, withdrawals, transfers]: [bool; 3]) {
        let id = &self.assets[asset];
        let body = json!({
            "name": id, "scale": SCALES[asset], "can_deposit": deposits,
            "can_withdraw": withdrawals, "can_transfer": transfers,
        });
        let path = format!("/admin/v1/assets/{id}");
        self.admin().put(&path, body.to_string()).await.ok();
    }

    async fn put_user(&self, user: usize, status: UserStatus) {
        let id = &self.users[user].0;
        let name = format!("{}-user-{user}", self.name);
        let body = json!({
            "username": name, "email": format!("{name}@example.com"), "roles": ["trader"],
            "status": status.as_str(),
        });
        let path = format!("/admin/v1/users/{id}");
        self.admin().put(&path, body.to_string()).await.ok();
    }

    async fn put(&self, path: String, body: Value) {
        self.admin().put(&path, body.to_string()).await.ok();
    }

    /// Limits on all assets, and rules on the root asset, outlive the history that set them.
    async fn begin_without_rules(&self) {
        for kind in Kind::ALL {
            for asset in [None, Some(0)] {
                self.put(self.limits_path(kind, asset), json!({})).await;
            }
            let path = format!("/admin/v1/fees/{}/usd", kind.as_str());
            self.put(path, json!({})).await;
        }
        for stopped in [Stopped::ReadOnly, Stopped::Outgoing(0)] {
            self.lift(stopped).await;
        }
    }

    fn limits_path(&self, kind: Kind, asset: Option<usize>) -> String {
        let asset = asset.map(|asset| format!("/{}", self.assets[asset]));
        let kind = kind.as_str();
        format!("/admin/v1/limits/{kind}{}", asset.unwrap_or_default())
    }

    fn stop_path(&self, stopped: Stopped) -> String {
        match stopped {
            Stopped::ReadOnly => "/admin/v1/stops/read-only".to_owned(),
            Stopped::Outgoing(asset) => format!("/admin/v1/stops/outgoing/{}", self.assets[asset]),
        }
    }

    async fn stop(&self, stopped: Stopped) {
        let body = json!({"reason": "a step"}).to_string();
        let stopped = self.admin().put(&self.stop_path(stopped), body).await;
        assert_eq!(stopped.status, 204, "{}", stopped.text);
    }

    /// There may be no such stop.
    async fn lift(&self, stopped: Stopped) {
        let lifted = self.admin().delete(&self.stop_path(stopped)).await;
        assert!(
            [204, 404].contains(&lifted.status.as_u16()),
            "{}",
            lifted.text
        );
    }

    fn key(&self, key: Option<impl std::fmt::Display>) -> String {
        key.map_or_else(String::new, |key| format!("{}-{key}", self.name))
    }

    /// Asks for something that moves money, with a key unless it is empty.
    async fn ask(&self, client: &Client, path: &str, body: &Value, key: &str) -> Answer {
        let mut headers = vec![WAIT];
        if !key.is_empty() {
            headers.push(("idempotency-key", key));
        }
        client.post_with(path, body.to_string(), &headers).await
    }

    async fn create(&mut self, request: &Request) -> Outcome {
        let (user, client) = &self.users[request.user];
        let asset = &self.assets[request.asset];
        let amount = plain(request.amount, SCALES[request.asset]);
        let key = self.key(request.key);
        let answer = match request.kind {
            Kind::Deposit | Kind::Withdrawal => {
                let path = if request.kind == Kind::Deposit {
                    DEPOSIT
                } else {
                    WITHDRAW
                };
                let body = json!({"userId": user, "assetId": asset, "amount": amount});
                let operator = &self.operators[usize::from(request.by)];
                self.ask(operator, path, &body, &key).await
            }
            Kind::Internal => {
                let recipient = self.recipient(request.payee);
                let body =
                    json!({"currency_code": asset, "amount": amount, "recipient": recipient});
                self.ask(client, INTERNAL, &body, &key).await
            }
        };
        self.outcome(&answer).await
    }

    fn recipient(&self, payee: Option<usize>) -> String {
        payee.map_or_else(|| "nobody".to_owned(), |payee| self.users[payee].0.clone())
    }

    async fn create_many(&mut self, request: &BulkRequest) -> Outcome {
        let item = |(payee, asset, amount): &(Option<usize>, usize, i128)| {
            json!({
                "currency_code": self.assets[*asset], "amount": plain(*amount, SCALES[*asset]),
                "recipient": self.recipient(*payee),
            })
        };
        let items: Vec<Value> = request.items.iter().map(item).collect();
        let body = json!({"transfers": items, "atomic": request.atomic});
        let client = &self.users[request.user].1;
        let answer = self.ask(client, BULK, &body, &self.key(request.key)).await;
        self.bulk_outcome(&answer).await
    }

    async fn finish(&mut self, finish: &Finish) -> Outcome {
        self.about = finish.pick;
        let id = self.transfers[finish.pick];
        let operator = &self.operators[usize::from(finish.by)];
        let key = self.key(finish.key);
        let path = match finish.command {
            Command::Confirm { .. } => CONFIRM.to_owned(),
            Command::Cancel => CANCEL.to_owned(),
            Command::Approve { .. } => format!("/admin/v1/transfers/{id}/approve"),
            Command::Reject => format!("/admin/v1/transfers/{id}/reject"),
            Command::Settle | Command::PaidOut | Command::PayoutRefused => {
                return Outcome::Strange("nobody can ask for that".to_owned());
            }
        };
        let body = match finish.command {
            Command::Confirm { .. } | Command::Cancel => {
                let user = self.owner_of(id).await;
                json!({"userId": user, "transferId": id})
            }
            Command::Approve { .. }
            | Command::Reject
            | Command::Settle
            | Command::PaidOut
            | Command::PayoutRefused => json!({}),
        };
        let answer = self.ask(operator, &path, &body, &key).await;
        self.outcome(&answer).await
    }

    async fn reverse(&mut self, reversal: &Reversal) -> Outcome {
        self.about = reversal.pick;
        let id = self.transfers[reversal.pick];
        let asset = self.asset_of(id).await;
        let amount = reversal.covers.map(|units| plain(units, SCALES[asset]));
        let body = json!({
            "amount": amount, "return_fee": reversal.returns_fee, "comment": "a step",
        });
        let path = format!("/admin/v1/transfers/{id}/reverse");
        let operator = &self.operators[usize::from(reversal.by)];
        let answer = self
            .ask(operator, &path, &body, &self.key(reversal.key))
            .await;
        self.outcome(&answer).await
    }
}

#[async_trait]
impl Runner for HttpRunner {
    async fn perform(&mut self, step: &Step) -> Outcome {
        match step {
            Step::User(user, status) => self.put_user(*user, *status).await,
            Step::Asset(asset, allows) => self.put_asset(*asset, *allows).await,
            Step::Rate(asset, rate) => {
                let path = format!("/admin/v1/rates/{}", self.assets[*asset]);
                let decimals = u8::try_from(rate.decimals).unwrap();
                self.put(path, json!({"rate": plain(rate.units, decimals)}))
                    .await;
            }
            Step::Fees(kind, asset, plan) => {
                let path = format!("/admin/v1/fees/{}/{}", kind.as_str(), self.assets[*asset]);
                self.put(path, fees(plan, SCALES[*asset])).await;
            }
            Step::Limits(kind, asset, plan) => {
                let scale = SCALES[asset.unwrap_or(0)];
                self.put(self.limits_path(*kind, *asset), limits(plan, scale))
                    .await;
            }
            Step::Stop(stopped) => self.stop(*stopped).await,
            Step::Lift(stopped) => self.lift(*stopped).await,
            Step::New(request) => return self.create(request).await,
            Step::Bulk(request) => return self.create_many(request).await,
            Step::Finish(finish) => return self.finish(finish).await,
            Step::Reverse(reversal) => return self.reverse(reversal).await,
            Step::Pass { .. }
            | Step::Expire { .. }
            | Step::Again { .. }
            | Step::BulkAgain { .. } => {
                return Outcome::Strange("nobody can ask for that".to_owned());
            }
        }
        Outcome::Done
    }

    fn told(&self, mut expected: Outcome, model: &Exchange) -> Outcome {
        // Who repeats a command is shown the transfer, as who made it was.
        if expected == Outcome::Already {
            return Outcome::Made(model.view(self.about));
        }
        // Nobody is told how many recipients it was.
        if let Outcome::BulkRefused { unable, .. } = &mut expected {
            *unable = 0;
        }
        // When there will be room is a time of this very day.
        if let Outcome::Refused {
            left: Some(left), ..
        } = &mut expected
        {
            left.returns_at = None;
        }
        expected
    }

    async fn views(&mut self) -> Vec<View> {
        self.all_views().await
    }

    async fn balances(&mut self) -> BTreeMap<(Holder, usize), (i128, i128)> {
        self.all_balances().await
    }

    async fn compare_limits(&mut self, model: &Exchange) -> Result<(), String> {
        self.limits_against(model).await
    }

    async fn audit(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn the_service_agrees_with_the_model() {
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let plan = Plan {
        // A request takes a thousand times longer than a step in memory.
        shrinks: 100,
        ..Plan::from_env(20, Profile::Http)
    };
    let (database, service, mut house) = runtime.block_on(async {
        let database = TestDatabase::create().await;
        // Nobody waits that long here; but what expires says so.
        let settings = [("BURSAR_TRANSFERS_CONFIRM_WITHIN_S", "86400")];
        let service = Service::start_with(database.url(), &settings).await;
        let house = House::open(database.url(), &service).await;
        (database, service, house)
    });
    plan.run(0, 1, |steps| {
        runtime.block_on(async {
            let mut runner = house.begin().await;
            play(&mut runner, steps).await
        })
    });
    runtime.block_on(async {
        Books::of(database.url()).audit().await;
        // Whatever rules came and went, what is recorded is what was moved.
        let proved = verified(database.url(), &SEALED, 0).await;
        assert!(
            !proved.stdout.contains("uses of limits: 0"),
            "{}",
            proved.stdout
        );
        service.stopped().await;
        database.close().await.unwrap();
    });
}
