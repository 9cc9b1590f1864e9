//! Requests that come at a steady rate, whether or not others are answered: most of them move money,
//! and some read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bursar_audit::Rule;
use serde_json::json;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

use super::{
    call::{CLIENTS, Maker, Told},
    client::{Answer, Client},
    eventually,
    exchange::{DEPOSIT, Exchange, INTERNAL, WITHDRAW},
    receiver::Receiver,
    sound::require,
    trial::{percentile, save},
};

/// One in so many requests reads.
const READS: usize = 10;
/// One in so many requests at least makes something, ends a withdrawal, or reads: else nothing was tried.
const MADE_MIN: usize = 4;
const ENDED_MIN: usize = 50;
const READ_MIN: usize = 50;

/// Requests that come and come.
pub(super) struct Steady {
    coming: JoinHandle<Came>,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// What became of all of them, in no order.
pub(super) struct Came {
    pub(super) told: Vec<Told>,
    pub(super) reads: Vec<Read>,
}

/// A request that reads, and what became of it.
pub(super) struct Read {
    path: String,
    /// The transfer that it asks for, if it asks for one.
    of: Option<String>,
    pub(super) sent: Instant,
    told: Instant,
    /// An error when no whole answer came.
    pub(super) answer: reqwest::Result<Answer>,
}

impl Read {
    /// What is wrong with what became of it, if anything is. A transfer of which somebody was told is
    /// shown by every replica.
    pub(super) fn failed(&self) -> Option<String> {
        let path = &self.path;
        match &self.answer {
            Ok(answer) if answer.status == 200 => {
                let is_another = self.of.as_ref().is_some_and(|of| answer.name() != *of);
                is_another.then(|| format!("{path}: {}", answer.text))
            }
            Ok(answer) => Some(format!("{path}: {} {}", answer.status, answer.text)),
            Err(error) => Some(format!("{path}: {error:?}")),
        }
    }
}

impl Steady {
    /// So many a second; each is made once.
    pub(super) fn start(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
        a_second: u32,
    ) -> Self {
        let traders = exchange.traders.iter();
        let source = Source {
            client: client.clone(),
            admin: client.with(&exchange.admin),
            payers: traders.map(|user| client.with(&user.token)).collect(),
            maker: Maker::new(exchange, receiver, round),
            known: Arc::new(Mutex::new(vec![Known::default(); CLIENTS])),
            answered: Arc::default(),
            stop: Arc::default(),
        };
        Self {
            answered: Arc::clone(&source.answered),
            stop: Arc::clone(&source.stop),
            coming: tokio::spawn(source.flows(a_second)),
        }
    }

    /// Waits until there are so many answers more.
    pub(super) async fn answered(&self, more: usize) {
        let enough = self.answered.load(Ordering::SeqCst) + more;
        eventually(&format!("{more} answers"), async || {
            (self.answered.load(Ordering::SeqCst) >= enough).then_some(())
        })
        .await;
    }

    /// Ends what comes.
    pub(super) async fn ended(self) -> Came {
        self.stop.store(true, Ordering::SeqCst);
        self.coming.await.unwrap()
    }
}

/// What is known of the transfers of one payer.
#[derive(Clone, Default)]
struct Known {
    /// Withdrawals that nobody was asked to end yet.
    held: Vec<String>,
    /// The code of a payment.
    code: Option<String>,
    /// The number of a deposit or of a withdrawal.
    id: Option<String>,
}

impl Known {
    fn learn(&mut self, told: &Told) {
        let answer = told.answer.as_ref();
        let Some(answer) = answer.filter(|answer| answer.status == 200) else {
            return;
        };
        self.held.extend(told.opened());
        match told.call.path() {
            INTERNAL => self.code = Some(answer.name()),
            DEPOSIT | WITHDRAW => self.id = Some(answer.name()),
            _ => {}
        }
    }
}

/// Where requests come from: from every payer in turns, and from an operator.
struct Source {
    client: Client,
    admin: Client,
    payers: Vec<Client>,
    maker: Maker,
    known: Arc<Mutex<Vec<Known>>>,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Source {
    async fn flows(self, a_second: u32) -> Came {
        let mut ticks = interval(Duration::from_secs(1) / a_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut calls, mut reads) = (JoinSet::new(), JoinSet::new());
        for tick in 0_usize.. {
            ticks.tick().await;
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            // Reads come on top of what payers do in turns, and so take none of it away.
            let read = tick / READS;
            if tick % READS == READS - 1 {
                reads.spawn(self.read(read));
            } else {
                calls.spawn(self.call(tick - read));
            }
        }
        Came {
            told: calls.join_all().await,
            reads: reads.join_all().await,
        }
    }

    /// A payer's next request that moves money. What it holds is ended once.
    fn call(&self, number: usize) -> impl Future<Output = Told> + Send + use<> {
        let payer = number % CLIENTS;
        let call = {
            let mut known = self.known.lock().unwrap();
            let mut held = known[payer].held.pop();
            let call = self.maker.call(payer, number / CLIENTS, &mut held);
            known[payer].held.extend(held);
            call
        };
        let (client, known) = (self.client.clone(), Arc::clone(&self.known));
        let answered = Arc::clone(&self.answered);
        async move {
            let told = call.send(&client).await;
            answered.fetch_add(usize::from(told.is_certain()), Ordering::SeqCst);
            known.lock().unwrap()[payer].learn(&told);
            told
        }
    }

    /// The next request that reads.
    fn read(&self, number: usize) -> impl Future<Output = Read> + Send + use<> {
        let (client, path, of) = self.look(number);
        let answered = Arc::clone(&self.answered);
        async move {
            let sent = Instant::now();
            let answer = client.try_get(&path).await;
            let read = Read {
                path,
                of,
                sent,
                told: Instant::now(),
                answer,
            };
            answered.fetch_add(usize::from(read.failed().is_none()), Ordering::SeqCst);
            read
        }
    }

    /// Who reads what, and which transfer, if it is one: a payer what is its own, the operator what is
    /// anybody's.
    fn look(&self, number: usize) -> (Client, String, Option<String>) {
        let payer = number % CLIENTS;
        let Known { code, id, .. } = self.known.lock().unwrap()[payer].clone();
        let (own, admin) = (&self.payers[payer % self.payers.len()], &self.admin);
        let (client, path, of) = match (number % 5, code, id) {
            (0, _, _) => (own, "/balance".to_owned(), None),
            (1, Some(code), _) => (own, format!("/internal-transfer/{code}"), Some(code)),
            (2, _, Some(id)) => (admin, format!("/admin/v1/transfers/{id}"), Some(id)),
            (3, _, _) => (admin, "/admin/v1/transfers?limit=20".to_owned(), None),
            (_, _, _) => (own, "/internal-transfer?limit=20".to_owned(), None),
        };
        (client.clone(), path, of)
    }
}

/// What clients met.
#[derive(Default)]
pub(super) struct Figures {
    requests: usize,
    /// Requests that made something, that ended a withdrawal, and that read what was there.
    made: usize,
    ended: usize,
    read: usize,
    /// Requests that failed, by what came of them.
    failed: BTreeMap<String, usize>,
    /// Requests that were to end a withdrawal, and did not.
    unended: Vec<String>,
    took: Vec<Duration>,
}

impl Figures {
    pub(super) fn count(&mut self, came: &Came) {
        for told in &came.told {
            let answer = told.answer.as_ref();
            let is_done = answer.is_some_and(|answer| answer.status == 200);
            let is_end = told.call.ends().is_some();
            self.made += usize::from(is_done && !is_end);
            self.ended += usize::from(is_done && is_end);
            // Nobody else ends a withdrawal, so nothing speaks against it.
            if is_end && !is_done && told.is_certain() {
                self.unended.push(format!("{} {answer:?}", told.call.key()));
            }
            self.add(told.told - told.sent, told.failed());
        }
        for read in &came.reads {
            let failed = read.failed();
            self.read += usize::from(failed.is_none());
            self.add(read.told - read.sent, failed);
        }
    }

    fn add(&mut self, took: Duration, failed: Option<String>) {
        self.requests += 1;
        self.took.push(took);
        if let Some(how) = failed {
            *self.failed.entry(how).or_default() += 1;
        }
    }

    pub(super) fn assert_none_failed(&self) {
        assert!(self.failed.is_empty(), "{:?}; {}", self.failed, self.told());
    }

    /// Whatever somebody asked to be ended was, and enough was tried.
    pub(super) fn assert_tried(&self) {
        assert!(self.unended.is_empty(), "{:?}", self.unended);
        require(self.has_tried(), Rule::RareIsTried, || self.told());
    }

    /// Whether anything to speak of was made, ended and read.
    fn has_tried(&self) -> bool {
        self.made * MADE_MIN >= self.requests
            && self.ended * ENDED_MIN >= self.requests
            && self.read * READ_MIN >= self.requests
    }

    fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.took, percent)
    }

    pub(super) fn told(&self) -> String {
        format!(
            "{} requests ({} made something, {} ended a withdrawal, {} read), {} failed; half within \
             {:?}, 99 % within {:?}, all within {:?}",
            self.requests,
            self.made,
            self.ended,
            self.read,
            self.failed.values().sum::<usize>(),
            self.percentile(50),
            self.percentile(99),
            self.percentile(100),
        )
    }

    pub(super) fn save(&self, name: &str, restarts: u32) {
        println!(
            "{name}, {restarts} restarts of 3 replicas: {}; fewer than 3 of {} fail (95 %)",
            self.told(),
            self.requests
        );
        let report = json!({
            "restarts": restarts, "replicas": 3, "requests": self.requests,
            "made": self.made, "ended": self.ended, "read": self.read,
            "failed": self.failed.values().sum::<usize>(),
            // Zero in N trials bounds the rate by 3/N.
            "requests_failed_below": format!("3/{}", self.requests),
            "milliseconds": {
                "p50": self.percentile(50).as_millis(), "p99": self.percentile(99).as_millis(),
                "max": self.percentile(100).as_millis(),
            },
        });
        save(name, &report);
    }
}

#[test]
fn what_hardly_came_is_missed() {
    let has_tried = |made: usize, ended: usize, read: usize| {
        let figures = Figures {
            requests: 100,
            made,
            ended,
            read,
            ..Figures::default()
        };
        figures.has_tried()
    };
    assert!(has_tried(25, 2, 2));
    assert!(!has_tried(24, 2, 2));
    assert!(!has_tried(25, 1, 2));
    assert!(!has_tried(25, 2, 1));
}
