//! Has withdrawals paid out.

use std::{sync::Arc, time::Duration};

use bursar_app::App;
use bursar_ports::PayoutSchedule;
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
/// a payout has begun. What is in the `schedule` is measured also where there is no gateway.
pub async fn pay_out(
    app: App,
    schedule: Arc<dyn PayoutSchedule>,
    hint: Arc<Notify>,
    stop: CancellationToken,
) {
    let pays_out = app.pays_out();
    let measured = watch(schedule, pays_out, stop.clone());
    let tries = async {
        if pays_out {
            try_due(app, hint, stop).await;
        }
    };
    tokio::join!(tries, measured);
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
/// says so once. It also says once that payouts are under way that nobody here orders.
async fn watch(schedule: Arc<dyn PayoutSchedule>, pays_out: bool, stop: CancellationToken) {
    let mut is_told = pays_out;
    let mut ticks = interval(FIGURES_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = Outage::new("payouts cannot be measured", None);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match schedule.figures().await {
            Ok(figures) => {
                outage.end();
                if figures.under_way > 0 && !std::mem::replace(&mut is_told, true) {
                    let under_way = figures.under_way;
                    tracing::warn!(
                        under_way,
                        "withdrawals are being paid out, and no gateway is configured here"
                    );
                }
                let age_ms = u64::try_from(figures.oldest_ms).unwrap_or_default();
                let age = Duration::from_millis(age_ms);
                metrics::gauge!("bursar_payouts_under_way").set(figures.under_way);
                metrics::gauge!("bursar_payouts_oldest_seconds").set(age.as_secs_f64());
            }
            Err(error) => outage.meet(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use bursar_ports::{MockPayoutSchedule, PayoutFigures};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::test_support;

    /// Taking the gateway away ends no payout.
    #[test]
    fn payouts_under_way_are_measured_without_a_gateway_too() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let stop = CancellationToken::new();
        let measured = stop.clone();
        let mut schedule = MockPayoutSchedule::new();
        schedule.expect_figures().times(1).returning(move || {
            measured.cancel();
            Ok(PayoutFigures {
                under_way: 2,
                oldest_ms: 5_000,
            })
        });
        let app = test_support::app(|_| {});
        let paying = pay_out(app, Arc::new(schedule), Arc::new(Notify::new()), stop);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        metrics::with_local_recorder(&recorder, || runtime.block_on(paying));
        let text = handle.render();
        assert!(text.contains("bursar_payouts_under_way 2\n"), "{text}");
        assert!(text.contains("bursar_payouts_oldest_seconds 5\n"), "{text}");
    }
}
