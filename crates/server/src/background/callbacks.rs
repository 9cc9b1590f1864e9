//! Keeps callbacks under way.
//!
//! Deliveries run beside each other and each frees its place on its own, so a slow or dead receiver
//! holds up nobody else as long as there are places left.

use std::{sync::Arc, time::Duration};

use bursar_app::CallbackPass;
use bursar_ports::StoreError;
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// How long to gather hints and ended deliveries before looking again: under load one look then
/// finds many callbacks, and no customer notices.
const GATHER: Duration = Duration::from_millis(5);

/// Delivers callbacks until told to stop.
pub struct CallbackLoop {
    /// Claims and delivers them.
    pub pass: CallbackPass,
    /// How many may be under way at once.
    pub concurrency: usize,
    /// How often to look without a hint.
    pub poll: Duration,
    /// Says that there may be new ones.
    pub hint: Arc<Notify>,
}

type Deliveries = JoinSet<Result<(), StoreError>>;

impl CallbackLoop {
    /// Delivers callbacks until told to stop; what is under way then is finished.
    pub async fn run(self, stop: CancellationToken) {
        let mut deliveries = Deliveries::new();
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.hint.notified() => next_look = next_look.min(Instant::now() + GATHER),
                Some(ended) = deliveries.join_next() => {
                    report(ended);
                    // What it made way for may be due already: the next one to the same URL.
                    next_look = next_look.min(Instant::now() + GATHER);
                }
                () = sleep_until(next_look), if deliveries.len() < self.concurrency => {
                    self.look(&mut deliveries).await;
                    next_look = Instant::now() + self.poll;
                }
            }
        }
        while let Some(ended) = deliveries.join_next().await {
            report(ended);
        }
    }

    /// Claims as many as there are places for and starts them.
    async fn look(&self, deliveries: &mut Deliveries) {
        let free = self.concurrency.saturating_sub(deliveries.len());
        let claimed = match self
            .pass
            .claim(u32::try_from(free).unwrap_or(u32::MAX))
            .await
        {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "callbacks cannot be claimed");
                return;
            }
        };
        for callback in claimed {
            let pass = self.pass.clone();
            deliveries.spawn(async move { pass.deliver(callback).await });
        }
    }
}

fn report(ended: Result<Result<(), StoreError>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the outcome of a callback was not recorded"),
        Err(error) => tracing::error!(%error, "a callback's delivery broke off"),
    }
}

#[cfg(test)]
mod tests;
