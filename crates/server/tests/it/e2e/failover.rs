//! The loss of a database node: a standby that every COMMIT waits for takes over, and has everything
//! that anybody was told of.
//!
//! `scripts/chaos` says how many promotions there are; `scripts/ha` does the same with Patroni.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use bursar_audit::Rule;
use bursar_postgres::testing::WireProxy;
use futures_util::FutureExt as _;
use serde_json::json;

use super::{
    books::Books,
    eventually,
    exchange::Exchange,
    history::{Before, Watch},
    load::{Load, assert_told},
    nodes::Nodes,
    receiver::Receiver,
    service::{SINGLE_WRITER, Service, ready},
    sound::require,
    trial::{Judged, Loads, answered, forget, judged, save, spread},
    verify::{SEALED, verified},
};

const TRADERS: usize = 6;
/// How many answers there are before a node is lost, at least and at most.
const ANSWERS: (usize, usize) = (100, 400);
/// How many there must be afterwards, before a trial ends.
const AFTERWARDS: usize = 40;
/// How many promotions more there may be until what is rare has happened.
const MORE: usize = 10;

/// What was tried and seen.
#[derive(Default)]
struct Tally {
    trials: usize,
    requests: usize,
    looks: usize,
    /// Answers that were held against what was shown right afterwards.
    shown: usize,
    under_way: usize,
    /// Of those, the ones that had happened, and the ones of which nothing was there.
    landed: usize,
    absent: usize,
    /// From each kill until clients were answered again.
    back: Vec<Duration>,
    transfers: i64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p95, max] = spread(&self.back);
        write!(
            f,
            "{} promotions, {} requests, {} looks and {} transfers shown judged, {} under way when the \
             primary died ({} of them had happened, {} had left nothing), {} transfers proven; nothing \
             lost, twice or out of order: in fewer than 3 of {} promotions (95 %); answers again after \
             {median} ms (p95 {p95}, max {max})",
            self.trials,
            self.requests,
            self.looks,
            self.shown,
            self.under_way,
            self.landed,
            self.absent,
            self.transfers,
            self.trials,
        )
    }
}

impl Tally {
    fn add(&mut self, judged: &Judged) {
        self.trials += 1;
        self.requests += judged.requests;
        self.looks += judged.looks;
        self.shown += judged.shown;
        self.under_way += judged.under_way;
        self.landed += judged.landed;
        self.absent += judged.absent;
        self.back.push(judged.back);
    }

    /// Whether as much was under way as there were promotions, of which some had happened and some had left
    /// nothing.
    fn has_tried(&self) -> bool {
        self.under_way >= self.trials && self.landed > 0 && self.absent > 0
    }

    fn save(&self, name: &str) {
        println!("failover, {name}: {self}");
        let [median, p95, max] = spread(&self.back);
        let report = json!({
            "what": name, "trials": self.trials, "requests": self.requests, "looks": self.looks,
            "shown": self.shown, "under_way": self.under_way, "landed": self.landed,
            "absent": self.absent, "transfers": self.transfers,
            "acknowledged_lost": 0, "applied_twice": 0,
            "trials_gone_wrong_below": format!("3/{}", self.trials),
            "back_ms": {"median": median, "p95": p95, "max": max},
        });
        save(name, &report);
    }
}

/// A service whose database has a standby.
struct Scene {
    nodes: Nodes,
    /// None for a service that knows both nodes.
    relay: Option<WireProxy>,
    service: Service,
    exchange: Exchange,
    receiver: Receiver,
    tally: Tally,
}

impl Scene {
    /// A service that reaches the primary through a relay.
    async fn set(settings: &[(&str, &str)]) -> Self {
        let nodes = Nodes::start().await;
        let relay = WireProxy::start(&nodes.url()).await;
        let through = relay.url(&nodes.url());
        Self::on(nodes, Some(relay), &through, settings).await
    }

    async fn on(
        nodes: Nodes,
        relay: Option<WireProxy>,
        url: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let service = Service::start_with(url, settings).await;
        let client = ready(&service).await;
        let mut exchange = Exchange::open(url, &client, TRADERS).await;
        exchange.fund_all(&client, "1000").await;
        exchange.charge(&client).await;
        Self {
            nodes,
            relay,
            service,
            exchange,
            receiver: Receiver::start().await,
            tally: Tally::default(),
        }
    }

    fn books(&self) -> Books {
        Books::of(&self.nodes.url())
    }

    fn load(&self, round: &str) -> Loads {
        let client = self.service.client();
        let load = Load::start_rivals(&client, &client, &self.exchange, &self.receiver, round);
        vec![(load, Watch::start(&client, &self.exchange))]
    }

    /// A standby joins in the middle of load, and then the primary is killed. A standby that nothing
    /// waits for is cut off some time before.
    async fn promotion(&mut self, number: usize, is_synchronous: bool) {
        ready(&self.service).await;
        let before = Before::of(&self.books()).await;
        let loads = self.load(&format!("promotion{number}"));
        self.nodes.follow().await;
        if is_synchronous {
            self.nodes.wait_for_standby().await;
        } else {
            self.nodes.cut_off_standby().await;
        }
        self.fail_over(loads, &before).await;
    }

    /// The primary is killed in the middle of load, and its standby promoted. That takes a second, and the
    /// service finds out within eight what became of a COMMIT: some clients hang up before they are told.
    async fn fail_over(&mut self, loads: Loads, before: &Before) {
        answered(&loads, rand::random_range(ANSWERS.0..=ANSWERS.1)).await;
        let struck = Instant::now();
        for (load, _) in &loads {
            load.hang_up();
        }
        self.nodes.fail_over().await;
        if let Some(relay) = &self.relay {
            relay.point_to(&self.nodes.url());
        }
        answered(&loads, AFTERWARDS).await;
        let client = ready(&self.service).await;
        let judged = judged(loads, struck, before, &client, &self.books()).await;
        self.tally.add(&judged);
    }

    /// Every callback has told what its transfer came to, and the books can be proven.
    async fn end(mut self) -> Tally {
        let books = self.books();
        books.let_leases_run_out().await;
        assert_told(&self.receiver, &books).await;
        let transfers = "SELECT count(*) FROM book_main.transfers";
        self.tally.transfers = books.number(transfers).await;
        verified(&self.nodes.url(), &SEALED, 0).await;
        self.service.stopped().await;
        self.nodes.stopped().await;
        self.tally
    }
}

async fn promotions(name: &str, settings: &[(&str, &str)], count: usize) {
    forget(name);
    let mut scene = Scene::set(settings).await;
    let mut number = 0;
    // A run in which hardly anything was under way when primaries died has tried nothing.
    while number < count || !scene.tally.has_tried() {
        let may_go_on = number < count + MORE;
        require(may_go_on, Rule::RareIsTried, || scene.tally.to_string());
        scene.promotion(number, true).await;
        number += 1;
        println!("failover, {name}: {number} of {count} promotions");
    }
    scene.end().await.save(name);
}

/// How many there are to be: 1, unless `BURSAR_CHAOS_PROMOTIONS` says something else.
fn promotions_wanted() -> usize {
    let told = std::env::var("BURSAR_CHAOS_PROMOTIONS").ok();
    told.map_or(1, |text| text.parse().unwrap())
}

#[tokio::test]
async fn promotions_lose_nothing() {
    promotions("failover", &[], promotions_wanted()).await;
}

#[tokio::test]
async fn promotions_lose_nothing_of_a_single_writer() {
    let count = promotions_wanted().div_ceil(5);
    promotions("failover_single_writer", SINGLE_WRITER, count).await;
}

/// No relay and no balancer: both nodes are in the address.
#[tokio::test]
async fn a_service_that_knows_both_nodes_goes_where_the_primary_is() {
    let mut nodes = Nodes::start().await;
    nodes.follow().await;
    nodes.wait_for_standby().await;
    let both = nodes.url_of_both();
    let mut scene = Scene::on(nodes, None, &both, &[]).await;
    let before = Before::of(&scene.books()).await;
    let loads = scene.load("both");
    scene.fail_over(loads, &before).await;
    scene.end().await;
}

/// A planted fault: a standby that nothing waits for, and that does not hear of everything.
#[tokio::test]
async fn promotions_of_a_standby_that_lags_are_found_out() {
    let promotion = async {
        let mut scene = Scene::set(&[]).await;
        scene.promotion(0, false).await;
    };
    let found = AssertUnwindSafe(promotion).catch_unwind().await;
    let found = found.expect_err("nobody has found out that answers were lost");
    let told = found.downcast_ref::<String>().unwrap();
    assert!(told.contains("violated A"), "{told}");
}

/// Without the standby nothing is committed, whatever the server would say to a cancel; clients are
/// told that nobody knows, and everything goes on when it is back.
#[tokio::test]
async fn a_lost_standby_stalls_what_is_to_be_durable_and_loses_nothing() {
    stalls(&[]).await;
}

#[tokio::test]
async fn a_lost_standby_stalls_a_single_writer_too() {
    stalls(SINGLE_WRITER).await;
}

async fn stalls(settings: &[(&str, &str)]) {
    let mut scene = Scene::set(settings).await;
    scene.nodes.follow().await;
    scene.nodes.wait_for_standby().await;
    let before = Before::of(&scene.books()).await;
    let loads = scene.load("stall");
    answered(&loads, ANSWERS.0).await;
    scene.nodes.stop_standby().await;

    let gone = Instant::now();
    // More than there are clients: one of them was told, asked for something else, and was told again.
    eventually("clients are told that nothing is certain", async || {
        (loads[0].0.count_uncertain() > 8).then_some(())
    })
    .await;
    let back = Instant::now();
    scene.nodes.start_standby().await;
    answered(&loads, AFTERWARDS).await;
    let client = ready(&scene.service).await;
    let judged = judged(loads, gone, &before, &client, &scene.books()).await;
    let meanwhile = judged.certain.iter();
    let meanwhile = meanwhile.filter(|(sent, told)| *sent > gone && *told < back);
    assert_eq!(
        meanwhile.count(),
        0,
        "answered although nothing can be durable"
    );
    println!(
        "stalled for {:?}: nobody waited longer than {:?} to be told so",
        back - gone,
        judged.waited
    );
    scene.end().await;
}
