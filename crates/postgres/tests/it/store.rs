//! The batch engine passes the suite that every store passes.

use std::{str::FromStr, sync::Arc};

use async_trait::async_trait;
use bursar_domain::{
    AccountKey, ActorId, Asset, AssetId, CallbackDraft, Entry, Kind, Operation, Owner, Rules,
    Status, Subscriber, Timestamp, TransferId, Unit, User, UserId, UserStatus, Version,
};
use bursar_ports::{
    AuditRecord, Clock, Directory, Expected, Lift, PutAsset, PutRule, PutUser, RuleBook, Stop,
    StopScope, TransferStore,
};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, PgDirectory, PgEvents, PgRuleBook, PgStore, SealKeys,
    testing::TestDatabase,
};
use bursar_testkit::{
    AccountView, FixedClock, SequentialIds, build, contract::Harness, transfer_store_contract,
};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::{
    roles::as_application,
    support::{client, draft, patient, patient_engine, until_ready},
};

pub(crate) struct PgHarness {
    clock: Arc<FixedClock>,
    ids: SequentialIds,
    store: Arc<PgStore>,
    directory: PgDirectory,
    pub(crate) rule_book: PgRuleBook,
    pub(crate) events: PgEvents,
    pub(crate) connections: Database,
    /// Looks past the store.
    pub(crate) client: Client,
    /// Dropped last, with the database.
    _database: TestDatabase,
}

impl PgHarness {
    pub(crate) async fn start() -> Self {
        let database = TestDatabase::create().await;
        let url = database.url().to_owned();
        Self::connected(database, &url, EngineKind::Shared).await
    }

    /// As the only one who writes the book.
    pub(crate) async fn start_single_writer() -> Self {
        let database = TestDatabase::create().await;
        let url = as_application(&database).await;
        Self::connected(database, &url, EngineKind::SingleWriter).await
    }

    /// As the role that may not rewrite what has been.
    pub(crate) async fn start_as_application() -> Self {
        let database = TestDatabase::create().await;
        let url = as_application(&database).await;
        Self::connected(database, &url, EngineKind::Shared).await
    }

    async fn connected(database: TestDatabase, url: &str, kind: EngineKind) -> Self {
        let clock = Arc::new(FixedClock::default());
        let pool = patient(url);
        let connections = Database::connect(pool.clone()).await.unwrap();
        let config = EngineConfig {
            kind,
            seals: SealKeys::new([[7; 32]]),
            ..patient_engine()
        };
        let directory = PgDirectory::new(connections.clone(), clock.clone());
        let rule_book = PgRuleBook::new(connections.clone(), clock.clone());
        let events = PgEvents::new(connections.clone(), SealKeys::default());
        let (store, _tasks) = PgStore::start(&pool, connections.clone(), &config, clock.clone());
        until_ready(&store).await;
        let client = client(database.url()).await;
        let ids = SequentialIds::default();
        Self {
            clock,
            ids,
            store: Arc::new(store),
            directory,
            rule_book,
            events,
            connections,
            client,
            _database: database,
        }
    }

    /// The unit in which limits are to be set: of an asset, or of all of them as these rules say.
    pub(crate) async fn unit_of(&self, kind: Kind, asset: Option<AssetId>, rules: &Rules) -> Unit {
        let Some(asset) = asset else {
            let unit = rules.root_units.get(&kind).copied();
            return unit.unwrap_or_else(|| build::asset("usd", 2).unit());
        };
        let found = self.directory.find_asset(asset).await.unwrap();
        found.expect("there is such an asset").unit()
    }
}

fn owner(account: &AccountKey) -> (&'static str, Uuid) {
    match account.owner {
        Owner::User(user) => ("user", user.as_uuid()),
        Owner::Fees => ("fees", Uuid::nil()),
        Owner::World => ("world", Uuid::nil()),
    }
}

fn number<T: FromStr<Err: std::fmt::Debug>>(row: &Row, column: &str) -> T {
    row.get::<_, String>(column).parse().unwrap()
}

#[async_trait]
impl Harness for PgHarness {
    async fn store(&self) -> Arc<dyn TransferStore> {
        self.store.clone()
    }

    fn clock(&self) -> &FixedClock {
        &self.clock
    }

    fn ids(&self) -> &SequentialIds {
        &self.ids
    }

    async fn put_asset(&self, asset: Asset) {
        assert_eq!(
            self.directory
                .put_asset(asset, Expected::Anything, draft())
                .await
                .unwrap(),
            PutAsset::Written
        );
    }

    async fn put_user(&self, user: UserId, status: UserStatus) {
        let user = User {
            status,
            ..build::user(user)
        };
        assert_eq!(
            self.directory.put_user(user, draft()).await.unwrap(),
            PutUser::Written
        );
    }

    async fn balance(&self, account: AccountKey) -> AccountView {
        let (kind, owner) = owner(&account);
        let row = self
            .client
            .query_opt(
                "SELECT sum(available)::text AS available, sum(held)::text AS held, \
                 sum(seq)::bigint AS seq FROM book_main.accounts \
                 WHERE owner_kind = $1 AND ($1 = 'fees' OR owner = $2::text::uuid) AND asset = $3 \
                 HAVING count(*) > 0",
                &[&kind, &owner.to_string(), &account.asset.as_str()],
            )
            .await
            .unwrap();
        row.map_or(
            AccountView {
                available: 0,
                held: 0,
                seq: 0,
            },
            |row| AccountView {
                available: number(&row, "available"),
                held: number(&row, "held"),
                seq: row.get("seq"),
            },
        )
    }

    async fn ledgers(&self, account: AccountKey) -> Vec<Vec<Entry>> {
        let (kind, owner) = owner(&account);
        let rows = self
            .client
            .query(
                "SELECT e.account_id, e.seq, e.transfer_id, e.available_delta::text, e.held_delta::text, \
                 e.available_after::text, e.held_after::text, \
                 (extract(epoch FROM e.created_at) * 1000000)::bigint AS at \
                 FROM book_main.accounts a JOIN book_main.entries e ON e.account_id = a.id \
                 WHERE a.owner_kind = $1 AND ($1 = 'fees' OR a.owner = $2::text::uuid) \
                 AND a.asset = $3 ORDER BY e.account_id, e.seq",
                &[&kind, &owner.to_string(), &account.asset.as_str()],
            )
            .await
            .unwrap();
        let of_one_row =
            |a: &Row, b: &Row| a.get::<_, i64>("account_id") == b.get::<_, i64>("account_id");
        let entry = |row: &Row| Entry {
            account,
            seq: row.get("seq"),
            transfer: TransferId::try_new(row.get("transfer_id")).unwrap(),
            available_delta: number(row, "available_delta"),
            held_delta: number(row, "held_delta"),
            available_after: number(row, "available_after"),
            held_after: number(row, "held_after"),
            at: Timestamp::from_micros(row.get("at")),
        };
        rows.chunk_by(of_one_row)
            .map(|rows| rows.iter().map(entry).collect())
            .collect()
    }

    async fn put_rules(&self, rules: Rules) {
        let book = &self.rule_book;
        let had = book.rules().await.unwrap();
        for (kind, asset) in had.fees.keys().chain(rules.fees.keys()) {
            let schedule = rules.fees.get(&(*kind, *asset)).copied();
            let schedule = schedule.unwrap_or_default();
            let unit = self.unit_of(*kind, Some(*asset), &rules).await;
            let put = book.put_fees(*kind, unit, schedule, Expected::Anything, draft());
            assert_eq!(put.await.unwrap(), PutRule::Written);
        }
        for (kind, asset) in had.limits.keys().chain(rules.limits.keys()) {
            let limits = rules.limits.get(&(*kind, *asset)).copied();
            let limits = limits.unwrap_or_default();
            let unit = self.unit_of(*kind, *asset, &rules).await;
            let put = book.put_limits(*kind, *asset, limits, unit, Expected::Anything, draft());
            assert_eq!(put.await.unwrap(), PutRule::Written);
        }
        for stop in book.list_stops().await.unwrap() {
            let lift = book.lift(stop.scope, Expected::Anything, draft());
            assert_eq!(lift.await.unwrap(), Lift::Lifted);
        }
        let read_only = rules.stops.read_only.then_some(StopScope::ReadOnly);
        let outgoing = rules.stops.outgoing.iter().copied();
        for scope in outgoing.map(StopScope::Outgoing).chain(read_only) {
            let stop = Stop {
                scope,
                reason: "a test".to_owned(),
                stopped_by: ActorId::new("operator"),
                stopped_at: self.clock.now(),
            };
            book.stop(stop, draft()).await.unwrap();
        }
    }

    async fn callbacks(&self, transfer: TransferId) -> Vec<CallbackDraft> {
        let rows = self
            .client
            .query(
                "SELECT operation, url, subscriber, status, error FROM book_main.callbacks \
                 WHERE transfer_id = $1",
                &[&transfer.get()],
            )
            .await
            .unwrap();
        rows.iter()
            .map(|row| CallbackDraft {
                operation: Operation::from_name(row.get("operation")).unwrap(),
                url: row.get("url"),
                subscriber: Subscriber::from_name(row.get("subscriber")).unwrap(),
                status: Status::from_name(row.get("status")).unwrap(),
                error: row.get("error"),
            })
            .collect()
    }

    async fn audit_of(&self, target: String) -> Vec<AuditRecord> {
        let rows = self
            .client
            .query(
                "SELECT id::text, (extract(epoch FROM at) * 1000000)::bigint AS at, actor, \
                 credential, request_id, address, action, target, before::text, after::text \
                 FROM book_main.audit_log WHERE target = $1 ORDER BY at, id",
                &[&target],
            )
            .await
            .unwrap();
        rows.iter()
            .map(|row| AuditRecord {
                id: number(row, "id"),
                at: Timestamp::from_micros(row.get("at")),
                actor: row.get("actor"),
                credential: row.get("credential"),
                request_id: row.get("request_id"),
                address: row.get("address"),
                action: row.get("action"),
                target: row.get("target"),
                before: row.get("before"),
                after: row.get("after"),
            })
            .collect()
    }

    async fn events(&self) -> Vec<(TransferId, Version, Status)> {
        let steps = crate::events::everything(&self.events).await.into_iter();
        steps
            .filter_map(|event| crate::events::step(&event))
            .collect()
    }

    async fn sabotage(&self) -> bool {
        self.client
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
                &[],
            )
            .await
            .unwrap();
        true
    }
}

transfer_store_contract!(PgHarness::start().await);

/// The same as the application's role.
mod by_the_application {
    use bursar_testkit::transfer_store_contract;

    use super::PgHarness;

    transfer_store_contract!(PgHarness::start_as_application().await);
}

/// The same with balances in memory.
mod by_a_single_writer {
    use bursar_testkit::transfer_store_contract;

    use super::PgHarness;

    transfer_store_contract!(PgHarness::start_single_writer().await);
}
