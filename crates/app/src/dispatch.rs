//! Who gets the next places: how deliveries are shared out between lanes, hosts and subscribers.
//!
//! A [`Dispatch`] is what one replica has under way and what it has learnt of the hosts that it
//! delivers to. It decides, leaves its open breakers where others look, and does nothing else: no
//! clock, no I/O, nothing awaited.
//!
//! Users choose how many hosts there are. So nothing that is done for every delivery or every look
//! goes through all that are known: which breakers are open and which hosts catch up is kept.
//!
//! * Places are limited: overall, for a subscriber, for a host. They go round, one for each lane
//!   that has something due, then a second one, as long as there are any.
//! * A host has one place at first, one more for everything that it takes, and one again after it
//!   has failed. **Suspects**, which are hosts that have not proved that they answer and hosts
//!   that something has hung at for a second, share half of the places between them, overall and of
//!   a subscriber. The other half is always there for those who answer.
//! * A host that keeps failing is left alone but for probes ([`breaker`]), which go round between
//!   the subscribers who wait for it, and one that comes back is not overrun ([`pace`]).

mod breaker;
mod census;
mod host;
mod pace;
mod reception;
mod seen;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use bursar_domain::Timestamp;
use bursar_ports::{ClaimedCallback, DueLane, Lane, LaneShare};

use self::{census::Census, host::Host};
pub use self::{
    reception::Reception,
    seen::{BreakersSeen, OpenBreaker},
};

/// How long a host is remembered that nothing is delivered to, in milliseconds; longer than the
/// longest wait between two probes.
const REMEMBERED_MS: i64 = 15 * 60 * 1_000;
/// How often to look for hosts to forget, in milliseconds.
const FORGET_EVERY_MS: i64 = 60 * 1_000;

/// How many deliveries one replica has under way at most; each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatchLimits {
    /// In all.
    pub overall: u32,
    /// To the URLs of one subscriber.
    pub per_subscriber: u32,
    /// To one host.
    pub per_host: u32,
}

impl Default for DispatchLimits {
    fn default() -> Self {
        Self {
            overall: 256,
            per_subscriber: 32,
            per_host: 8,
        }
    }
}

/// A place that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// What a look shares out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allotment {
    /// How many each lane may have.
    pub(crate) shares: Vec<LaneShare>,
    /// When something that is due may be tried at the earliest that may not be now.
    pub(crate) again_at: Option<Timestamp>,
}

/// A delivery under way.
#[derive(Clone, Debug)]
struct Flight {
    lane: Lane,
    begun: Timestamp,
    is_probe: bool,
}

/// What one replica has under way, and what it knows of the hosts.
#[derive(Debug)]
pub struct Dispatch {
    limits: DispatchLimits,
    hosts: HashMap<String, Host>,
    /// The hosts that catch up.
    recovering: BTreeSet<String>,
    /// The hosts that are left alone but for probes.
    seen: BreakersSeen,
    flights: HashMap<Ticket, Flight>,
    tickets: u64,
    /// Where the next look begins.
    after: Option<Lane>,
    forgot_at: Timestamp,
}

impl Dispatch {
    /// Nothing under way, and nothing known.
    pub fn new(limits: DispatchLimits) -> Self {
        Self::seen_in(limits, BreakersSeen::default())
    }

    /// The same; whoever looks there sees at any time which breakers are open.
    pub fn seen_in(limits: DispatchLimits, seen: BreakersSeen) -> Self {
        // Whatever somebody else has left there is nothing that this one knows.
        seen.tell(BTreeMap::new());
        Self {
            limits,
            hosts: HashMap::new(),
            recovering: BTreeSet::new(),
            seen,
            flights: HashMap::new(),
            tickets: 0,
            after: None,
            forgot_at: Timestamp::EPOCH,
        }
    }

    /// Whether another delivery may begin.
    pub fn has_room(&self) -> bool {
        self.under_way() < self.limits.overall
    }

    /// How many deliveries are under way.
    pub fn under_way(&self) -> u32 {
        u32::try_from(self.flights.len()).unwrap_or(u32::MAX)
    }

    /// How many hosts are left alone but for probes.
    pub fn breakers_open(&self) -> u32 {
        u32::try_from(self.seen.count()).unwrap_or(u32::MAX)
    }

    /// Where to look for due lanes next.
    pub(crate) fn next_after(&mut self) -> Option<Lane> {
        self.after.take()
    }

    /// Remembers where a look ended that did not see all lanes.
    pub(crate) fn go_on_after(&mut self, lane: Option<Lane>) {
        self.after = lane;
    }

    /// The subscribers that may have nothing more under way.
    pub(crate) fn full_subscribers(&self) -> Vec<String> {
        let mut count: HashMap<&str, u32> = HashMap::new();
        for flight in self.flights.values() {
            let held = count.entry(&flight.lane.subscriber).or_default();
            *held = held.saturating_add(1);
        }
        let full = count
            .into_iter()
            .filter(|(_, held)| *held >= self.limits.per_subscriber);
        full.map(|(subscriber, _)| subscriber.to_owned()).collect()
    }

    /// Shares the free places out between the lanes that something is due in: final states before
    /// others, what has waited for longest before the rest, and nobody a second place before
    /// everybody had a first one. Behind an open breaker they take turns.
    pub(crate) fn allot(&mut self, due: &[DueLane], now: Timestamp) -> Allotment {
        self.observe(due, now);
        let mut census = Census::take(self.limits, self.flights.values(), &self.hosts, now);
        let mut due: Vec<(u32, &DueLane)> = due
            .iter()
            .map(|lane| (census.held_if_suspect(&lane.lane), lane))
            .collect();
        // Whoever waits for hosts that have not proved themselves goes behind those who wait for
        // fewer of them, or a few subscribers would hold all that there are for such hosts.
        due.sort_by_key(|(held, lane)| (*held, !lane.is_final, lane.due_at, &lane.lane));
        let mut due: Vec<&DueLane> = due.into_iter().map(|(_, lane)| lane).collect();
        self.take_turns(&mut due);
        let mut asking: Vec<(&DueLane, u32)> = due.into_iter().map(|lane| (lane, 0)).collect();
        let mut shares = Vec::with_capacity(asking.len());
        while !asking.is_empty() {
            asking.retain_mut(|(due, places)| {
                let granted = census.grant(&due.lane);
                if granted {
                    *places = places.saturating_add(1);
                } else if *places > 0 {
                    shares.push(LaneShare {
                        lane: due.lane.clone(),
                        places: *places,
                    });
                }
                granted
            });
        }
        Allotment {
            shares,
            again_at: census.again_at(),
        }
    }

    /// Puts the lanes that wait for the same open breaker into the order of their turns, among the
    /// others where one of them was before.
    ///
    /// Nobody is left out for somebody else's turn: who may have no place now would otherwise keep
    /// the host from everybody.
    fn take_turns<'d>(&self, due: &mut [&'d DueLane]) {
        let mut waiting: HashMap<&'d str, (&Host, Vec<&'d DueLane>)> = HashMap::new();
        for lane in due.iter().copied() {
            if let Some(host) = self.hosts.get(&lane.lane.host)
                && host.breaker.is_open()
            {
                let (_, lanes) = waiting
                    .entry(&lane.lane.host)
                    .or_insert_with(|| (host, vec![]));
                lanes.push(lane);
            }
        }
        for (host, lanes) in waiting.values_mut() {
            // Whose turn it is comes last, to be popped first.
            lanes.sort_by_key(|lane| Reverse(host.turn_of(lane)));
        }
        for lane in due {
            let lanes = waiting.get_mut(lane.lane.host.as_str());
            if let Some(next) = lanes.and_then(|(_, lanes)| lanes.pop()) {
                *lane = next;
            }
        }
    }

    /// Begins the delivery of what was claimed. Tells its ticket, and whether it is the last call
    /// to a host that has not answered for long.
    pub(crate) fn begin(&mut self, callback: &ClaimedCallback, now: Timestamp) -> (Ticket, bool) {
        let lane = callback.lane.clone();
        let host = self.hosts.entry(lane.host.clone()).or_default();
        host.used_at = now;
        host.pace.spend(now);
        let is_probe = host.breaker.begin();
        if is_probe {
            host.remember_probe(&lane.subscriber, now);
            self.seen.note(&lane.host, host.breaker.opening());
        }
        let is_last_call = is_probe && host.breaker.has_been_open_for_long();
        self.tickets = self.tickets.wrapping_add(1);
        let ticket = Ticket(self.tickets);
        let flight = Flight {
            lane,
            begun: now,
            is_probe,
        };
        self.flights.insert(ticket, flight);
        (ticket, is_last_call)
    }

    /// Ends a delivery, with what it told of the receiver and how long its callback had waited.
    pub fn end(&mut self, ticket: Ticket, reception: Reception, lag_ms: i64, now: Timestamp) {
        let Some(flight) = self.flights.remove(&ticket) else {
            return;
        };
        let name = flight.lane.host;
        let host = self.hosts.entry(name.clone()).or_default();
        host.used_at = now;
        // Without a name it is many hosts, of which none tells anything of another.
        if !name.is_empty() {
            let places_max = self.limits.per_host;
            host.learn(reception, flight.is_probe, lag_ms, places_max, now);
            self.seen.note(&name, host.breaker.opening());
            if host.pace.is_recovering() {
                self.recovering.insert(name);
            }
        }
    }

    /// Ends a delivery of which nobody knows what came.
    pub fn lose(&mut self, ticket: Ticket, now: Timestamp) {
        self.end(ticket, Reception::Unheard, 0, now);
    }

    /// Keeps what is known of the hosts up to date, and small.
    fn observe(&mut self, due: &[DueLane], now: Timestamp) {
        self.judge_recoveries(due, now);
        if ms_between(self.forgot_at, now) >= FORGET_EVERY_MS {
            self.forgot_at = now;
            self.forget(now);
        }
    }

    /// Asks of each host that catches up whether it has: by what is next in line for it, final states
    /// before others, and of those the oldest.
    fn judge_recoveries(&mut self, due: &[DueLane], now: Timestamp) {
        let mut heads: HashMap<&str, (Reverse<bool>, Timestamp)> = HashMap::new();
        for lane in due {
            if self.recovering.contains(&lane.lane.host) {
                let place = (Reverse(lane.is_final), lane.due_at);
                let head = heads.entry(&lane.lane.host).or_insert(place);
                *head = place.min(*head);
            }
        }
        let hosts = &mut self.hosts;
        self.recovering.retain(|name| {
            hosts.get_mut(name).is_some_and(|host| {
                if let Some((Reverse(is_final), due_at)) = heads.get(name.as_str()) {
                    host.pace.see(*is_final, *due_at, now);
                }
                host.pace.end_recovery(now);
                host.pace.is_recovering()
            })
        });
    }

    /// Forgets the hosts that nothing was delivered to for long, and what is kept of them.
    fn forget(&mut self, now: Timestamp) {
        let flights = self.flights.values();
        let in_use: HashSet<&str> = flights.map(|flight| flight.lane.host.as_str()).collect();
        let hosts = &mut self.hosts;
        hosts.retain(|name, host| {
            ms_between(host.used_at, now) < REMEMBERED_MS || in_use.contains(name.as_str())
        });
        self.recovering.retain(|name| hosts.contains_key(name));
        self.seen.retain(|name| hosts.contains_key(name));
    }
}

/// From one time to another, in milliseconds; none below zero, for a clock that was set back.
pub(crate) fn ms_between(from: Timestamp, to: Timestamp) -> i64 {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    micros.div_euclid(1_000).max(0)
}

/// A time to wait with a jitter of ±20 %, in milliseconds, so that what failed together does not come
/// back together.
pub(crate) fn jittered_ms(step_ms: i64, random: [u8; 32]) -> i64 {
    // A 32-bit fraction of the spread: for a step of days the product stays below 2^58.
    let [a, b, c, d, ..] = random;
    let fraction = i64::from(u32::from_be_bytes([a, b, c, d]));
    let spread = step_ms.saturating_mul(2).div_euclid(5).saturating_add(1);
    let jitter = fraction.saturating_mul(spread) >> 32_u32;
    step_ms
        .saturating_sub(step_ms.div_euclid(5))
        .saturating_add(jitter)
}

fn plus_ms(at: Timestamp, ms: i64) -> Timestamp {
    at.plus_micros(ms.saturating_mul(1_000))
}

#[cfg(test)]
mod outage_tests;
#[cfg(test)]
mod tests;
