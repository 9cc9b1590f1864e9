//! A private server with users who have money.

use std::sync::Arc;

use anyhow::{Context, ensure};
use bursar_domain::{
    Amount, AuditDraft, Change, Commit, DecimalAmount, FeeSchedule, Kind, Limits, NewTransfer,
    Percent, Timestamp, TransferId, UserId,
};
use bursar_ports::{
    Clock, CommitOutcome, Directory as _, Expected, IdSource as _, RuleBook as _, TransferStore,
};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, EngineTasks, PgDirectory, PgIds, PgIntegrity, PgQuery,
    PgRuleBook, PgStore, PoolConfig, SealKeys,
    local::{self, LocalServer, LocalServerConfig},
    migrate,
};
use bursar_testkit::build;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use time::OffsetDateTime;
use tokio_postgres::{Client, NoTls};

use crate::Load;

pub(crate) const DATABASE: &str = "bench";
/// Decimals of every asset.
const SCALE: u8 = 8;
/// More than any run spends, in smallest units.
const MONEY: i128 = 1_000_000_000_000_000;
/// How much is made in one transaction while there is no hurry.
const TOGETHER: usize = 100;

#[derive(Clone, Copy)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(OffsetDateTime::now_utc())
    }
}

/// Two stores over one database of a server.
pub(crate) struct World {
    server: Arc<LocalServer>,
    url: String,
    /// Seals what it writes.
    pub(crate) sealing: Arc<PgStore>,
    /// Does not.
    pub(crate) plain: Arc<PgStore>,
    database: Database,
    directory: PgDirectory,
    ids: PgIds,
    tasks: Vec<EngineTasks>,
}

impl World {
    pub(crate) async fn start(load: &Load) -> anyhow::Result<Self> {
        let server = Arc::new(start_server(load).await?);
        Self::open(load, server, DATABASE, load.engine).await
    }

    /// One more database of this server, whose book has a single writer.
    pub(crate) async fn with_single_writer(&self, load: &Load) -> anyhow::Result<Self> {
        let name = "bench_single";
        self.server.create_database_if_missing(name).await?;
        Self::open(
            load,
            Arc::clone(&self.server),
            name,
            EngineKind::SingleWriter,
        )
        .await
    }

    async fn open(
        load: &Load,
        server: Arc<LocalServer>,
        name: &str,
        engine: EngineKind,
    ) -> anyhow::Result<Self> {
        let url = server.url(name);
        migrate(&url).await?;
        let pool = PoolConfig::new(url.clone());
        let database = Database::connect(pool.clone()).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let start = |seals, kind| {
            let standard = EngineConfig::of(kind);
            let config = EngineConfig {
                seals,
                batchers: load.batchers,
                batch_items_max: load.batch_items.unwrap_or(standard.batch_items_max),
                ..standard
            };
            PgStore::start(&pool, database.clone(), &config, Arc::clone(&clock))
        };
        let (sealing, its_tasks) = start(seal_keys(), engine);
        // Beside a single writer it has nothing to write.
        let (plain, tasks) = start(SealKeys::default(), EngineKind::Shared);
        Ok(Self {
            server,
            url,
            sealing: Arc::new(sealing),
            plain: Arc::new(plain),
            directory: PgDirectory::new(database.clone(), Arc::clone(&clock)),
            ids: PgIds::new(database.clone()),
            database,
            tasks: vec![its_tasks, tasks],
        })
    }

    /// Makes users.
    pub(crate) async fn populate(&self, users: u32) -> anyhow::Result<()> {
        let made = stream::iter(0..users).map(|number| {
            let put = self
                .directory
                .put_user(build::user(user(number)), by_bench());
            async move { put.await.map(|_| ()) }
        });
        made.buffer_unordered(32).try_collect::<()>().await?;
        Ok(())
    }

    /// Makes an asset that everybody has, through this store.
    pub(crate) async fn issue(
        &self,
        store: &PgStore,
        asset: &str,
        users: u32,
    ) -> anyhow::Result<()> {
        let put =
            self.directory
                .put_asset(build::asset(asset, SCALE), Expected::Anything, by_bench());
        let _written = put.await?;
        let everybody: Vec<u32> = (0..users).collect();
        for some in everybody.chunks(TOGETHER) {
            let mut deposits = Vec::with_capacity(some.len());
            for number in some {
                let new = self.new_transfer(asset, MONEY).await?;
                let deposit = build::deposit(new, user(*number)).settled_at_once();
                deposits.push(Commit::new(deposit));
            }
            for outcome in store.commit(deposits).await? {
                ensure!(is_made(&outcome), "a deposit came to {outcome:?}");
            }
        }
        Ok(())
    }

    /// Puts a price on transfers of an asset.
    pub(crate) async fn set_fees(&self, kind: Kind, asset: &str) -> anyhow::Result<()> {
        let schedule = FeeSchedule {
            percent: Percent::try_from_decimal(DecimalAmount::parse("0.1")?)?,
            min: build::amount(1),
            max: None,
            absolute: Amount::ZERO,
        };
        let unit = build::asset(asset, SCALE).unit();
        let rules = self.rule_book();
        let put = rules.put_fees(kind, unit, schedule, Expected::Anything, by_bench());
        let _written = put.await?;
        Ok(())
    }

    /// Puts limits on transfers of an asset, which nobody reaches.
    pub(crate) async fn set_limits(&self, kind: Kind, asset: &str) -> anyhow::Result<()> {
        let most = Some(Amount::MAX);
        let limits = Limits {
            daily: most,
            monthly: most,
            max_amount: most,
            ..Limits::default()
        };
        let unit = build::asset(asset, SCALE).unit();
        let asset = Some(unit.asset);
        let rules = self.rule_book();
        let put = rules.put_limits(kind, asset, limits, unit, Expected::Anything, by_bench());
        let _written = put.await?;
        Ok(())
    }

    /// The lists.
    pub(crate) fn query(&self) -> PgQuery {
        PgQuery::new(self.database.clone())
    }

    /// The judge of the books.
    pub(crate) fn integrity(&self) -> PgIntegrity {
        PgIntegrity::new(self.database.clone(), seal_keys())
    }

    fn rule_book(&self) -> PgRuleBook {
        PgRuleBook::new(self.database.clone(), Arc::new(SystemClock))
    }

    pub(crate) async fn new_transfer(
        &self,
        asset: &str,
        units: i128,
    ) -> anyhow::Result<NewTransfer> {
        let id: TransferId = self.ids.next_transfer_id().await?;
        let asset = build::asset(asset, SCALE);
        Ok(build::new_transfer(id, &asset, units, now()))
    }

    /// A payment that is settled at once.
    pub(crate) async fn payment(
        &self,
        asset: &str,
        from: u32,
        to: u32,
        units: i128,
    ) -> anyhow::Result<Change> {
        let new = self.new_transfer(asset, units).await?;
        Ok(build::internal(new, user(from), user(to)).settled_at_once())
    }

    /// Leaves nothing of what was done so far to be done while it counts.
    pub(crate) async fn tidy_up(&self) -> anyhow::Result<()> {
        tidy_up(&self.connect().await?).await
    }

    /// The server's process.
    pub(crate) fn server_id(&self) -> i32 {
        self.server.process_id()
    }

    /// A connection past the stores.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.url()).await
    }

    /// The address of the database.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The address of one more database, which is empty.
    pub(crate) async fn another_database(&self, name: &str) -> anyhow::Result<String> {
        self.server.create_database_if_missing(name).await?;
        Ok(self.server.url(name))
    }

    /// Ends everything, and the server when nothing else is open on it.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        drop((self.sealing, self.plain));
        for tasks in self.tasks {
            tasks.join().await;
        }
        match Arc::into_inner(self.server) {
            Some(server) => server.stop().await.context("PostgreSQL did not stop"),
            None => Ok(()),
        }
    }
}

/// A durable server with an empty database.
pub(crate) async fn start_server(load: &Load) -> anyhow::Result<LocalServer> {
    local::fresh(&load.directory).await?;
    let server = LocalServer::start(LocalServerConfig {
        directory: load.directory.clone(),
        bin_dir: load.pg_bin.clone(),
        durable: true,
        settings: settings(),
    })
    .await?;
    server.create_database_if_missing(DATABASE).await?;
    Ok(server)
}

/// Leaves nothing of what was done so far to be done while it counts.
pub(crate) async fn tidy_up(client: &Client) -> anyhow::Result<()> {
    for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

/// What time it is.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// A connection.
pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What seals what the sealing store writes.
pub(crate) fn seal_keys() -> SealKeys {
    SealKeys::new([[7; 32]])
}

/// Those of a server that has a machine to itself, and what tells statements' times.
pub(crate) const SETTINGS: [(&str, &str); 4] = [
    ("shared_buffers", "2GB"),
    ("max_wal_size", "16GB"),
    ("max_connections", "400"),
    ("shared_preload_libraries", "pg_stat_statements"),
];

fn settings() -> Vec<(String, String)> {
    let owned = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    owned.to_vec()
}

/// The user with this number.
pub(crate) fn user(number: u32) -> UserId {
    build::user_id(u128::from(number).saturating_add(1_000))
}

pub(crate) fn by_bench() -> AuditDraft {
    build::audit("bench", "bench")
}

/// Whether it moved money.
pub(crate) fn is_made(outcome: &CommitOutcome) -> bool {
    matches!(outcome, CommitOutcome::Committed(transfer) if transfer.reason().is_none())
}
