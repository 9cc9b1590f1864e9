//! Measures how much waits to be delivered.

use std::time::Duration;

use bursar_app::CallbackPass;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

const INTERVAL: Duration = Duration::from_secs(10);

/// Sets the gauges of the queue of callbacks until told to stop. While nothing can be measured they
/// show what was true last; the log says so once.
pub async fn watch_queue(pass: CallbackPass, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = Outage::new("the queue of callbacks cannot be measured", None);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match pass.figures().await {
            Ok((figures, oldest)) => {
                outage.end();
                metrics::gauge!("bursar_callbacks_due").set(figures.due);
                metrics::gauge!("bursar_callbacks_oldest_due_seconds").set(oldest.as_secs_f64());
            }
            Err(error) => outage.meet(&error),
        }
    }
}
