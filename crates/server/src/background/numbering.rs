//! Gives what was committed its numbers in the event feed.

use std::{sync::Arc, time::Duration};

use bursar_ports::EventSequencer;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

/// How long to gather commits before numbering them: under load one transaction then numbers many,
/// and nobody notices. A pass that takes long is followed by a break twice as long.
const GATHER: Duration = Duration::from_millis(40);

/// Numbers events.
pub struct NumberingLoop {
    /// Gives the numbers.
    pub sequencer: Arc<dyn EventSequencer>,
    /// Says that there may be something to number.
    pub hint: Arc<Notify>,
    /// How often to look without a hint: for what other replicas commit, whose own loop may have died.
    pub poll: Duration,
}

impl NumberingLoop {
    /// Numbers events until told to stop, and tells `reached` how far the feed has got, whoever
    /// numbered it. What has no number then gets one from another replica, or after the next start.
    pub async fn run(self, reached: impl Fn(i64), stop: CancellationToken) {
        let over = Some("events can be numbered again");
        let mut outage = Outage::new("events cannot be numbered", over);
        while !stop.is_cancelled() {
            let begun = Instant::now();
            match self.sequencer.number().await {
                Ok(numbering) => {
                    outage.end();
                    let last = u64::try_from(numbering.last).unwrap_or_default();
                    metrics::counter!("bursar_events_last_number").absolute(last);
                    reached(numbering.last);
                    if numbering.more {
                        continue;
                    }
                }
                Err(error) => outage.meet(&error),
            }
            let look = Instant::now() + GATHER.max(begun.elapsed() * 2);
            let next = async {
                sleep_until(look).await;
                tokio::select! {
                    () = self.hint.notified() => {}
                    () = sleep(self.poll) => {}
                }
            };
            if stop.run_until_cancelled(next).await.is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bursar_ports::{MockEventSequencer, Numbering, StoreError};
    use tokio::sync::mpsc;

    use super::*;

    /// A sequencer that gives these answers, and then says that there is nothing more.
    fn scripted(
        answers: Vec<Result<Numbering, StoreError>>,
    ) -> (Arc<dyn EventSequencer>, mpsc::UnboundedReceiver<()>) {
        let (asked, passes) = mpsc::unbounded_channel();
        let answers = std::sync::Mutex::new(answers.into_iter());
        let mut sequencer = MockEventSequencer::new();
        sequencer.expect_number().returning(move || {
            asked.send(()).unwrap();
            let next = answers.lock().unwrap().next();
            next.unwrap_or(Ok(Numbering {
                last: 9,
                more: false,
            }))
        });
        (Arc::new(sequencer), passes)
    }

    fn looking(
        sequencer: Arc<dyn EventSequencer>,
        hint: &Arc<Notify>,
        poll: Duration,
    ) -> NumberingLoop {
        NumberingLoop {
            sequencer,
            hint: Arc::clone(hint),
            poll,
        }
    }

    #[tokio::test]
    async fn an_outage_ends_nothing_and_streams_learn_how_far_the_feed_has_got() {
        let numbering = |last, more| Ok(Numbering { last, more });
        let outage = || Err(StoreError::Overloaded);
        let answers = vec![numbering(4, true), outage(), outage(), numbering(7, false)];
        let (sequencer, mut passes) = scripted(answers);
        let (reach, mut reached) = mpsc::unbounded_channel();
        let reach = move |last| reach.send(last).unwrap();
        let stop = CancellationToken::new();
        let numbering = looking(sequencer, &Arc::default(), Duration::from_millis(1));
        let task = tokio::spawn(numbering.run(reach, stop.clone()));
        for _ in 0..5 {
            assert_eq!(passes.recv().await, Some(()));
        }
        for last in [4, 7, 9] {
            assert_eq!(reached.recv().await, Some(last));
        }
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_hint_is_answered_without_waiting_for_the_next_poll() {
        let (sequencer, mut passes) = scripted(vec![]);
        let hint = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        let numbering = looking(sequencer, &hint, Duration::from_secs(3_600));
        let task = tokio::spawn(numbering.run(|_| {}, stop.clone()));
        for _ in 0..3 {
            assert_eq!(passes.recv().await, Some(()));
            hint.notify_one();
        }
        stop.cancel();
        task.await.unwrap();
    }
}
