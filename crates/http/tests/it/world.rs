//! A small exchange with two users, and a client that talks to it.

use std::sync::Arc;

use actix_web::{
    App as Web,
    dev::Payload,
    http::{Method, StatusCode, header::HeaderMap},
    test::{self, TestRequest},
};
use bursar_app::{App, CallbackUrlPolicy, Keyring, Ports, Settings};
use bursar_domain::{
    AccountKey, Change, Owner, Timestamp, Transfer, TransferId, User, UserId, UserStatus,
};
use bursar_http::{HttpConfig, HttpState, configure};
use bursar_ports::{AccessKey, Permission, Token, TokenHash, TransferStore};
use bursar_testkit::{FixedClock, InMemoryStore, SequentialIds, build};
use sha2::{Digest, Sha256};
use uuid::{Uuid, uuid};

use crate::fakes::{FakeCredentials, FakeDirectory, FakeQuery, HeldTasks, locked};

/// The user of the seeds.
pub(crate) const ALICE: UserId = UserId::new(uuid!("942fe02b-e9b9-6e9e-7c82-85d74f3234d4"));
/// The other user of the seeds.
pub(crate) const BOB: UserId = UserId::new(uuid!("ab9ac3d2-879d-02de-a53e-720d78414f0a"));
/// 2021-04-09T10:50:40.116485Z, the time of the seeds.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_617_965_440_116_485);

/// A token with every permission and no user.
pub(crate) const OPERATOR: &str = "bur_operator";
/// Alice's token.
pub(crate) const ALICES: &str = "bur_alice";
/// Bob's token.
pub(crate) const BOBS: &str = "bur_bob";
/// Alice's access key and its secret.
pub(crate) const KEY: (&str, &str) = ("BAKALICE", "alices-secret");

pub(crate) const DEPOSIT: &str = "/back-api/backoffice/transfers/deposit";
pub(crate) const WITHDRAW: &str = "/back-api/backoffice/transfers/withdraw";
pub(crate) const CONFIRM: &str = "/back-api/backoffice/transfers/withdraw-confirm";
pub(crate) const CANCEL: &str = "/back-api/backoffice/transfers/withdraw-cancel";
pub(crate) const HISTORY: &str = "/back-api/backoffice/transfers/account/";
pub(crate) const TRANSFERS: &str = "/back-api/api/v2/transfers";
pub(crate) const INTERNAL: &str = "/internal-transfer";

pub(crate) struct World {
    pub(crate) state: HttpState,
    pub(crate) config: HttpConfig,
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) directory: Arc<FakeDirectory>,
    pub(crate) credentials: Arc<FakeCredentials>,
    pub(crate) query: Arc<FakeQuery>,
    pub(crate) tasks: Arc<HeldTasks>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) keyring: Arc<Keyring>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(|store| store)
    }

    /// A world whose use cases see another store than the one that tests look into.
    pub(crate) fn over<S: TransferStore + 'static>(
        wrap: impl FnOnce(Arc<InMemoryStore>) -> Arc<S>,
    ) -> Self {
        let clock = Arc::new(FixedClock::new(NOW));
        let store = Arc::new(InMemoryStore::new(clock.clone()));
        let keys = vec![("k1".to_owned(), [2; 32])];
        let keyring = Keyring::try_new([7; 32], keys).expect("there is a key");
        let keyring = Arc::new(keyring);
        let directory = Arc::new(FakeDirectory::default());
        let credentials = Arc::new(FakeCredentials::default());
        let query = Arc::new(FakeQuery::default());
        let tasks = Arc::new(HeldTasks::default());
        let ports = Ports {
            store: wrap(store.clone()),
            query: query.clone(),
            directory: directory.clone(),
            credentials: credentials.clone(),
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::default()),
            tasks: tasks.clone(),
        };
        let settings = Settings {
            root_asset: build::asset_id("usd"),
            callback_urls: CallbackUrlPolicy::default(),
        };
        let app = App::new(ports, keyring.clone(), settings);
        let world = Self {
            state: HttpState::new(app, Arc::new(|| "bursar_up 1\n".to_owned())),
            config: HttpConfig::default(),
            store,
            directory,
            credentials,
            query,
            tasks,
            clock,
            keyring,
        };
        world.populate();
        world
    }

    fn populate(&self) {
        for (id, scale) in [("btc", 8), ("eth", 18), ("usd", 2)] {
            let asset = build::asset(id, scale);
            self.store.put_asset(asset.clone());
            locked(&self.directory.assets).insert(asset.id, asset);
        }
        locked(&self.directory.rates).insert(build::asset_id("btc"), 50_000.into());
        self.put_user(ALICE, "alice", UserStatus::Active);
        self.put_user(BOB, "bob", UserStatus::Active);
        self.put_token(OPERATOR, "operator", None, &Permission::ALL);
        let own = [Permission::AllowTransfer, Permission::AllowBalance];
        self.put_token(ALICES, "alice-token", Some(ALICE), &own);
        self.put_token(BOBS, "bob-token", Some(BOB), &own);
        self.put_key(KEY, ALICE, &own);
    }

    pub(crate) fn put_user(&self, id: UserId, name: &str, status: UserStatus) {
        let user = User {
            username: name.to_owned(),
            email: format!("{name}@example.com"),
            status,
            ..build::user(id)
        };
        self.store.put_user(id, status);
        locked(&self.directory.users).insert(id, user);
    }

    pub(crate) fn put_token(
        &self,
        secret: &str,
        subject: &str,
        user: Option<UserId>,
        permissions: &[Permission],
    ) -> Uuid {
        let mut tokens = locked(&self.credentials.tokens);
        let number = u128::try_from(tokens.len()).expect("a test makes few tokens");
        let id = Uuid::from_u128(number);
        tokens.push(Token {
            id,
            hash: TokenHash(Sha256::digest(secret.as_bytes()).into()),
            subject: subject.to_owned(),
            user,
            permissions: permissions.to_vec(),
            created_at: NOW,
            expires_at: NOW.plus_micros(60_000_000),
            revoked_at: None,
        });
        id
    }

    pub(crate) fn put_key(&self, key: (&str, &str), user: UserId, permissions: &[Permission]) {
        let (access_key, secret) = key;
        let sealed = self.keyring.seal(secret.as_bytes(), access_key, [3; 32]);
        locked(&self.credentials.keys).push(AccessKey {
            access_key: access_key.to_owned(),
            user,
            permissions: permissions.to_vec(),
            secret: sealed.expect("there is a key"),
            allowed_ips: vec![],
            requests_per_minute: None,
            created_at: NOW,
            revoked_at: None,
        });
    }

    /// Gives a user money.
    pub(crate) async fn fund(&self, user: UserId, asset: &str, amount: &str) {
        let body = format!(r#"{{"userId":"{user}","assetId":"{asset}","amount":"{amount}"}}"#);
        let sent = Sent::post(DEPOSIT, &body).bearer(OPERATOR);
        let answer = self.send(sent.header("Prefer", "wait")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Makes a withdrawal and gives its id.
    pub(crate) async fn withdrawal(&self, user: UserId, asset: &str, amount: &str) -> i64 {
        let body = format!(r#"{{"userId":"{user}","assetId":"{asset}","amount":"{amount}"}}"#);
        let answer = self
            .send(Sent::post(WITHDRAW, &body).bearer(OPERATOR))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.member("id").as_i64().expect("an id is a number")
    }

    /// What an account has, in smallest units: available and held.
    pub(crate) fn balance(&self, user: UserId, asset: &str) -> (i128, i128) {
        let account = AccountKey {
            owner: Owner::User(user),
            asset: build::asset_id(asset),
        };
        let balance = self.store.balance(account);
        (balance.available, balance.held)
    }

    /// The transfer with this id, if there is one.
    pub(crate) async fn transfer(&self, id: i64) -> Option<Transfer> {
        let id = TransferId::try_new(id).expect("the test gives an id");
        self.store.find(id).await.expect("the store answers")
    }

    /// A transfer as it will be once a change to it is made, for lists.
    pub(crate) fn listed(change: Change) -> Transfer {
        change.next
    }

    /// Sends a request over the real routes.
    pub(crate) async fn send(&self, sent: Sent) -> Answer {
        let config = self.config.clone();
        let state = self.state.clone();
        let web = Web::new().configure(|service| configure(service, &config, state));
        let service = test::init_service(web).await;
        let mut request = sent.request.to_request();
        if let Some(payload) = sent.payload {
            *request.payload() = payload;
        }
        let response = match test::try_call_service(&service, request).await {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        };
        let (head, body) = response.into_parts();
        let bytes = actix_web::body::to_bytes(body)
            .await
            .unwrap_or_else(|_| panic!("a body that was made can be read"));
        Answer {
            status: head.status().as_u16(),
            headers: head.headers().clone(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// A request on its way.
pub(crate) struct Sent {
    request: TestRequest,
    payload: Option<Payload>,
}

impl Sent {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let request = TestRequest::default().method(method).uri(path);
        Self {
            request: request.insert_header(("X-Request-Id", "req-1")),
            payload: None,
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn post(path: &str, body: &str) -> Self {
        Self::new(Method::POST, path).json(body)
    }

    pub(crate) fn put(path: &str, body: &str) -> Self {
        Self::new(Method::PUT, path).json(body)
    }

    fn json(self, body: &str) -> Self {
        self.header("Content-Type", "application/json")
            .raw(body.as_bytes())
    }

    /// Sends these bytes and says nothing about them.
    pub(crate) fn raw(mut self, body: &[u8]) -> Self {
        self.request = self
            .request
            .insert_header(("Content-Length", body.len()))
            .set_payload(body.to_vec());
        self
    }

    /// Sends a body piece by piece.
    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Adds a header or replaces it.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.insert_header((name, value));
        self
    }

    /// Adds a header beside those of the same name.
    pub(crate) fn also(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.append_header((name, value));
        self
    }

    /// Comes from this address.
    pub(crate) fn from(mut self, address: &str) -> Self {
        let address = address.parse().expect("the test gives an address");
        self.request = self.request.peer_addr(address);
        self
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// One member of an object; null when it is not there.
    pub(crate) fn member(&self, key: &str) -> serde_json::Value {
        self.json().get(key).cloned().unwrap_or_default()
    }

    /// A member that is a text.
    pub(crate) fn text(&self, key: &str) -> String {
        let text = self.member(key).as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("{key} is no text in {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("the service sends text in headers"))
    }

    /// The code of a refusal, once everything that all refusals share was checked.
    pub(crate) fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(self.member("status"), self.status, "{self:?}");
        let instance = self.text("instance");
        assert_eq!(Some(instance.as_str()), self.header("x-request-id"));
        let code = self.text("code");
        assert_eq!(self.text("type"), format!("urn:bursar:problem:{code}"));
        assert!(!self.text("title").is_empty(), "{self:?}");
        assert!(self.text("detail").ends_with('.'), "{self:?}");
        code
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The wrong fields of a refusal with their codes.
    pub(crate) fn wrong_fields(&self) -> Vec<(String, String)> {
        let errors = self.member("errors");
        let errors = errors.as_array().expect("errors are a list");
        let text = |error: &serde_json::Value, key: &str| {
            let text = error.get(key).and_then(serde_json::Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        errors
            .iter()
            .map(|error| (text(error, "field"), text(error, "code")))
            .collect()
    }

    /// Insists on success.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK.as_u16(), "{}", self.body);
        self
    }
}
