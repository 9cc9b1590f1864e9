//! Faults of a real cluster, under load: Patroni, etcd and HAProxy, which `scripts/ha trial` starts and
//! strikes.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    books::Books,
    exchange::Exchange,
    history::{Before, Watch},
    load::{Load, assert_told},
    receiver::Receiver,
    service::{Service, ready},
    trial::{Judged, Loads, answered_within, judged, spread},
    verify::{SEALED, verified},
};

const TRADERS: usize = 6;
const REPLICAS: usize = 2;
/// How many answers come before a fault, after it, and after it is taken away.
const ANSWERS: usize = 200;
/// A node that is lost is given up after its `ttl`, and much may come after that.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long each client rests between two requests: a trial lasts as long as the cluster needs.
const REST: Duration = Duration::from_millis(50);

/// What `scripts/ha` says: the database, how often to try which faults, and what strikes.
struct Plan {
    url: String,
    trials: usize,
    faults: Vec<String>,
    script: String,
    out: PathBuf,
}

impl Plan {
    fn from_env() -> Self {
        let told = |name: &str| {
            let told = std::env::var(name);
            told.unwrap_or_else(|_| panic!("{name} is not set: run scripts/ha trial"))
        };
        let faults = told("BURSAR_HA_FAULTS");
        Self {
            url: told("BURSAR_HA_URL"),
            trials: told("BURSAR_HA_TRIALS").parse().unwrap(),
            faults: faults.split_whitespace().map(str::to_owned).collect(),
            script: told("BURSAR_HA_SCRIPT"),
            out: told("BURSAR_HA_OUT").into(),
        }
    }

    /// Has the script do something, and waits until it is done.
    async fn have(&self, what: &str, fault: &str) {
        let mut command = Command::new(&self.script);
        command.args([what, fault]).stdin(Stdio::null());
        // The load goes on meanwhile.
        let done = tokio::task::spawn_blocking(move || command.status());
        let done = done.await.unwrap().unwrap();
        assert!(done.success(), "{what} {fault}: {done}");
    }
}

/// What was tried of a fault.
struct Tried {
    fault: String,
    judged: Vec<Judged>,
}

impl Tried {
    fn sum(&self, of: impl Fn(&Judged) -> usize) -> usize {
        self.judged.iter().map(of).sum()
    }

    fn back(&self) -> Vec<Duration> {
        self.judged.iter().map(|judged| judged.back).collect()
    }

    fn line(&self) -> String {
        let mut line = format!("{:<12} {:>3} trials", self.fault, self.judged.len());
        let [median, p95, max] = spread(&self.back());
        let (requests, uncertain) = (self.sum(|j| j.requests), self.sum(|j| j.uncertain));
        write!(
            line,
            ", {requests} requests, {uncertain} without a certain answer ({} had happened), 0 lost, 0 twice; \
             served again after {median} ms (p95 {p95}, max {max})",
            self.sum(|judged| judged.happened),
        )
        .unwrap();
        line
    }

    fn json(&self) -> Value {
        let [median, p95, max] = spread(&self.back());
        let all: Vec<u128> = self.back().iter().map(Duration::as_millis).collect();
        json!({
            "fault": self.fault, "trials": self.judged.len(),
            "requests": self.sum(|j| j.requests), "looks": self.sum(|j| j.looks),
            "uncertain": self.sum(|j| j.uncertain), "happened": self.sum(|j| j.happened),
            "acknowledged_lost": 0, "applied_twice": 0,
            "back_ms": {"median": median, "p95": p95, "max": max, "all": all},
        })
    }
}

#[tokio::test]
#[ignore = "needs a cluster: scripts/ha trial"]
async fn faults_of_a_cluster_lose_nothing() {
    let plan = Plan::from_env();
    let mut replicas = vec![];
    for _ in 0..REPLICAS {
        replicas.push(Service::start(&plan.url).await);
    }
    let client = ready(&replicas[0]).await;
    let exchange = Exchange::open(&plan.url, &client, TRADERS).await;
    exchange.fund_all(&client, "1000").await;
    let receiver = Receiver::start().await;
    let mut tried: Vec<Tried> = vec![];
    for fault in &plan.faults {
        let mut judged = vec![];
        for number in 0..plan.trials {
            let round = format!("{}{number}", fault.replace('-', ""));
            let load = |(place, replica): (usize, &Service)| {
                let client = replica.client();
                let round = format!("{round}x{place}");
                let load = Load::start_resting(&client, &exchange, &receiver, &round, REST);
                (load, Watch::start(&client, &exchange))
            };
            let before = Before::of(&Books::of(&plan.url)).await;
            judged.push(trial(&plan, fault, &before, &replicas, load).await);
            println!("{fault}: {} of {} trials", number + 1, plan.trials);
        }
        let fault = fault.clone();
        tried.push(Tried { fault, judged });
        println!("{}", tried[tried.len() - 1].line());
    }
    let books = Books::of(&plan.url);
    books.let_leases_run_out().await;
    assert_told(&receiver, &books).await;
    verified(&plan.url, &SEALED, 0).await;
    for replica in replicas {
        replica.stopped().await;
    }
    let report: Vec<Value> = tried.iter().map(Tried::json).collect();
    fs::write(plan.out.join("ha.json"), Value::from(report).to_string()).unwrap();
    for tried in tried {
        println!("{}", tried.line());
    }
}

/// A fault strikes in the middle of load; it is taken away when clients are answered again, and they go
/// on.
async fn trial(
    plan: &Plan,
    fault: &str,
    before: &Before,
    replicas: &[Service],
    load: impl Fn((usize, &Service)) -> (Load, Watch),
) -> Judged {
    for replica in replicas {
        ready(replica).await;
    }
    let loads: Loads = replicas.iter().enumerate().map(load).collect();
    answered_within(PATIENCE, &loads, ANSWERS).await;
    let struck = Instant::now();
    plan.have("strike", fault).await;
    answered_within(PATIENCE, &loads, ANSWERS).await;
    plan.have("mend", fault).await;
    answered_within(PATIENCE, &loads, ANSWERS).await;
    let client = ready(&replicas[0]).await;
    judged(loads, struck, before, &client, &Books::of(&plan.url)).await
}
