//! Who holds how many places, and who may have one more.

use std::collections::HashMap;

use bursar_domain::Timestamp;
use bursar_ports::Lane;

use super::{DispatchLimits, Flight, breaker::Leave, host::Host, ms_between};

/// A host that something has been under way to for longer than this is a suspect, in milliseconds.
const SLOW_MS: i64 = 1_000;

/// The places of one moment.
pub(super) struct Census<'a> {
    limits: DispatchLimits,
    now: Timestamp,
    hosts: &'a HashMap<String, Host>,
    all: Held,
    subscribers: HashMap<&'a str, Held>,
    standings: HashMap<&'a str, Standing>,
    again_at: Option<Timestamp>,
}

/// How many places are held.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    places: u32,
    by_suspects: u32,
}

impl Held {
    const fn add(&mut self, is_suspect: bool) {
        self.places = self.places.saturating_add(1);
        if is_suspect {
            self.by_suspects = self.by_suspects.saturating_add(1);
        }
    }

    /// Whether one more fits below a limit, half of which is for suspects.
    const fn fits(self, limit: u32, is_suspect: bool) -> bool {
        self.places < limit && (!is_suspect || self.by_suspects < limit.div_ceil(2))
    }
}

/// How a host stands.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// How many more it may have, once that was looked up.
    free: Option<u32>,
    held: u32,
    is_suspect: bool,
}

impl<'a> Census<'a> {
    pub(super) fn take(
        limits: DispatchLimits,
        flights: impl Iterator<Item = &'a Flight>,
        hosts: &'a HashMap<String, Host>,
        now: Timestamp,
    ) -> Self {
        let mut census = Self {
            limits,
            now,
            hosts,
            all: Held::default(),
            subscribers: HashMap::new(),
            standings: HashMap::new(),
            again_at: None,
        };
        let flights: Vec<&Flight> = flights.collect();
        for flight in &flights {
            let standing = census.standings.entry(&flight.lane.host).or_default();
            let host = hosts.get(&flight.lane.host);
            standing.held = standing.held.saturating_add(1);
            standing.is_suspect |= !host.is_some_and(|host| host.is_proven)
                || ms_between(flight.begun, now) >= SLOW_MS;
        }
        for flight in flights {
            let standing = census.standings.get(flight.lane.host.as_str());
            let is_suspect = standing.is_some_and(|standing| standing.is_suspect);
            census.all.add(is_suspect);
            let subscriber = census.subscribers.entry(&flight.lane.subscriber);
            subscriber.or_default().add(is_suspect);
        }
        census
    }

    /// Gives a lane one more place, if it may have one.
    pub(super) fn grant(&mut self, lane: &'a Lane) -> bool {
        let mut standing = self.standing(&lane.host);
        let free = standing.free.unwrap_or_default();
        let subscriber = self.subscribers.entry(&lane.subscriber).or_default();
        let is_suspect = standing.is_suspect;
        let fits = free > 0
            && self.all.fits(self.limits.overall, is_suspect)
            && subscriber.fits(self.limits.per_subscriber, is_suspect);
        if fits {
            self.all.add(is_suspect);
            subscriber.add(is_suspect);
            standing.free = Some(free.saturating_sub(1));
            self.standings.insert(&lane.host, standing);
        }
        fits
    }

    /// How many places at suspects a lane's subscriber holds, if its host is one; else 0.
    pub(super) fn held_if_suspect(&mut self, lane: &'a Lane) -> u32 {
        let is_suspect = !lane.host.is_empty() && self.standing(&lane.host).is_suspect;
        let held = self.subscribers.get(lane.subscriber.as_str());
        held.filter(|_| is_suspect)
            .map_or(0, |held| held.by_suspects)
    }

    /// When a host that was asked for may have something that it may not have now.
    pub(super) const fn again_at(&self) -> Option<Timestamp> {
        self.again_at
    }

    fn standing(&mut self, name: &'a str) -> Standing {
        let standing = self.standings.get(name).copied();
        if let Some(known) = standing.filter(|standing| standing.free.is_some()) {
            return known;
        }
        let newcomer = Host::default();
        let host = self.hosts.get(name).unwrap_or(&newcomer);
        // Many hosts without a name are none that could prove anything.
        let (places, is_proven) = if name.is_empty() {
            (self.limits.per_host, true)
        } else {
            (host.places, host.is_proven)
        };
        let held = standing.map_or(0, |standing| standing.held);
        let (free, again_at) = match host.breaker.leave(self.now) {
            Leave::Nothing { until } => (0, until),
            Leave::Probe => (1, None),
            Leave::Everything => {
                let free = places.min(self.limits.per_host).saturating_sub(held);
                host.pace.room(free, self.now)
            }
        };
        self.again_at = [self.again_at, again_at].into_iter().flatten().min();
        let looked_up = Standing {
            free: Some(free),
            held,
            is_suspect: !is_proven || standing.is_some_and(|standing| standing.is_suspect),
        };
        self.standings.insert(name, looked_up);
        looked_up
    }
}
