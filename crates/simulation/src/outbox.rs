//! Callbacks that are due, as the database has them and as one replica reaches them.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bursar_domain::{CallbackDraft, Timestamp, TransferId};
use bursar_ports::{
    AttemptRecord, ClaimedCallback, Clock as _, DueLane, DueLanes, Lane, LaneShare, LeaseToken,
    Outbox, QueueFigures, StoreError, Verdict,
};
use uuid::Uuid;

use crate::{bank::Bank, bug::Bug, world::World};

/// Where a callback stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Delivered,
    Dead,
    Skipped,
}

/// A callback.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) transfer: TransferId,
    pub(crate) draft: CallbackDraft,
    pub(crate) state: State,
    pub(crate) next_at: Timestamp,
    created_at: Timestamp,
    /// Since when it is due.
    made_at: Timestamp,
    attempts: u32,
    lease: Option<Uuid>,
    is_queued: bool,
}

impl Row {
    fn lane(&self) -> Lane {
        Lane {
            subscriber: self.draft.subscriber.to_string(),
            host: host_of(&self.draft.url),
        }
    }

    const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Pending)
    }

    fn is_leased(&self, now: Timestamp) -> bool {
        self.is_waiting() && self.lease.is_some() && self.next_at > now
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.is_waiting() && self.is_queued && self.next_at <= now
    }

    /// Which of two is told first: the newer one, and of a state and a refusal that it was the reason
    /// for, which bear the same time, the state.
    const fn rank(&self) -> (Timestamp, bool) {
        (self.created_at, self.draft.error.is_none())
    }

    fn is_family_of(&self, other: &Self) -> bool {
        self.transfer == other.transfer && self.draft.url == other.draft.url
    }
}

fn host_of(url: &str) -> String {
    let host = url.split('/').nth(2).unwrap();
    format!("{host}:443")
}

/// All callbacks.
pub(crate) struct Callbacks {
    world: Arc<World>,
    rows: Mutex<Vec<Row>>,
    /// Numbers of callbacks and leases.
    numbers: Mutex<u128>,
}

impl Callbacks {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            rows: Mutex::default(),
            numbers: Mutex::default(),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap()
    }

    /// When the next one that waits is to be looked at; none when none waits.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let rows = self.rows();
        let waiting = rows.iter().filter(|row| row.is_waiting());
        waiting.map(|row| row.next_at).min()
    }

    /// Whether somebody has claimed one that waits, or died with it.
    pub(crate) fn is_claimed(&self) -> bool {
        let rows = self.rows();
        rows.iter()
            .any(|row| row.is_waiting() && row.lease.is_some())
    }

    fn new_id(&self) -> Uuid {
        let mut numbers = self.numbers.lock().unwrap();
        *numbers += 1;
        Uuid::from_u128(*numbers)
    }

    /// Makes due what a transfer has to tell and had not before.
    pub(crate) fn take_in(
        &self,
        transfer: TransferId,
        happened_at: Timestamp,
        drafts: &[CallbackDraft],
    ) {
        let now = self.world.clock.now();
        for draft in drafts {
            let had = |row: &Row| row.transfer == transfer && row.draft == *draft;
            if self.rows().iter().any(had) {
                continue;
            }
            let row = Row {
                id: self.new_id(),
                transfer,
                draft: draft.clone(),
                state: State::Pending,
                next_at: now,
                created_at: happened_at,
                made_at: now,
                attempts: 0,
                lease: None,
                is_queued: true,
            };
            self.rows().push(row);
        }
    }

    fn enqueue_due(&self, now: Timestamp) -> u32 {
        let mut enqueued = 0;
        for row in self.rows().iter_mut() {
            if row.is_waiting() && !row.is_queued && row.next_at <= now {
                row.is_queued = true;
                enqueued += 1;
            }
        }
        enqueued
    }

    fn due_lanes(&self, now: Timestamp, full: &[String]) -> DueLanes {
        let rows = self.rows();
        let mut lanes: Vec<DueLane> = vec![];
        for row in rows.iter().filter(|row| row.is_due(now)) {
            let lane = row.lane();
            let is_final = row.draft.status.is_final();
            if full.contains(&lane.subscriber) {
                continue;
            }
            match lanes.iter_mut().find(|known| known.lane == lane) {
                Some(known) if (known.is_final, known.due_at) == (is_final, row.next_at) => {}
                Some(known) => {
                    if (!is_final, row.next_at) < (!known.is_final, known.due_at) {
                        known.is_final = is_final;
                        known.due_at = row.next_at;
                    }
                }
                None => lanes.push(DueLane {
                    lane,
                    is_final,
                    due_at: row.next_at,
                }),
            }
        }
        lanes.sort_by(|one, other| one.lane.cmp(&other.lane));
        DueLanes { lanes, next: None }
    }

    /// Claims the newest of each family, and passes over the older ones.
    fn claim(&self, now: Timestamp, until: Timestamp, shares: &[LaneShare]) -> Vec<(Row, Uuid)> {
        let lease = self.new_id();
        let mut claimed: Vec<(Row, Uuid)> = vec![];
        for share in shares {
            let mut places = share.places;
            while places > 0 {
                let Some(newest) = self.next_in(&share.lane, now) else {
                    break;
                };
                places -= 1;
                let fresh = self.world.has(Bug::FreshWebhookId, 500);
                let fresh = fresh.then(|| self.new_id());
                let marks = self.world.has(Bug::MarkedBeforePost, 300);
                let skips_all = self.world.has(Bug::FinalSkipped, 500);
                let mut rows = self.rows();
                let chosen = rows[newest].clone();
                for row in rows.iter_mut() {
                    let overtaken = row.created_at < chosen.created_at || skips_all;
                    let other = row.id != chosen.id && row.is_family_of(&chosen);
                    if overtaken && other && row.is_waiting() {
                        row.state = State::Skipped;
                    }
                }
                let row = &mut rows[newest];
                row.lease = Some(lease);
                row.is_queued = false;
                row.next_at = until;
                row.id = fresh.unwrap_or(row.id);
                if marks {
                    row.state = State::Delivered;
                }
                claimed.push((row.clone(), lease));
            }
        }
        claimed
    }

    /// The place of what is to be sent next in a lane: the newest of the family that comes first.
    fn next_in(&self, lane: &Lane, now: Timestamp) -> Option<usize> {
        let rows = self.rows();
        let free = |row: &&Row| {
            let busy = |other: &Row| other.is_family_of(row) && other.is_leased(now);
            row.is_due(now) && row.lane() == *lane && !rows.iter().any(busy)
        };
        let first = rows
            .iter()
            .filter(free)
            .min_by_key(|row| (!row.draft.status.is_final(), row.next_at, row.id))?;
        let of_family = |row: &Row| row.is_due(now) && row.is_family_of(first);
        let due = rows.iter().enumerate().filter(|(_, row)| of_family(row));
        let newest = due.max_by_key(|(_, row)| row.rank());
        newest.map(|(place, _)| place)
    }

    fn record(&self, attempt: &AttemptRecord) -> bool {
        let mut rows = self.rows();
        let under_lease = |row: &&mut Row| {
            row.id == attempt.id && row.is_waiting() && row.lease == Some(attempt.lease.0)
        };
        let Some(row) = rows.iter_mut().find(under_lease) else {
            return false;
        };
        row.attempts += 1;
        row.lease = None;
        match attempt.verdict {
            Verdict::Succeeded => row.state = State::Delivered,
            Verdict::RetryAt(at) => row.next_at = at,
            Verdict::Dead => row.state = State::Dead,
        }
        true
    }

    fn give_up(&self, lane: &Lane, created_before: Timestamp, now: Timestamp) -> u32 {
        let mut given_up = 0;
        for row in self.rows().iter_mut() {
            let waits = row.is_waiting() && !row.is_leased(now);
            if waits && row.lane() == *lane && row.made_at < created_before {
                row.state = State::Dead;
                given_up += 1;
            }
        }
        given_up
    }
}

/// One replica's way to the callbacks.
pub(crate) struct ReplicaOutbox {
    pub(crate) bank: Arc<Bank>,
    pub(crate) replica: usize,
}

impl ReplicaOutbox {
    async fn reach(&self) -> Result<&Callbacks, StoreError> {
        World::pause().await;
        let world = &self.bank.world;
        if self.bank.is_away() || world.fault(10) {
            return Err(StoreError::Unavailable("the database is away".into()));
        }
        Ok(&self.bank.callbacks)
    }
}

#[async_trait]
impl Outbox for ReplicaOutbox {
    async fn enqueue_due(&self, now: Timestamp, _: u32) -> Result<u32, StoreError> {
        Ok(self.reach().await?.enqueue_due(now))
    }

    async fn due_lanes(
        &self,
        now: Timestamp,
        _: Option<Lane>,
        full: Vec<String>,
    ) -> Result<DueLanes, StoreError> {
        Ok(self.reach().await?.due_lanes(now, &full))
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        shares: Vec<LaneShare>,
    ) -> Result<Vec<ClaimedCallback>, StoreError> {
        let callbacks = self.reach().await?;
        let until = now.plus_micros(lease_ms * 1_000);
        let claimed = callbacks.claim(now, until, &shares);
        World::pause().await;
        let world = &self.bank.world;
        if !claimed.is_empty() {
            let when = "died between claim and POST";
            world.may_die(self.replica, 15, when).await;
        }
        let found = claimed.into_iter().filter_map(|(row, lease)| {
            let transfer = self.bank.transfer(row.transfer)?;
            Some(ClaimedCallback {
                id: row.id,
                lease: LeaseToken(lease),
                lane: row.lane(),
                url: row.draft.url,
                subscriber: row.draft.subscriber,
                operation: row.draft.operation,
                status: row.draft.status,
                error: row.draft.error,
                attempts: row.attempts,
                due_since: row.made_at,
                transfer,
            })
        });
        Ok(found.collect())
    }

    async fn record_attempt(&self, attempt: AttemptRecord) -> Result<bool, StoreError> {
        let recorded = self.reach().await?.record(&attempt);
        if !recorded {
            self.bank.world.see("attempt recorded too late");
        }
        self.bank
            .world
            .note(format_args!("recorded {} {}", attempt.id, attempt.outcome));
        World::pause().await;
        Ok(recorded)
    }

    async fn release(&self, claims: Vec<(Uuid, LeaseToken)>) -> Result<(), StoreError> {
        for row in self.reach().await?.rows().iter_mut() {
            let theirs =
                |(id, lease): &(Uuid, LeaseToken)| row.id == *id && row.lease == Some(lease.0);
            if claims.iter().any(theirs) {
                row.lease = None;
                row.next_at = row.created_at;
            }
        }
        Ok(())
    }

    async fn give_up(
        &self,
        lane: Lane,
        created_before: Timestamp,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        Ok(self.reach().await?.give_up(&lane, created_before, now))
    }

    async fn figures(&self, _: Timestamp) -> Result<QueueFigures, StoreError> {
        self.reach().await?;
        Ok(QueueFigures::default())
    }
}
