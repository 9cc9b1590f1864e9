//! What all share: time, chance, and what is kept of what happened.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
};

use bursar_domain::Timestamp;
use bursar_ports::Clock;
use bursar_testkit::FixedClock;

use crate::{
    bug::Bug,
    dice::Dice,
    scheduler::{Owner, Pause, Scheduler, Sleep},
    trace::Trace,
};

/// How many replicas there are.
pub(crate) const REPLICAS: usize = 3;

/// How often each rare thing happened.
pub(crate) type Seen = BTreeMap<&'static str, u64>;

/// The world of one seed.
pub(crate) struct World {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) scheduler: Arc<Scheduler>,
    bug: Option<Bug>,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    trace: Trace,
    seen: Seen,
    wrong: Vec<String>,
    stamps: u64,
    alive: [bool; REPLICAS],
    is_mended: bool,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, keeps_text: bool) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::default(),
            scheduler: Arc::default(),
            bug,
            state: Mutex::new(State {
                dice: Dice::new(seed),
                trace: Trace::new(keeps_text),
                seen: Seen::new(),
                wrong: vec![],
                stamps: 0,
                alive: [false; REPLICAS],
                is_mended: false,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Something that chance decides.
    pub(crate) fn throw<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut self.state().dice)
    }

    pub(crate) fn per_mille(&self, chance: u64) -> bool {
        self.throw(|dice| dice.per_mille(chance))
    }

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.throw(|dice| dice.index(from.len()))]
    }

    /// Whether a fault happens now; none does once all is mended.
    pub(crate) fn fault(&self, chance: u64) -> bool {
        !self.is_mended() && self.per_mille(chance)
    }

    /// Whether a fault that was planted shows now.
    pub(crate) fn has(&self, bug: Bug, chance: u64) -> bool {
        self.bug == Some(bug) && self.per_mille(chance)
    }

    pub(crate) fn is_mended(&self) -> bool {
        self.state().is_mended
    }

    pub(crate) fn mend(&self) {
        self.state().is_mended = true;
        self.note(format_args!("mended"));
    }

    /// Writes a line into the trace.
    pub(crate) fn note(&self, line: fmt::Arguments<'_>) {
        let now = self.clock.now().as_micros() - FixedClock::START.as_micros();
        self.state().trace.line(format_args!("{now} {line}"));
    }

    /// Counts something rare.
    pub(crate) fn see(&self, what: &'static str) {
        self.see_many(what, 1);
    }

    pub(crate) fn see_many(&self, what: &'static str, count: usize) {
        *self.state().seen.entry(what).or_default() += u64::try_from(count).unwrap();
        self.note(format_args!("seen: {count} {what}"));
    }

    /// A promise is broken.
    pub(crate) fn complain(&self, wrong: String) {
        self.note(format_args!("WRONG: {wrong}"));
        self.state().wrong.push(wrong);
    }

    /// A moment, later than all before it.
    pub(crate) fn stamp(&self) -> u64 {
        let mut state = self.state();
        state.stamps += 1;
        state.stamps
    }

    pub(crate) const fn pause() -> Pause {
        Pause::new()
    }

    pub(crate) fn sleep_ms(&self, ms: i64) -> Sleep {
        let until = self.clock.now().plus_micros(ms * 1_000);
        self.scheduler.sleep_until(&self.clock, until)
    }

    /// Sleeps for so many milliseconds, or fewer.
    pub(crate) fn nap(&self, ms_max: i64) -> Sleep {
        self.sleep_ms(self.throw(|dice| dice.between(0, ms_max)))
    }

    pub(crate) fn is_alive(&self, replica: usize) -> bool {
        self.state().alive[replica]
    }

    pub(crate) fn bear(&self, replica: usize) {
        self.state().alive[replica] = true;
        self.note(format_args!("replica {replica} starts"));
    }

    pub(crate) fn kill(&self, replica: usize) {
        self.state().alive[replica] = false;
        self.note(format_args!("replica {replica} dies"));
        self.scheduler.kill(Owner::Replica(replica));
    }

    /// The replica that is at this point may die here.
    pub(crate) async fn may_die(&self, replica: usize, chance: u64, when: &'static str) {
        if self.fault(chance) {
            self.see(when);
            self.kill(replica);
            pending::<()>().await;
        }
    }

    pub(crate) fn move_clock(&self, to: Timestamp) {
        if to > self.clock.now() {
            self.clock.set(to);
        }
        self.scheduler.wake_sleepers(self.clock.now());
    }

    pub(crate) fn hash(&self) -> u64 {
        self.state().trace.hash()
    }

    pub(crate) fn text(&self) -> String {
        self.state().trace.text()
    }

    pub(crate) fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.state().wrong.clone()
    }
}
