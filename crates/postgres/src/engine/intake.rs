//! Who takes how much of what waits.
//!
//! A batch costs nearly the same whether it has one request or thirty. So batchers share what there
//! is evenly, and one does not set out with a few while another has many under way: those will be
//! back soon. A lone request waits for nobody, and the few for no longer than [`PATIENCE`].

use std::{sync::Arc, time::Duration};

use tokio::{
    select,
    sync::{Mutex, mpsc, watch},
    task::yield_now,
    time::{Instant, timeout},
};

use super::{pace::Pace, waiting::Waiting};

/// Longer than a batch takes. What is under way may be stuck, and then the few must go on.
const PATIENCE: Duration = Duration::from_millis(5);

/// The requests that wait, and how many are under way.
pub(super) struct Intake<J> {
    queue: Mutex<mpsc::Receiver<Waiting<J>>>,
    under_way: watch::Sender<usize>,
    shares: Shares,
    pace: Arc<Pace>,
}

/// Requests that were taken; they are under way until it is dropped.
pub(super) struct UnderWay<'i> {
    all: &'i watch::Sender<usize>,
    pace: &'i Pace,
    count: usize,
    since: Instant,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.pace.note(self.since.elapsed());
        self.all
            .send_modify(|all| *all = all.saturating_sub(self.count));
    }
}

impl<J> Intake<J> {
    pub(super) fn new(queue: mpsc::Receiver<Waiting<J>>, shares: Shares) -> Self {
        Self {
            queue: Mutex::new(queue),
            under_way: watch::Sender::new(0),
            shares,
            pace: Arc::new(Pace::new(shares)),
        }
    }

    /// How fast what was taken is done.
    pub(super) fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }

    /// Takes the next batch; none when the queue is closed and empty.
    pub(super) async fn take(&self) -> Option<(Vec<J>, UnderWay<'_>)> {
        let mut queue = self.queue.lock().await;
        let mut jobs = vec![next(&mut queue).await?];
        // Out of patience is as good as enough.
        let _late = timeout(PATIENCE, self.enough(&mut queue, &mut jobs)).await;
        self.fill(&mut queue, &mut jobs).await;
        let count = jobs.len();
        self.under_way
            .send_modify(|all| *all = all.saturating_add(count));
        let under_way = UnderWay {
            all: &self.under_way,
            pace: &self.pace,
            count,
            since: Instant::now(),
        };
        Some((jobs, under_way))
    }

    /// Waits until there are enough to set out.
    async fn enough(&self, queue: &mut mpsc::Receiver<Waiting<J>>, jobs: &mut Vec<J>) {
        let mut under_way = self.under_way.subscribe();
        loop {
            let elsewhere = *under_way.borrow_and_update();
            let waiting = jobs.len().saturating_add(queue.len());
            if self.shares.may_set_out(waiting, elsewhere) {
                return;
            }
            select! {
                job = next(queue) => match job {
                    Some(job) => jobs.push(job),
                    None => return,
                },
                // It cannot fail while this has the sender.
                _changed = under_way.changed() => {}
            }
        }
    }

    /// Takes up to a fair share. Whoever was just answered is about to ask again, so other tasks
    /// go first for as long as that brings more.
    async fn fill(&self, queue: &mut mpsc::Receiver<Waiting<J>>, jobs: &mut Vec<J>) {
        loop {
            let there_are = jobs
                .len()
                .saturating_add(queue.len())
                .saturating_add(*self.under_way.borrow());
            let share = self.shares.of(there_are);
            while jobs.len() < share
                && let Ok(waiting) = queue.try_recv()
            {
                jobs.extend(waiting.take());
            }
            if jobs.len() >= share {
                return;
            }
            yield_now().await;
            if queue.is_empty() {
                return;
            }
        }
    }
}

/// What waits next; none when the queue is closed and empty.
async fn next<J>(queue: &mut mpsc::Receiver<Waiting<J>>) -> Option<J> {
    loop {
        if let Some(job) = queue.recv().await?.take() {
            return Some(job);
        }
    }
}

/// How requests are shared among batchers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    /// How many batchers there are.
    pub(super) batchers: usize,
    /// The most requests in one batch.
    pub(super) items_max: usize,
}

impl Shares {
    /// Splitting less than this gains nothing.
    const SPLIT_MIN: usize = 8;

    /// Whether so many are worth a batch, beside so many that are under way elsewhere.
    const fn may_set_out(self, waiting: usize, elsewhere: usize) -> bool {
        waiting >= self.items_max || waiting.saturating_mul(3) >= elsewhere
    }

    /// How many of all that wait or are under way one batcher takes.
    fn of(self, there_are: usize) -> usize {
        let even = there_are.div_ceil(self.batchers.max(1));
        even.max(Self::SPLIT_MIN).min(self.items_max.max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use futures_util::poll;

    use super::*;
    use crate::engine::waiting::Place;

    const SHARES: Shares = Shares {
        batchers: 2,
        items_max: 32,
    };

    fn waiting(number: u32) -> Waiting<u32> {
        Waiting::new(number, Place::default())
    }

    fn intake(waiting_now: u32) -> (mpsc::Sender<Waiting<u32>>, Intake<u32>) {
        let (send, queue) = mpsc::channel(1_000);
        for number in 0..waiting_now {
            send.try_send(waiting(number)).unwrap();
        }
        (send, Intake::new(queue, SHARES))
    }

    /// What comes of it without waiting for anything: out of patience it would be in time only.
    fn ready<F: Future>(mut future: Pin<&mut F>) -> F::Output {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
        }
        panic!("it waits for something");
    }

    async fn taken(intake: &Intake<u32>) -> (Vec<u32>, UnderWay<'_>) {
        intake.take().await.unwrap()
    }

    #[tokio::test]
    async fn a_lone_request_waits_for_nobody() {
        let (_send, intake) = intake(1);
        let (jobs, _under_way) = taken(&intake).await;
        assert_eq!(jobs, [0]);
    }

    #[tokio::test]
    async fn batchers_share_evenly_and_in_order() {
        let (_send, intake) = intake(40);
        let (jobs, _under_way) = taken(&intake).await;
        assert_eq!(jobs, (0..20).collect::<Vec<u32>>());
        let (jobs, _under_way) = taken(&intake).await;
        assert_eq!(jobs, (20..40).collect::<Vec<u32>>());
    }

    #[tokio::test]
    async fn few_are_not_split_and_no_batch_is_too_big() {
        let (_few, few) = intake(7);
        assert_eq!(taken(&few).await.0.len(), 7);
        let (_many, many) = intake(300);
        assert_eq!(taken(&many).await.0.len(), 32);
    }

    #[tokio::test]
    async fn a_few_wait_for_those_that_are_under_way() {
        let (send, intake) = intake(40);
        let (_first, under_way) = taken(&intake).await;
        drop(taken(&intake).await);
        // Six beside twenty are too few; with one more they may go.
        for number in 40..46 {
            send.try_send(waiting(number)).unwrap();
        }
        let mut few = pin!(taken(&intake));
        assert!(poll!(&mut few).is_pending());
        // Nobody lets others go first for longer than until they have run.
        assert!(poll!(&mut few).is_pending());
        send.try_send(waiting(46)).unwrap();
        assert_eq!(ready(few).0, (40..47).collect::<Vec<u32>>());
        // And so may one when nothing is under way any more.
        send.try_send(waiting(47)).unwrap();
        let mut one = pin!(taken(&intake));
        assert!(poll!(&mut one).is_pending());
        assert!(poll!(&mut one).is_pending());
        drop(under_way);
        assert_eq!(ready(one).0, [47]);
    }

    #[tokio::test]
    async fn a_few_do_not_wait_for_ever() {
        let (send, intake) = intake(40);
        let (_first, _stuck) = taken(&intake).await;
        drop(taken(&intake).await);
        send.try_send(waiting(40)).unwrap();
        assert_eq!(taken(&intake).await.0, [40]);
    }

    #[tokio::test]
    async fn what_comes_meanwhile_goes_along() {
        let (send, intake) = intake(5);
        let mut batch = pin!(taken(&intake));
        // It has let others go first, and takes what they brought.
        assert!(poll!(&mut batch).is_pending());
        send.try_send(waiting(5)).unwrap();
        assert_eq!(batch.await.0.len(), 6);
    }

    #[tokio::test]
    async fn what_was_left_is_passed_over() {
        let (send, intake) = intake(0);
        let places: Vec<Place> = (0..4).map(|_| Place::default()).collect();
        for (number, place) in (0..).zip(&places) {
            send.try_send(Waiting::new(number, place.clone())).unwrap();
        }
        assert!(places[0].leave() && places[2].leave());
        assert_eq!(taken(&intake).await.0, [1, 3]);
        assert!(!places[1].leave() && !places[3].leave());
    }

    #[tokio::test]
    async fn what_waits_when_the_queue_is_closed_is_taken_still() {
        let (send, intake) = intake(3);
        drop(send);
        assert_eq!(taken(&intake).await.0.len(), 3);
        assert!(intake.take().await.is_none());
    }
}
