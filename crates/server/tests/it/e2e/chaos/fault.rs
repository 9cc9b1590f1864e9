//! What is killed, and what was tried and seen.

use std::fmt;

use bursar_postgres::faults::Point;
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::json;

use super::{
    super::trial::{Judged, Races, save},
    Plan,
    scene::REPLICAS,
};

/// A run of so many cycles, or of more, has tried nothing unless this happened so often in it: that
/// something was under way when something died; that this had happened, or had not; that a batch was not
/// let through; that whoever died was at a callback. Of a shorter run it is that share of it.
const RUN: usize = 15;
const UNDER_WAY_MIN: usize = 100;
const EACH_MIN: usize = 20;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A replica, wherever it is.
    Replica(usize),
    /// A replica, the next time that it comes to a point.
    AtPoint(usize, Point),
    Database,
    Both(usize),
    /// Whoever takes callbacks.
    Receiver,
}

impl Fault {
    /// Of twenty, twelve replicas, five times PostgreSQL, both at once twice, and a receiver.
    pub(super) fn draw(random: &mut StdRng) -> Self {
        let replica = random.random_range(0..REPLICAS);
        match random.random_range(0..20) {
            0..6 => Self::Replica(replica),
            6..12 => Self::AtPoint(replica, *Point::ALL.choose(random).unwrap()),
            12..17 => Self::Database,
            17..19 => Self::Both(replica),
            _ => Self::Receiver,
        }
    }

    pub(super) const fn replica(self) -> Option<usize> {
        match self {
            Self::Replica(replica) | Self::AtPoint(replica, _) | Self::Both(replica) => {
                Some(replica)
            }
            Self::Database | Self::Receiver => None,
        }
    }

    pub(super) const fn kills_database(self) -> bool {
        matches!(self, Self::Database | Self::Both(_))
    }

    /// Whether a replica dies and PostgreSQL lives on.
    pub(super) const fn kills_replica_alone(self) -> bool {
        matches!(self, Self::Replica(_) | Self::AtPoint(..))
    }
}

/// What does not happen by itself in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rare {
    /// A request was under way when something died.
    UnderWay,
    /// Such a request had happened.
    Landed,
    /// Such a request had left nothing.
    Absent,
    /// An answer to COMMIT got lost on the way.
    AnswerLost,
    /// A batch was not let through at first.
    Repeated,
    /// A replica was at a callback when it died.
    CallbackLeft,
    /// A bulk was answered.
    Bulk,
    /// Of the same request, sent twice at once, one was told what the other was.
    Double,
    /// Of a confirm and a cancel at once one came too late.
    Rival,
    /// A request was refused for lack of money.
    Lack,
    DatabaseKilled,
    DiedAtPoint,
    ReceiverKilled,
}

/// What was tried and seen.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) cycles: u64,
    pub(super) replicas_killed: u64,
    /// Of those, the ones that died at a point.
    pub(super) died_at_points: u64,
    pub(super) databases_killed: u64,
    pub(super) receivers_killed: u64,
    /// Answers to COMMIT that got lost on the way.
    pub(super) answers_lost: usize,
    /// Tries of batches that PostgreSQL was made to refuse, or to ask for once more.
    pub(super) repeated: usize,
    /// Callbacks that a replica was at when it died.
    pub(super) callbacks_left: usize,
    requests: usize,
    /// Of those, the ones that were refused for lack of money.
    lacks: usize,
    looks: usize,
    /// Answers that were held against what the other replica showed right afterwards.
    shown: usize,
    /// How often the books were audited while there was load.
    pub(super) audits: usize,
    races: Races,
    /// Requests that were sent before a kill and got no certain answer after it.
    under_way: usize,
    /// Of those, the ones that had happened, and the ones of which nothing was there.
    landed: usize,
    absent: usize,
    pub(super) transfers: i64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cycles ({} replicas, {} of them at a point, {} databases and {} receivers killed), {} \
             answers to COMMIT lost, {} tries of batches not let through, {} callbacks left by whoever \
             died, {} requests ({} of them refused for lack of money), {} looks and {} transfers shown \
             elsewhere judged, {} audits under load, {} bulks answered, {} requests sent twice at once and \
             replayed once, {} confirms against cancels of which one came too late, {} under way when \
             something died ({} of them had happened, {} had left nothing), {} transfers proven; nothing \
             lost, twice or out of order: in fewer than 3 of {} cycles (95 %)",
            self.cycles,
            self.replicas_killed,
            self.died_at_points,
            self.databases_killed,
            self.receivers_killed,
            self.answers_lost,
            self.repeated,
            self.callbacks_left,
            self.requests,
            self.lacks,
            self.looks,
            self.shown,
            self.audits,
            self.races.bulks,
            self.races.doubles,
            self.races.rivals,
            self.under_way,
            self.landed,
            self.absent,
            self.transfers,
            // Zero in N trials bounds the rate by 3/N.
            self.cycles,
        )
    }
}

impl Tally {
    pub(super) fn add(&mut self, judged: &Judged) {
        self.requests += judged.requests;
        self.lacks += judged.lacks;
        self.looks += judged.looks;
        self.shown += judged.shown;
        self.races.add(judged.races);
        self.under_way += judged.under_way;
        self.landed += judged.landed;
        self.absent += judged.absent;
    }

    /// Whether enough of what is rare happened, in a run for which so many cycles are planned.
    pub(super) fn has_tried(&self, planned: u64) -> bool {
        self.missed(planned).is_empty()
    }

    /// What happened too seldom. A run goes on until nothing did, so what is asked of it is not more than
    /// of the cycles that are planned; and of one that is cut short it is not more than of those that it
    /// came to.
    ///
    /// Of twenty faults one is a receiver's: of a hundred none is once in 170 times. With a single writer
    /// half of the replicas that are to die at a point never come to it.
    pub(super) fn missed(&self, planned: u64) -> Vec<Rare> {
        let cycles = usize::try_from(self.cycles.min(planned)).unwrap();
        let of_run = |least: usize| (least * cycles.min(RUN)).div_ceil(RUN);
        let some = cycles.div_ceil(10);
        let each = of_run(EACH_MIN).max(some);
        let times = |times: u64| usize::try_from(times).unwrap();
        let floors = [
            (
                Rare::UnderWay,
                self.under_way,
                of_run(UNDER_WAY_MIN).max(cycles),
            ),
            (Rare::Landed, self.landed, each),
            (Rare::Absent, self.absent, each),
            (Rare::AnswerLost, self.answers_lost, some),
            (Rare::Repeated, self.repeated, each),
            (Rare::CallbackLeft, self.callbacks_left, each),
            (Rare::Bulk, self.races.bulks, some),
            (Rare::Double, self.races.doubles, some),
            (Rare::Rival, self.races.rivals, some),
            (Rare::Lack, self.lacks, cycles),
            (
                Rare::DatabaseKilled,
                times(self.databases_killed),
                cycles / 10,
            ),
            (Rare::DiedAtPoint, times(self.died_at_points), cycles / RUN),
            (
                Rare::ReceiverKilled,
                times(self.receivers_killed),
                cycles / 100,
            ),
        ];
        let missed = floors.into_iter().filter(|(_, count, least)| count < least);
        missed.map(|(rare, ..)| rare).collect()
    }

    /// What dies next: by chance as long as that is the plan, and then whatever makes happen what happened
    /// too seldom.
    pub(super) fn next_fault(&self, plan: &Plan, random: &mut StdRng) -> Fault {
        let drawn = Fault::draw(random);
        if plan.goes_on(self.cycles) {
            return drawn;
        }
        let replica = random.random_range(0..REPLICAS);
        match self.missed(plan.cycles).first() {
            // A whole batch that nobody was told of.
            Some(Rare::Landed | Rare::DiedAtPoint) => Fault::AtPoint(replica, Point::Committed),
            Some(Rare::CallbackLeft | Rare::Absent) => Fault::Replica(replica),
            Some(Rare::UnderWay | Rare::DatabaseKilled) => Fault::Database,
            Some(Rare::ReceiverKilled) => Fault::Receiver,
            Some(
                Rare::AnswerLost
                | Rare::Repeated
                | Rare::Bulk
                | Rare::Double
                | Rare::Rival
                | Rare::Lack,
            )
            | None => drawn,
        }
    }

    /// For whoever reads it by machine.
    pub(super) fn save(&self, name: &str, seed: u64) {
        println!("chaos, {name}, seed {seed}: {self}");
        let report = json!({
            "engine": name, "seed": seed, "cycles": self.cycles,
            "replicas_killed": self.replicas_killed, "died_at_points": self.died_at_points,
            "databases_killed": self.databases_killed, "receivers_killed": self.receivers_killed,
            "answers_lost": self.answers_lost, "batches_repeated": self.repeated,
            "callbacks_left": self.callbacks_left, "requests": self.requests, "lacks": self.lacks,
            "looks": self.looks, "shown": self.shown, "audits": self.audits,
            "bulks": self.races.bulks, "doubles": self.races.doubles, "rivals": self.races.rivals,
            "under_way": self.under_way, "landed": self.landed, "absent": self.absent,
            "transfers": self.transfers,
            "cycles_gone_wrong_below": format!("3/{}", self.cycles),
        });
        save(name, &report);
    }
}

/// What makes a tally lack something, and what that is.
type Lacking = (fn(&mut Tally), Rare);

#[test]
fn what_hardly_happened_is_missed() {
    let enough = || Tally {
        cycles: 100,
        databases_killed: 10,
        died_at_points: 6,
        receivers_killed: 1,
        answers_lost: 10,
        repeated: 20,
        callbacks_left: 20,
        lacks: 100,
        races: Races {
            bulks: 10,
            doubles: 10,
            rivals: 10,
        },
        under_way: 100,
        landed: 20,
        absent: 20,
        ..Tally::default()
    };
    assert!(enough().has_tried(100));
    let lacks: [Lacking; 13] = [
        (|tally| tally.under_way = 99, Rare::UnderWay),
        (|tally| tally.landed = 19, Rare::Landed),
        (|tally| tally.absent = 19, Rare::Absent),
        (|tally| tally.answers_lost = 9, Rare::AnswerLost),
        (|tally| tally.repeated = 19, Rare::Repeated),
        (|tally| tally.callbacks_left = 19, Rare::CallbackLeft),
        (|tally| tally.races.bulks = 9, Rare::Bulk),
        (|tally| tally.races.doubles = 9, Rare::Double),
        (|tally| tally.races.rivals = 9, Rare::Rival),
        (|tally| tally.lacks = 99, Rare::Lack),
        (|tally| tally.databases_killed = 9, Rare::DatabaseKilled),
        (|tally| tally.died_at_points = 5, Rare::DiedAtPoint),
        (|tally| tally.receivers_killed = 0, Rare::ReceiverKilled),
    ];
    for (lack, rare) in lacks {
        let mut tally = enough();
        lack(&mut tally);
        assert_eq!(tally.missed(100), [rare]);
    }
}

#[test]
fn of_a_short_run_its_share_is_asked_for_and_no_more_for_going_on() {
    let run = |cycles: u64, under_way: usize, each: usize| Tally {
        cycles,
        databases_killed: 1,
        died_at_points: 1,
        answers_lost: 10,
        repeated: each,
        callbacks_left: each,
        lacks: 100,
        races: Races {
            bulks: 10,
            doubles: 10,
            rivals: 10,
        },
        under_way,
        landed: each,
        absent: each,
        ..Tally::default()
    };
    // As planned, and cut short.
    for (cycles, planned) in [(15, 15), (25, 15), (15, 500)] {
        assert!(run(cycles, 100, 20).has_tried(planned));
        assert!(!run(cycles, 99, 20).has_tried(planned));
        assert!(!run(cycles, 100, 19).has_tried(planned));
    }
    for (cycles, planned) in [(2, 2), (12, 2), (2, 15)] {
        assert!(run(cycles, 14, 3).has_tried(planned));
        assert!(!run(cycles, 13, 3).has_tried(planned));
        assert!(!run(cycles, 14, 2).has_tried(planned));
    }
}
