//! Kills, again and again, of replicas and of PostgreSQL, in the middle of load: cycle after cycle what
//! was answered is there, what was not happened at most once, nobody saw what could not be, and the
//! books are right.
//!
//! `scripts/chaos` says how many cycles; a seed repeats the kills, though not what they meet.

use std::{
    fmt, fs,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use bursar_postgres::{local::LocalServer, testing::ScratchFolder};
use futures_util::FutureExt as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{
    books::Books,
    client::Client,
    database_crash::{DATABASE, start_postgres_with},
    eventually,
    exchange::Exchange,
    history::{Before, Watch},
    load::{Load, assert_told},
    receiver::Receiver,
    relay::Relay,
    service::{SINGLE_WRITER, Service},
    trial::{Judged, answered, judged, report},
    verify::{SEALED, verified},
};

const TRADERS: usize = 6;
const REPLICAS: usize = 2;
/// How many answers there must be once everything is mended, before a cycle ends.
const AFTERWARDS: usize = 40;

/// How much is done.
struct Plan {
    seed: u64,
    cycles: u64,
    /// How many answers come before a kill, at least and at most.
    answers: (usize, usize),
    /// No cycle begins later.
    length: Duration,
}

impl Plan {
    /// Two cycles, unless `BURSAR_CHAOS_CYCLES`, `BURSAR_CHAOS_SEED`, `BURSAR_CHAOS_ANSWERS` or
    /// `BURSAR_CHAOS_SECONDS` say something else.
    fn from_env() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let answers = number("BURSAR_CHAOS_ANSWERS").unwrap_or(60);
        let most = usize::try_from(answers).unwrap();
        Self {
            seed: number("BURSAR_CHAOS_SEED").unwrap_or_else(rand::random),
            cycles: number("BURSAR_CHAOS_CYCLES").unwrap_or(2),
            answers: (most / 4, most),
            length: Duration::from_secs(number("BURSAR_CHAOS_SECONDS").unwrap_or(3_600)),
        }
    }
}

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Replica(usize),
    Database,
    Both(usize),
}

impl Fault {
    /// Six in ten times a replica, three in ten PostgreSQL, and both at once.
    fn draw(random: &mut StdRng) -> Self {
        let replica = random.random_range(0..REPLICAS);
        match random.random_range(0..10) {
            0..6 => Self::Replica(replica),
            6..9 => Self::Database,
            _ => Self::Both(replica),
        }
    }

    const fn replica(self) -> Option<usize> {
        match self {
            Self::Replica(replica) | Self::Both(replica) => Some(replica),
            Self::Database => None,
        }
    }

    const fn kills_database(self) -> bool {
        matches!(self, Self::Database | Self::Both(_))
    }
}

/// What was tried and seen.
#[derive(Default)]
struct Tally {
    cycles: u64,
    replicas_killed: u64,
    databases_killed: u64,
    requests: usize,
    looks: usize,
    /// Requests that were sent before a kill and got no certain answer after it.
    under_way: usize,
    /// Of those, the ones that had happened.
    landed: usize,
    transfers: i64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cycles ({} replicas and {} databases killed), {} requests and {} looks judged, {} \
             under way when something died ({} of them had happened), {} transfers proven; nothing \
             lost, twice or out of order: in fewer than 3 of {} cycles (95 %)",
            self.cycles,
            self.replicas_killed,
            self.databases_killed,
            self.requests,
            self.looks,
            self.under_way,
            self.landed,
            self.transfers,
            // Zero in N trials bounds the rate by 3/N.
            self.cycles,
        )
    }
}

impl Tally {
    fn add(&mut self, judged: &Judged) {
        self.requests += judged.requests;
        self.looks += judged.looks;
        self.under_way += judged.under_way;
        self.landed += judged.landed;
    }

    /// For whoever reads it by machine.
    fn save(&self, name: &str, seed: u64) {
        println!("chaos, {name}, seed {seed}: {self}");
        let Some(file) = report(name) else {
            return;
        };
        let report = json!({
            "engine": name, "seed": seed, "cycles": self.cycles,
            "replicas_killed": self.replicas_killed, "databases_killed": self.databases_killed,
            "requests": self.requests, "looks": self.looks,
            "under_way": self.under_way, "landed": self.landed, "transfers": self.transfers,
            "cycles_gone_wrong_below": format!("3/{}", self.cycles),
        });
        fs::write(file, report.to_string()).unwrap();
    }
}

type Settings = &'static [(&'static str, &'static str)];

/// Replicas, their database and an exchange on it.
struct Scene {
    settings: Settings,
    database: Settings,
    folder: ScratchFolder,
    server: Option<LocalServer>,
    relay: Relay,
    replicas: Vec<Service>,
    exchange: Exchange,
    receiver: Receiver,
    tally: Tally,
}

impl Scene {
    async fn set(settings: Settings, database: Settings) -> Self {
        let folder = ScratchFolder::create().await.unwrap();
        let server = start_postgres_with(&folder, database).await;
        server.create_database_if_missing(DATABASE).await.unwrap();
        let relay = Relay::start(&server.url(DATABASE)).await;
        let through = relay.url(&server.url(DATABASE));
        let mut replicas = vec![];
        for _ in 0..REPLICAS {
            replicas.push(Service::start_with(&through, settings).await);
        }
        let client = Self::first_ready(&replicas).await;
        let exchange = Exchange::open(&through, &client, TRADERS).await;
        for trader in &exchange.traders {
            exchange.fund(&client, trader, "btc", "1000").await;
        }
        // What the load stands on is on the disk even where commits are not.
        Books::of(&server.url(DATABASE)).rows("CHECKPOINT").await;
        Self {
            settings,
            database,
            folder,
            server: Some(server),
            relay,
            replicas,
            exchange,
            receiver: Receiver::start().await,
            tally: Tally::default(),
        }
    }

    fn direct(&self) -> String {
        self.server.as_ref().unwrap().url(DATABASE)
    }

    async fn first_ready(replicas: &[Service]) -> Client {
        eventually("a replica is ready", async || {
            for replica in replicas {
                let client = replica.client();
                if client.get("/health/ready").await.status == 200 {
                    return Some(client);
                }
            }
            None
        })
        .await
    }

    /// Load on every replica, also on one that stands by; a kill in the middle of it; more load on
    /// those that are left; and what is true afterwards.
    async fn cycle(&mut self, number: u64, plan: &Plan, random: &mut StdRng) {
        Self::first_ready(&self.replicas).await;
        let before = Before::of(&Books::of(&self.direct())).await;
        let mut loads = vec![];
        for (place, replica) in self.replicas.iter().enumerate() {
            loads.push(self.load(replica, &format!("cycle{number}x{place}")));
        }
        let answers = random.random_range(plan.answers.0..=plan.answers.1);
        answered(&loads, answers).await;
        let fault = Fault::draw(random);
        let struck = Instant::now();
        self.strike(fault).await;
        if self.mend(fault).await {
            let started = self.replicas.last().unwrap();
            loads.push(self.load(started, &format!("cycle{number}again")));
        }
        answered(&loads, AFTERWARDS).await;
        let client = Self::first_ready(&self.replicas).await;
        let books = Books::of(&self.direct());
        let judged = judged(loads, struck, &before, &client, &books).await;
        self.tally.add(&judged);
        self.tally.cycles += 1;
    }

    fn load(&self, replica: &Service, round: &str) -> (Load, Watch) {
        let client = replica.client();
        let load = Load::start_stubborn(&client, &self.exchange, &self.receiver, round);
        (load, Watch::start(&client, &self.exchange))
    }

    async fn strike(&mut self, fault: Fault) {
        if fault.kills_database() {
            let server = self.server.as_ref().unwrap();
            kill(Pid::from_raw(server.process_id()), Signal::SIGKILL).unwrap();
            self.tally.databases_killed += 1;
        }
        if let Some(replica) = fault.replica() {
            self.replicas.remove(replica).killed().await;
            self.tally.replicas_killed += 1;
        }
    }

    /// Starts again what was killed; whether that is a replica.
    async fn mend(&mut self, fault: Fault) -> bool {
        if fault.kills_database() {
            self.server.take().unwrap().stop().await.unwrap();
            self.server = Some(start_postgres_with(&self.folder, self.database).await);
            self.relay.point_to(&self.direct());
        }
        if fault.replica().is_some() {
            let through = self.relay.url(&self.direct());
            let replica = Service::start_with(&through, self.settings).await;
            self.replicas.push(replica);
        }
        fault.replica().is_some()
    }

    /// Every callback has told what its transfer came to, and the books can be proven.
    async fn end(mut self) -> Tally {
        let books = Books::of(&self.direct());
        books.let_leases_run_out().await;
        assert_told(&self.receiver, &books).await;
        let transfers = "SELECT count(*) FROM book_main.transfers";
        self.tally.transfers = books.number(transfers).await;
        verified(&self.direct(), &SEALED, 0).await;
        for replica in self.replicas {
            replica.stopped().await;
        }
        self.server.unwrap().stop().await.unwrap();
        self.tally
    }
}

async fn kills(name: &str, settings: Settings) {
    let plan = Plan::from_env();
    let mut random = StdRng::seed_from_u64(plan.seed);
    let began = Instant::now();
    println!("chaos, {name}: BURSAR_CHAOS_SEED={}", plan.seed);
    if let Some(earlier) = report(name).filter(|file| file.exists()) {
        fs::remove_file(earlier).unwrap();
    }
    let mut scene = Scene::set(settings, &[]).await;
    for number in 0..plan.cycles {
        if began.elapsed() > plan.length {
            break;
        }
        scene.cycle(number, &plan, &mut random).await;
        println!("chaos, {name}: {} of {} cycles", number + 1, plan.cycles);
    }
    let mut number = plan.cycles;
    // A run in which nothing was under way when something died has tried nothing.
    while scene.tally.under_way == 0 {
        assert!(number < plan.cycles + 10, "{}", scene.tally);
        scene.cycle(number, &plan, &mut random).await;
        number += 1;
    }
    scene.end().await.save(name, plan.seed);
}

/// A planted fault: commits that are answered before they are on the disk.
#[tokio::test]
async fn what_is_not_durable_is_found_out() {
    const ASYNCHRONOUS: Settings = &[("synchronous_commit", "off"), ("wal_writer_delay", "10s")];
    let plan = Plan {
        seed: rand::random(),
        cycles: 25,
        answers: (100, 400),
        length: Duration::from_secs(150),
    };
    let cycles = async {
        let mut random = StdRng::seed_from_u64(plan.seed);
        let mut scene = Scene::set(&[], ASYNCHRONOUS).await;
        for number in 0..plan.cycles {
            scene.cycle(number, &plan, &mut random).await;
        }
    };
    let found = AssertUnwindSafe(cycles).catch_unwind().await;
    let found = found.expect_err("25 kills later nobody has found out");
    let told = found.downcast_ref::<String>().unwrap();
    let known = ["lost answer", "aborted read", "lost lines"];
    assert!(known.iter().any(|known| told.contains(known)), "{told}");
}

#[tokio::test]
async fn kills_lose_nothing() {
    kills("shared", &[]).await;
}

#[tokio::test]
async fn kills_lose_nothing_of_a_single_writer() {
    kills("single_writer", SINGLE_WRITER).await;
}
