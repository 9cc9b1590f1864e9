//! One seed from its beginning to its end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bursar_domain::UserStatus;
use bursar_ports::Clock;

use crate::{
    bank::Bank,
    bug::Bug,
    client::{Clients, Record},
    directory::{assets, users},
    judge,
    replica::Cluster,
    scheduler::{Owner, Tasks},
    world::{REPLICAS, Seen, World},
};

/// A run that needs more steps than this has come to a standstill.
const STEPS_MAX: u32 = 400_000;
/// How often all balances are looked at while everything goes on.
const JUDGED_EVERY: u32 = 512;
/// How far the clock is moved at once while callbacks wait for their time.
const QUIET_MS: i64 = 10_000;
/// How far time leaps while a callback is claimed: its delivery is on its way, unless who claimed it died.
const CLAIMED_LEAP_US: i64 = 5_000_000;

/// What came of a seed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) hash: u64,
    pub(crate) wrong: Vec<String>,
    pub(crate) seen: Seen,
    pub(crate) text: String,
}

/// Lives through a seed.
pub(crate) fn run(seed: u64, bug: Option<Bug>, keeps_text: bool) -> Report {
    let world = World::new(seed, bug, keeps_text);
    let mut simulation = Simulation::begin(&world);
    if simulation.live() {
        judge::judge(&simulation.cluster, &simulation.clients.records());
    } else {
        world.complain("it comes to no end".to_owned());
    }
    Report {
        hash: world.hash(),
        wrong: world.wrong(),
        seen: world.seen(),
        text: world.text(),
    }
}

/// Lives through a seed that nobody has judged yet: who there was, and what clients know.
pub(crate) fn lived(seed: u64) -> (Arc<Cluster>, Vec<Record>) {
    let mut simulation = Simulation::begin(&World::new(seed, None, false));
    assert!(simulation.live(), "seed {seed} comes to no end");
    let records = simulation.clients.records();
    (simulation.cluster, records)
}

struct Simulation {
    tasks: Tasks,
    cluster: Arc<Cluster>,
    clients: Arc<Clients>,
    steps: u32,
}

impl Simulation {
    /// A world in which nothing has happened yet.
    fn begin(world: &Arc<World>) -> Self {
        let bank = Bank::new(Arc::clone(world));
        for asset in assets() {
            bank.books.put_asset(asset);
        }
        for user in users() {
            bank.books.put_user(user.id, user.status);
        }
        let cluster = Cluster::new(Arc::clone(world), Arc::clone(&bank));
        let simulation = Self {
            tasks: Tasks::new(Arc::clone(&world.scheduler)),
            clients: Clients::start(&cluster),
            steps: 0,
            cluster,
        };
        let cluster = &simulation.cluster;
        let scheduler = &world.scheduler;
        scheduler.start(Owner::World, keeper(Arc::clone(cluster)));
        scheduler.start(Owner::World, havoc(Arc::clone(cluster)));
        simulation
    }

    /// `false` when it comes to no end.
    fn live(&mut self) -> bool {
        let clients = Arc::clone(&self.clients);
        if !self.go_on_until(|| clients.have_ended()) {
            return false;
        }
        self.mend();
        if !self.repeat(1) || !self.quieten() {
            return false;
        }
        self.repeat(2)
    }

    /// Takes one step after the other, and the clock with it.
    fn go_on_until(&mut self, is_enough: impl Fn() -> bool) -> bool {
        let world = Arc::clone(&self.cluster.world);
        while !is_enough() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return false;
            }
            if self.steps.is_multiple_of(JUDGED_EVERY) {
                judge::books_hold(&self.cluster.bank);
            }
            let pick = |ready| world.throw(|dice| dice.index(ready));
            let next = world.scheduler.next_timer();
            let now = world.clock.now();
            if self.tasks.step(pick) {
                // Time passes while there is work, too, and so may overtake it.
                let (passes, micros) =
                    world.throw(|dice| (dice.per_mille(400), dice.between(1, 3_000)));
                if passes {
                    world.move_clock(now.plus_micros(micros));
                }
            } else if let Some(next) = next {
                world.move_clock(next);
            } else {
                return false;
            }
        }
        true
    }

    /// No fault happens from now on, and everybody is there.
    fn mend(&self) {
        let Cluster { world, bank, .. } = &*self.cluster;
        judge::books_hold(bank);
        world.mend();
        bank.set_away(false);
        for user in users() {
            bank.books.put_user(user.id, UserStatus::Active);
        }
        for replica in 0..REPLICAS {
            if !world.is_alive(replica) {
                self.cluster.start(replica);
            }
        }
    }

    fn repeat(&mut self, times: usize) -> bool {
        let is_done = Arc::new(AtomicBool::new(false));
        let (clients, done) = (Arc::clone(&self.clients), Arc::clone(&is_done));
        self.cluster
            .world
            .scheduler
            .start(Owner::World, async move {
                clients.repeat_everything(times).await;
                done.store(true, Ordering::SeqCst);
            });
        self.go_on_until(|| is_done.load(Ordering::SeqCst))
    }

    /// Lets time pass until nothing is open, no callback waits and no transaction can land late.
    fn quieten(&mut self) -> bool {
        let world = Arc::clone(&self.cluster.world);
        let bank = Arc::clone(&self.cluster.bank);
        loop {
            let open = bank
                .transfers()
                .into_iter()
                .any(|one| !one.status().is_final());
            let waiting = bank.callbacks.next_at();
            let until = match (waiting, open) {
                // Who has claimed one must not find that half a minute has passed at once.
                (Some(at), _) if bank.callbacks.is_claimed() => {
                    let soon = world.clock.now().plus_micros(CLAIMED_LEAP_US);
                    at.clamp(world.clock.now(), soon)
                }
                (Some(at), _) => at.max(world.clock.now()),
                (None, true) => world.clock.now().plus_micros(10 * 60 * 1_000_000),
                (None, false) if bank.is_idle() => return true,
                (None, false) => world.clock.now(),
            };
            world.move_clock(until);
            let until = world.clock.now().plus_micros(QUIET_MS * 1_000);
            let steps = bank.steps();
            let settled = || {
                let moves = bank.callbacks.next_at() != waiting || bank.steps() != steps;
                moves || world.clock.now() >= until
            };
            if !self.go_on_until(settled) {
                return false;
            }
        }
    }
}

/// Starts replicas again that died.
async fn keeper(cluster: Arc<Cluster>) {
    loop {
        cluster.world.nap(3_000).await;
        for replica in 0..REPLICAS {
            if !cluster.world.is_alive(replica) {
                cluster.start(replica);
            }
        }
    }
}

/// Kills replicas and the database, moves the clock, freezes users.
async fn havoc(cluster: Arc<Cluster>) {
    let world = &cluster.world;
    while !world.is_mended() {
        world.nap(4_000).await;
        if world.is_mended() {
            return;
        }
        match world.throw(|dice| dice.below(10)) {
            0 | 1 => {
                let replica = world.throw(|dice| dice.index(REPLICAS));
                if world.is_alive(replica) {
                    world.see("replica died at any time");
                    world.kill(replica);
                }
            }
            2 => {
                world.see("database died");
                world.scheduler.kill(Owner::Database);
                cluster.bank.set_away(true);
                world.nap(1_500).await;
                cluster.bank.set_away(false);
            }
            3 => {
                world.see("clock jumped");
                let ms = world.throw(|dice| dice.between(1_000, 40 * 60 * 1_000));
                world.move_clock(world.clock.now().plus_micros(ms * 1_000));
            }
            4 => {
                let user = world.pick(&users().iter().map(|user| user.id).collect::<Vec<_>>());
                cluster.bank.books.put_user(user, UserStatus::Frozen);
                world.nap(4_000).await;
                cluster.bank.books.put_user(user, UserStatus::Active);
            }
            _ => {}
        }
    }
}
