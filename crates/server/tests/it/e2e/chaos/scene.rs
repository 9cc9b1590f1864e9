//! Replicas, their database, what keeps them busy, and what strikes them.

use std::time::{Duration, Instant};

use bursar_audit::record::Line;
use bursar_postgres::{
    faults::Point,
    local::LocalServer,
    testing::{ScratchFolder, WireFault, WireProxy},
};
use rand::{RngExt as _, rngs::StdRng};

use super::{
    super::{
        books::Books,
        client::Client,
        database_crash::{DATABASE, start_postgres_with},
        eventually,
        exchange::Exchange,
        history::{Before, Watch, heard, write_record},
        load::{Load, assert_told},
        nodes::kill_postgres,
        receiver::Receiver,
        service::Service,
        sound::assert_sound,
        trial::{answered, judged},
        verify::{SEALED, verified},
    },
    Plan,
    fault::{Fault, Tally},
};

const TRADERS: usize = 6;
pub(super) const REPLICAS: usize = 2;
/// How many answers there must be once everything is mended, before a cycle ends.
const AFTERWARDS: usize = 40;
/// One in so many answers to COMMIT gets lost while there is load.
const ANSWERS_PER_LOSS: u32 = 200;
/// How long a replica may take to come to the point where it dies; some never do.
const COMES_TO_POINT: Duration = Duration::from_millis(1_500);
/// How long a receiver that is down waits for something to break off.
const BREAKS_OFF: Duration = Duration::from_secs(10);
/// What failed twice waits for minutes until it is tried again. This is the end of them.
const DUE: &str = "
    UPDATE book_main.callbacks SET next_attempt_at = now()
    WHERE state = 'pending' AND lease IS NULL AND next_attempt_at > now() + interval '10 seconds'";

pub(super) type Settings = &'static [(&'static str, &'static str)];

/// Replicas, their database and an exchange on it.
pub(super) struct Scene<'s> {
    settings: &'s [(&'s str, &'s str)],
    database: Settings,
    folder: ScratchFolder,
    server: Option<LocalServer>,
    relay: WireProxy,
    replicas: Vec<Service>,
    exchange: Exchange,
    receiver: Receiver,
    /// What clients were told and saw in the cycles of this exchange.
    record: Vec<Line>,
    pub(super) tally: Tally,
}

impl<'s> Scene<'s> {
    pub(super) async fn set(settings: &'s [(&'s str, &'s str)], database: Settings) -> Self {
        let folder = ScratchFolder::create().await.unwrap();
        let server = start_postgres_with(&folder, database).await;
        server.create_database_if_missing(DATABASE).await.unwrap();
        let relay = WireProxy::start(&server.url(DATABASE)).await;
        let through = relay.url(&server.url(DATABASE));
        let mut replicas = vec![];
        for _ in 0..REPLICAS {
            replicas.push(Service::start_with(&through, settings).await);
        }
        let client = Self::first_ready(&replicas).await;
        let mut exchange = Exchange::open(&through, &client, TRADERS).await;
        exchange.fund_all(&client, "1000").await;
        exchange.charge(&client).await;
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
            record: vec![],
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
    pub(super) async fn cycle(&mut self, number: u64, plan: &Plan, random: &mut StdRng) {
        Self::first_ready(&self.replicas).await;
        let before = Before::of(&Books::of(&self.direct())).await;
        let mut loads = vec![];
        for (place, replica) in self.replicas.iter().enumerate() {
            let other = &self.replicas[(place + 1) % self.replicas.len()];
            loads.push(self.load(replica, other, &format!("cycle{number}x{place}")));
        }
        let lost = self.relay.struck();
        self.relay
            .arm_by_chance(WireFault::LoseAnswer, ANSWERS_PER_LOSS);
        let answers = random.random_range(plan.answers.0..=plan.answers.1);
        answered(&loads, answers).await;
        // A database that is set up to lose something has to be killed for it.
        let fault = if self.database.is_empty() {
            Fault::draw(random)
        } else {
            Fault::Database
        };
        // The postmaster alone, or whatever else is at work in the database with it: of one that is to
        // lose something nobody may stay behind who would still write it.
        let is_whole = random.random_bool(0.5) || !self.database.is_empty();
        let struck = Instant::now();
        self.strike(fault, is_whole, &loads).await;
        if self.mend(fault).await {
            let [other, .., started] = &self.replicas[..] else {
                panic!("there are two replicas at least");
            };
            loads.push(self.load(started, other, &format!("cycle{number}again")));
        }
        answered(&loads, AFTERWARDS).await;
        self.relay.disarm();
        self.tally.answers_lost += self.relay.struck() - lost;
        let client = Self::first_ready(&self.replicas).await;
        let books = Books::of(&self.direct());
        let judged = judged(loads, struck, &before, &client, &books).await;
        self.tally.add(&judged);
        self.tally.cycles += 1;
        if self.record.is_empty() {
            self.record.push(before.line());
        }
        self.record.extend(judged.record);
    }

    fn load(&self, replica: &Service, other: &Service, round: &str) -> (Load, Watch) {
        let (client, rival) = (replica.client(), other.client());
        let load = Load::start_rivals(&client, &rival, &self.exchange, &self.receiver, round);
        (load, Watch::start(&client, &self.exchange))
    }

    async fn strike(&mut self, fault: Fault, is_whole: bool, loads: &[(Load, Watch)]) {
        if fault.kills_database() {
            kill_postgres(self.server.as_ref().unwrap().process_id(), is_whole);
            self.tally.databases_killed += 1;
        }
        if let Some(replica) = fault.replica() {
            let mut replica = self.replicas.remove(replica);
            if let Fault::AtPoint(_, point) = fault
                && dies_at(&mut replica, point).await
            {
                self.tally.died_at_points += 1;
                replica.ended().await;
            } else {
                replica.killed().await;
            }
            self.tally.replicas_killed += 1;
        }
        if fault == Fault::Receiver {
            self.break_off(loads).await;
        }
    }

    /// The receiver goes down, and clients go on until something was broken off, and for some answers
    /// more. Where nothing was, nothing was tried, and it does not count.
    async fn break_off(&mut self, loads: &[(Load, Watch)]) {
        let before = self.receiver.broken_off();
        self.receiver.go_down(true);
        let deadline = Instant::now() + BREAKS_OFF;
        while self.receiver.broken_off() == before && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.receiver.broken_off() > before {
            answered(loads, AFTERWARDS).await;
            self.tally.receivers_killed += 1;
        }
    }

    /// Starts again what was killed; whether that is a replica.
    async fn mend(&mut self, fault: Fault) -> bool {
        if fault.kills_database() {
            self.server.take().unwrap().stop().await.unwrap();
            self.server = Some(start_postgres_with(&self.folder, self.database).await);
            self.relay.point_to(&self.direct());
        }
        self.receiver.go_down(false);
        if fault.replica().is_some() {
            let through = self.relay.url(&self.direct());
            let replica = Service::start_with(&through, self.settings).await;
            self.replicas.push(replica);
        }
        fault.replica().is_some()
    }

    /// Every callback has told what its transfer came to.
    pub(super) async fn told(&self) {
        let books = Books::of(&self.direct());
        books.let_leases_run_out().await;
        books.rows(DUE).await;
        assert_told(&self.receiver, &books).await;
    }

    /// Every callback has told what its transfer came to, and the books can be proven, also beside all
    /// that clients and receivers know.
    pub(super) async fn end(mut self) -> Tally {
        self.told().await;
        let books = Books::of(&self.direct());
        let transfers = "SELECT count(*) FROM book_main.transfers";
        self.tally.transfers += books.number(transfers).await;
        self.record.extend(heard(&self.receiver));
        let record = tempfile::NamedTempFile::new().unwrap();
        write_record(&self.record, record.path());
        let with_record = ["--record", record.path().to_str().unwrap()];
        let proved = verified(&self.direct(), &[&SEALED[..], &with_record].concat(), 0).await;
        println!("chaos: all cycles together:\n{}", proved.stdout);
        let client = Self::first_ready(&self.replicas).await;
        assert_sound(&client, &self.exchange, &books).await;
        for replica in self.replicas {
            replica.stopped().await;
        }
        self.server.unwrap().stop().await.unwrap();
        self.tally
    }
}

/// Has a replica die when it comes to a point; whether it does.
async fn dies_at(replica: &mut Service, point: Point) -> bool {
    replica.arm(point, "1*return(abort)").await;
    let deadline = Instant::now() + COMES_TO_POINT;
    while Instant::now() < deadline {
        if !replica.runs() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}
