//! A small exchange with two users, and operators who look at it.

use std::{net::Ipv4Addr, sync::Arc};

use bursar_app::{
    App, BooksSeen, BreakersSeen, CallbackUrlPolicy, Caller, FinishRequest, IntegrityWatch,
    IssuedOperator, Keyring, Limits, NewOperator, OpenRequest, Options, Origin, Ports, Principal,
    SessionSettings, Settings, SignIn, TransferSettings,
};
use bursar_console::{Console, ConsoleSettings, Visitor};
use bursar_domain::{
    AssetId, Change, DecimalAmount, FeeSchedule, Kind, Limits as KindLimits, PayoutRoute, Rules,
    Timestamp, Transfer, TransferId, User, UserId, UserStatus,
};
use bursar_ports::{
    AssetIntegrity, AssetRate, AssetSums, OperatorSession, Password, Permission, TransferStore,
};
use bursar_streams::EventStreams;
use bursar_testkit::{
    FixedClock, FixedLimiter, InMemoryCallbackSecrets, InMemoryOperators, InMemoryQueue,
    InMemoryStore, PlainPasswords, SequentialIds, build,
    fakes::{
        FakeAddressBook, FakeAuditLog, FakeCallbackLog, FakeCredentials, FakeDirectory, FakeEvents,
        FakeExports, FakeFigures, FakeIntegrity, FakeQuery, FakeRuleBook, HeldTasks,
        StoppedByOthers, Taken, locked,
    },
};
use uuid::uuid;

pub(crate) const ALICE: UserId = UserId::new(uuid!("942fe02b-e9b9-6e9e-7c82-85d74f3234d4"));
pub(crate) const BOB: UserId = UserId::new(uuid!("ab9ac3d2-879d-02de-a53e-720d78414f0a"));
/// 2021-04-09T10:50:40.116485Z.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_617_965_440_116_485);

/// An operator who may do everything that operators do.
pub(crate) const OLGA: &str = "olga";
/// Another one.
pub(crate) const OTTO: &str = "otto";

const PASSWORD: &str = "correct horse battery";

const OPERATOR: [Permission; 5] = [
    Permission::BackofficeRead,
    Permission::BackofficeWrite,
    Permission::BackofficeConfirm,
    Permission::BackofficeApprove,
    Permission::Admin,
];

pub(crate) struct World {
    pub(crate) console: Console,
    ports: Ports,
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) directory: Arc<FakeDirectory>,
    pub(crate) credentials: Arc<FakeCredentials>,
    pub(crate) query: Arc<FakeQuery>,
    pub(crate) exports: Arc<FakeExports>,
    pub(crate) callback_log: Arc<FakeCallbackLog>,
    pub(crate) audit_log: Arc<FakeAuditLog>,
    pub(crate) events: Arc<FakeEvents>,
    pub(crate) figures: Arc<FakeFigures>,
    pub(crate) integrity: Arc<FakeIntegrity>,
    pub(crate) rule_book: Arc<FakeRuleBook>,
    pub(crate) operators: Arc<InMemoryOperators>,
    pub(crate) breakers_seen: BreakersSeen,
    pub(crate) books_seen: BooksSeen,
    pub(crate) clock: Arc<FixedClock>,
}

impl World {
    /// With users and assets.
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        for (id, scale) in [("btc", 8), ("eth", 18), ("usd", 2)] {
            world.put_asset(id, scale);
        }
        let rate = AssetRate {
            rate: 50_000.into(),
            source: "a feed".to_owned(),
            rated_at: FixedClock::START,
        };
        locked(&world.directory.rates).insert(build::asset_id("btc"), rate);
        world.put_user(ALICE, "alice");
        world.put_user(BOB, "bob");
        world
    }

    /// With nothing at all.
    pub(crate) fn empty() -> Self {
        let clock = Arc::new(FixedClock::new(NOW));
        let store = Arc::new(InMemoryStore::new(clock.clone()));
        let directory = Arc::new(FakeDirectory::default());
        let credentials = Arc::new(FakeCredentials::default());
        let query = Arc::new(FakeQuery::default());
        let exports = Arc::new(FakeExports::default());
        let callback_log = Arc::new(FakeCallbackLog::default());
        let audit_log = Arc::new(FakeAuditLog::default());
        let events = Arc::new(FakeEvents::default());
        let figures = Arc::new(FakeFigures::default());
        let integrity = Arc::new(FakeIntegrity::default());
        let breakers_seen = BreakersSeen::default();
        let rule_book = Arc::new(FakeRuleBook::of(store.clone()));
        let operators = Arc::new(InMemoryOperators::default());
        let books_seen = BooksSeen::default();
        let limiter = Arc::new(FixedLimiter::new(clock.clone()));
        let ports = Ports {
            store: store.clone(),
            query: query.clone(),
            exports: exports.clone(),
            directory: directory.clone(),
            address_book: Arc::new(FakeAddressBook::default()),
            notifier: Arc::new(Taken),
            callback_log: callback_log.clone(),
            work_queue: Arc::new(InMemoryQueue::of(store.clone())),
            figures: figures.clone(),
            audit_log: audit_log.clone(),
            events: events.clone(),
            credentials: credentials.clone(),
            integrity: integrity.clone(),
            books_seen: books_seen.clone(),
            breakers_seen: breakers_seen.clone(),
            callback_secrets: Arc::new(InMemoryCallbackSecrets::default()),
            token_verifier: None,
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::default()),
            tasks: Arc::new(HeldTasks::default()),
            limiter: limiter.clone(),
            local_limiter: limiter.clone(),
            replay_guard: limiter,
            rule_book: rule_book.clone(),
            payouts: None,
            operators: operators.clone(),
            passwords: Arc::new(PlainPasswords),
            identity_provider: None,
        };
        Self {
            console: console(ports.clone(), PayoutRoute::Manual),
            ports,
            store,
            directory,
            credentials,
            query,
            exports,
            callback_log,
            audit_log,
            events,
            figures,
            integrity,
            rule_book,
            operators,
            breakers_seen,
            books_seen,
            clock,
        }
    }

    pub(crate) fn app(&self) -> &App {
        self.console.app()
    }

    /// The console is another replica's from now on, which has a gateway that pays withdrawals out.
    pub(crate) fn move_to_a_replica_with_a_gateway(&mut self) {
        self.console = console(self.ports.clone(), PayoutRoute::Gateway);
    }

    pub(crate) fn put_asset(&self, id: &str, scale: u8) {
        let asset = build::asset(id, scale);
        self.store.put_asset(asset.clone());
        locked(&self.directory.assets).insert(asset.id, asset);
    }

    pub(crate) fn put_user(&self, id: UserId, name: &str) {
        let user = User {
            username: name.to_owned(),
            email: format!("{name}@example.com"),
            ..build::user(id)
        };
        self.store.put_user(id, UserStatus::Active);
        locked(&self.directory.users).insert(id, user);
    }

    /// Whoever makes transfers: not one of the operators.
    fn maker() -> Principal {
        Principal {
            subject: "exchange".to_owned(),
            ..visitor(OLGA, &OPERATOR).principal
        }
    }

    fn open(user: UserId, asset: &str, amount: &str) -> OpenRequest {
        OpenRequest {
            user,
            asset: AssetId::parse(asset).expect("the test names an asset"),
            amount: DecimalAmount::parse(amount).expect("the test gives an amount"),
            comment: None,
            callback_url: None,
        }
    }

    /// Gives a user money.
    pub(crate) async fn fund(&self, user: UserId, asset: &str, amount: &str) -> TransferId {
        let grant = Self::maker()
            .grant(Permission::BackofficeWrite)
            .expect("it may");
        let options = Options {
            key: None,
            wait: true,
        };
        let request = Self::open(user, asset, amount);
        let answer = self.app().deposit(&grant, request, options).await;
        answer.expect("the deposit is taken").transfer.id()
    }

    /// Makes a withdrawal that nobody has confirmed.
    pub(crate) async fn withdrawal(&self, user: UserId, asset: &str, amount: &str) -> TransferId {
        self.withdrawal_noted(user, asset, amount, None).await
    }

    pub(crate) async fn withdrawal_noted(
        &self,
        user: UserId,
        asset: &str,
        amount: &str,
        note: Option<&str>,
    ) -> TransferId {
        let grant = Self::maker()
            .grant(Permission::BackofficeWrite)
            .expect("it may");
        let request = OpenRequest {
            comment: note.map(str::to_owned),
            ..Self::open(user, asset, amount)
        };
        let answer = self
            .app()
            .withdraw(&grant, request, Options::default())
            .await;
        answer.expect("the withdrawal is taken").transfer.id()
    }

    /// Confirms a withdrawal as somebody.
    pub(crate) async fn confirm(&self, who: &str, id: TransferId) {
        let principal = visitor(who, &OPERATOR).principal;
        let grant = principal
            .grant(Permission::BackofficeConfirm)
            .expect("it may");
        let request = FinishRequest {
            user: self.transfer(id).await.owner(),
            transfer: Some(id),
            callback_url: None,
            digest: None,
        };
        let answer = self
            .app()
            .confirm_withdrawal(&grant, request, Options::default());
        answer.await.expect("it is confirmed");
    }

    /// Makes transfers of a kind and an asset wait for a second operator above so many smallest units.
    pub(crate) fn second_operator_above(&self, kind: Kind, asset: &str, units: i128) {
        let limits = KindLimits {
            approval_above: Some(build::amount(units)),
            ..KindLimits::default()
        };
        self.rule_book.put(|rules: &mut Rules| {
            let key = (kind, Some(build::asset_id(asset)));
            rules.limits.insert(key, limits);
        });
    }

    /// Withdrawals of an asset cost so many smallest units from now on.
    pub(crate) fn fees(&self, asset: &str, units: i128) {
        let schedule = FeeSchedule {
            absolute: build::amount(units),
            ..FeeSchedule::default()
        };
        self.rule_book.put(|rules: &mut Rules| {
            let key = (Kind::Withdrawal, build::asset_id(asset));
            rules.fees.insert(key, schedule);
        });
    }

    /// Makes an operator.
    pub(crate) async fn employed(&self, name: &str) -> IssuedOperator {
        let admin = operator(OLGA).principal.grant(Permission::Admin);
        let admin = admin.expect("it may");
        let new = NewOperator {
            name: name.to_owned(),
            permissions: vec![Permission::BackofficeRead],
            password: Password(PASSWORD.to_owned()),
        };
        let made = self.app().create_operator(&admin, new);
        made.await.expect("the name is free")
    }

    /// Makes an operator, who signs in from somewhere.
    pub(crate) async fn signed_in(&self, name: &str, user_agent: &str) -> OperatorSession {
        let made = self.employed(name).await;
        let given = SignIn {
            name: name.to_owned(),
            password: Password(PASSWORD.to_owned()),
            code: made.totp.code_at(self.app().now()),
            user_agent: user_agent.to_owned(),
            caller: Caller {
                request_id: "request-0".to_owned(),
                address: Some(Ipv4Addr::new(192, 0, 2, 7).into()),
            },
        };
        let opened = self.app().sign_in(given).await;
        opened.expect("the code is right").session
    }

    pub(crate) async fn transfer(&self, id: TransferId) -> Transfer {
        let found = self.store.find(id).await.expect("the store answers");
        found.expect("it was made")
    }

    /// A transfer as it will be once a change to it is made, for lists.
    pub(crate) fn listed_change(change: Change) -> Transfer {
        change.next
    }

    /// The watch finds the books as they are, while somebody else's stop keeps it from placing its own.
    pub(crate) async fn watch_finds_wrong(&self, asset: &str) {
        *locked(&self.integrity.books) = vec![AssetIntegrity {
            sums: AssetSums {
                asset: build::asset_id(asset),
                sum: Some(-1),
                holds: Some(0),
                entries: 5,
            },
            accounts: 0,
        }];
        let sums = self.watch().check_sums().await;
        sums.expect("the books are read");
    }

    /// A watch over the books, which pages tell of.
    pub(crate) fn watch(&self) -> IntegrityWatch {
        let watch = IntegrityWatch::new(self.integrity.clone(), Arc::new(StoppedByOthers));
        watch.telling(self.books_seen.clone(), self.clock.clone())
    }

    /// What lists and exports find from now on.
    pub(crate) fn listed(&self, transfers: Vec<Transfer>) {
        locked(&self.query.transfers).clone_from(&transfers);
        *locked(&self.exports.transfers) = [Some(transfers)].into();
    }
}

/// The console of one replica.
fn console(ports: Ports, payout: PayoutRoute) -> Console {
    let keys = vec![("k1".to_owned(), [2; 32])];
    let keyring = Arc::new(Keyring::try_new([7; 32], keys).expect("there is a key"));
    Console::new(
        App::new(ports, keyring, settings(payout)),
        ConsoleSettings {
            second_look_above: Some(DecimalAmount::parse("100000").expect("it is a number")),
            ..ConsoleSettings::default()
        },
        EventStreams::default(),
    )
}

fn settings(payout: PayoutRoute) -> Settings {
    Settings {
        root_asset: build::asset_id("usd"),
        callback_urls: CallbackUrlPolicy::default(),
        limits: Limits::default(),
        transfers: TransferSettings {
            payout,
            ..TransferSettings::default()
        },
        sessions: SessionSettings::default(),
    }
}

/// An operator with these permissions.
pub(crate) fn visitor(name: &str, permissions: &[Permission]) -> Visitor {
    Visitor {
        principal: Principal {
            subject: name.to_owned(),
            user: None,
            permissions: permissions.to_vec(),
            requests_per_minute: None,
            origin: Origin {
                credential: format!("session:{name}"),
                request_id: "request-1".to_owned(),
                address: "192.0.2.1".to_owned(),
            },
        },
        operator: name.to_owned(),
        csrf: format!("token-of-{name}"),
        session: name.to_owned(),
    }
}

/// An operator who may do everything.
pub(crate) fn operator(name: &str) -> Visitor {
    visitor(name, &OPERATOR)
}

/// An operator who may look.
pub(crate) fn reader(name: &str) -> Visitor {
    visitor(name, &[Permission::BackofficeRead])
}
