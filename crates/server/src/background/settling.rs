//! Settles what a crash or an outage left pending, and ends what nobody confirmed or approved in time.

use std::time::Duration;

use bursar_app::App;
use bursar_ports::StoreError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often to look. What is looked for has waited longer than this already, so a hint would bring
/// nothing.
const INTERVAL: Duration = Duration::from_millis(200);

/// Looks for pending transfers until told to stop; the pass under way is finished.
pub async fn settle_pending(app: App, stop: CancellationToken) {
    let pass = move || {
        let app = app.clone();
        async move { app.settle_pending().await }
    };
    repeat("pending transfers can be settled", stop, pass).await;
}

/// Looks for transfers whose time is up until told to stop; the pass under way is finished.
pub async fn expire_due(app: App, stop: CancellationToken) {
    let pass = move || {
        let app = app.clone();
        async move { app.expire_due().await }
    };
    repeat("transfers can expire", stop, pass).await;
}

/// Tells of withdrawals whose time is nearly up until told to stop; the pass under way is finished.
pub async fn tell_expiring(app: App, stop: CancellationToken) {
    let pass = move || {
        let app = app.clone();
        async move { app.tell_expiring().await }
    };
    repeat("withdrawals that expire can be told of", stop, pass).await;
}

/// Repeats a pass until told to stop. `what` is said of an outage and of its end.
async fn repeat<F>(what: &'static str, stop: CancellationToken, pass: impl Fn() -> F)
where
    F: Future<Output = Result<usize, StoreError>>,
{
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match pass().await {
            Ok(_) if failing => {
                failing = false;
                tracing::info!("again {what}");
            }
            Ok(_) => {}
            // An outage lasts many passes; one line says all.
            Err(_) if failing => {}
            Err(error) => {
                failing = true;
                tracing::warn!(%error, "no longer {what}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bursar_app::{CallbackUrlPolicy, Keyring, Limits, Ports, Settings, TransferSettings};
    use bursar_ports::{
        MockAddressBook, MockAuditLog, MockBookIntegrity, MockCallbackLog, MockCallbackSecrets,
        MockClock, MockCredentialStore, MockDirectory, MockEventFeed, MockExports, MockIdSource,
        MockNotifier, MockRateLimiter, MockReplayGuard, MockRuleBook, MockTasks, MockTransferQuery,
        MockTransferStore, StoreError,
    };
    use bursar_testkit::build;
    use tokio::sync::mpsc;

    use super::*;

    fn app(store: MockTransferStore) -> App {
        let ports = Ports {
            store: Arc::new(store),
            query: Arc::new(MockTransferQuery::new()),
            exports: Arc::new(MockExports::new()),
            directory: Arc::new(MockDirectory::new()),
            address_book: Arc::new(MockAddressBook::new()),
            callback_log: Arc::new(MockCallbackLog::new()),
            audit_log: Arc::new(MockAuditLog::new()),
            events: Arc::new(MockEventFeed::new()),
            integrity: Arc::new(MockBookIntegrity::new()),
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
        };
        let keyring = Keyring::try_new([0; 32], vec![("k".to_owned(), [0; 32])]).unwrap();
        let settings = Settings {
            root_asset: build::asset_id("usd"),
            callback_urls: CallbackUrlPolicy::default(),
            limits: Limits::default(),
            transfers: TransferSettings::default(),
        };
        App::new(ports, Arc::new(keyring), settings)
    }

    #[tokio::test]
    async fn an_outage_ends_nothing_but_being_told_to_stop_does() {
        let (pass, mut passes) = mpsc::unbounded_channel();
        let mut store = MockTransferStore::new();
        store.expect_list_unsettled().returning(move |_, _| {
            pass.send(()).unwrap();
            Err(StoreError::Overloaded)
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(settle_pending(app(store), stop.clone()));
        for _ in 0..3 {
            assert_eq!(passes.recv().await, Some(()));
        }
        stop.cancel();
        task.await.unwrap();
    }
}
