//! Clients: each asks for one thing after the other, and repeats what got no certain answer.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bursar_domain::{IdempotencyKey, Kind, TransferId, UserId};

use crate::{
    directory::{USERS, assets, user},
    receivers::RECEIVERS,
    replica::Cluster,
    request::{Request, Sum, Told, What},
    scheduler::{Before, Owner, Waiting, cell},
    world::REPLICAS,
};

/// How many clients there are, and how much each asks for.
const CLIENTS: usize = 4;
const REQUESTS: usize = 6;

/// How long a client waits for an answer, in milliseconds; one in a while waits much shorter.
const PATIENCE_MS: i64 = 40_000;
const IMPATIENCE_MS: i64 = 40;

/// One try of a request.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) told: Told,
}

/// A request with all tries of it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) request: Request,
    pub(crate) attempts: Vec<Attempt>,
}

impl Record {
    /// The first answer that is certain.
    pub(crate) fn certain(&self) -> Option<&Attempt> {
        let is_certain = |told: &Told| match told {
            Told::Made(_) | Told::Refused(_) | Told::Saw(_) | Told::Broken(_) => true,
            Told::NotExecuted | Told::Unknown => false,
        };
        self.attempts.iter().find(|one| is_certain(&one.told))
    }

    /// Whether every try was answered with the word that it did not happen.
    pub(crate) fn never_happened(&self) -> bool {
        let never = |told: &Told| matches!(told, Told::NotExecuted);
        !self.attempts.is_empty() && self.attempts.iter().all(|one| never(&one.told))
    }

    /// Whether it may have done what it asks for: it was sent, and nobody was told that it did nothing.
    pub(crate) fn may_have_happened(&self) -> bool {
        let certain = self.certain().map(|attempt| &attempt.told);
        let is_refused = matches!(certain, Some(Told::Refused(_)));
        !self.attempts.is_empty() && !self.never_happened() && !is_refused
    }
}

/// All clients, and what they asked for.
pub(crate) struct Clients {
    cluster: Arc<Cluster>,
    records: Mutex<Vec<Record>>,
    at_work: AtomicUsize,
}

impl Clients {
    pub(crate) fn start(cluster: &Arc<Cluster>) -> Arc<Self> {
        let clients = Arc::new(Self {
            cluster: Arc::clone(cluster),
            records: Mutex::default(),
            at_work: AtomicUsize::new(CLIENTS),
        });
        for number in 0..CLIENTS {
            let this = Arc::clone(&clients);
            cluster.world.scheduler.start(Owner::World, async move {
                this.live(number).await;
                this.at_work.fetch_sub(1, Ordering::SeqCst);
            });
        }
        clients
    }

    pub(crate) fn have_ended(&self) -> bool {
        self.at_work.load(Ordering::SeqCst) == 0
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    async fn live(self: &Arc<Self>, number: usize) {
        let first = What::Deposit(Sum {
            user: user(u64::try_from(number).unwrap() % USERS),
            asset: assets()[0].id,
            whole: 1_000,
        });
        let first = self.request(first, true);
        self.insist(first).await;
        for _ in 1..REQUESTS {
            self.cluster.world.nap(4_000).await;
            match self.choose() {
                (What::Confirm(owner, id), true) => self.duel(owner, id).await,
                (what, _) => {
                    let has_key = self.cluster.world.per_mille(900);
                    let request = self.request(what, has_key);
                    self.insist(request).await;
                }
            }
        }
    }

    /// Confirms and cancels one withdrawal at the same time.
    async fn duel(self: &Arc<Self>, owner: UserId, id: TransferId) {
        self.cluster.world.see("confirm against cancel");
        let mut ends = vec![];
        for what in [What::Confirm(owner, id), What::Cancel(owner, id)] {
            let (giver, waiting) = cell();
            let (this, request) = (Arc::clone(self), self.request(what, true));
            self.cluster
                .world
                .scheduler
                .start(Owner::World, async move {
                    this.insist(request).await;
                    giver.give(());
                });
            ends.push(waiting);
        }
        for end in ends {
            end.await;
        }
    }

    /// Something to ask for; of a withdrawal's end, whether somebody asks for the opposite too.
    fn choose(&self) -> (What, bool) {
        let world = &self.cluster.world;
        let withdrawals = self.withdrawals();
        let thrown = world.throw(|dice| dice.below(100));
        let what = match thrown {
            0..=14 => What::Deposit(self.sum(1_000)),
            15..=39 => What::Withdraw(self.sum(400)),
            40..=64 if !withdrawals.is_empty() => {
                let (owner, id) = world.pick(&withdrawals);
                return match thrown {
                    40..=46 => (What::Cancel(owner, id), false),
                    47..=53 => (What::Confirm(owner, id), false),
                    _ => (What::Confirm(owner, id), true),
                };
            }
            40..=79 => What::Send(self.sum(400), self.recipient()),
            80..=87 => self.bulk(),
            _ => What::Read(self.user()),
        };
        (what, false)
    }

    fn bulk(&self) -> What {
        let world = &self.cluster.world;
        let sender = self.user();
        let count = world.throw(|dice| dice.between(2, 4));
        let item = |_| {
            let sum = Sum {
                user: sender,
                ..self.sum(200)
            };
            (sum, self.recipient())
        };
        What::Bulk {
            sender,
            items: (0..count).map(item).collect(),
            atomic: world.per_mille(500),
        }
    }

    fn user(&self) -> UserId {
        user(self.cluster.world.throw(|dice| dice.below(USERS)))
    }

    fn recipient(&self) -> String {
        if self.cluster.world.per_mille(80) {
            return "nobody@example.com".to_owned();
        }
        self.user().to_string()
    }

    fn sum(&self, whole_max: i64) -> Sum {
        let world = &self.cluster.world;
        let whole = world.throw(|dice| dice.between(1, whole_max));
        // Most is of one asset, so that there is something to fight for.
        let asset = assets()[usize::from(world.per_mille(200))].id;
        Sum {
            user: self.user(),
            asset,
            whole: u32::try_from(whole).unwrap(),
        }
    }

    /// The withdrawals that clients know of, the newest ones.
    fn withdrawals(&self) -> Vec<(UserId, TransferId)> {
        let records = self.records.lock().unwrap();
        let made = records.iter().flat_map(|record| &record.attempts);
        let made = made.filter_map(|attempt| match &attempt.told {
            Told::Made(made) => made.first()?.as_ref(),
            Told::Refused(_)
            | Told::NotExecuted
            | Told::Unknown
            | Told::Saw(_)
            | Told::Broken(_) => None,
        });
        let mut known: Vec<(UserId, TransferId)> = made
            .filter(|transfer| transfer.kind() == Kind::Withdrawal)
            .map(|transfer| (transfer.owner(), transfer.id()))
            .collect();
        known.dedup();
        known.split_off(known.len().saturating_sub(3))
    }

    fn request(&self, what: What, has_key: bool) -> Request {
        let world = &self.cluster.world;
        let number = {
            let mut records = self.records.lock().unwrap();
            let number = records.len();
            // Kept already: the number is taken.
            records.push(Record {
                request: Request {
                    number,
                    what,
                    key: None,
                    wait: world.per_mille(500),
                    url: None,
                },
                attempts: vec![],
            });
            number
        };
        let is_read = {
            let records = self.records.lock().unwrap();
            matches!(records[number].request.what, What::Read(_))
        };
        let receiver = world.throw(|dice| dice.below(RECEIVERS));
        let has_url = world.per_mille(750);
        let request = &mut self.records.lock().unwrap()[number].request;
        if has_key && !is_read {
            request.key = Some(IdempotencyKey::parse(&format!("key-{number}")).unwrap());
        }
        if has_url {
            request.url = Some(format!("https://r{receiver}.example.com/{}", number % 2));
        }
        request.clone()
    }

    /// Asks until the answer is certain, as far as the same thing may be asked again.
    async fn insist(&self, request: Request) {
        let world = &self.cluster.world;
        loop {
            let tries = self.ask_somebody(&request).await;
            world.note(format_args!("{} was told {}", request.tag(), words(&tries)));
            let record = {
                let mut records = self.records.lock().unwrap();
                records[request.number].attempts.extend(tries);
                records[request.number].clone()
            };
            if record.certain().is_some() || request.key.is_none() {
                return;
            }
            if record.never_happened() && world.per_mille(200) {
                world.see("given up, as it did not happen");
                return;
            }
            world.nap(600).await;
            world.see("repeated without a certain answer");
        }
    }

    /// Asks a replica, or two at once.
    async fn ask_somebody(&self, request: &Request) -> Vec<Attempt> {
        let world = &self.cluster.world;
        let patience = if world.fault(80) {
            IMPATIENCE_MS
        } else {
            PATIENCE_MS
        };
        let sent = world.stamp();
        let mut answers = vec![self.send(request)];
        if request.key.is_some() && world.fault(120) {
            world.see("the same request twice at once");
            answers.push(self.send(request));
        }
        let mut attempts = vec![];
        for answer in answers {
            let told = match answer {
                Some(waiting) => {
                    let told = Before(waiting, world.sleep_ms(patience)).await;
                    told.unwrap_or_else(|| {
                        world.see("no answer");
                        Told::Unknown
                    })
                }
                None => Told::NotExecuted,
            };
            let answered = world.stamp();
            attempts.push(Attempt {
                sent,
                answered,
                told,
            });
        }
        attempts
    }

    /// Sends it to some replica; to none, when that is dead.
    fn send(&self, request: &Request) -> Option<Waiting<Told>> {
        let world = &self.cluster.world;
        let replica = world.throw(|dice| dice.index(REPLICAS));
        world.note(format_args!("{} goes to replica {replica}", request.tag()));
        let app = self.cluster.app(replica)?;
        let (giver, waiting) = cell();
        let request = request.clone();
        let serve = async move {
            let told = request.perform(&app).await;
            giver.give(told);
        };
        world.scheduler.start(Owner::Replica(replica), serve);
        Some(waiting)
    }

    /// Repeats everything that may have happened, and complains unless it is answered as before.
    pub(crate) async fn repeat_everything(&self, times: usize) {
        for record in self.records() {
            if record.request.key.is_none() || record.never_happened() {
                continue;
            }
            let mut before = record.certain().map(|attempt| attempt.told.clone());
            for _ in 0..times {
                let told = self.ask_until_told(&record.request).await;
                match &before {
                    Some(before) if !is_same(before, &told) => {
                        let tag = record.request.tag();
                        let wrong = format!("R2: {tag} was told {before:?} and now {told:?}");
                        self.cluster.world.complain(wrong);
                    }
                    Some(_) => {}
                    None => before = Some(told),
                }
            }
        }
    }

    async fn ask_until_told(&self, request: &Request) -> Told {
        loop {
            let mut tries = self.ask_somebody(request).await;
            let told = tries.remove(0).told;
            if !matches!(told, Told::NotExecuted | Told::Unknown) {
                return told;
            }
            self.cluster.world.nap(600).await;
        }
    }
}

/// Whether two answers name the same transfers, or the same refusal.
pub(crate) fn is_same(one: &Told, other: &Told) -> bool {
    match (one, other) {
        (Told::Made(one), Told::Made(other)) => {
            let ids = |made: &[Option<bursar_domain::Transfer>]| {
                let ids = made
                    .iter()
                    .map(|one| one.as_ref().map(bursar_domain::Transfer::id));
                ids.collect::<Vec<_>>()
            };
            ids(one) == ids(other)
        }
        (Told::Refused(one), Told::Refused(other)) => one == other,
        (
            Told::Made(_)
            | Told::Refused(_)
            | Told::NotExecuted
            | Told::Unknown
            | Told::Saw(_)
            | Told::Broken(_),
            _,
        ) => false,
    }
}

fn words(attempts: &[Attempt]) -> String {
    let word = |attempt: &Attempt| match &attempt.told {
        Told::Made(made) => {
            let made = made.iter().flatten();
            let made = made.map(|one| format!("{}={}", one.id(), one.status().as_str()));
            made.collect::<Vec<_>>().join(",")
        }
        Told::Refused(why) => format!("refused: {why}"),
        Told::NotExecuted => "not executed".to_owned(),
        Told::Unknown => "unknown".to_owned(),
        Told::Saw(lines) => format!("saw {lines:?}"),
        Told::Broken(what) => format!("broken: {what}"),
    };
    attempts.iter().map(word).collect::<Vec<_>>().join(" / ")
}
