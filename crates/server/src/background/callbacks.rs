//! Keeps callbacks under way.
//!
//! Deliveries run beside each other and each frees its place on its own. Who gets the free places is
//! decided by [`Dispatch`]; this is the clockwork around it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bursar_app::{Attempt, BreakersSeen, CallbackPass, Delivery, Dispatch, DispatchLimits, Ticket};
use bursar_ports::Verdict;
use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

/// How long to gather hints and ended deliveries before looking again: under load one look then
/// finds many callbacks, and no customer notices. A look that takes long is followed by a break
/// twice as long, so that looking never keeps the database from its work.
const GATHER: Duration = Duration::from_millis(5);

/// Delivers callbacks until told to stop.
pub struct CallbackLoop {
    /// Claims and delivers them.
    pub pass: CallbackPass,
    /// Where to leave which hosts are left alone, at any time.
    pub seen: BreakersSeen,
    /// How many may be under way at once.
    pub limits: DispatchLimits,
    /// How often to look without a hint.
    pub poll: Duration,
    /// Says that there may be new ones.
    pub hint: Arc<Notify>,
}

/// What is going on.
struct Running {
    pass: CallbackPass,
    dispatch: Dispatch,
    deliveries: JoinSet<Delivery>,
    tickets: HashMap<Id, Ticket>,
    poll: Duration,
    next_look: Instant,
    next_enqueue: Instant,
    gather: Duration,
    enqueuing: Outage,
    claiming: Outage,
}

impl CallbackLoop {
    /// Delivers callbacks until told to stop; what is under way then is finished, and what was only
    /// claimed is given back.
    pub async fn run(self, stop: CancellationToken) {
        let now = Instant::now();
        let mut running = Running {
            pass: self.pass,
            dispatch: Dispatch::seen_in(self.limits, self.seen),
            deliveries: JoinSet::new(),
            tickets: HashMap::new(),
            poll: self.poll,
            next_look: now,
            next_enqueue: now,
            gather: GATHER,
            enqueuing: Outage::new(
                "no longer callbacks can be put into the queue",
                Some("again callbacks can be put into the queue"),
            ),
            claiming: Outage::new(
                "no longer callbacks can be claimed",
                Some("again callbacks can be claimed"),
            ),
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.hint.notified() => running.look_soon(),
                Some(ended) = running.deliveries.join_next_with_id() => {
                    running.end(ended);
                    // What it made way for may be due already: the next one to the same URL.
                    running.look_soon();
                }
                () = sleep_until(running.next_look), if running.dispatch.has_room() => {
                    running.look(&stop).await;
                }
            }
        }
        while let Some(ended) = running.deliveries.join_next_with_id().await {
            running.end(ended);
        }
    }
}

impl Running {
    fn look_soon(&mut self) {
        self.next_look = self.next_look.min(Instant::now() + self.gather);
    }

    /// Claims what there are places for and starts it.
    async fn look(&mut self, stop: &CancellationToken) {
        let begun = Instant::now();
        self.next_look = begun + self.poll;
        if begun >= self.next_enqueue {
            self.next_enqueue = begun + self.poll;
            match self.pass.enqueue().await {
                Ok(more) => {
                    self.enqueuing.end();
                    if more {
                        self.next_enqueue = begun;
                    }
                }
                Err(error) => self.enqueuing.meet(&error),
            }
        }
        let claimed = self.pass.claim(&mut self.dispatch).await;
        // Also of a look that failed: a database that is in trouble needs its break most.
        self.gather = GATHER.max(begun.elapsed() * 2);
        match claimed {
            Ok(look) => {
                self.claiming.end();
                if stop.is_cancelled() {
                    self.give_back(look.attempts).await;
                    return;
                }
                self.start(look.attempts);
                let again = look.again_in.map(|wait| wait.max(self.gather));
                let latest = Instant::now() + again.unwrap_or(self.poll).min(self.poll);
                self.next_look = latest.min(self.next_enqueue).max(begun + self.gather);
            }
            Err(error) => self.claiming.meet(&error),
        }
    }

    fn start(&mut self, attempts: Vec<Attempt>) {
        for attempt in attempts {
            let (pass, ticket) = (self.pass.clone(), attempt.ticket);
            let task = self
                .deliveries
                .spawn(async move { pass.deliver(attempt).await });
            self.tickets.insert(task.id(), ticket);
        }
        self.show();
    }

    /// Nobody has to wait for the claims to run out.
    async fn give_back(&self, attempts: Vec<Attempt>) {
        if let Err(error) = self.pass.release(attempts).await {
            tracing::warn!(%error, "claimed callbacks could not be given back");
        }
    }

    fn end(&mut self, ended: Result<(Id, Delivery), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let ticket = self.tickets.remove(&id);
        match ended {
            Ok((_, delivery)) => {
                if let Some(ticket) = ticket {
                    self.pass.end(&mut self.dispatch, ticket, &delivery);
                }
                if delivery.recorded.is_ok() {
                    count(&delivery);
                }
                if let Err(error) = delivery.recorded {
                    tracing::warn!(%error, "the outcome of a callback was not recorded");
                }
            }
            Err(error) => {
                if let Some(ticket) = ticket {
                    self.pass.lose(&mut self.dispatch, ticket);
                }
                tracing::error!(%error, "a callback's delivery broke off");
            }
        }
        self.show();
    }

    fn show(&self) {
        metrics::gauge!("bursar_callbacks_in_flight").set(self.dispatch.under_way());
        metrics::gauge!("bursar_callback_breakers_open").set(self.dispatch.breakers_open());
    }
}

fn count(delivery: &Delivery) {
    metrics::counter!("bursar_callback_attempts_total", "outcome" => delivery.outcome).increment(1);
    let dead = match delivery.verdict {
        Verdict::Succeeded => {
            let lag = Duration::from_millis(u64::try_from(delivery.lag_ms).unwrap_or_default());
            metrics::histogram!("bursar_callback_lag_seconds").record(lag);
            0
        }
        Verdict::RetryAt(_) => 0,
        Verdict::Dead => 1_u64,
    };
    metrics::counter!("bursar_callbacks_dead_total")
        .increment(dead.saturating_add(u64::from(delivery.given_up)));
}

#[cfg(test)]
mod tests;
