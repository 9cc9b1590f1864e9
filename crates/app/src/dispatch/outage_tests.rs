//! An hour's outage of a receiver, on a clock that is only counted.

use std::collections::VecDeque;

use super::*;
use crate::callback_body::tests::deposit;

const HOUR_MS: i64 = 3_600_000;
/// A step of the clock.
const STEP_MS: i64 = 20;

/// One receiver that takes a while to answer, and what waits for it.
struct Receiver {
    dispatch: Dispatch,
    lane: Lane,
    now: i64,
    /// Since when each has been due.
    finals: VecDeque<i64>,
    others: VecDeque<i64>,
    /// What is under way, and when it ends.
    flying: Vec<(Ticket, bool, i64, i64)>,
    /// What failed, by when it is due again.
    retries: VecDeque<(i64, bool)>,
    /// When something was sent to it, and whether that told a final state.
    sent: Vec<(i64, bool)>,
    taken: usize,
}

impl Receiver {
    fn new() -> Self {
        Self {
            dispatch: Dispatch::new(DispatchLimits::default()),
            lane: Lane {
                subscriber: "user".to_owned(),
                host: "example.com:443".to_owned(),
            },
            now: HOUR_MS,
            finals: VecDeque::new(),
            others: VecDeque::new(),
            flying: vec![],
            retries: VecDeque::new(),
            sent: vec![],
            taken: 0,
        }
    }

    fn at(ms: i64) -> Timestamp {
        plus_ms(Timestamp::EPOCH, ms)
    }

    /// Time passes; the receiver is there or hangs.
    fn step(&mut self, is_there: bool) {
        self.now += STEP_MS;
        let now = self.now;
        let (ended, flying) = self.flying.drain(..).partition(|(.., ends)| *ends <= now);
        self.flying = flying;
        for (ticket, is_final, since, _) in ended {
            let reception = if is_there {
                self.taken += 1;
                Reception::Taken
            } else {
                self.retries.push_back((now + 300_000, is_final));
                Reception::Away
            };
            self.dispatch
                .end(ticket, reception, now - since, Self::at(now));
        }
        while let Some((due_at, is_final)) = self.retries.front().copied()
            && due_at <= now
        {
            self.retries.pop_front();
            self.queue(is_final).push_back(due_at);
        }
        let head = match (self.finals.front(), self.others.front()) {
            (Some(due_at), _) => Some((true, *due_at)),
            (None, Some(due_at)) => Some((false, *due_at)),
            (None, None) => None,
        };
        let due = head.map(|(is_final, due_at)| DueLane {
            lane: self.lane.clone(),
            is_final,
            due_at: Self::at(due_at),
        });
        let due: Vec<DueLane> = due.into_iter().collect();
        let shares = self.dispatch.allot(&due, Self::at(now)).shares;
        for _ in 0..shares.first().map_or(0, |share| share.places) {
            let is_final = !self.finals.is_empty();
            let Some(since) = self.queue(is_final).pop_front() else {
                return;
            };
            let callback = ClaimedCallback {
                lane: self.lane.clone(),
                ..deposit(bursar_domain::DepositState::Completed)
            };
            let (ticket, _) = self.dispatch.begin(&callback, Self::at(now));
            let takes = if is_there { 40 } else { 10_000 };
            self.flying.push((ticket, is_final, since, now + takes));
            self.sent.push((now, is_final));
        }
    }

    fn queue(&mut self, is_final: bool) -> &mut VecDeque<i64> {
        if is_final {
            &mut self.finals
        } else {
            &mut self.others
        }
    }

    /// Runs until a time, with so many new ones a second, one in five of which is not final.
    fn run(&mut self, until: i64, per_s: i64, is_there: bool) -> usize {
        let mut made = 0;
        while self.now < until {
            let every = 1_000 / per_s;
            if self.now % every < STEP_MS {
                made += 1;
                let now = self.now;
                self.queue(made % 5 != 0).push_back(now);
            }
            self.step(is_there);
        }
        made
    }

    fn waiting(&self) -> usize {
        self.finals.len() + self.others.len() + self.retries.len()
    }
}

#[test]
fn after_an_hour_away_everything_arrives_final_states_first_at_twice_the_normal_load() {
    for per_s in [1, 10, 25] {
        let mut receiver = Receiver::new();
        let began = receiver.now;
        let mut made = receiver.run(began + HOUR_MS / 4, per_s, true);
        assert!(receiver.waiting() < 5, "{}", receiver.waiting());
        assert_eq!(receiver.dispatch.open_breakers().len(), 0);

        receiver.sent.clear();
        let away_until = receiver.now + HOUR_MS;
        made += receiver.run(away_until, per_s, false);
        assert_eq!(receiver.dispatch.open_breakers().len(), 1);
        // The first ones, and then probes: 5 s, 10 s, 20 s, … 5 min, 10 s each.
        assert!(receiver.sent.len() < 40, "{}", receiver.sent.len());

        receiver.sent.clear();
        let back_at = receiver.now;
        made += receiver.run(back_at + 2 * HOUR_MS, per_s, true);
        assert!(receiver.waiting() < 5, "{per_s}: {}", receiver.waiting());
        assert!(receiver.taken + 5 >= made, "{} {made}", receiver.taken);

        let most = usize::try_from((2 * per_s).max(5)).unwrap();
        for (index, (from, _)) in receiver.sent.iter().enumerate() {
            let later = receiver.sent[index..].iter();
            let within = later.take_while(|(at, _)| *at < from + 1_000).count();
            // A rate that was told from samples is told to one in fifty.
            assert!(within <= most + most.div_ceil(50), "{within} in a second");
        }
        // Only what told a final state, as long as one of the outage waited.
        let caught_up = receiver.sent.iter().position(|(_, is_final)| !is_final);
        let finals_of_outage = 3_600 * usize::try_from(per_s).unwrap() * 4 / 5;
        assert!(caught_up.unwrap() >= finals_of_outage, "{caught_up:?}");
    }
}
