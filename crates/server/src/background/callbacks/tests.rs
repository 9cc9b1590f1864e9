use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use async_trait::async_trait;
use bursar_app::Keyring;
use bursar_domain::{
    ActorId, Amount, AssetId, NewTransfer, Operation, Scale, Status, Terms, Timestamp, Transfer,
    TransferId, UserId,
};
use bursar_ports::{
    AttemptRecord, ClaimedCallback, Delivered, DueLane, DueLanes, Lane, LaneShare, LeaseToken,
    Notification, Notifier, Outbox, QueueFigures, StoreError, Undelivered,
};
use bursar_testkit::{InMemoryCallbackSecrets, SequentialIds};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use uuid::Uuid;

use super::*;
use crate::system::SystemClock;

/// Callbacks that are due, each in a lane of its own, and a channel that tells which were recorded
/// or given back.
struct FakeOutbox {
    due: Mutex<VecDeque<&'static str>>,
    /// Whoever claims says so, and needs a permit; once there are none any more, every claim fails.
    claiming: Notify,
    may_claim: Semaphore,
    recorded: mpsc::UnboundedSender<Uuid>,
}

fn lane(url: &str) -> Lane {
    Lane {
        subscriber: url.to_owned(),
        host: url.to_owned(),
    }
}

#[async_trait]
impl Outbox for FakeOutbox {
    async fn enqueue_due(&self, _: Timestamp, _: u32) -> Result<u32, StoreError> {
        Ok(0)
    }

    async fn due_lanes(
        &self,
        _: Timestamp,
        _: Option<Lane>,
        _: Vec<String>,
    ) -> Result<DueLanes, StoreError> {
        let due = self.due.lock().unwrap();
        let lanes = due.iter().map(|url| DueLane {
            lane: lane(url),
            is_final: true,
            due_at: Timestamp::EPOCH,
        });
        Ok(DueLanes {
            lanes: lanes.collect(),
            next: None,
        })
    }

    async fn claim_due(
        &self,
        _: Timestamp,
        _: i64,
        shares: Vec<LaneShare>,
    ) -> Result<Vec<ClaimedCallback>, StoreError> {
        self.claiming.notify_one();
        let Ok(permit) = self.may_claim.acquire().await else {
            return Err(StoreError::Overloaded);
        };
        drop(permit);
        let mut due = self.due.lock().unwrap();
        let mut claimed = vec![];
        due.retain(|url| {
            let taken = shares.iter().any(|share| share.lane == lane(url));
            claimed.extend(taken.then(|| callback(url)));
            !taken
        });
        Ok(claimed)
    }

    async fn record_attempt(&self, attempt: AttemptRecord) -> Result<bool, StoreError> {
        self.recorded.send(attempt.id).unwrap();
        Ok(true)
    }

    async fn release(&self, claims: Vec<(Uuid, LeaseToken)>) -> Result<(), StoreError> {
        for (id, _) in claims {
            self.due.lock().unwrap().push_back("given back");
            self.recorded.send(id).unwrap();
        }
        Ok(())
    }

    async fn give_up(&self, _: Lane, _: Timestamp, _: Timestamp) -> Result<u32, StoreError> {
        unreachable!("nothing is given up")
    }

    async fn figures(&self, _: Timestamp) -> Result<QueueFigures, StoreError> {
        unreachable!("nobody asks")
    }
}

/// Receivers that answer once they are told to, break the attempt off, or are not there; the others
/// answer at once.
struct FakeNotifier(Mutex<HashMap<String, Arc<Notify>>>);

#[async_trait]
impl Notifier for FakeNotifier {
    async fn notify(&self, notification: Notification) -> Result<Delivered, Undelivered> {
        let slow = self.0.lock().unwrap().get(&notification.url).cloned();
        if let Some(answer) = slow {
            answer.notified().await;
        }
        assert_ne!(notification.url, "broken", "this delivery breaks off");
        if notification.url == "gone" {
            return Err(Undelivered::Connect);
        }
        Ok(Delivered { http_status: 200 })
    }
}

fn id(url: &str) -> Uuid {
    Uuid::from_u128(
        url.bytes()
            .fold(0, |sum, byte| sum * 256 + u128::from(byte)),
    )
}

fn callback(url: &'static str) -> ClaimedCallback {
    let new = NewTransfer {
        id: TransferId::try_new(1).unwrap(),
        asset: AssetId::parse("btc").unwrap(),
        scale: Scale::try_new(8).unwrap(),
        amount: Amount::try_from_units(1).unwrap(),
        fee: Amount::ZERO,
        note: None,
        callback_url: None,
        created_by: ActorId::system(),
        now: Timestamp::EPOCH,
        root_rate: None,
        terms: Terms::default(),
    };
    let change = Transfer::deposit(new, UserId::new(Uuid::from_u128(7))).unwrap();
    ClaimedCallback {
        id: id(url),
        lease: LeaseToken(Uuid::from_u128(1)),
        url: url.to_owned(),
        subscriber: change.next.subscriber(),
        lane: lane(url),
        due_since: Timestamp::EPOCH,
        operation: Operation::Settle,
        status: Status::Completed,
        error: None,
        attempts: 0,
        transfer: change.next,
    }
}

struct Running {
    outbox: Arc<FakeOutbox>,
    slow: Arc<Notify>,
    hint: Arc<Notify>,
    seen: BreakersSeen,
    recorded: mpsc::UnboundedReceiver<Uuid>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// A loop with two places for receivers that nobody knows yet; the receiver `slow` answers when told to.
    fn start(due: &[&'static str]) -> Self {
        let (sender, recorded) = mpsc::unbounded_channel();
        let outbox = Arc::new(FakeOutbox {
            due: Mutex::new(due.iter().copied().collect()),
            claiming: Notify::new(),
            may_claim: Semaphore::new(1),
            recorded: sender,
        });
        let slow = Arc::new(Notify::new());
        let receivers = HashMap::from([("slow".to_owned(), Arc::clone(&slow))]);
        let hint = Arc::new(Notify::new());
        let seen = BreakersSeen::default();
        let keyring = Keyring::try_new([0; 32], vec![("k".to_owned(), [0; 32])]).unwrap();
        let callbacks = CallbackLoop {
            pass: CallbackPass {
                outbox: outbox.clone(),
                notifier: Arc::new(FakeNotifier(Mutex::new(receivers))),
                clock: Arc::new(SystemClock),
                secrets: Arc::new(InMemoryCallbackSecrets::default()),
                ids: Arc::new(SequentialIds::default()),
                keyring: Arc::new(keyring),
            },
            seen: seen.clone(),
            limits: DispatchLimits {
                overall: 4,
                ..DispatchLimits::default()
            },
            poll: Duration::from_secs(3_600),
            hint: Arc::clone(&hint),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(callbacks.run(stop.clone()));
        Self {
            outbox,
            slow,
            hint,
            seen,
            recorded,
            stop,
            task,
        }
    }

    async fn next(&mut self) -> Uuid {
        self.recorded.recv().await.unwrap()
    }
}

#[tokio::test]
async fn a_slow_receiver_holds_up_nobody_else() {
    let mut running = Running::start(&["slow", "a", "b", "c"]);
    for url in ["a", "b", "c"] {
        assert_eq!(running.next().await, id(url));
    }
    running.slow.notify_one();
    assert_eq!(running.next().await, id("slow"));
    running.stop.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn a_hint_brings_new_ones_under_way_long_before_the_next_look() {
    let mut running = Running::start(&["a"]);
    assert_eq!(running.next().await, id("a"));
    running.outbox.due.lock().unwrap().push_back("b");
    running.hint.notify_one();
    assert_eq!(running.next().await, id("b"));
    running.stop.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn stopping_waits_for_what_is_under_way() {
    let mut running = Running::start(&["slow", "a"]);
    assert_eq!(running.next().await, id("a"));
    running.stop.cancel();
    tokio::task::yield_now().await;
    assert!(!running.task.is_finished());
    running.slow.notify_one();
    running.task.await.unwrap();
    assert_eq!(running.recorded.recv().await, Some(id("slow")));
}

#[tokio::test]
async fn what_was_claimed_while_stopping_is_given_back() {
    let mut running = Running::start(&[]);
    let outbox = Arc::clone(&running.outbox);
    let held = outbox.may_claim.acquire().await.unwrap();
    outbox.due.lock().unwrap().push_back("a");
    running.hint.notify_one();
    outbox.claiming.notified().await;
    running.stop.cancel();
    drop(held);
    running.task.await.unwrap();
    assert_eq!(running.recorded.recv().await, Some(id("a")));
    let due: Vec<_> = outbox.due.lock().unwrap().drain(..).collect();
    assert_eq!(due, ["given back"]);
}

#[tokio::test]
async fn a_look_that_fails_is_followed_by_a_break_twice_as_long_too() {
    let running = Running::start(&["a"]);
    let outbox = Arc::clone(&running.outbox);
    let held = outbox.may_claim.try_acquire().unwrap();
    outbox.claiming.notified().await;
    let begun = Instant::now();
    sleep_until(begun + Duration::from_millis(50)).await;
    outbox.may_claim.close();
    drop(held);
    running.hint.notify_one();
    outbox.claiming.notified().await;
    assert!(begun.elapsed() >= Duration::from_millis(150));
    running.stop.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn a_delivery_that_breaks_off_frees_its_place() {
    let mut running = Running::start(&["broken", "slow", "a"]);
    running.slow.notify_one();
    // The first two have the places.
    assert_eq!(running.next().await, id("a"));
    assert_eq!(running.next().await, id("slow"));
    running.stop.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn whoever_looks_sees_that_a_host_is_left_alone() {
    let mut running = Running::start(&["gone"; 5]);
    for _ in 0..5 {
        assert_eq!(running.next().await, id("gone"));
    }
    running.stop.cancel();
    running.task.await.unwrap();
    assert!(running.seen.of("gone").is_some());
}
