//! Settles what a crash or an outage left pending, ends what nobody confirmed or approved in time, and
//! tells of it before.

use std::time::Duration;

use bursar_app::App;
use bursar_ports::StoreError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

/// How often to look. What is looked for has waited longer than this already, so a hint would bring
/// nothing.
const INTERVAL: Duration = Duration::from_millis(200);

/// Looks for pending transfers until told to stop; the pass under way is finished.
pub async fn settle_pending(app: App, stop: CancellationToken) {
    let pass = move || {
        let app = app.clone();
        async move { app.settle_pending().await }
    };
    let outage = Outage::new(
        "no longer pending transfers can be settled",
        Some("again pending transfers can be settled"),
    );
    repeat(outage, stop, pass).await;
}

/// Looks for transfers whose time is up until told to stop; the pass under way is finished.
pub async fn expire_due(app: App, stop: CancellationToken) {
    let pass = move || {
        let app = app.clone();
        async move { app.expire_due().await }
    };
    let outage = Outage::new(
        "no longer transfers can expire",
        Some("again transfers can expire"),
    );
    repeat(outage, stop, pass).await;
}

/// Tells of withdrawals whose time is nearly up until told to stop; the pass under way is finished.
pub async fn tell_expiring(app: App, stop: CancellationToken) {
    let pass = move || {
        let app = app.clone();
        async move { app.tell_expiring().await }
    };
    let outage = Outage::new(
        "no longer withdrawals that expire can be told of",
        Some("again withdrawals that expire can be told of"),
    );
    repeat(outage, stop, pass).await;
}

/// Repeats a pass until told to stop.
async fn repeat<F>(mut outage: Outage, stop: CancellationToken, pass: impl Fn() -> F)
where
    F: Future<Output = Result<usize, StoreError>>,
{
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match pass().await {
            Ok(_) => outage.end(),
            Err(error) => outage.meet(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bursar_ports::{MockTransferStore, StoreError};
    use tokio::sync::mpsc;

    use super::*;
    use crate::test_support;

    #[tokio::test]
    async fn an_outage_ends_nothing_but_being_told_to_stop_does() {
        let (pass, mut passes) = mpsc::unbounded_channel();
        let mut store = MockTransferStore::new();
        store.expect_list_unsettled().returning(move |_, _| {
            pass.send(()).unwrap();
            Err(StoreError::Overloaded)
        });
        let app = test_support::app(|ports| ports.store = Arc::new(store));
        let stop = CancellationToken::new();
        let task = tokio::spawn(settle_pending(app, stop.clone()));
        for _ in 0..3 {
            assert_eq!(passes.recv().await, Some(()));
        }
        stop.cancel();
        task.await.unwrap();
    }
}
