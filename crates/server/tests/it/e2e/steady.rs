//! Requests that come at a steady rate, whether or not others are answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

use super::{
    call::{Maker, Told},
    client::Client,
    eventually,
    exchange::Exchange,
    receiver::Receiver,
};

/// By whom requests seem to be made, in turns.
const PAYERS: usize = 8;

/// Requests that come and come.
pub(super) struct Steady {
    coming: JoinHandle<Vec<Told>>,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Steady {
    /// So many a second; each is made once.
    pub(super) fn start(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
        a_second: u32,
    ) -> Self {
        let maker = Maker::new(exchange, receiver, round);
        let (answered, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counter, stopped, client) = (Arc::clone(&answered), Arc::clone(&stop), client.clone());
        let coming = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_secs(1) / a_second);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut requests = JoinSet::new();
            for number in 0_usize.. {
                ticks.tick().await;
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let call = maker.call(number % PAYERS, number / PAYERS, &mut None);
                let (client, counter) = (client.clone(), Arc::clone(&counter));
                requests.spawn(async move {
                    let told = call.send(&client).await;
                    counter.fetch_add(usize::from(told.is_certain()), Ordering::SeqCst);
                    told
                });
            }
            requests.join_all().await
        });
        Self {
            coming,
            answered,
            stop,
        }
    }

    /// Waits until there are so many answers more.
    pub(super) async fn answered(&self, more: usize) {
        let enough = self.answered.load(Ordering::SeqCst) + more;
        eventually(&format!("{more} answers"), async || {
            (self.answered.load(Ordering::SeqCst) >= enough).then_some(())
        })
        .await;
    }

    /// What became of all of them, in no order.
    pub(super) async fn ended(self) -> Vec<Told> {
        self.stop.store(true, Ordering::SeqCst);
        self.coming.await.unwrap()
    }
}
