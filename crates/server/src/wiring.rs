//! Puts the adapters behind the ports.

mod limits;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use bursar_app::{App, CallbackPass, CallbackUrlPolicy, Keyring, Ports, Settings};
use bursar_callback::{HttpNotifier, NotifierConfig};
use bursar_limiter::{MemoryLimiter, RedisKeeper};
use bursar_ports::{Clock, IdSource};
use bursar_postgres::{
    Database, EngineConfig, EngineTasks, MigrationState, PgCredentials, PgDirectory, PgIds,
    PgOutbox, PgQuery, PgStore, PoolConfig,
};
use secrecy::ExposeSecret;
use tokio::sync::Notify;

use crate::{
    background::{CallbackLoop, HintingStore},
    config::{Config, DatabaseConfig},
    system::{BackgroundTasks, SystemClock},
};

/// Everything that runs, put together but not started.
pub(crate) struct System {
    /// The use cases.
    pub(crate) app: App,
    /// Delivers callbacks.
    pub(crate) callbacks: CallbackLoop,
    /// Work that goes on after answers.
    pub(crate) tasks: BackgroundTasks,
    /// The batch engine; it ends once the application is gone.
    pub(crate) engine: EngineTasks,
    /// The connection to the Redis that replicas share, if they do.
    pub(crate) redis: Option<RedisKeeper>,
}

impl System {
    /// Connects to the database and wires everything to it.
    pub(crate) async fn build(config: &Config) -> anyhow::Result<Self> {
        let pool = pool(&config.database);
        let database = Database::connect(pool.clone())
            .await
            .context("the database cannot be reached")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(PgIds::new(database.clone()));
        let engine = EngineConfig {
            batchers: config.database.batchers,
            batch_items_max: config.database.batch_items,
            queue_max: config.database.queue_items,
        };
        let (store, engine) = PgStore::start(&pool, database.clone(), &engine, Arc::clone(&clock));
        let hint = Arc::new(Notify::new());
        let tasks = BackgroundTasks::here();
        let keyring = Arc::new(keyring(config)?);
        let limits = limits::Shared::build(&config.limits)?;
        let ports = Ports {
            store: Arc::new(HintingStore::new(Arc::new(store), Arc::clone(&hint))),
            query: Arc::new(PgQuery::new(database.clone())),
            directory: Arc::new(PgDirectory::new(database.clone(), Arc::clone(&clock))),
            credentials: Arc::new(PgCredentials::new(database.clone())),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            tasks: Arc::new(tasks.clone()),
            limiter: limits.limiter,
            local_limiter: Arc::new(MemoryLimiter::new()),
            replay_guard: limits.replay_guard,
        };
        let http_hosts = config.callback.http_hosts.clone();
        let notifier = HttpNotifier::try_new(NotifierConfig {
            http_hosts: http_hosts.clone(),
            ..NotifierConfig::default()
        })
        .context("callbacks cannot be set up")?;
        let settings = Settings {
            root_asset: config.root_asset,
            callback_urls: CallbackUrlPolicy { http_hosts },
            limits: limits::settings(&config.limits),
        };
        let pass = CallbackPass {
            outbox: Arc::new(PgOutbox::new(database)),
            notifier: Arc::new(notifier),
            clock,
            ids,
            keyring: Arc::clone(&keyring),
        };
        let callbacks = CallbackLoop {
            pass,
            concurrency: config.callback.concurrency,
            poll: config.callback.poll,
            hint,
        };
        Ok(Self {
            app: App::new(ports, keyring, settings),
            callbacks,
            tasks,
            engine,
            redis: limits.redis,
        })
    }

    /// Ends what commands without a server have started.
    pub(crate) async fn finish(self, grace: Duration) {
        let Self {
            app,
            callbacks,
            tasks,
            engine,
            redis: _,
        } = self;
        tasks.finish().await;
        drop((app, callbacks));
        if tokio::time::timeout(grace, engine.join()).await.is_err() {
            tracing::warn!("the batch engine did not end in time");
        }
    }
}

/// Brings the schema up to date, or refuses to go on with one that is not.
pub(crate) async fn prepare_schema(config: &DatabaseConfig) -> anyhow::Result<()> {
    let url = config.url.expose_secret();
    if config.migrate {
        return bursar_postgres::migrate(url)
            .await
            .context("the database could not be migrated");
    }
    match bursar_postgres::migration_state(url).await? {
        MigrationState::Current => Ok(()),
        MigrationState::Behind { pending } => {
            anyhow::bail!(
                "the database lacks migrations {}: run bursar migrate",
                pending.join(", ")
            )
        }
        MigrationState::Ahead { unknown } => {
            anyhow::bail!(
                "the database is newer than this program: {}",
                unknown.join(", ")
            )
        }
    }
}

fn pool(config: &DatabaseConfig) -> PoolConfig {
    let mut pool = PoolConfig::new(config.url.expose_secret());
    pool.connections_max = config.pool_size;
    pool
}

fn keyring(config: &Config) -> anyhow::Result<Keyring> {
    let master_keys = config
        .master_keys
        .iter()
        .map(|(name, key)| (name.clone(), key.0))
        .collect();
    Ok(Keyring::try_new(config.code_key.0, master_keys)?)
}
