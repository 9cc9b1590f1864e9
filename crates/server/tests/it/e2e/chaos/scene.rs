//! Replicas, their database, what keeps them busy, and what strikes them.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use bursar_audit::{Rule, Violation, record::Line};
use bursar_postgres::{
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
        sound::{assert_sound, require},
        trial::{answered, judged},
        verify::{SEALED, verified},
    },
    Plan,
    audits::Audits,
    fault::{Fault, Tally},
    points::{batches_ended, dies_at, end_no_batches, end_some_batches},
    signed::Secrets,
};

const TRADERS: usize = 6;
pub(super) const REPLICAS: usize = 2;
/// How many answers there must be once everything is mended, before a cycle ends.
const AFTERWARDS: usize = 40;
/// One in so many answers to COMMIT gets lost while there is load.
const ANSWERS_PER_LOSS: u32 = 200;
/// How long a receiver that is down waits for something to break off.
const BREAKS_OFF: Duration = Duration::from_secs(10);
/// Callbacks that somebody is at, each with what tells this time from others.
const LEASES: &str = "SELECT id, lease FROM book_main.callbacks WHERE lease IS NOT NULL";
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
    /// How often replicas that are dead had to try a batch again.
    repeated_by_dead: usize,
    exchange: Exchange,
    secrets: Secrets,
    receiver: Receiver,
    /// Callbacks that replicas were at when they died.
    left: HashSet<Vec<String>>,
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
        let secrets = Secrets::issue(&client, &exchange).await;
        // What the load stands on is on the disk even where commits are not.
        Books::of(&server.url(DATABASE)).rows("CHECKPOINT").await;
        Self {
            settings,
            database,
            folder,
            server: Some(server),
            relay,
            replicas,
            repeated_by_dead: 0,
            exchange,
            secrets,
            receiver: Receiver::start().await,
            left: HashSet::new(),
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
        // On the way that stays where it is when the database comes back.
        let audits = Audits::start(Books::of(&self.relay.url(&self.direct())));
        let (lost, repeated) = (self.relay.struck(), self.repeated());
        self.relay
            .arm_by_chance(WireFault::LoseAnswer, ANSWERS_PER_LOSS);
        for replica in &self.replicas {
            end_some_batches(replica).await;
        }
        let answers = random.random_range(plan.answers.0..=plan.answers.1);
        answered(&loads, answers).await;
        // A database that is set up to lose something has to be killed for it.
        let fault = if self.database.is_empty() {
            self.tally.next_fault(plan, random)
        } else {
            Fault::Database
        };
        // The postmaster alone, or whatever else is at work in the database with it: of one that is to
        // lose something nobody may stay behind who would still write it.
        let is_whole = random.random_bool(0.5) || !self.database.is_empty();
        let struck = Instant::now();
        self.strike(fault, is_whole, &loads).await;
        // Of what both have left, nobody can be asked now.
        let leases = if fault.kills_replica_alone() {
            self.leases().await
        } else {
            vec![]
        };
        if self.mend(fault).await {
            let [other, .., started] = &self.replicas[..] else {
                panic!("there are two replicas at least");
            };
            loads.push(self.load(started, other, &format!("cycle{number}again")));
        }
        self.count_left(leases).await;
        answered(&loads, AFTERWARDS).await;
        self.tally.audits += audits.ended();
        self.relay.disarm();
        for replica in &self.replicas {
            end_no_batches(replica).await;
        }
        self.tally.answers_lost += self.relay.struck() - lost;
        self.tally.repeated += self.repeated() - repeated;
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

    /// How often a batch had to be tried again so far.
    fn repeated(&self) -> usize {
        let by_living: usize = self.replicas.iter().map(batches_ended).sum();
        self.repeated_by_dead + by_living
    }

    async fn leases(&self) -> Vec<Vec<String>> {
        Books::of(&self.direct()).rows(LEASES).await
    }

    /// Counts those of these leases that nobody is at any more. Whoever lives has let go of its own by the
    /// time that another replica has started; those of the dead last for half a minute, and count once.
    async fn count_left(&mut self, leases: Vec<Vec<String>>) {
        let still = self.leases().await;
        for lease in leases.into_iter().filter(|lease| still.contains(lease)) {
            self.tally.callbacks_left += usize::from(self.left.insert(lease));
        }
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
            let has_died = match fault {
                Fault::AtPoint(_, point) => dies_at(&mut replica, point).await,
                Fault::Replica(_) | Fault::Both(_) | Fault::Database | Fault::Receiver => false,
            };
            self.repeated_by_dead += batches_ended(&replica);
            if has_died {
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
            end_some_batches(&replica).await;
            self.replicas.push(replica);
        }
        fault.replica().is_some()
    }

    /// What is wrong with the books now, as far as anybody can look into them.
    pub(super) async fn faults(&self) -> Vec<Violation> {
        let Some(server) = &self.server else {
            return vec![];
        };
        let books = Books::of(&server.url(DATABASE));
        books.try_faults().await.unwrap_or_default()
    }

    /// Every callback has told what its transfer came to.
    pub(super) async fn told(&self) {
        let books = Books::of(&self.direct());
        books.let_leases_run_out().await;
        books.rows(DUE).await;
        assert_told(&self.receiver, &books).await;
    }

    /// Every callback has told what its transfer came to, signed, and the books can be proven, also beside
    /// all that clients and receivers know.
    pub(super) async fn end(mut self) -> Tally {
        self.told().await;
        let books = Books::of(&self.direct());
        self.secrets.assert_signed(&self.receiver, &books).await;
        let transfers = "SELECT count(*) FROM book_main.transfers";
        self.tally.transfers += books.number(transfers).await;
        self.record.extend(heard(&self.receiver));
        let record = tempfile::NamedTempFile::new().unwrap();
        write_record(&self.record, record.path());
        let with_record = ["--record", record.path().to_str().unwrap()];
        let proved = verified(&self.direct(), &[&SEALED[..], &with_record].concat(), 0).await;
        println!("chaos: all cycles together:\n{}", proved.stdout);
        // A user has a limit of each of two kinds: more uses than users are of both.
        let has_used = uses_judged(&proved.stdout) > TRADERS;
        require(has_used, Rule::RareIsTried, || proved.stdout.clone());
        let client = Self::first_ready(&self.replicas).await;
        assert_sound(&client, &self.exchange, &books).await;
        for replica in self.replicas {
            replica.stopped().await;
        }
        self.server.unwrap().stop().await.unwrap();
        self.tally
    }
}

/// How many uses of limits `bursar verify` held against what was moved.
fn uses_judged(told: &str) -> usize {
    let mut lines = told.lines();
    let uses = lines.find_map(|line| line.strip_prefix("uses of limits: "));
    uses.map_or(0, |number| number.parse().unwrap())
}
