//! Tasks on one thread. Whoever is ready may go on next; the dice decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Wake, Waker},
};

use bursar_domain::Timestamp;
use bursar_ports::{Clock, Task};
use bursar_testkit::FixedClock;

/// Who dies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nobody who dies.
    World,
    /// The database.
    Database,
    /// A replica.
    Replica(usize),
}

/// Where tasks are started, woken and killed.
#[derive(Default)]
pub(crate) struct Scheduler(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    ready: BTreeSet<u64>,
    timers: BTreeMap<(Timestamp, u64), Waker>,
    started: Vec<(u64, Owner, Task)>,
    killed: Vec<Owner>,
    numbers: u64,
}

impl State {
    const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

struct TaskWaker {
    task: u64,
    state: Arc<Mutex<State>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.state.lock().unwrap().ready.insert(self.task);
    }
}

impl Scheduler {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn start(&self, owner: Owner, task: impl Future<Output = ()> + Send + 'static) {
        self.start_boxed(owner, Box::pin(task));
    }

    pub(crate) fn start_boxed(&self, owner: Owner, task: Task) {
        let mut state = self.state();
        let number = state.number();
        state.started.push((number, owner, task));
    }

    /// Everything of theirs ends where it stands, once the running task waits.
    pub(crate) fn kill(&self, owner: Owner) {
        self.state().killed.push(owner);
    }

    /// Waits until a time.
    pub(crate) fn sleep_until(&self, clock: &Arc<FixedClock>, until: Timestamp) -> Sleep {
        Sleep {
            state: Arc::clone(&self.0),
            clock: Arc::clone(clock),
            until,
        }
    }

    /// When the next sleeper wakes.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.state().timers.keys().next().map(|(at, _)| *at)
    }

    /// Wakes all whose time has come.
    pub(crate) fn wake_sleepers(&self, now: Timestamp) {
        let due = {
            let mut state = self.state();
            let later = state.timers.split_off(&(now, u64::MAX));
            mem::replace(&mut state.timers, later)
        };
        due.into_values().for_each(Waker::wake);
    }
}

/// See [`Scheduler::sleep_until`].
pub(crate) struct Sleep {
    state: Arc<Mutex<State>>,
    clock: Arc<FixedClock>,
    until: Timestamp,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.until {
            return Poll::Ready(());
        }
        let mut state = self.state.lock().unwrap();
        let number = state.number();
        let waker = context.waker().clone();
        state.timers.insert((self.until, number), waker);
        Poll::Pending
    }
}

/// Lets others go on first, if the dice say so.
pub(crate) struct Pause {
    has_waited: bool,
}

impl Pause {
    pub(crate) const fn new() -> Self {
        Self { has_waited: false }
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if mem::replace(&mut self.has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// All tasks that have not ended.
pub(crate) struct Tasks {
    scheduler: Arc<Scheduler>,
    running: BTreeMap<u64, (Owner, Task)>,
}

impl Tasks {
    pub(crate) const fn new(scheduler: Arc<Scheduler>) -> Self {
        Self {
            scheduler,
            running: BTreeMap::new(),
        }
    }

    /// Lets one ready task go on until it waits; `false` when none is ready. `pick` says which one of
    /// so many.
    pub(crate) fn step(&mut self, pick: impl FnOnce(usize) -> usize) -> bool {
        self.settle();
        let (task, state) = {
            let mut state = self.scheduler.state();
            if state.ready.is_empty() {
                return false;
            }
            let place = pick(state.ready.len());
            let task = *state.ready.iter().nth(place).unwrap();
            state.ready.remove(&task);
            (task, Arc::clone(&self.scheduler.0))
        };
        let waker = Waker::from(Arc::new(TaskWaker { task, state }));
        let mut context = Context::from_waker(&waker);
        if let Some((_, running)) = self.running.get_mut(&task)
            && running.as_mut().poll(&mut context).is_ready()
        {
            self.running.remove(&task);
        }
        self.settle();
        true
    }

    /// Buries who was killed, and takes in what was started.
    fn settle(&mut self) {
        loop {
            let (killed, started) = {
                let mut state = self.scheduler.state();
                let killed = mem::take(&mut state.killed);
                (killed, mem::take(&mut state.started))
            };
            if killed.is_empty() && started.is_empty() {
                return;
            }
            for (number, owner, task) in started {
                self.running.insert(number, (owner, task));
                self.scheduler.state().ready.insert(number);
            }
            for owner in killed {
                let dead: Vec<u64> = self
                    .running
                    .iter()
                    .filter(|(_, (of, _))| *of == owner)
                    .map(|(number, _)| *number)
                    .collect();
                for number in dead {
                    // What is dropped may wake others: the lock is free.
                    self.running.remove(&number);
                    self.scheduler.state().ready.remove(&number);
                }
            }
        }
    }
}

/// A place for one value, which somebody waits for.
struct Cell<T> {
    value: Option<T>,
    is_closed: bool,
    waker: Option<Waker>,
}

/// Who gives the value. Without it the waiting ends too.
pub(crate) struct Giver<T>(Arc<Mutex<Cell<T>>>);

/// Who waits for the value.
pub(crate) struct Waiting<T>(Arc<Mutex<Cell<T>>>);

pub(crate) fn cell<T>() -> (Giver<T>, Waiting<T>) {
    let cell = Arc::new(Mutex::new(Cell {
        value: None,
        is_closed: false,
        waker: None,
    }));
    (Giver(Arc::clone(&cell)), Waiting(cell))
}

impl<T> Giver<T> {
    pub(crate) fn give(self, value: T) {
        self.0.lock().unwrap().value = Some(value);
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let waker = {
            let mut cell = self.0.lock().unwrap();
            cell.is_closed = true;
            cell.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Waiting<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut cell = self.0.lock().unwrap();
        if let Some(value) = cell.value.take() {
            return Poll::Ready(Some(value));
        }
        if cell.is_closed {
            return Poll::Ready(None);
        }
        cell.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Waits for a future, but no longer than for another one.
pub(crate) struct Before<F, S>(pub(crate) F, pub(crate) S);

impl<F, S, T> Future for Before<F, S>
where
    F: Future<Output = Option<T>> + Unpin,
    S: Future<Output = ()> + Unpin,
{
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Poll::Ready(value) = Pin::new(&mut self.0).poll(context) {
            return Poll::Ready(value);
        }
        Pin::new(&mut self.1).poll(context).map(|()| None)
    }
}

/// What a future that waits for nothing comes to.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}
