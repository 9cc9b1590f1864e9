//! The ports that this process itself is: its clock and its tasks.

use bursar_domain::Timestamp;
use bursar_ports::{Clock, Task, Tasks};
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(OffsetDateTime::now_utc())
    }
}

/// Runs tasks on the main runtime: the threads that serve requests have runtimes of their own,
/// which end before what they started has ended.
#[derive(Clone, Debug)]
pub struct BackgroundTasks {
    tracker: TaskTracker,
    runtime: Handle,
}

impl BackgroundTasks {
    /// Tasks on the runtime that this is called in.
    pub fn here() -> Self {
        Self {
            tracker: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// Waits until every task has ended. Call it once nothing starts tasks any more.
    pub async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Tasks for BackgroundTasks {
    fn spawn(&self, task: Task) {
        self.tracker.spawn_on(task, &self.runtime);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn the_clock_shows_this_century() {
        let now = SystemClock.now();
        assert!(now > Timestamp::parse("2024-01-01").unwrap());
        assert!(now < Timestamp::parse("2124-01-01").unwrap());
    }

    #[tokio::test]
    async fn finishing_waits_for_what_was_started_elsewhere() {
        let tasks = BackgroundTasks::here();
        let (go, gone) = oneshot::channel::<()>();
        let (done_in, done) = oneshot::channel();
        let elsewhere = tasks.clone();
        std::thread::spawn(move || {
            elsewhere.spawn(Box::pin(async move {
                gone.await.unwrap();
                done_in.send(()).unwrap();
            }));
        })
        .join()
        .unwrap();
        go.send(()).unwrap();
        tasks.finish().await;
        assert_eq!(done.await, Ok(()));
    }
}
