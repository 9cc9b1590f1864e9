//! Counts what succeeded into the figures of the overview.

use std::{sync::Arc, time::Duration};

use bursar_ports::Summary;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

/// How often to look: nobody watches figures of hours by the second.
pub const COUNTING_POLL: Duration = Duration::from_secs(1);

/// How much longer than a chunk the break after it is, when there is more: what has piled up is
/// counted in a third of the time, and money has the rest.
const BREAK: u32 = 2;

/// Counts until told to stop; the chunk under way is finished. What is not counted then is counted by
/// another replica, or after the next start.
pub async fn count_volumes(summary: Arc<dyn Summary>, poll: Duration, stop: CancellationToken) {
    let over = Some("volumes can be counted again");
    let mut outage = Outage::new("volumes cannot be counted", over);
    loop {
        let begun = Instant::now();
        let more = match summary.fold().await {
            Ok(more) => {
                outage.end();
                more
            }
            Err(error) => {
                outage.meet(&error);
                false
            }
        };
        let pause = if more { begun.elapsed() * BREAK } else { poll };
        let next = sleep_until(Instant::now() + pause);
        if stop.run_until_cancelled(next).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use bursar_ports::{MockSummary, StoreError};
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_piled_up_is_counted_at_once_and_an_outage_ends_nothing() {
        let (pass, mut passes) = mpsc::unbounded_channel();
        let answers = [Ok(true), Err(StoreError::Overloaded), Ok(true), Ok(true)];
        let answers = std::sync::Mutex::new(answers.into_iter());
        let mut summary = MockSummary::new();
        summary.expect_fold().returning(move || {
            pass.send(()).unwrap();
            answers.lock().unwrap().next().unwrap_or(Ok(false))
        });
        let stop = CancellationToken::new();
        let poll = Duration::from_millis(1);
        let task = tokio::spawn(count_volumes(Arc::new(summary), poll, stop.clone()));
        for _ in 0..6 {
            assert_eq!(passes.recv().await, Some(()));
        }
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn the_poll_is_waited_for_only_when_there_is_no_more() {
        let (pass, mut passes) = mpsc::unbounded_channel();
        let mut more = [true, true, false].into_iter();
        let mut summary = MockSummary::new();
        summary.expect_fold().times(3).returning(move || {
            pass.send(()).unwrap();
            Ok(more.next().unwrap())
        });
        let stop = CancellationToken::new();
        let poll = Duration::from_secs(3_600);
        let task = tokio::spawn(count_volumes(Arc::new(summary), poll, stop.clone()));
        for _ in 0..3 {
            assert_eq!(passes.recv().await, Some(()));
        }
        stop.cancel();
        task.await.unwrap();
    }
}
