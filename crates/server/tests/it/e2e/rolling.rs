//! Replicas that are restarted one after the other behind a balancer, at steady load: no request fails.
//!
//! `BURSAR_CHAOS_RESTARTS` says how often all of them are, `BURSAR_ROLLING_RATE` how many requests come
//! in a second.

use std::time::{Duration, Instant};

use bursar_postgres::testing::TestDatabase;

use super::{
    books::Books,
    call::Told,
    client::Answer,
    exchange::Exchange,
    haproxy::{HaProxy, free_address},
    history::{Before, Look, Watch, assert_serializable},
    load::{assert_kept, assert_told},
    process::THIS,
    receiver::Receiver,
    service::{SINGLE_WRITER, Service},
    steady::{Came, Figures, Steady},
    verify::{SEALED, verified},
};

/// Longer than the balancer takes to notice, also on a busy machine.
const DRAIN: (&str, &str) = ("BURSAR_SHUTDOWN_DRAIN_MS", "2000");
/// How many requests are answered before the next replica is restarted.
const BETWEEN: usize = 50;
/// How long each reader waits after each answer: they come on top of the steady requests, and are few.
const REST: Duration = Duration::from_millis(100);
pub(super) const TRADERS: usize = 8;

pub(super) struct Plan {
    restarts: u32,
    pub(super) a_second: u32,
}

impl Plan {
    pub(super) fn from_env() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
        Self {
            restarts: number("BURSAR_CHAOS_RESTARTS").unwrap_or(1),
            a_second: number("BURSAR_ROLLING_RATE").unwrap_or(30),
        }
    }
}

/// Steady requests, and readers beside them.
pub(super) struct Flow {
    pub(super) steady: Steady,
    watch: Watch,
    before: Before,
}

impl Flow {
    /// What came of the requests, and what was seen.
    async fn ended(self) -> (Came, Vec<Look>, Before) {
        (
            self.steady.ended().await,
            self.watch.ended().await,
            self.before,
        )
    }
}

/// Replicas at addresses that stay, behind a balancer.
pub(super) struct Scene {
    /// Which build replicas are started of.
    pub(super) program: String,
    settings: Vec<(&'static str, &'static str)>,
    addresses: Vec<String>,
    replicas: Vec<Service>,
    pub(super) proxy: HaProxy,
    database: TestDatabase,
}

impl Scene {
    async fn set(replicas: usize, settings: &[(&'static str, &'static str)]) -> Self {
        Self::set_in(TestDatabase::create().await, THIS, replicas, settings).await
    }

    pub(super) async fn set_in(
        database: TestDatabase,
        program: &str,
        replicas: usize,
        settings: &[(&'static str, &'static str)],
    ) -> Self {
        let addresses: Vec<String> = (0..replicas).map(|_| free_address()).collect();
        let mut scene = Self {
            program: program.to_owned(),
            settings: [settings, &[DRAIN]].concat(),
            proxy: HaProxy::before(&addresses).await,
            addresses,
            replicas: vec![],
            database,
        };
        for place in 0..replicas {
            let replica = scene.start(place).await;
            scene.replicas.push(replica);
        }
        scene
    }

    async fn start(&self, place: usize) -> Service {
        let listen = ("BURSAR_LISTEN", self.addresses[place].as_str());
        let settings = [self.settings.as_slice(), &[listen]].concat();
        Service::start_program(&self.program, self.database.url(), &settings).await
    }

    pub(super) fn url(&self) -> &str {
        self.database.url()
    }

    /// Starts as many requests a second as the plan says. Nothing may be under way.
    pub(super) async fn flow(
        &self,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
        plan: &Plan,
    ) -> Flow {
        let before = Before::of(&Books::of(self.database.url())).await;
        let client = self.proxy.client();
        Flow {
            steady: Steady::start(&client, exchange, receiver, round, plan.a_second),
            watch: Watch::start_resting(&client, exchange, REST),
            before,
        }
    }

    /// Stops a replica in order and starts it again.
    async fn restart(&mut self, place: usize) {
        self.replicas.remove(place).stopped().await;
        let replica = self.start(place).await;
        self.replicas.insert(place, replica);
    }

    /// Restarts one replica after the other, while requests come.
    pub(super) async fn restart_each(&mut self, steady: &Steady) {
        for place in 0..self.replicas.len() {
            steady.answered(BETWEEN).await;
            self.restart(place).await;
            self.proxy.sends_to(place).await;
        }
    }

    /// Ends what comes: no request has failed, and what was told is true.
    pub(super) async fn none_failed(&self, flow: Flow, receiver: &Receiver, figures: &mut Figures) {
        flow.steady.answered(BETWEEN).await;
        let (came, looks, before) = flow.ended().await;
        figures.count(&came);
        figures.assert_none_failed();
        figures.assert_tried();
        self.judge(&came.told, &looks, &before, receiver).await;
    }

    async fn exchange(&self) -> Exchange {
        let client = self.proxy.client();
        let exchange = Exchange::open(self.database.url(), &client, TRADERS).await;
        exchange.fund_all(&client, "1000").await;
        exchange
    }

    /// Everything that was told is true, and was told to receivers; and nobody saw what could not be.
    async fn judge(&self, told: &[Told], looks: &[Look], before: &Before, receiver: &Receiver) {
        let books = Books::of(self.database.url());
        books.audit().await;
        books.settled().await;
        assert_serializable(told, looks, before, &books).await;
        assert_kept(told, &self.proxy.client(), &books).await;
        books.settled().await;
        books.audit().await;
        assert_told(receiver, &books).await;
    }

    pub(super) async fn end(self) {
        verified(self.database.url(), &SEALED, 0).await;
        for replica in self.replicas {
            replica.stopped().await;
        }
    }
}

#[tokio::test]
async fn a_rolling_restart_fails_no_request() {
    let plan = Plan::from_env();
    let mut scene = Scene::set(3, &[]).await;
    for place in 0..3 {
        scene.proxy.sends_to(place).await;
    }
    let exchange = scene.exchange().await;
    let receiver = Receiver::start().await;
    let mut figures = Figures::default();
    for round in 0..plan.restarts {
        let name = format!("rolling{round}");
        let flow = scene.flow(&exchange, &receiver, &name, &plan).await;
        scene.restart_each(&flow.steady).await;
        scene.none_failed(flow, &receiver, &mut figures).await;
    }
    figures.save("rolling", plan.restarts);
    scene.end().await;
}

/// The next release's migrations are applied under load, and replicas of this one are restarted on
/// what they leave: it may add what it likes, and nobody may be in the way for long.
#[tokio::test]
async fn what_the_next_release_adds_is_lived_with() {
    let plan = Plan::from_env();
    let mut scene = Scene::set(2, &[]).await;
    scene.proxy.sends_to(0).await;
    let exchange = scene.exchange().await;
    let receiver = Receiver::start().await;
    let flow = scene.flow(&exchange, &receiver, "expanded", &plan).await;
    flow.steady.answered(BETWEEN).await;
    expand(&Books::of(scene.database.url())).await;
    flow.steady.answered(BETWEEN).await;
    for place in 0..2 {
        scene.proxy.sends_to(1 - place).await;
        scene.restart(place).await;
        scene.proxy.sends_to(place).await;
    }
    let mut figures = Figures::default();
    scene.none_failed(flow, &receiver, &mut figures).await;
    // Who proves the books must know everything that is in them: that is for the next release.
    for replica in scene.replicas {
        replica.stopped().await;
    }
}

/// A column for every table and an index, as a migration adds them: none waits for a lock so long that
/// others queue up behind it.
async fn expand(books: &Books) {
    let tables = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r' AND n.nspname IN ('directory', 'book_main')";
    for table in books.rows(tables).await.into_iter().flatten() {
        let add = format!(
            "DO $$ BEGIN LOOP BEGIN
                 SET LOCAL lock_timeout = '200ms';
                 ALTER TABLE {table} ADD COLUMN next_release text DEFAULT 'new';
                 RETURN;
             EXCEPTION WHEN lock_not_available THEN NULL; END; END LOOP; END $$"
        );
        books.rows(&add).await;
    }
    books
        .rows("CREATE INDEX CONCURRENTLY next_release_idx ON book_main.transfers (next_release)")
        .await;
    books
        .rows(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000');
             COMMENT ON TABLE __diesel_schema_migrations IS
             'up to 99991231000000 for programs that know 20261128000021'",
        )
        .await;
}

/// A book changes hands: what comes meanwhile is refused, and nothing of it has happened.
#[tokio::test]
async fn a_single_writer_that_is_restarted_hands_its_book_over() {
    let plan = Plan::from_env();
    let mut scene = Scene::set(2, SINGLE_WRITER).await;
    scene.proxy.sends_to(0).await;
    assert!(!scene.proxy.is_up(1).await, "both hold the book");
    let exchange = scene.exchange().await;
    let receiver = Receiver::start().await;
    let flow = scene.flow(&exchange, &receiver, "handover", &plan).await;
    flow.steady.answered(BETWEEN).await;
    let began = Instant::now();
    scene.restart(0).await;
    scene.proxy.sends_to(1).await;
    flow.steady.answered(BETWEEN).await;
    let (came, looks, before) = flow.ended().await;
    let mut figures = Figures::default();
    figures.count(&came);
    let mut refused: Vec<Duration> = vec![];
    for told in came.told.iter().filter(|told| told.failed().is_some()) {
        let answer = told.answer.as_ref();
        assert_refused(answer.unwrap_or_else(|| panic!("{:?}", told.error)));
        refused.push(told.sent.saturating_duration_since(began));
    }
    for read in came.reads.iter().filter(|read| read.failed().is_some()) {
        let answer = read.answer.as_ref();
        assert_refused(answer.unwrap_or_else(|error| panic!("{error:?}")));
        refused.push(read.sent.saturating_duration_since(began));
    }
    println!(
        "hand-over: {} refused, sent from {:?} to {:?} after SIGTERM; {}",
        refused.len(),
        refused.iter().min(),
        refused.iter().max(),
        figures.told()
    );
    figures.assert_tried();
    scene.judge(&came.told, &looks, &before, &receiver).await;
    scene.end().await;
}

/// Nothing has happened, and that was told.
#[track_caller]
fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(answer.json()["outcome"], "not_executed", "{}", answer.text);
}
