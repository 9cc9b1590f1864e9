//! Has withdrawals paid out.

use std::{sync::Arc, time::Duration};

use bursar_app::App;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

/// How many payouts one replica tries at once.
const PLACES: usize = 32;
/// How often to look without a hint.
const POLL: Duration = Duration::from_millis(500);
/// How often to measure.
const FIGURES_INTERVAL: Duration = Duration::from_secs(10);

/// Has withdrawals paid out until told to stop; what is under way then is finished. `hint` says that
/// a payout has begun.
pub async fn pay_out(app: App, hint: Arc<Notify>, stop: CancellationToken) {
    let tries = async {
        if app.pays_out() {
            try_due(app.clone(), hint, stop.clone()).await;
        }
    };
    tokio::join!(tries, watch(app.clone(), stop.clone()));
}

/// Tries payouts that are due.
async fn try_due(app: App, hint: Arc<Notify>, stop: CancellationToken) {
    let mut tries = JoinSet::new();
    let mut next_look = Instant::now();
    let over = Some("again payouts can be claimed");
    let mut outage = Outage::new("no longer payouts can be claimed", over);
    loop {
        let free = PLACES.saturating_sub(tries.len());
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = tries.join_next() => report(ended),
            () = hint.notified() => next_look = Instant::now(),
            () = sleep_until(next_look), if free > 0 => {
                next_look = Instant::now() + POLL;
                if app.ready().await.is_err() {
                    // What comes of a payout could not be recorded.
                    continue;
                }
                match app.claim_payouts(u32::try_from(free).unwrap_or(u32::MAX)).await {
                    Ok(due) => {
                        outage.end();
                        if due.len() == free {
                            // There may be more: look again as soon as there is a place.
                            next_look = Instant::now();
                        }
                        for payout in due {
                            let app = app.clone();
                            tries.spawn(async move { app.pay_out(payout).await });
                        }
                    }
                    Err(error) => outage.meet(&error),
                }
            }
        }
    }
    while let Some(ended) = tries.join_next().await {
        report(ended);
    }
}

type Ended = Result<Result<&'static str, bursar_ports::StoreError>, tokio::task::JoinError>;

fn report(ended: Ended) {
    match ended {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "a payout was not tried, or what came of it is not recorded");
        }
        Err(error) => tracing::error!(%error, "a try of a payout broke off"),
    }
}

/// Sets the gauges of payouts. While nothing can be measured they show what was true last; the log
/// says so once.
async fn watch(app: App, stop: CancellationToken) {
    let mut ticks = interval(FIGURES_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = Outage::new("payouts cannot be measured", None);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match app.payout_figures().await {
            Ok(figures) => {
                outage.end();
                let age_ms = u64::try_from(figures.oldest_ms).unwrap_or_default();
                let age = Duration::from_millis(age_ms);
                metrics::gauge!("bursar_payouts_under_way").set(figures.under_way);
                metrics::gauge!("bursar_payouts_oldest_seconds").set(age.as_secs_f64());
            }
            Err(error) => outage.meet(&error),
        }
    }
}
