//! What is killed, and what was tried and seen.

use std::fmt;

use bursar_postgres::faults::Point;
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::json;

use super::{
    super::trial::{Judged, Races, save},
    scene::REPLICAS,
};

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
    races: Races,
    /// Requests that were sent before a kill and got no certain answer after it.
    pub(super) under_way: usize,
    /// Of those, the ones that had happened.
    landed: usize,
    pub(super) transfers: i64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cycles ({} replicas, {} of them at a point, {} databases and {} receivers killed), {} \
             answers to COMMIT lost, {} tries of batches not let through, {} callbacks left by whoever \
             died, {} requests ({} of them refused for lack of money) and {} looks judged, {} bulks \
             answered, {} requests sent twice at once and replayed once, {} confirms against cancels of \
             which one came too late, {} under way when something died ({} of them had happened), {} \
             transfers proven; nothing lost, twice or out of order: in fewer than 3 of {} cycles (95 %)",
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
            self.races.bulks,
            self.races.doubles,
            self.races.rivals,
            self.under_way,
            self.landed,
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
        self.races.add(judged.races);
        self.under_way += judged.under_way;
        self.landed += judged.landed;
    }

    /// Whether enough of what is rare happened: that something was under way when something died, that
    /// it had happened or had not, that an answer to COMMIT got lost, that batches had to be tried again,
    /// that bulks were answered, that of two requests at once one was told what the other was, and of a
    /// confirm and a cancel that it came too late, that whoever died was at callbacks, and that receivers
    /// were down.
    ///
    /// Of twenty faults one is a receiver's: of a hundred none is once in 170 times. Whoever dies leaves
    /// several callbacks in most cycles. In every cycle there are hundreds of batches, and one in fifty is
    /// not let through at first.
    pub(super) fn has_tried(&self) -> bool {
        let cycles = usize::try_from(self.cycles).unwrap();
        let some = cycles.div_ceil(10);
        let Races {
            bulks,
            doubles,
            rivals,
        } = self.races;
        self.under_way >= cycles
            && self.landed >= some
            && self.under_way - self.landed >= some
            && self.answers_lost >= some
            && self.repeated >= some
            && bulks.min(doubles).min(rivals) >= some
            && self.callbacks_left >= cycles / 10
            && self.receivers_killed >= self.cycles / 100
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
            "looks": self.looks, "bulks": self.races.bulks, "doubles": self.races.doubles,
            "rivals": self.races.rivals,
            "under_way": self.under_way, "landed": self.landed, "transfers": self.transfers,
            "cycles_gone_wrong_below": format!("3/{}", self.cycles),
        });
        save(name, &report);
    }
}

#[test]
fn what_hardly_happened_is_missed() {
    let enough = || Tally {
        cycles: 100,
        receivers_killed: 1,
        answers_lost: 10,
        repeated: 10,
        callbacks_left: 10,
        races: Races {
            bulks: 10,
            doubles: 10,
            rivals: 10,
        },
        under_way: 100,
        landed: 10,
        ..Tally::default()
    };
    assert!(enough().has_tried());
    let lacks: [fn(&mut Tally); 10] = [
        |tally| tally.receivers_killed = 0,
        |tally| tally.answers_lost = 9,
        |tally| tally.repeated = 9,
        |tally| tally.callbacks_left = 9,
        |tally| tally.races.bulks = 9,
        |tally| tally.races.doubles = 9,
        |tally| tally.races.rivals = 9,
        |tally| tally.under_way = 99,
        |tally| tally.landed = 9,
        // All but nine of what was under way had happened.
        |tally| tally.landed = 91,
    ];
    for lack in lacks {
        let mut tally = enough();
        lack(&mut tally);
        assert!(!tally.has_tried(), "{tally}");
    }
}
