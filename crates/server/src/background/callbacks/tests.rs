use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use async_trait::async_trait;
use bursar_app::Keyring;
use bursar_domain::{
    ActorId, Amount, AssetId, NewTransfer, Operation, Scale, Status, Timestamp, Transfer,
    TransferId, UserId,
};
use bursar_ports::{
    AttemptRecord, ClaimedCallback, Delivered, LeaseToken, Notification, Notifier, Outbox,
    Undelivered,
};
use bursar_testkit::{InMemoryCallbackSecrets, SequentialIds};
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

use super::*;
use crate::system::SystemClock;

/// Callbacks that are due, and a channel that tells which were recorded.
struct FakeOutbox {
    due: Mutex<VecDeque<&'static str>>,
    recorded: mpsc::UnboundedSender<Uuid>,
}

#[async_trait]
impl Outbox for FakeOutbox {
    async fn claim_due(
        &self,
        _: Timestamp,
        _: i64,
        limit: u32,
    ) -> Result<Vec<ClaimedCallback>, StoreError> {
        let mut due = self.due.lock().unwrap();
        let count = due.len().min(usize::try_from(limit).unwrap());
        Ok(due.drain(..count).map(callback).collect())
    }

    async fn record_attempt(&self, attempt: AttemptRecord) -> Result<bool, StoreError> {
        self.recorded.send(attempt.id).unwrap();
        Ok(true)
    }

    async fn release(&self, _: Vec<(Uuid, LeaseToken)>) -> Result<(), StoreError> {
        unreachable!("nothing is given back")
    }
}

/// Receivers that answer once they are told to; the others answer at once.
struct FakeNotifier(Mutex<HashMap<String, Arc<Notify>>>);

#[async_trait]
impl Notifier for FakeNotifier {
    async fn notify(&self, notification: Notification) -> Result<Delivered, Undelivered> {
        let slow = self.0.lock().unwrap().get(&notification.url).cloned();
        if let Some(answer) = slow {
            answer.notified().await;
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
    };
    let change = Transfer::deposit(new, UserId::new(Uuid::from_u128(7))).unwrap();
    ClaimedCallback {
        id: id(url),
        lease: LeaseToken(Uuid::from_u128(1)),
        url: url.to_owned(),
        subscriber: change.next.subscriber(),
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
    recorded: mpsc::UnboundedReceiver<Uuid>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// A loop with two places; the receiver `slow` answers when told to.
    fn start(due: &[&'static str]) -> Self {
        let (sender, recorded) = mpsc::unbounded_channel();
        let outbox = Arc::new(FakeOutbox {
            due: Mutex::new(due.iter().copied().collect()),
            recorded: sender,
        });
        let slow = Arc::new(Notify::new());
        let receivers = HashMap::from([("slow".to_owned(), Arc::clone(&slow))]);
        let hint = Arc::new(Notify::new());
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
            concurrency: 2,
            poll: Duration::from_secs(3_600),
            hint: Arc::clone(&hint),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(callbacks.run(stop.clone()));
        Self {
            outbox,
            slow,
            hint,
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
