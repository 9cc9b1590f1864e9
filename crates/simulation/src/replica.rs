//! Replicas: started, killed and started again, with nothing remembered.

use std::{
    mem,
    sync::{Arc, Mutex, OnceLock},
};

use bursar_app::{
    App, BooksSeen, BreakersSeen, CallbackPass, CallbackUrlPolicy, Delivery, Dispatch,
    DispatchLimits, Keyring, Limits, Ports, SessionSettings, Settings, Ticket, TransferSettings,
};
use bursar_ports::{
    CallbackSecrets, IdSource, MockAddressBook, MockAuditLog, MockBookIntegrity, MockCallbackLog,
    MockCredentialStore, MockEventFeed, MockExports, MockFigures, MockRuleBook, MockWorkQueue,
    StoreError, Task,
};
use bursar_testkit::{
    FixedLimiter, InMemoryCallbackSecrets, InMemoryOperators, PlainPasswords, SequentialIds, build,
};

use crate::{
    bank::Bank,
    directory::FixedDirectory,
    outbox::ReplicaOutbox,
    query::Statements,
    receivers::{Receivers, ReplicaNotifier},
    scheduler::Owner,
    store::Store,
    world::{REPLICAS, World},
};

/// How long a withdrawal waits to be confirmed.
const LIFETIME_MS: i64 = 30 * 60 * 1_000;

/// How long a replica waits between two of its background passes, at most.
const POLL_MS: i64 = 1_500;

/// Everything that is there for every replica.
pub(crate) struct Cluster {
    pub(crate) world: Arc<World>,
    pub(crate) bank: Arc<Bank>,
    pub(crate) receivers: Arc<Receivers>,
    ids: Arc<SequentialIds>,
    secrets: Arc<InMemoryCallbackSecrets>,
    /// Ports that nobody uses here: whoever calls one of them fails the seed.
    unused: Unused,
    limiter: Arc<FixedLimiter>,
    apps: Mutex<Vec<Option<App>>>,
}

struct Unused {
    exports: Arc<MockExports>,
    address_book: Arc<MockAddressBook>,
    callback_log: Arc<MockCallbackLog>,
    work_queue: Arc<MockWorkQueue>,
    figures: Arc<MockFigures>,
    audit_log: Arc<MockAuditLog>,
    events: Arc<MockEventFeed>,
    credentials: Arc<MockCredentialStore>,
    integrity: Arc<MockBookIntegrity>,
    rule_book: Arc<MockRuleBook>,
    operators: Arc<InMemoryOperators>,
}

impl Unused {
    fn new() -> Self {
        Self {
            exports: Arc::new(MockExports::new()),
            address_book: Arc::new(MockAddressBook::new()),
            callback_log: Arc::new(MockCallbackLog::new()),
            work_queue: Arc::new(MockWorkQueue::new()),
            figures: Arc::new(MockFigures::new()),
            audit_log: Arc::new(MockAuditLog::new()),
            events: Arc::new(MockEventFeed::new()),
            credentials: Arc::new(MockCredentialStore::new()),
            integrity: Arc::new(MockBookIntegrity::new()),
            rule_book: Arc::new(MockRuleBook::new()),
            operators: Arc::default(),
        }
    }
}

/// The same keys in every seed: making them takes a while.
fn keyring() -> Arc<Keyring> {
    static KEYRING: OnceLock<Arc<Keyring>> = OnceLock::new();
    let make = || {
        let keys = vec![("k".to_owned(), [1; 32])];
        Arc::new(Keyring::try_new([7; 32], keys).unwrap())
    };
    Arc::clone(KEYRING.get_or_init(make))
}

struct ReplicaTasks {
    world: Arc<World>,
    replica: usize,
}

impl bursar_ports::Tasks for ReplicaTasks {
    fn spawn(&self, task: Task) {
        // What a replica leaves behind when it dies is not gone on with.
        if self.world.is_alive(self.replica) {
            let owner = Owner::Replica(self.replica);
            self.world.scheduler.start_boxed(owner, task);
        }
    }
}

impl Cluster {
    pub(crate) fn new(world: Arc<World>, bank: Arc<Bank>) -> Arc<Self> {
        let cluster = Arc::new(Self {
            receivers: Receivers::new(Arc::clone(&bank), keyring()),
            ids: Arc::default(),
            secrets: Arc::default(),
            unused: Unused::new(),
            limiter: Arc::new(FixedLimiter::new(Arc::clone(&world.clock))),
            apps: Mutex::new(vec![None; REPLICAS]),
            world,
            bank,
        });
        for replica in 0..REPLICAS {
            cluster.start(replica);
        }
        cluster
    }

    /// The application on a replica, if that is alive.
    pub(crate) fn app(&self, replica: usize) -> Option<App> {
        let app = self.apps.lock().unwrap()[replica].clone();
        app.filter(|_| self.world.is_alive(replica))
    }

    /// Starts a replica anew.
    pub(crate) fn start(&self, replica: usize) {
        let ports = self.ports(replica);
        let pass = CallbackPass {
            outbox: Arc::new(ReplicaOutbox {
                bank: Arc::clone(&self.bank),
                replica,
            }),
            notifier: Arc::clone(&ports.notifier),
            secrets: Arc::clone(&ports.callback_secrets),
            clock: Arc::clone(&ports.clock),
            ids: Arc::clone(&ports.ids),
            keyring: keyring(),
        };
        let settings = Settings {
            root_asset: build::asset_id("usd"),
            callback_urls: CallbackUrlPolicy::default(),
            limits: Limits::default(),
            transfers: TransferSettings {
                withdrawal_lifetime_ms: Some(LIFETIME_MS),
                ..TransferSettings::default()
            },
            sessions: SessionSettings::default(),
        };
        let app = App::new(ports, keyring(), settings);
        self.apps.lock().unwrap()[replica] = Some(app.clone());
        self.world.bear(replica);
        let owner = Owner::Replica(replica);
        let scheduler = &self.world.scheduler;
        let world = || Arc::clone(&self.world);
        scheduler.start(owner, settle(world(), app.clone()));
        scheduler.start(owner, expire(world(), app));
        scheduler.start(owner, call_back(world(), pass, owner));
    }

    fn ports(&self, replica: usize) -> Ports {
        let unused = &self.unused;
        let limiter = self.limiter.clone();
        let secrets: Arc<dyn CallbackSecrets> = self.secrets.clone();
        let ids: Arc<dyn IdSource> = self.ids.clone();
        Ports {
            store: Arc::new(Store {
                bank: Arc::clone(&self.bank),
                replica,
            }),
            query: Arc::new(Statements {
                bank: Arc::clone(&self.bank),
                read: Mutex::default(),
            }),
            exports: unused.exports.clone(),
            directory: Arc::new(FixedDirectory),
            address_book: unused.address_book.clone(),
            notifier: Arc::new(ReplicaNotifier {
                receivers: Arc::clone(&self.receivers),
                replica,
            }),
            callback_log: unused.callback_log.clone(),
            work_queue: unused.work_queue.clone(),
            figures: unused.figures.clone(),
            audit_log: unused.audit_log.clone(),
            events: unused.events.clone(),
            credentials: unused.credentials.clone(),
            integrity: unused.integrity.clone(),
            books_seen: BooksSeen::default(),
            breakers_seen: BreakersSeen::default(),
            callback_secrets: secrets,
            token_verifier: None,
            clock: self.world.clock.clone(),
            ids,
            tasks: Arc::new(ReplicaTasks {
                world: Arc::clone(&self.world),
                replica,
            }),
            limiter: limiter.clone(),
            local_limiter: limiter.clone(),
            replay_guard: limiter,
            rule_book: unused.rule_book.clone(),
            payouts: None,
            operators: unused.operators.clone(),
            passwords: Arc::new(PlainPasswords),
            identity_provider: None,
        }
    }
}

async fn settle(world: Arc<World>, app: App) {
    loop {
        world.nap(POLL_MS).await;
        match app.settle_pending().await {
            Ok(0) => {}
            Ok(_) => world.see("settled by the background pass"),
            Err(error) => world.note(format_args!("settle: {error}")),
        }
    }
}

async fn expire(world: Arc<World>, app: App) {
    loop {
        world.nap(2 * POLL_MS).await;
        match app.expire_due().await {
            Ok(0) => {}
            Ok(_) => world.see("expired by the background pass"),
            Err(error) => world.note(format_args!("expire: {error}")),
        }
    }
}

/// What ended since the last look.
type Ended = Arc<Mutex<Vec<(Ticket, Delivery)>>>;

async fn call_back(world: Arc<World>, pass: CallbackPass, owner: Owner) {
    let mut dispatch = Dispatch::new(DispatchLimits::default());
    let ended = Ended::default();
    loop {
        world.nap(POLL_MS).await;
        for (ticket, delivery) in mem::take(&mut *ended.lock().unwrap()) {
            pass.end(&mut dispatch, ticket, &delivery);
        }
        if let Err(error) = look(&world, &pass, &mut dispatch, owner, &ended).await {
            world.note(format_args!("callbacks: {error}"));
        }
    }
}

async fn look(
    world: &Arc<World>,
    pass: &CallbackPass,
    dispatch: &mut Dispatch,
    owner: Owner,
    ended: &Ended,
) -> Result<(), StoreError> {
    pass.enqueue().await?;
    for attempt in pass.claim(dispatch).await?.attempts {
        let (pass, ended, world) = (pass.clone(), Arc::clone(ended), Arc::clone(world));
        let deliver = {
            let world = Arc::clone(&world);
            async move {
                let ticket = attempt.ticket;
                let delivery = pass.deliver(attempt).await;
                world.note(format_args!("delivered: {}", delivery.outcome));
                ended.lock().unwrap().push((ticket, delivery));
            }
        };
        world.scheduler.start(owner, deliver);
    }
    Ok(())
}
