//! A small exchange with two users, and a client that talks to it.

use std::sync::Arc;

use actix_web::{App as Web, test};
use bursar_app::{
    App, BooksSeen, BreakersSeen, CallbackUrlPolicy, Keyring, Limits, Payouts, Ports,
    SessionSettings, Settings, TransferSettings,
};
use bursar_domain::{
    AccountKey, ActorId, Change, Command, Commit, Owner, PayoutRoute, Timestamp, Transfer,
    TransferId, User, UserId, UserStatus,
};
use bursar_http::{HttpConfig, HttpState, configure};
use bursar_ports::{
    AccessKey, AssetRate, CommitOutcome, Permission, Token, TokenHash, TransferStore,
};
use bursar_testkit::{
    FixedClock, FixedLimiter, InMemoryCallbackSecrets, InMemoryOperators, InMemoryQueue,
    InMemoryStore, PlainPasswords, SequentialIds, build,
};
use sha2::{Digest, Sha256};
use uuid::{Uuid, uuid};

pub(crate) use crate::client::{Answer, Sent};
use crate::{
    documented,
    fakes::{
        EmptySchedule, FakeAddressBook, FakeAuditLog, FakeCallbackLog, FakeCredentials,
        FakeDirectory, FakeEvents, FakeExports, FakeFigures, FakeGateway, FakeIntegrity, FakeQuery,
        FakeRuleBook, HeldTasks, Taken, locked,
    },
};

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
    pub(crate) app: App,
    pub(crate) config: HttpConfig,
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) directory: Arc<FakeDirectory>,
    pub(crate) credentials: Arc<FakeCredentials>,
    pub(crate) query: Arc<FakeQuery>,
    pub(crate) exports: Arc<FakeExports>,
    pub(crate) callback_log: Arc<FakeCallbackLog>,
    pub(crate) audit_log: Arc<FakeAuditLog>,
    pub(crate) callback_secrets: Arc<InMemoryCallbackSecrets>,
    pub(crate) operators: Arc<InMemoryOperators>,
    pub(crate) events: Arc<FakeEvents>,
    pub(crate) integrity: Arc<FakeIntegrity>,
    pub(crate) books_seen: BooksSeen,
    pub(crate) breakers_seen: BreakersSeen,
    pub(crate) figures: Arc<FakeFigures>,
    pub(crate) tasks: Arc<HeldTasks>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) keyring: Arc<Keyring>,
}

fn keyring() -> Arc<Keyring> {
    let keys = vec![("k1".to_owned(), [2; 32])];
    Arc::new(Keyring::try_new([7; 32], keys).expect("there is a key"))
}

fn payouts() -> Payouts {
    Payouts {
        gateway: Arc::new(FakeGateway),
        schedule: Arc::new(EmptySchedule),
    }
}

fn settings(limits: Limits) -> Settings {
    Settings {
        root_asset: build::asset_id("usd"),
        callback_urls: CallbackUrlPolicy::default(),
        limits,
        transfers: TransferSettings::default(),
        sessions: SessionSettings::default(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(|store| store)
    }

    /// A world in which a user may make this many transfers a minute.
    pub(crate) fn allowing(transfers_per_minute: u32) -> Self {
        let limits = Limits {
            internal_per_minute: transfers_per_minute,
            ..Limits::default()
        };
        Self::build(limits, |store| store)
    }

    /// A world whose use cases see another store than the one that tests look into.
    pub(crate) fn over<S: TransferStore + 'static>(
        wrap: impl FnOnce(Arc<InMemoryStore>) -> Arc<S>,
    ) -> Self {
        Self::build(Limits::default(), wrap)
    }

    #[expect(clippy::too_many_lines, reason = "a line for each port, three times")]
    fn build<S: TransferStore + 'static>(
        limits: Limits,
        wrap: impl FnOnce(Arc<InMemoryStore>) -> Arc<S>,
    ) -> Self {
        let clock = Arc::new(FixedClock::new(NOW));
        let store = Arc::new(InMemoryStore::new(clock.clone()));
        let keyring = keyring();
        let directory = Arc::new(FakeDirectory::default());
        let credentials = Arc::new(FakeCredentials::default());
        let query = Arc::new(FakeQuery::default());
        let exports = Arc::new(FakeExports::default());
        let callback_log = Arc::new(FakeCallbackLog::default());
        let audit_log = Arc::new(FakeAuditLog::default());
        let callback_secrets = Arc::new(InMemoryCallbackSecrets::default());
        let operators = Arc::new(InMemoryOperators::default());
        let events = Arc::new(FakeEvents::default());
        let integrity = Arc::new(FakeIntegrity::default());
        let books_seen = BooksSeen::default();
        let breakers_seen = BreakersSeen::default();
        let figures = Arc::new(FakeFigures::default());
        let tasks = Arc::new(HeldTasks::default());
        let limiter = Arc::new(FixedLimiter::new(clock.clone()));
        let ports = Ports {
            store: wrap(store.clone()),
            query: query.clone(),
            exports: exports.clone(),
            directory: directory.clone(),
            address_book: Arc::new(FakeAddressBook::default()),
            callback_log: callback_log.clone(),
            work_queue: Arc::new(InMemoryQueue::of(store.clone())),
            figures: figures.clone(),
            audit_log: audit_log.clone(),
            events: events.clone(),
            integrity: integrity.clone(),
            books_seen: books_seen.clone(),
            breakers_seen: breakers_seen.clone(),
            notifier: Arc::new(Taken),
            credentials: credentials.clone(),
            callback_secrets: callback_secrets.clone(),
            token_verifier: None,
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::default()),
            tasks: tasks.clone(),
            limiter: limiter.clone(),
            local_limiter: limiter.clone(),
            replay_guard: limiter,
            rule_book: Arc::new(FakeRuleBook::of(store.clone())),
            payouts: Some(payouts()),
            operators: operators.clone(),
            passwords: Arc::new(PlainPasswords),
            identity_provider: None,
        };
        let app = App::new(ports, keyring.clone(), settings(limits));
        let world = Self {
            state: HttpState::new(app.clone(), Arc::new(|| "bursar_up 1\n".to_owned())),
            app,
            config: HttpConfig::default(),
            store,
            directory,
            credentials,
            query,
            exports,
            callback_log,
            audit_log,
            callback_secrets,
            operators,
            events,
            integrity,
            books_seen,
            breakers_seen,
            figures,
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
        let rate = AssetRate {
            rate: 50_000.into(),
            source: "a feed".to_owned(),
            rated_at: FixedClock::START,
        };
        locked(&self.directory.rates).insert(build::asset_id("btc"), rate);
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

    /// Makes a withdrawal, has a gateway pay it out, and gives its id.
    pub(crate) async fn payout(&self, user: UserId, asset: &str, amount: &str) -> i64 {
        let id = self.withdrawal(user, asset, amount).await;
        let open = self.transfer(id).await.expect("it was made");
        let confirm = Command::Confirm {
            by: ActorId::new("operator"),
            callback_url: None,
            route: PayoutRoute::Gateway,
            approval_expires_at: None,
        };
        let change = build::step(&open, &confirm, NOW);
        let outcomes = self.store.commit(vec![Commit::new(change)]).await;
        let outcomes = outcomes.expect("the store answers");
        assert!(matches!(outcomes[..], [CommitOutcome::Committed(_)]));
        id
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
        let (method, path) = (request.method().clone(), request.path().to_owned());
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
        let answer = Answer {
            status: head.status().as_u16(),
            headers: head.headers().clone(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        };
        documented::check(method.as_str(), &path, &answer);
        answer
    }
}
