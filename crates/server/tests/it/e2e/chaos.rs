//! Kills, again and again, of replicas and of PostgreSQL, in the middle of load: cycle after cycle what
//! was answered is there, what was not happened at most once, nobody saw what could not be, and the
//! books are right.
//!
//! `scripts/chaos` says how many cycles; a seed repeats the kills, though not what they meet.

use std::{
    collections::HashSet,
    fmt, fs,
    time::{Duration, Instant},
};

use bursar_postgres::{local::LocalServer, testing::ScratchFolder};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{
    books::Books,
    client::Client,
    database_crash::{DATABASE, start_postgres},
    eventually,
    exchange::Exchange,
    history::{Watch, assert_serializable},
    load::{Load, Told, assert_kept, assert_told},
    receiver::Receiver,
    relay::Relay,
    service::{SINGLE_WRITER, Service},
    verify::{SEALED, verified},
};

const TRADERS: usize = 6;
const REPLICAS: usize = 2;

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
    unanswered: usize,
    /// Of those without a certain answer, those that had happened.
    landed: usize,
    transfers: i64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cycles ({} replicas and {} databases killed), {} requests and {} looks judged, {} \
             without an answer ({} had happened), {} transfers proven; nothing lost, twice or out \
             of order: fewer than 1 in {} (95 %)",
            self.cycles,
            self.replicas_killed,
            self.databases_killed,
            self.requests,
            self.looks,
            self.unanswered,
            self.landed,
            self.transfers,
            // Zero in N trials bounds the rate by 3/N.
            self.requests / 3,
        )
    }
}

impl Tally {
    /// For whoever reads it by machine, into the folder `BURSAR_CHAOS_OUT`.
    fn save(&self, name: &str, seed: u64) {
        println!("chaos, {name}, seed {seed}: {self}");
        let Ok(folder) = std::env::var("BURSAR_CHAOS_OUT") else {
            return;
        };
        let report = json!({
            "engine": name, "seed": seed, "cycles": self.cycles,
            "replicas_killed": self.replicas_killed, "databases_killed": self.databases_killed,
            "requests": self.requests, "looks": self.looks,
            "unanswered": self.unanswered, "landed": self.landed,
            "transfers": self.transfers, "violations": 0,
            "violations_below": format!("3/{}", self.requests),
        });
        fs::write(format!("{folder}/{name}.json"), report.to_string()).unwrap();
    }
}

/// Replicas, their database and an exchange on it.
struct Scene {
    settings: &'static [(&'static str, &'static str)],
    folder: ScratchFolder,
    server: Option<LocalServer>,
    relay: Relay,
    replicas: Vec<Service>,
    exchange: Exchange,
    receiver: Receiver,
    tally: Tally,
}

impl Scene {
    async fn set(settings: &'static [(&'static str, &'static str)]) -> Self {
        let folder = ScratchFolder::create().await.unwrap();
        let server = start_postgres(&folder).await;
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
        Self {
            settings,
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

    /// Those that are ready: both, or the one that writes alone.
    async fn ready(replicas: &[Service]) -> Vec<Client> {
        let mut ready = vec![];
        for replica in replicas {
            let client = replica.client();
            if client.get("/health/ready").await.status == 200 {
                ready.push(client);
            }
        }
        ready
    }

    async fn first_ready(replicas: &[Service]) -> Client {
        eventually("a replica is ready", async || {
            Self::ready(replicas).await.into_iter().next()
        })
        .await
    }

    /// Load, a kill in the middle of it, and what is true afterwards.
    async fn cycle(&mut self, number: u64, plan: &Plan, random: &mut StdRng) {
        Self::first_ready(&self.replicas).await;
        let mut loads = vec![];
        for (place, client) in Self::ready(&self.replicas).await.into_iter().enumerate() {
            let round = format!("cycle{number}x{place}");
            let load = Load::start(&client, &self.exchange, &self.receiver, &round);
            loads.push((load, Watch::start(&client, &self.exchange)));
        }
        let answers = random.random_range(plan.answers.0..=plan.answers.1);
        loads[0].0.answered(answers).await;
        let fault = Fault::draw(random);
        self.strike(fault).await;
        let mut histories: Vec<Vec<Told>> = vec![];
        let mut looks = vec![];
        for (load, watch) in loads {
            histories.push(load.ended().await);
            looks.extend(watch.ended().await);
        }
        self.mend(fault).await;
        let client = Self::first_ready(&self.replicas).await;
        let books = Books::of(&self.direct());
        books.settled().await;
        books.audit().await;
        self.count(&histories, looks.len(), &books).await;
        let all: Vec<&Told> = histories.iter().flatten().collect();
        assert_serializable(&all, &looks, &books).await;
        for history in histories.iter().filter(|history| !history.is_empty()) {
            assert_kept(history, &client, &books).await;
        }
        books.settled().await;
        books.audit().await;
        self.tally.cycles += 1;
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

    async fn mend(&mut self, fault: Fault) {
        if fault.kills_database() {
            self.server.take().unwrap().stop().await.unwrap();
            self.server = Some(start_postgres(&self.folder).await);
            self.relay.point_to(&self.direct());
        }
        if fault.replica().is_some() {
            let through = self.relay.url(&self.direct());
            let replica = Service::start_with(&through, self.settings).await;
            self.replicas.push(replica);
        }
    }

    async fn count(&mut self, histories: &[Vec<Told>], looks: usize, books: &Books) {
        let keys = "SELECT key FROM book_main.idempotency_keys";
        let keys: HashSet<String> = books.rows(keys).await.into_iter().flatten().collect();
        for told in histories.iter().flatten() {
            self.tally.requests += 1;
            if !told.is_certain() {
                self.tally.unanswered += 1;
                self.tally.landed += usize::from(keys.contains(told.call.key()));
            }
        }
        self.tally.looks += looks;
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

async fn kills(name: &str, settings: &'static [(&'static str, &'static str)]) {
    let plan = Plan::from_env();
    let mut random = StdRng::seed_from_u64(plan.seed);
    let began = Instant::now();
    println!("chaos, {name}: BURSAR_CHAOS_SEED={}", plan.seed);
    let mut scene = Scene::set(settings).await;
    for number in 0..plan.cycles {
        if began.elapsed() > plan.length {
            break;
        }
        scene.cycle(number, &plan, &mut random).await;
        println!("chaos, {name}: {} of {} cycles", number + 1, plan.cycles);
    }
    let tally = scene.end().await;
    tally.save(name, plan.seed);
    // A run in which nothing was under way when something was killed has tried nothing.
    assert!(tally.unanswered > 0, "every request was answered: {tally}");
}

#[tokio::test]
async fn kills_lose_nothing() {
    kills("shared", &[]).await;
}

#[tokio::test]
async fn kills_lose_nothing_of_a_single_writer() {
    kills("single_writer", SINGLE_WRITER).await;
}
