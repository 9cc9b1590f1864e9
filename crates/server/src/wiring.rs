//! Puts the adapters behind the ports.

mod limits;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use bursar_app::{
    App, BooksSeen, BreakersSeen, CallbackPass, IntegrityWatch, Keyring, Payouts, Ports,
    ResealPass, SessionSettings, Settings, TransferSettings,
};
use bursar_callback::{HttpNotifier, NotifierConfig};
use bursar_domain::PayoutRoute;
use bursar_jwt::{JwksRefresh, JwtConfig, JwtVerifier};
use bursar_limiter::{MemoryLimiter, RedisKeeper};
use bursar_oidc::{OidcProvider, OidcRefresh};
use bursar_payout::{GatewayConfig, HttpGateway};
use bursar_ports::{
    BookIntegrity, Clock, EventSequencer, IdentityProvider, PayoutSchedule, Summary, TokenVerifier,
};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, EngineTasks, MigrationState, PgAddressBook, PgAuditLog,
    PgCallbackLog, PgCallbackSecrets, PgChanges, PgCredentials, PgDirectory, PgEvents, PgExports,
    PgFigures, PgIds, PgIntegrity, PgOperators, PgOutbox, PgPayouts, PgQuery, PgRuleBook, PgStore,
    PgWorkQueue, PoolConfig, SealKeys,
};
use secrecy::ExposeSecret;
use tokio::sync::Notify;

use crate::{
    background::{CallbackLoop, HintingStore, NumberingLoop, StoppingAlarm},
    config::{Config, ConsoleConfig, DatabaseConfig, PayoutConfig, ProviderConfig},
    passwords::Argon2Passwords,
    system::{BackgroundTasks, SystemClock},
};

/// How long what another replica commits waits for a number when that replica dies before it gives
/// one, and how long streams at this one wait for what was numbered elsewhere.
const NUMBERING_POLL: Duration = Duration::from_millis(100);

/// How long a command's changes wait for their batch: nobody waits for their answers.
const COMMAND_WAIT: Duration = Duration::from_secs(60);

/// Everything that runs, put together but not started.
pub(crate) struct System {
    /// The use cases.
    pub(crate) app: App,
    /// Delivers callbacks.
    pub(crate) callbacks: CallbackLoop,
    /// Numbers events.
    pub(crate) numbering: NumberingLoop,
    /// Counts what succeeded.
    pub(crate) summary: Arc<dyn Summary>,
    /// Hears of what other replicas write.
    pub(crate) changes: PgChanges,
    /// Says that a payout has begun.
    pub(crate) payout_hint: Arc<Notify>,
    /// What is being paid out, whether or not there is a gateway.
    pub(crate) payout_schedule: Arc<dyn PayoutSchedule>,
    /// Encrypts secrets anew.
    pub(crate) reseal: ResealPass,
    /// The keys for secrets.
    pub(crate) keyring: Arc<Keyring>,
    /// Keeps the keys of another issuer's tokens fresh.
    pub(crate) jwks: Option<JwksRefresh>,
    /// Keeps what is known of the identity provider fresh.
    pub(crate) provider: Option<OidcRefresh>,
    /// Work that goes on after answers.
    pub(crate) tasks: BackgroundTasks,
    /// Watches the books.
    pub(crate) integrity: IntegrityWatch,
    /// The batch engine; it ends once the application is gone.
    pub(crate) engine: EngineTasks,
    /// The connection to the Redis that replicas share, if they do.
    pub(crate) redis: Option<RedisKeeper>,
}

impl System {
    /// Connects to the database and wires everything to it.
    pub(crate) async fn build(config: &Config) -> anyhow::Result<Self> {
        let database = &config.database;
        Self::with_engine(config, database.engine, database.queue_wait).await
    }

    /// The same for a command beside the service, which never becomes the single writer: a replica
    /// that starts would find the book held.
    pub(crate) async fn for_command(config: &Config) -> anyhow::Result<Self> {
        Self::with_engine(config, EngineKind::Shared, COMMAND_WAIT).await
    }

    async fn with_engine(
        config: &Config,
        engine: EngineKind,
        queue_wait: Duration,
    ) -> anyhow::Result<Self> {
        let (pool, database) = connect(&config.database).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let keyring = Arc::new(keyring(config)?);
        let seals = SealKeys::new(keyring.ledger_keys());
        let integrity = Arc::new(PgIntegrity::new(database.clone(), seals.clone()));
        let engine = engine_config(&config.database, engine, queue_wait, seals.clone());
        let (store, engine) = PgStore::start(&pool, database.clone(), &engine, Arc::clone(&clock));
        let [hint, committed, payout_hint] = std::array::from_fn(|_| Arc::new(Notify::new()));
        let store = HintingStore::new(Arc::new(store), &hint, &committed, &payout_hint);
        let events = Arc::new(PgEvents::new(database.clone(), seals.clone()));
        let figures = Arc::new(PgFigures::new(database.clone()));
        let payout_schedule = payout_schedule(&database, &seals);
        let tasks = BackgroundTasks::here();
        let credentials = Arc::new(PgCredentials::new(database.clone()));
        let directory = Arc::new(PgDirectory::new(database.clone(), Arc::clone(&clock)));
        let changes = PgChanges::new(&directory, &credentials);
        let (token_verifier, jwks) = token_verifier(config.jwt.as_ref(), &clock)?;
        let (identity_provider, provider) = identity_provider(config.provider.as_ref(), &clock)?;
        let limits = limits::Shared::build(&config.limits)?;
        let ports = Ports {
            store: Arc::new(store),
            query: Arc::new(PgQuery::new(database.clone())),
            exports: Arc::new(PgExports::new(database.clone())),
            directory,
            address_book: Arc::new(PgAddressBook::new(database.clone())),
            callback_log: Arc::new(PgCallbackLog::new(database.clone())),
            work_queue: Arc::new(PgWorkQueue::new(database.clone())),
            figures: figures.clone(),
            audit_log: Arc::new(PgAuditLog::new(database.clone())),
            events: events.clone(),
            notifier: Arc::new(notifier(config)?),
            integrity: integrity.clone(),
            books_seen: BooksSeen::default(),
            breakers_seen: BreakersSeen::default(),
            credentials: credentials.clone(),
            callback_secrets: Arc::new(PgCallbackSecrets::new(database.clone())),
            token_verifier,
            clock: Arc::clone(&clock),
            ids: Arc::new(PgIds::new(database.clone())),
            tasks: Arc::new(tasks.clone()),
            limiter: limits.limiter,
            local_limiter: Arc::new(MemoryLimiter::new()),
            replay_guard: limits.replay_guard,
            rule_book: Arc::new(PgRuleBook::new(database.clone(), Arc::clone(&clock))),
            payouts: payouts(config.payout.as_ref(), &payout_schedule)?,
            operators: Arc::new(PgOperators::new(database.clone())),
            passwords: Arc::new(Argon2Passwords::default()),
            identity_provider,
        };
        let pass = callback_pass(&ports, database, seals, Arc::clone(&keyring));
        let callbacks = callbacks(config, pass, ports.breakers_seen.clone(), hint);
        Ok(Self {
            integrity: watch(integrity, &ports),
            reseal: reseal(credentials, &ports, Arc::clone(&keyring)),
            app: App::new(ports, Arc::clone(&keyring), settings(config)),
            callbacks,
            numbering: numbering(events, committed),
            summary: figures,
            changes,
            payout_hint,
            payout_schedule,
            keyring,
            jwks,
            provider,
            tasks,
            engine,
            redis: limits.redis,
        })
    }

    /// Refuses to go on when secrets rest under keys that are not configured: every request that
    /// is signed with one of them would fail.
    pub(crate) async fn require_keys(&self) -> anyhow::Result<()> {
        let missing = self
            .reseal
            .missing_keys()
            .await
            .context("the secrets at rest cannot be counted")?;
        for (key, count) in &missing {
            tracing::error!(
                key,
                count,
                "secrets rest under a master key that is not configured"
            );
        }
        let names: Vec<&str> = missing.iter().map(|(key, _)| key.as_str()).collect();
        anyhow::ensure!(
            names.is_empty(),
            "master_key: secrets rest under {}, which is not configured: put it back behind the \
             first one and run bursar reseal; if it is lost, run bursar reseal --revoke-unreadable",
            names.join(", ")
        );
        Ok(())
    }

    /// Ends what commands without a server have started.
    pub(crate) async fn finish(self, grace: Duration) {
        let Self {
            app,
            callbacks,
            tasks,
            engine,
            ..
        } = self;
        tasks.finish().await;
        drop((app, callbacks));
        if tokio::time::timeout(grace, engine.join()).await.is_err() {
            tracing::warn!("the batch engine did not end in time");
        }
    }
}

/// Brings the schema up to date, if serving is to do that, or refuses to go on with one that is not, or
/// with a database that the books cannot be kept in.
pub(crate) async fn prepare_schema(config: &DatabaseConfig) -> anyhow::Result<()> {
    if !config.migrate {
        return require_schema(config).await;
    }
    let url = config.url.expose_secret();
    bursar_postgres::require_fit(url).await?;
    bursar_postgres::migrate(url)
        .await
        .context("the database could not be migrated")
}

/// Refuses to go on with a schema that is not up to date, or with a database that the books cannot be
/// kept in. What somebody types beside replicas that serve changes no schema under them.
pub(crate) async fn require_schema(config: &DatabaseConfig) -> anyhow::Result<()> {
    let url = config.url.expose_secret();
    bursar_postgres::require_fit(url).await?;
    let state = bursar_postgres::migration_state(url).await?;
    refuse_other_schema(state, true)
}

/// Refuses to go on with a schema that lacks something, or is too new: `serves_newer` is whether one will
/// do that this program may serve on although it does not know all of it.
pub(crate) fn refuse_other_schema(state: MigrationState, serves_newer: bool) -> anyhow::Result<()> {
    match state {
        MigrationState::Current => Ok(()),
        MigrationState::Newer { unknown } if serves_newer => {
            tracing::warn!(
                unknown = unknown.join(", "),
                "the database is newer than this program, which may serve on it still"
            );
            Ok(())
        }
        MigrationState::Behind { pending } => {
            anyhow::bail!(
                "the database lacks migrations {}: run bursar migrate",
                pending.join(", ")
            )
        }
        MigrationState::Newer { unknown } | MigrationState::Ahead { unknown } => {
            anyhow::bail!(
                "the database is newer than this program: {}",
                unknown.join(", ")
            )
        }
    }
}

async fn connect(config: &DatabaseConfig) -> anyhow::Result<(PoolConfig, Database)> {
    let pool = pool(config);
    let database = Database::connect(pool.clone())
        .await
        .context("the database cannot be reached")?;
    Ok((pool, database))
}

fn pool(config: &DatabaseConfig) -> PoolConfig {
    let mut pool = PoolConfig::new(config.url.expose_secret());
    pool.must_take_writes = true;
    pool.connections_max = config.pool_size;
    pool.lists_at_once = config.lists_at_once.unwrap_or(pool.lists_at_once);
    pool.exports_at_once = config.exports_at_once;
    pool.export_timeout = config.export_timeout;
    pool
}

fn engine_config(
    config: &DatabaseConfig,
    kind: EngineKind,
    queue_wait: Duration,
    seals: SealKeys,
) -> EngineConfig {
    let standard = EngineConfig::of(kind);
    EngineConfig {
        batchers: config.batchers,
        batch_items_max: config.batch_items.unwrap_or(standard.batch_items_max),
        queue_max: config.queue_items,
        queue_wait,
        seals,
        ..standard
    }
}

fn numbering(sequencer: Arc<dyn EventSequencer>, hint: Arc<Notify>) -> NumberingLoop {
    NumberingLoop {
        sequencer,
        hint,
        poll: NUMBERING_POLL,
    }
}

fn callback_pass(
    ports: &Ports,
    database: Database,
    seals: SealKeys,
    keyring: Arc<Keyring>,
) -> CallbackPass {
    CallbackPass {
        outbox: Arc::new(PgOutbox::new(database, seals)),
        notifier: Arc::clone(&ports.notifier),
        secrets: Arc::clone(&ports.callback_secrets),
        clock: Arc::clone(&ports.clock),
        ids: Arc::clone(&ports.ids),
        keyring,
    }
}

fn callbacks(
    config: &Config,
    pass: CallbackPass,
    seen: BreakersSeen,
    hint: Arc<Notify>,
) -> CallbackLoop {
    CallbackLoop {
        pass,
        seen,
        limits: config.callback.limits,
        poll: config.callback.poll,
        hint,
    }
}

fn reseal(secrets: Arc<PgCredentials>, ports: &Ports, keyring: Arc<Keyring>) -> ResealPass {
    ResealPass {
        secrets,
        keyring,
        ids: Arc::clone(&ports.ids),
        clock: Arc::clone(&ports.clock),
    }
}

/// What watches the books, and stops what leaves when they are wrong.
fn watch(books: Arc<dyn BookIntegrity>, ports: &Ports) -> IntegrityWatch {
    let alarm = StoppingAlarm {
        rule_book: Arc::clone(&ports.rule_book),
        events: Arc::clone(&ports.events),
        clock: Arc::clone(&ports.clock),
    };
    let watch = IntegrityWatch::new(books, Arc::new(alarm));
    watch.telling(ports.books_seen.clone(), Arc::clone(&ports.clock))
}

type Verifier = Option<Arc<dyn TokenVerifier>>;

/// What verifies another issuer's tokens, if they are accepted, and the work behind it.
fn token_verifier(
    config: Option<&JwtConfig>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Verifier, Option<JwksRefresh>)> {
    let Some(config) = config else {
        return Ok((None, None));
    };
    let (verifier, refresh) =
        JwtVerifier::try_new(config.clone(), Arc::clone(clock)).context("jwt")?;
    Ok((Some(Arc::new(verifier)), refresh))
}

type Provider = Option<Arc<dyn IdentityProvider>>;

/// Where operators may sign in, if there is such a place, and the work behind it.
fn identity_provider(
    config: Option<&ProviderConfig>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Provider, Option<OidcRefresh>)> {
    let Some(config) = config else {
        return Ok((None, None));
    };
    let made = OidcProvider::try_new(config.oidc.clone(), Arc::clone(clock));
    let (provider, refresh) = made.context("oidc")?;
    Ok((Some(Arc::new(provider)), Some(refresh)))
}

fn settings(config: &Config) -> Settings {
    Settings {
        root_asset: config.root_asset,
        callback_urls: config.callback.urls.clone(),
        limits: limits::settings(&config.limits),
        transfers: transfer_settings(config),
        sessions: session_settings(&config.console),
    }
}

fn session_settings(config: &ConsoleConfig) -> SessionSettings {
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    SessionSettings {
        idle_us: micros(config.idle),
        absolute_us: micros(config.session),
    }
}

fn transfer_settings(config: &Config) -> TransferSettings {
    let transfers = &config.transfers;
    let ms = |wait: Option<Duration>| {
        wait.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
    };
    TransferSettings {
        fee_free_roles: transfers.fee_free_roles.clone(),
        withdrawal_lifetime_ms: ms(transfers.confirm_within),
        approval_lifetime_ms: ms(transfers.approve_within),
        expiring_notice_ms: ms(Some(transfers.expiring_notice)).unwrap_or_default(),
        payout: config
            .payout
            .as_ref()
            .map_or(PayoutRoute::Manual, |_| PayoutRoute::Gateway),
    }
}

fn payout_schedule(database: &Database, seals: &SealKeys) -> Arc<dyn PayoutSchedule> {
    Arc::new(PgPayouts::new(database.clone(), seals.clone()))
}

/// Who pays withdrawals out, if there is a gateway.
fn payouts(
    config: Option<&PayoutConfig>,
    schedule: &Arc<dyn PayoutSchedule>,
) -> anyhow::Result<Option<Payouts>> {
    let Some(config) = config else {
        return Ok(None);
    };
    let gateway = HttpGateway::try_new(GatewayConfig {
        url: config.url.clone(),
        secret: config.secret.clone(),
        timeout: config.timeout,
    })
    .context("payout")?;
    Ok(Some(Payouts {
        gateway: Arc::new(gateway),
        schedule: Arc::clone(schedule),
    }))
}

fn notifier(config: &Config) -> anyhow::Result<HttpNotifier> {
    HttpNotifier::try_new(NotifierConfig {
        urls: config.callback.urls.clone(),
        // What we send from is ours too.
        own_addresses: [
            config.callback.own_addresses.as_slice(),
            &config.callback.sending_addresses,
        ]
        .concat(),
        own_listeners: [config.listen]
            .into_iter()
            .chain(config.listen_operators)
            .collect(),
        ..NotifierConfig::default()
    })
    .context("callbacks cannot be set up")
}

fn keyring(config: &Config) -> anyhow::Result<Keyring> {
    let master_keys = config
        .master_keys
        .iter()
        .map(|(name, key)| (name.clone(), key.0))
        .collect();
    Ok(Keyring::try_new(config.code_key.0, master_keys)?)
}
