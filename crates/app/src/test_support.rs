//! An [`App`] over mocked ports. A mock that a test says nothing about refuses every call, so each
//! test also shows that nothing else is called.

use std::sync::{Arc, Mutex, PoisonError};

use bursar_domain::{
    ActorId, Asset, AuditDraft, BigDecimal, Commit, IdempotencyKey, Timestamp, Transfer, User,
    UserId,
};
use bursar_ports::{
    AssetRate, CallbackSecrets, CommitOutcome, IdSource, IdentityProvider, MockAddressBook,
    MockAuditLog, MockBookIntegrity, MockCallbackLog, MockCallbackSecrets, MockCredentialStore,
    MockDirectory, MockEventFeed, MockExports, MockFigures, MockNotifier, MockOperators,
    MockPasswordHasher, MockRuleBook, MockTasks, MockTokenVerifier, MockTransferQuery,
    MockTransferStore, MockWorkQueue, Operators, PasswordHasher, Permission, RateLimiter,
    ReplayGuard, StoreError, Task, TokenVerifier,
};
use bursar_testkit::{FixedClock, FixedLimiter, SequentialIds, build};
use mockall::{Sequence, predicate::eq};

use crate::{
    App, BooksSeen, BreakersSeen, CallbackUrlPolicy, Error, Grant, Keyring, Limits, Options,
    Origin, Payouts, Ports, Principal, SessionSettings, Settings, TransferSettings,
};

pub(crate) const NOW: Timestamp = FixedClock::START;
/// What one of an asset is worth, by somebody's word of an hour ago.
pub(crate) fn rated(rate: impl Into<BigDecimal>) -> AssetRate {
    AssetRate {
        rate: rate.into(),
        source: "an exchange".to_owned(),
        rated_at: NOW.plus_micros(-3_600_000_000),
    }
}

/// A user with money.
pub(crate) const ALICE: UserId = build::user_id(0xa);
/// Another user.
pub(crate) const BOB: UserId = build::user_id(0xb);

/// The ports of one test. The root asset is `usd`.
pub(crate) struct Mocks {
    pub(crate) store: MockTransferStore,
    pub(crate) query: MockTransferQuery,
    pub(crate) exports: MockExports,
    pub(crate) directory: MockDirectory,
    pub(crate) address_book: MockAddressBook,
    pub(crate) callback_log: MockCallbackLog,
    pub(crate) work_queue: MockWorkQueue,
    pub(crate) figures: MockFigures,
    pub(crate) audit_log: MockAuditLog,
    pub(crate) events: MockEventFeed,
    pub(crate) integrity: MockBookIntegrity,
    pub(crate) books_seen: BooksSeen,
    pub(crate) breakers_seen: BreakersSeen,
    pub(crate) notifier: MockNotifier,
    pub(crate) credentials: MockCredentialStore,
    pub(crate) callback_secrets: Arc<dyn CallbackSecrets>,
    /// None: JWTs are not accepted.
    pub(crate) token_verifier: Option<MockTokenVerifier>,
    pub(crate) tasks: MockTasks,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) local_limiter: Arc<dyn RateLimiter>,
    pub(crate) replay_guard: Arc<dyn ReplayGuard>,
    pub(crate) callback_urls: CallbackUrlPolicy,
    pub(crate) limits: Limits,
    pub(crate) rule_book: MockRuleBook,
    /// None: whoever confirms sees to the payout.
    pub(crate) payouts: Option<Payouts>,
    pub(crate) transfers: TransferSettings,
    pub(crate) operators: Arc<dyn Operators>,
    pub(crate) passwords: Arc<dyn PasswordHasher>,
    /// None: nobody signs in anywhere else.
    pub(crate) identity_provider: Option<Arc<dyn IdentityProvider>>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

impl Mocks {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(FixedClock::default());
        let limiter = Arc::new(FixedLimiter::new(clock.clone()));
        Self {
            store: MockTransferStore::new(),
            query: MockTransferQuery::new(),
            exports: MockExports::new(),
            directory: MockDirectory::new(),
            address_book: MockAddressBook::new(),
            callback_log: MockCallbackLog::new(),
            work_queue: MockWorkQueue::new(),
            figures: MockFigures::new(),
            audit_log: MockAuditLog::new(),
            events: MockEventFeed::new(),
            integrity: MockBookIntegrity::new(),
            books_seen: BooksSeen::default(),
            breakers_seen: BreakersSeen::default(),
            notifier: MockNotifier::new(),
            credentials: MockCredentialStore::new(),
            callback_secrets: Arc::new(MockCallbackSecrets::new()),
            token_verifier: None,
            tasks: MockTasks::new(),
            limiter: limiter.clone(),
            local_limiter: limiter.clone(),
            replay_guard: limiter,
            callback_urls: CallbackUrlPolicy::default(),
            limits: Limits::default(),
            rule_book: MockRuleBook::new(),
            payouts: None,
            transfers: TransferSettings::default(),
            operators: Arc::new(MockOperators::new()),
            passwords: Arc::new(MockPasswordHasher::new()),
            identity_provider: None,
            clock,
            ids: Arc::new(SequentialIds::default()),
        }
    }

    pub(crate) fn app(mut self) -> App {
        // Nobody said what anything is worth, unless the test says so.
        self.directory.expect_find_rate().returning(|_| Ok(None));
        let ports = Ports {
            store: Arc::new(self.store),
            query: Arc::new(self.query),
            exports: Arc::new(self.exports),
            directory: Arc::new(self.directory),
            address_book: Arc::new(self.address_book),
            callback_log: Arc::new(self.callback_log),
            work_queue: Arc::new(self.work_queue),
            figures: Arc::new(self.figures),
            audit_log: Arc::new(self.audit_log),
            events: Arc::new(self.events),
            integrity: Arc::new(self.integrity),
            books_seen: self.books_seen,
            breakers_seen: self.breakers_seen,
            notifier: Arc::new(self.notifier),
            credentials: Arc::new(self.credentials),
            callback_secrets: self.callback_secrets,
            token_verifier: self
                .token_verifier
                .map(|mock| -> Arc<dyn TokenVerifier> { Arc::new(mock) }),
            clock: self.clock,
            ids: self.ids,
            tasks: Arc::new(self.tasks),
            limiter: self.limiter,
            local_limiter: self.local_limiter,
            replay_guard: self.replay_guard,
            rule_book: Arc::new(self.rule_book),
            payouts: self.payouts,
            operators: self.operators,
            passwords: self.passwords,
            identity_provider: self.identity_provider,
        };
        let settings = Settings {
            root_asset: build::asset_id("usd"),
            callback_urls: self.callback_urls,
            limits: self.limits,
            transfers: self.transfers,
            sessions: SessionSettings::default(),
        };
        App::new(ports, Arc::new(keyring()), settings)
    }

    /// The store is given these commits, one by one, and answers like this.
    pub(crate) fn commits<const N: usize>(&mut self, answers: [Scripted; N]) -> Commits {
        let commits = Commits::default();
        let mut order = Sequence::new();
        for answer in answers {
            let seen = commits.clone();
            self.store
                .expect_commit()
                .times(1)
                .in_sequence(&mut order)
                .return_once(move |mut batch| {
                    assert_eq!(batch.len(), 1, "use cases commit one change at a time");
                    let commit = batch.remove(0);
                    locked(&seen.0).push(commit.clone());
                    answer(commit).map(|outcome| vec![outcome])
                });
        }
        commits
    }

    /// The store is first given several commits at once and answers like this.
    pub(crate) fn commits_together(
        &mut self,
        answer: impl FnOnce(Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> + Send + 'static,
    ) -> Commits {
        let commits = Commits::default();
        let seen = commits.clone();
        self.store
            .expect_commit()
            .times(1)
            .return_once(move |batch| {
                locked(&seen.0).extend(batch.clone());
                answer(batch)
            });
        commits
    }

    /// The store is given so many commits one by one, and answers each like this.
    pub(crate) fn commits_each(
        &mut self,
        times: usize,
        answer: impl Fn(Commit) -> Result<CommitOutcome, StoreError> + Send + 'static,
    ) {
        self.store
            .expect_commit()
            .times(times)
            .returning(move |mut batch| {
                assert_eq!(batch.len(), 1, "they are given one by one");
                answer(batch.remove(0)).map(|outcome| vec![outcome])
            });
    }

    /// Many commits fail together; then each is tried alone, and the seventh fails again and is left
    /// alone.
    pub(crate) fn all_but_the_seventh_commit(&mut self, many: usize) {
        let seventh = build::transfer_id(7);
        self.commits_together(|_| Err(unavailable()));
        self.commits_each(many, move |commit| {
            if commit.change.next.id() == seventh {
                return Err(unavailable());
            }
            Ok(CommitOutcome::Committed(Box::new(commit.change.next)))
        });
        self.store
            .expect_leave_alone()
            .with(eq(seventh))
            .times(1)
            .return_const(());
    }

    /// The store is asked for the transfer with this one's id this often.
    pub(crate) fn finds(&mut self, transfer: &Transfer, times: usize) {
        let found = transfer.clone();
        self.store
            .expect_find()
            .with(eq(transfer.id()))
            .times(times)
            .returning(move |_| Ok(Some(found.clone())));
    }

    /// The same for whoever goes on from it though it has ended.
    pub(crate) fn proves(&mut self, transfer: &Transfer, times: usize) {
        let found = transfer.clone();
        self.store
            .expect_find_proven()
            .with(eq(transfer.id()))
            .times(times)
            .returning(move |_| Ok(Some(found.clone())));
    }

    /// The store finds these, one after the other, the last one first.
    pub(crate) fn finds_each(&mut self, found: Vec<Transfer>) {
        self.finds_or_fails(found.into_iter().map(|found| Ok(Some(found))).collect());
    }

    /// The same where it does not always answer.
    pub(crate) fn finds_or_fails(&mut self, mut found: Vec<Result<Option<Transfer>, StoreError>>) {
        self.store
            .expect_find()
            .times(found.len())
            .returning(move |_| found.pop().unwrap());
    }

    /// The same for whoever goes on from what has ended.
    pub(crate) fn proves_each(&mut self, mut found: Vec<Transfer>) {
        self.store
            .expect_find_proven()
            .times(found.len())
            .returning(move |_| Ok(found.pop()));
    }

    /// The directory has this asset.
    pub(crate) fn has_asset(&mut self, asset: &Asset) {
        let (one, many) = (asset.clone(), asset.clone());
        self.directory
            .expect_find_asset()
            .with(eq(asset.id))
            .returning(move |_| Ok(Some(one.clone())));
        self.directory
            .expect_find_assets()
            .with(eq(vec![asset.id]))
            .returning(move |_| Ok(vec![many.clone()]));
    }

    /// The directory is asked once for this user, whom it does not have.
    pub(crate) fn knows_no_user(&mut self, user: UserId) {
        self.directory
            .expect_find_user()
            .with(eq(user))
            .times(1)
            .return_once(|_| Ok(None));
    }

    /// The directory has this user.
    pub(crate) fn has_user(&mut self, user: User) {
        self.directory
            .expect_find_user()
            .with(eq(user.id))
            .returning(move |_| Ok(Some(user.clone())));
    }

    /// One task is started. It does not run before the test says so.
    pub(crate) fn one_task(&mut self) -> Spawned {
        let spawned = Spawned::default();
        let tasks = Arc::clone(&spawned.0);
        self.tasks
            .expect_spawn()
            .times(1)
            .returning(move |task| locked(&tasks).push(task));
        spawned
    }
}

/// What a store answers to a commit.
pub(crate) type Scripted = Box<dyn FnOnce(Commit) -> Result<CommitOutcome, StoreError> + Send>;

/// The change is made as asked.
pub(crate) fn committed() -> Scripted {
    Box::new(|commit| Ok(CommitOutcome::Committed(Box::new(commit.change.next))))
}

/// The store answers this instead.
pub(crate) fn outcome(outcome: CommitOutcome) -> Scripted {
    Box::new(|_| Ok(outcome))
}

/// The store cannot answer.
pub(crate) fn trouble(error: StoreError) -> Scripted {
    Box::new(|_| Err(error))
}

/// Somebody else was faster.
pub(crate) fn stale() -> Scripted {
    outcome(CommitOutcome::Stale { current: None })
}

/// The key was used for this transfer before.
pub(crate) fn replayed(original: &Transfer) -> Scripted {
    let original = original.id();
    outcome(CommitOutcome::Replayed { original })
}

/// The commits that a store was given.
#[derive(Clone, Default)]
pub(crate) struct Commits(Arc<Mutex<Vec<Commit>>>);

impl Commits {
    pub(crate) fn all(&self) -> Vec<Commit> {
        locked(&self.0).clone()
    }

    /// The only one.
    pub(crate) fn only(&self) -> Commit {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "exactly one commit");
        all.remove(0)
    }
}

/// The tasks that were started. What a task holds holds this list; dropping it ends the circle, so
/// that the mocks are checked.
#[derive(Default)]
pub(crate) struct Spawned(Arc<Mutex<Vec<Task>>>);

impl Spawned {
    pub(crate) async fn run(&self) {
        let tasks = std::mem::take(&mut *locked(&self.0));
        for task in tasks {
            task.await;
        }
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut *locked(&self.0));
        drop(tasks);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn keyring() -> Keyring {
    Keyring::try_new([7; 32], vec![("k".to_owned(), [1; 32])]).unwrap()
}

pub(crate) fn btc() -> Asset {
    build::asset("btc", 8)
}

pub(crate) fn usd() -> Asset {
    build::asset("usd", 2)
}

/// An operator with this permission.
pub(crate) fn operator(permission: Permission) -> Grant {
    principal(None, permission).grant(permission).unwrap()
}

/// Alice with this permission.
pub(crate) fn alice(permission: Permission) -> Grant {
    principal(Some(ALICE), permission)
        .grant(permission)
        .unwrap()
}

fn principal(user: Option<UserId>, permission: Permission) -> Principal {
    Principal {
        subject: "credential-1".to_owned(),
        user,
        permissions: vec![permission],
        requests_per_minute: None,
        origin: Origin::with("token:1"),
    }
    .asking("request-1", "192.0.2.1".parse().ok())
}

/// What the audit log is to keep of what [`operator`] does.
pub(crate) fn audited(action: &'static str, target: &str) -> AuditDraft {
    AuditDraft {
        actor: ActorId::new("credential-1"),
        ..build::audit(action, target)
    }
}

/// Every grant that is for none of these permissions.
pub(crate) fn other_grants(allowed: &[Permission]) -> Vec<Grant> {
    Permission::ALL
        .into_iter()
        .filter(|permission| !allowed.contains(permission))
        .map(|permission| {
            if permission.is_for_users() {
                alice(permission)
            } else {
                operator(permission)
            }
        })
        .collect()
}

pub(crate) fn plain() -> Options {
    Options::default()
}

pub(crate) fn wait() -> Options {
    Options {
        wait: true,
        ..plain()
    }
}

pub(crate) fn keyed() -> Options {
    Options {
        key: Some(IdempotencyKey::parse("key-1").unwrap()),
        ..plain()
    }
}

pub(crate) fn overloaded() -> StoreError {
    StoreError::Overloaded
}

pub(crate) fn standby() -> StoreError {
    StoreError::Standby
}

pub(crate) fn unavailable() -> StoreError {
    StoreError::Unavailable("gone".into())
}

pub(crate) fn assert_unavailable<T: std::fmt::Debug>(answer: &Result<T, Error>) {
    assert!(
        matches!(answer, Err(Error::Store(StoreError::Unavailable(_)))),
        "{answer:?}"
    );
}

pub(crate) fn in_doubt() -> StoreError {
    StoreError::OutcomeUnknown("reset".into())
}

pub(crate) fn inconsistent() -> StoreError {
    StoreError::Inconsistent {
        table: "transfers",
        detail: "no such status".to_owned(),
    }
}

/// A store that has this transfer and is asked for it once.
pub(crate) fn stored(transfer: &Transfer) -> Mocks {
    let mut mocks = Mocks::new();
    mocks.finds(transfer, 1);
    mocks
}
