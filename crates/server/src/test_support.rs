//! An application over ports that refuse every call, but for those that a test replaces.

use std::sync::Arc;

use bursar_app::{
    App, BooksSeen, BreakersSeen, CallbackUrlPolicy, Keyring, Limits, Ports, SessionSettings,
    Settings, TransferSettings,
};
use bursar_ports::{
    MockAddressBook, MockAuditLog, MockBookIntegrity, MockCallbackLog, MockCallbackSecrets,
    MockClock, MockCredentialStore, MockDirectory, MockEventFeed, MockExports, MockFigures,
    MockIdSource, MockNotifier, MockOperators, MockPasswordHasher, MockRateLimiter,
    MockReplayGuard, MockRuleBook, MockTasks, MockTransferQuery, MockTransferStore, MockWorkQueue,
};
use bursar_testkit::build;

pub(crate) fn app(replace: impl FnOnce(&mut Ports)) -> App {
    let mut ports = Ports {
        store: Arc::new(MockTransferStore::new()),
        query: Arc::new(MockTransferQuery::new()),
        exports: Arc::new(MockExports::new()),
        directory: Arc::new(MockDirectory::new()),
        address_book: Arc::new(MockAddressBook::new()),
        callback_log: Arc::new(MockCallbackLog::new()),
        work_queue: Arc::new(MockWorkQueue::new()),
        figures: Arc::new(MockFigures::new()),
        audit_log: Arc::new(MockAuditLog::new()),
        events: Arc::new(MockEventFeed::new()),
        integrity: Arc::new(MockBookIntegrity::new()),
        books_seen: BooksSeen::default(),
        breakers_seen: BreakersSeen::default(),
        notifier: Arc::new(MockNotifier::new()),
        credentials: Arc::new(MockCredentialStore::new()),
        callback_secrets: Arc::new(MockCallbackSecrets::new()),
        token_verifier: None,
        clock: Arc::new(MockClock::new()),
        ids: Arc::new(MockIdSource::new()),
        tasks: Arc::new(MockTasks::new()),
        limiter: Arc::new(MockRateLimiter::new()),
        local_limiter: Arc::new(MockRateLimiter::new()),
        replay_guard: Arc::new(MockReplayGuard::new()),
        rule_book: Arc::new(MockRuleBook::new()),
        payouts: None,
        operators: Arc::new(MockOperators::new()),
        passwords: Arc::new(MockPasswordHasher::new()),
        identity_provider: None,
    };
    replace(&mut ports);
    let keyring = Keyring::try_new([0; 32], vec![("k".to_owned(), [0; 32])]).unwrap();
    let settings = Settings {
        root_asset: build::asset_id("usd"),
        callback_urls: CallbackUrlPolicy::default(),
        limits: Limits::default(),
        transfers: TransferSettings::default(),
        sessions: SessionSettings::default(),
    };
    App::new(ports, Arc::new(keyring), settings)
}
