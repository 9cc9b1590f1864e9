//! What an operator decides, read once at start.
//!
//! Every setting is listed in `setting`, which the documentation is made from. A value comes from
//! the environment, else from the file, else it is the default. What is wrong is told all at once,
//! each with the setting's name, what is wrong and where it came from; a value that may be secret
//! is never repeated.

mod console;
#[cfg(test)]
mod document;
mod error;
mod file;
mod jwt;
mod limits;
mod oidc;
mod parse;
mod payout;
mod reader;
mod setting;
mod transfers;

use std::{
    collections::BTreeMap, fmt, net::SocketAddr, num::NonZeroUsize, path::Path, time::Duration,
};

use bursar_app::DispatchLimits;
use bursar_domain::AssetId;
use bursar_jwt::JwtConfig;
use bursar_ports::{CallbackUrlPolicy, IpRange};
use bursar_postgres::EngineKind;
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

pub use console::ConsoleConfig;
pub use error::{ConfigError, ConfigErrors, Origin};
use file::ConfigFile;
pub use limits::LimitsConfig;
pub use oidc::ProviderConfig;
pub use payout::PayoutConfig;
use reader::Reader;
pub use setting::Setting;
pub use transfers::TransfersConfig;

/// What Bursar is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For real: nothing that is only safe on a developer's machine is accepted.
    Production,
    /// On a developer's machine.
    Development,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    Human,
    /// One JSON object a line, for collectors.
    Json,
}

/// A 256-bit key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Everything an operator decides.
#[derive(Debug)]
pub struct Config {
    /// What Bursar is run for.
    pub profile: Profile,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where alone it answers operators; none = where it listens.
    pub listen_operators: Option<SocketAddr>,
    /// The asset in which the value of transfers is told.
    pub root_asset: AssetId,
    /// The database.
    pub database: DatabaseConfig,
    /// Keys for secrets at rest, by name; the first one encrypts, all decrypt.
    pub master_keys: Vec<(String, Key)>,
    /// The key that hides ids inside the codes of internal transfers.
    pub code_key: Key,
    /// The HTTP server.
    pub http: HttpConfig,
    /// JWT access tokens; none = they are not accepted.
    pub jwt: Option<JwtConfig>,
    /// Delivery of callbacks.
    pub callback: CallbackConfig,
    /// Limits, and what replicas share.
    pub limits: LimitsConfig,
    /// What becomes of transfers that wait, and who pays no fees.
    pub transfers: TransfersConfig,
    /// The gateway that pays withdrawals out; none = whoever confirms sees to it.
    pub payout: Option<PayoutConfig>,
    /// The console.
    pub console: ConsoleConfig,
    /// The identity provider at which operators sign in; none = with passwords alone.
    pub provider: Option<ProviderConfig>,
    /// Log lines.
    pub log: LogConfig,
    /// How long requests are still taken after a signal to stop.
    pub shutdown_drain: Duration,
    /// How long requests under way may take to end after that.
    pub shutdown_grace: Duration,
    /// What deserves a word in the log but is no error.
    pub warnings: Vec<String>,
}

/// Settings of the database.
#[derive(Debug)]
pub struct DatabaseConfig {
    /// Its address, with user and password.
    pub url: SecretString,
    /// Connections for look-ups and lists.
    pub pool_size: usize,
    /// How many lists are read at once; none leaves it to the number of processors.
    pub lists_at_once: Option<usize>,
    /// How many exports run at once.
    pub exports_at_once: usize,
    /// How long one export may take.
    pub export_timeout: Duration,
    /// Who moves money.
    pub engine: EngineKind,
    /// How many batches of changes may be under way at once.
    pub batchers: usize,
    /// How many changes one batch takes; none leaves it to the engine.
    pub batch_items: Option<usize>,
    /// How many changes may wait for a batch.
    pub queue_items: usize,
    /// How long one of them may wait.
    pub queue_wait: Duration,
    /// Whether `bursar serve` applies pending migrations.
    pub migrate: bool,
}

/// Settings of the HTTP server.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Threads that serve; none = one per processor.
    pub workers: Option<NonZeroUsize>,
    /// How long a request's head may take to arrive.
    pub head_timeout: Duration,
    /// How long a request's body may take to arrive.
    pub body_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long an answer may be left unread.
    pub unread_timeout: Duration,
    /// How many streams of events may be open at once.
    pub event_streams: usize,
    /// Who may say from where a request comes.
    pub trusted_proxies: Vec<IpRange>,
}

/// Settings of callbacks.
#[derive(Clone, Debug)]
pub struct CallbackConfig {
    /// Which URLs may be called.
    pub urls: CallbackUrlPolicy,
    /// Public addresses of this exchange.
    pub own_addresses: Vec<IpRange>,
    /// How many may be under way at once.
    pub limits: DispatchLimits,
    /// How often to look for callbacks that became due without a hint.
    pub poll: Duration,
    /// From where they are sent, as receivers are told.
    pub sending_addresses: Vec<IpRange>,
}

/// Settings of log lines.
#[derive(Debug)]
pub struct LogConfig {
    /// How they look.
    pub format: LogFormat,
    /// Which are written.
    pub level: EnvFilter,
}

/// Where the values come from.
#[derive(Debug, Default)]
pub struct Sources {
    /// Values that a command brings itself, by key; nothing overrides them.
    pub fixed: BTreeMap<&'static str, String>,
    /// Environment variables that begin with `BURSAR_`.
    pub environment: BTreeMap<String, String>,
    file: Option<ConfigFile>,
}

impl Sources {
    /// This process's environment, and the file when there is one.
    ///
    /// # Errors
    /// [`ConfigErrors`] when the file cannot be read or is no TOML.
    pub fn collect(file: Option<&Path>) -> Result<Self, ConfigErrors> {
        let environment = std::env::vars_os()
            .map(|(name, value)| {
                let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
                (text(name), text(value))
            })
            .filter(|(name, _)| name.starts_with(setting::ENVIRONMENT_PREFIX))
            .collect();
        let file = file.map(ConfigFile::read).transpose()?;
        Ok(Self {
            fixed: BTreeMap::new(),
            environment,
            file,
        })
    }
}

impl Config {
    /// Reads every setting.
    ///
    /// # Errors
    /// [`ConfigErrors`] lists everything that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut read = Reader::new(sources);
        let profile = read.profile(&setting::PROFILE);
        let listen = read.value(&setting::LISTEN, parse::address);
        let listen_operators = read.optional(&setting::LISTEN_OPERATORS, parse::address);
        let root_asset = read.value(&setting::ROOT_ASSET, parse::asset);
        let database = DatabaseConfig::load(&mut read);
        let master_keys = read.list(&setting::MASTER_KEY, parse::named_key);
        let code_key = read.value(&setting::CODE_KEY, parse::key);
        let http = HttpConfig::load(&mut read);
        let jwt = jwt::load(&mut read, profile);
        let callback = CallbackConfig::load(&mut read, profile);
        let limits = LimitsConfig::load(&mut read);
        let transfers = TransfersConfig::load(&mut read);
        let payout = payout::load(&mut read, profile);
        let console = ConsoleConfig::load(&mut read);
        let provider = oidc::load(&mut read, profile);
        let log = LogConfig::load(&mut read);
        let drain = read.value(&setting::SHUTDOWN_DRAIN, parse::millis(0, 600_000));
        let grace = read.value(&setting::SHUTDOWN_GRACE, parse::seconds(0, 600));
        if let (Some(provider), Some(jwt)) = (&provider, &jwt) {
            let (provider, jwt) = (provider.as_ref(), jwt.as_ref());
            oidc::refuse_conflicts(&mut read, provider, console.as_ref(), jwt);
        }
        read.refuse_repeated_names(&setting::MASTER_KEY, master_keys.as_deref());
        let warnings = read.warnings();
        let config = || {
            Some(Self {
                profile: profile?,
                listen: listen?,
                listen_operators: listen_operators?,
                root_asset: root_asset?,
                database: database?,
                master_keys: master_keys?,
                code_key: code_key?,
                http: http?,
                jwt: jwt?,
                callback: callback?,
                limits: limits?,
                transfers: transfers?,
                payout: payout?,
                console: console?,
                provider: provider?,
                log: log?,
                shutdown_drain: drain?,
                shutdown_grace: grace?,
                warnings,
            })
        };
        read.finish(config())
    }

    /// Reads what a command needs that does nothing but reach the database.
    ///
    /// # Errors
    /// [`ConfigErrors`] lists everything that is wrong with it.
    pub fn load_database(sources: &Sources) -> Result<(DatabaseConfig, LogConfig), ConfigErrors> {
        let mut read = Reader::new(sources);
        read.profile(&setting::PROFILE);
        let database = DatabaseConfig::load(&mut read);
        let log = LogConfig::load(&mut read);
        read.finish_part(database.zip(log))
    }
}

impl DatabaseConfig {
    fn load(read: &mut Reader<'_>) -> Option<Self> {
        let url = read.value(&setting::DATABASE_URL, parse::database_url);
        let pool_size = read.value(&setting::DATABASE_POOL_SIZE, parse::count(1, 200));
        let lists_at_once = read.optional(&setting::DATABASE_LISTS_AT_ONCE, parse::count(1, 200));
        let exports_at_once = read.value(&setting::DATABASE_EXPORTS_AT_ONCE, parse::count(1, 20));
        let export_timeout = read.value(
            &setting::DATABASE_EXPORT_TIMEOUT,
            parse::seconds(10, 86_400),
        );
        let engine = read.value(&setting::DATABASE_ENGINE, parse::engine);
        let batchers = read.value(&setting::DATABASE_BATCHERS, parse::count(1, 8));
        let batch_items = read.optional(&setting::DATABASE_BATCH_ITEMS, parse::count(1, 1_024));
        let queue_items = read.value(&setting::DATABASE_QUEUE_ITEMS, parse::count(1, 1_000_000));
        let queue_wait = read.value(&setting::DATABASE_QUEUE_WAIT, parse::millis(10, 60_000));
        let migrate = read.value(&setting::DATABASE_MIGRATE, parse::boolean);
        Some(Self {
            url: url?,
            pool_size: pool_size?,
            lists_at_once: lists_at_once?,
            exports_at_once: exports_at_once?,
            export_timeout: export_timeout?,
            engine: engine?,
            batchers: batchers?,
            batch_items: batch_items?,
            queue_items: queue_items?,
            queue_wait: queue_wait?,
            migrate: migrate?,
        })
    }
}

impl HttpConfig {
    fn load(read: &mut Reader<'_>) -> Option<Self> {
        let workers = read.optional(&setting::http::WORKERS, parse::count(1, 1_024));
        let head_timeout = read.value(&setting::http::HEAD_TIMEOUT, parse::millis(100, 60_000));
        let body_timeout = read.value(&setting::http::BODY_TIMEOUT, parse::millis(100, 300_000));
        let keep_alive = read.value(&setting::http::KEEP_ALIVE, parse::millis(0, 600_000));
        let unread = read.value(
            &setting::http::UNREAD_TIMEOUT,
            parse::millis(1_000, 600_000),
        );
        let event_streams = read.value(&setting::http::EVENT_STREAMS, parse::count(1, 1_000));
        let trusted_proxies = read.list(&setting::http::TRUSTED_PROXIES, parse::ip_range);
        Some(Self {
            workers: workers?.and_then(NonZeroUsize::new),
            head_timeout: head_timeout?,
            body_timeout: body_timeout?,
            keep_alive: keep_alive?,
            unread_timeout: unread?,
            event_streams: event_streams?,
            trusted_proxies: trusted_proxies?,
        })
    }
}

impl CallbackConfig {
    fn load(read: &mut Reader<'_>, profile: Option<Profile>) -> Option<Self> {
        let http_hosts = read.list(&setting::CALLBACK_HTTP_HOSTS, parse::host_name);
        let allow_cidrs = read.list(&setting::CALLBACK_ALLOW_CIDRS, parse::ip_range);
        let extra_ports = read.list(&setting::CALLBACK_EXTRA_PORTS, parse::port);
        let own_addresses = read.list(&setting::CALLBACK_OWN_ADDRESSES, parse::ip_range);
        let mut at_once = |setting| read.value(setting, parse::number(1, 1_024));
        let overall = at_once(&setting::CALLBACK_CONCURRENCY);
        let per_subscriber = at_once(&setting::CALLBACK_PER_SUBSCRIBER);
        let per_host = at_once(&setting::CALLBACK_PER_HOST);
        let poll = read.value(&setting::CALLBACK_POLL, parse::millis(10, 60_000));
        let sending_addresses = read.list(&setting::CALLBACK_SENDING_ADDRESSES, parse::ip_range);
        for (setting, given) in [
            (&setting::CALLBACK_HTTP_HOSTS, is_given(http_hosts.as_ref())),
            (
                &setting::CALLBACK_ALLOW_CIDRS,
                is_given(allow_cidrs.as_ref()),
            ),
        ] {
            if profile == Some(Profile::Production) && given {
                read.refuse(
                    setting,
                    "is for development only: leave it out, or set profile to development",
                );
            }
        }
        Some(Self {
            urls: CallbackUrlPolicy {
                http_hosts: http_hosts?,
                allow_cidrs: allow_cidrs?,
                extra_ports: extra_ports?,
            },
            own_addresses: own_addresses?,
            limits: DispatchLimits {
                overall: overall?,
                per_subscriber: per_subscriber?,
                per_host: per_host?,
            },
            poll: poll?,
            sending_addresses: sending_addresses?,
        })
    }
}

fn is_given<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

impl LogConfig {
    fn load(read: &mut Reader<'_>) -> Option<Self> {
        let format = read.value(&setting::LOG_FORMAT, parse::log_format);
        let level = read.value(&setting::LOG_LEVEL, parse::log_level);
        Some(Self {
            format: format?,
            level: level?,
        })
    }
}

#[cfg(test)]
mod tests;
