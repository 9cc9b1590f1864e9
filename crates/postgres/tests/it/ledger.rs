//! The ledger: statements, balances of the past, and exports.

mod balances_at;
mod exports;
mod size;
mod statements;

use std::{collections::BTreeMap, sync::Arc};

use bursar_domain::{
    AccountKey, Amount, Change, Commit, Kind, NewTransfer, Owner, Timestamp, Transfer, UserId,
};
use bursar_ports::{
    CommitOutcome, EntryFilter, ExportPages, Exports, Holding, LedgerRecord, OpenExport,
    TransferStore,
};
use bursar_postgres::{Database, EngineTasks, PgExports, PgQuery, PgStore, PoolConfig};
use bursar_testkit::{FixedClock, SequentialIds, build};

use crate::support::{Fixture, patient, patient_engine, user_id};

const ASSETS: [(&str, u8); 2] = [("btc", 8), ("usd", 2)];
const USERS: u128 = 4;

/// A book in which some time has gone by.
struct Scene {
    fixture: Fixture,
    query: PgQuery,
    exports: PgExports,
    store: PgStore,
    clock: Arc<FixedClock>,
    ids: SequentialIds,
    /// Draws the same every time.
    drawn: u64,
    _tasks: EngineTasks,
}

impl Scene {
    async fn new() -> Self {
        let mut fixture = Fixture::new().await;
        for (asset, scale) in ASSETS {
            let put = format!(
                "INSERT INTO book_main.assets VALUES ('{asset}', '{asset}', {scale}, true, true, true)"
            );
            fixture.run(&put).await;
        }
        let clock = Arc::new(FixedClock::default());
        let (store, tasks) = PgStore::start(
            &patient(fixture.url()),
            fixture.database.clone(),
            &patient_engine(),
            clock.clone(),
        );
        Self {
            query: PgQuery::new(fixture.database.clone()),
            exports: PgExports::new(fixture.database.clone()),
            fixture,
            store,
            clock,
            ids: SequentialIds::default(),
            drawn: 1,
            _tasks: tasks,
        }
    }

    /// A scene after a few hundred transfers.
    async fn lived_in() -> Self {
        let mut scene = Self::new().await;
        scene.live(120).await;
        scene
    }

    /// A number below this.
    fn draw(&mut self, below: u64) -> u64 {
        self.drawn = self
            .drawn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.drawn >> 33) % below
    }

    /// Lets transfers of every kind be made, some by a replica whose clock is slow.
    async fn live(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let ahead = i64::try_from(self.draw(90)).unwrap();
            self.clock.advance_ms(ahead - 30);
            let asset = ASSETS[usize::try_from(self.draw(2)).unwrap()];
            let user = self.draw(USERS.try_into().unwrap());
            let other = (user + 1 + self.draw(2)) % 4;
            let (user, other) = (user_id(user.into()), user_id(other.into()));
            let units = i128::from(2 + self.draw(1_000));
            match self.draw(4) {
                0 => self.withdraw(asset, user, units).await,
                1 => {
                    let payment = build::internal(self.new_transfer(asset, units), user, other);
                    self.commit(payment.settled_at_once()).await;
                }
                _ => {
                    self.deposit(asset, user, 1_000 + units).await;
                }
            }
        }
    }

    fn new_transfer(&self, (asset, scale): (&str, u8), units: i128) -> NewTransfer {
        let asset = build::asset(asset, scale);
        let now = bursar_ports::Clock::now(&*self.clock);
        NewTransfer {
            fee: Amount::try_from_units(1).unwrap(),
            ..build::new_transfer(self.ids.transfer(), &asset, units, now)
        }
    }

    async fn deposit(&self, asset: (&str, u8), user: UserId, units: i128) -> Transfer {
        let deposit = build::deposit(self.new_transfer(asset, units), user);
        self.commit(deposit.settled_at_once()).await.unwrap()
    }

    /// Holds, and then pays out, gives back or leaves it open.
    async fn withdraw(&mut self, asset: (&str, u8), user: UserId, units: i128) {
        let held = build::withdrawal(self.new_transfer(asset, units), user);
        let Some(held) = self.commit(held).await else {
            return;
        };
        let finish = match self.draw(3) {
            0 => build::confirm(),
            1 => build::cancel(),
            _ => return,
        };
        let now = bursar_ports::Clock::now(&*self.clock);
        self.commit(build::step(&held, &finish, now)).await;
    }

    /// The transfer, unless the ledger refused it.
    async fn commit(&self, change: Change) -> Option<Transfer> {
        let commits = vec![Commit::new(change)];
        let outcome = self.store.commit(commits).await.unwrap().remove(0);
        if let CommitOutcome::Committed(transfer) = outcome {
            return Some(*transfer);
        }
        let refused = matches!(outcome, CommitOutcome::Refused { .. });
        assert!(refused, "{outcome:?}");
        None
    }

    /// Every line there is, read past the adapter: by account id, then in order.
    async fn lines(&mut self) -> Vec<Line> {
        let all = "SELECT concat_ws(' ', a.owner_kind, a.owner, a.asset, e.seq, e.transfer_id, \
                   e.available_delta, e.held_delta, e.available_after, e.held_after, \
                   (extract(epoch FROM e.created_at) * 1000000)::bigint, t.kind) \
                   FROM book_main.entries AS e JOIN book_main.accounts AS a ON a.id = e.account_id \
                   JOIN book_main.transfers AS t ON t.id = e.transfer_id \
                   ORDER BY e.account_id, e.seq";
        let rows = self.fixture.texts(all).await;
        rows.iter().map(|row| Line::read(row)).collect()
    }
}

/// A line, as a test reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    account: AccountKey,
    seq: i64,
    transfer: i64,
    kind: Kind,
    delta: Holding,
    after: Holding,
    at: Timestamp,
}

impl Line {
    fn read(row: &str) -> Self {
        let parts: Vec<&str> = row.split(' ').collect();
        let units = |at: usize| parts[at].parse::<i128>().unwrap();
        let number = |at: usize| parts[at].parse::<i64>().unwrap();
        let owner = match parts[0] {
            "user" => Owner::User(UserId::new(parts[1].parse().unwrap())),
            "fees" => Owner::Fees,
            "world" => Owner::World,
            other => panic!("{other}"),
        };
        let holding = |at| Holding {
            available: units(at),
            held: units(at + 1),
        };
        Self {
            account: AccountKey {
                owner,
                asset: build::asset_id(parts[2]),
            },
            seq: number(3),
            transfer: number(4),
            kind: Kind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == parts[10])
                .unwrap(),
            delta: holding(5),
            after: holding(7),
            at: Timestamp::from_micros(number(9)),
        }
    }

    fn of(record: &LedgerRecord) -> Self {
        assert_eq!(record.salt.is_some(), record.kind == Kind::Internal);
        let line = &record.line;
        let (asset, scale) = ASSETS
            .into_iter()
            .find(|(asset, _)| *asset == line.account.asset.as_str())
            .unwrap();
        assert_eq!(record.scale, build::asset(asset, scale).scale);
        Self {
            account: line.account,
            seq: line.seq,
            transfer: line.transfer.get(),
            kind: record.kind,
            delta: Holding {
                available: line.available_delta,
                held: line.held_delta,
            },
            after: Holding {
                available: line.available_after,
                held: line.held_after,
            },
            at: line.at,
        }
    }
}

/// What the accounts of these lines hold by them.
fn fold<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeMap<AccountKey, Holding> {
    let mut held: BTreeMap<AccountKey, Holding> = BTreeMap::new();
    for line in lines {
        let holding = held.entry(line.account).or_default();
        holding.available += line.delta.available;
        holding.held += line.delta.held;
    }
    held
}

/// Whether some account's times go back.
fn goes_back(lines: &[Line]) -> bool {
    lines
        .windows(2)
        .any(|pair| pair[0].account == pair[1].account && pair[0].at > pair[1].at)
}

/// The export, if there was a place for it.
fn opened<T>(open: OpenExport<T>) -> Option<Box<dyn ExportPages<T>>> {
    match open {
        OpenExport::Opened(pages) => Some(pages),
        OpenExport::Busy => None,
    }
}

/// Everything that is left of an export.
async fn rest<T: 'static + Send>(mut pages: Box<dyn ExportPages<T>>) -> Vec<T> {
    let mut all = vec![];
    while let Some(page) = pages.next_page().await.unwrap() {
        all.extend(page);
    }
    // It stays at its end.
    assert!(pages.next_page().await.unwrap().is_none());
    all
}

async fn entries(exports: &PgExports, filter: EntryFilter) -> Box<dyn ExportPages<LedgerRecord>> {
    opened(exports.open_entries(filter).await.unwrap()).expect("there is a place")
}

/// Exports over connections of their own, with these limits.
async fn exports_with(scene: &Scene, config: impl FnOnce(&mut PoolConfig)) -> PgExports {
    let mut pool = patient(scene.fixture.url());
    config(&mut pool);
    PgExports::new(Database::connect(pool).await.unwrap())
}
