//! Every setting: its key, its default and what it means.

pub(super) mod console;
pub(super) mod http;
pub(super) mod jwt;
pub(super) mod limits;
pub(super) mod oidc;
pub(super) mod payout;
pub(super) mod transfers;

/// What the name of every variable begins with.
pub(super) const ENVIRONMENT_PREFIX: &str = "BURSAR_";

/// What holds when a setting is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Nothing: it must be given.
    Required,
    /// It may be missing; this says what that means.
    Missing(&'static str),
    /// This value.
    Value(&'static str),
    /// A value that depends on the profile.
    ByProfile {
        /// In production.
        production: &'static str,
        /// In development.
        development: &'static str,
    },
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file; a dot stands between table and key.
    pub key: &'static str,
    /// What holds when it is not given.
    pub default: Default,
    /// What values look like, with the unit.
    pub form: &'static str,
    /// A value for the example file.
    pub example: &'static str,
    /// Whether several values may be given.
    pub list: bool,
    /// Whether a value must never be shown.
    pub secret: bool,
    /// What it means.
    pub help: &'static str,
}

impl Setting {
    /// The environment variable with the same meaning.
    pub fn variable(&self) -> String {
        let name = self.key.replace('.', "_").to_ascii_uppercase();
        format!("{ENVIRONMENT_PREFIX}{name}")
    }
}

/// What the settings that say nothing else have in common.
const PLAIN: Setting = Setting {
    key: "",
    default: Default::Required,
    form: "",
    example: "",
    list: false,
    secret: false,
    help: "",
};

pub(super) const PROFILE: Setting = Setting {
    key: "profile",
    default: Default::Value("production"),
    form: "`production` or `development`",
    example: "production",
    help: "What Bursar is run for. `development` logs for people and lets callbacks go to this \
           machine over plain http; `production` refuses what is only for development.",
    ..PLAIN
};

pub(super) const LISTEN: Setting = Setting {
    key: "listen",
    default: Default::Value("127.0.0.1:8080"),
    form: "IP address and port",
    example: "127.0.0.1:8080",
    help: "Where requests are taken. `0.0.0.0:8080` takes them from other machines too; TLS is \
           the business of the proxy in front.",
    ..PLAIN
};

pub(super) const LISTEN_OPERATORS: Setting = Setting {
    key: "listen_operators",
    default: Default::Missing("operators are answered where everybody is"),
    form: "IP address and port",
    example: "10.0.0.5:8081",
    help: "An address of their own for operators and their tools: `/admin/v1`, `/console`, \
           `/metrics` and `/docs` are answered there alone, and `listen` says 404 to them. \
           Everything else is answered at both.",
    ..PLAIN
};

pub(super) const ROOT_ASSET: Setting = Setting {
    key: "root_asset",
    default: Default::Value("usd"),
    form: "asset id",
    example: "usd",
    help: "The asset in which lists tell the value of transfers.",
    ..PLAIN
};

pub(super) const MASTER_KEY: Setting = Setting {
    key: "master_key",
    form: "`name:key`, the key as 64 hex digits; several are allowed",
    example: "2026-11:REPLACE_WITH_64_HEX_DIGITS",
    list: true,
    secret: true,
    help: "Encrypts secrets at rest. The first one encrypts, all of them decrypt. The first one also \
           seals the books, and `bursar verify` needs all that ever did. `openssl rand -hex 32` \
           makes one. To change the key, give every replica the new one behind the old one first: \
           docs/OPERATIONS.md, Changing the master key.",
    ..PLAIN
};

pub(super) const CODE_KEY: Setting = Setting {
    key: "code_key",
    form: "64 hex digits",
    example: "REPLACE_WITH_64_HEX_DIGITS",
    secret: true,
    help: "Hides numeric ids inside the codes of internal transfers. It can never change: codes \
           that were given out would no longer be found. `openssl rand -hex 32` makes one.",
    ..PLAIN
};

pub(super) const DATABASE_URL: Setting = Setting {
    key: "database.url",
    form: "`postgres://user:password@host:port/name`",
    example: "postgres://bursar:password@127.0.0.1:5432/bursar",
    secret: true,
    help: "The PostgreSQL database (release 15 or newer). Of several hosts, `host:port,host:port`, \
           whichever takes writes is used.",
    ..PLAIN
};

pub(super) const DATABASE_POOL_SIZE: Setting = Setting {
    key: "database.pool_size",
    default: Default::Value("8"),
    form: "connections, 1 to 200",
    example: "8",
    help: "Connections for background passes and whatever else there is. Beside them there are one for \
           each batcher, `database.lists_at_once` for lists and `database.exports_at_once` for \
           exports, six for looking up users and credentials, and one that hears of other replicas' \
           changes.",
    ..PLAIN
};

pub(super) const DATABASE_LISTS_AT_ONCE: Setting = Setting {
    key: "database.lists_at_once",
    default: Default::Missing("one more than this machine has processors"),
    form: "lists, 1 to 200",
    example: "5",
    help: "How many lists are read at once, the others wait for their turn. More than the database \
           has processors for make all of them slow, and payments with them. At least one \
           connection of the pool is never given to a list.",
    ..PLAIN
};

pub(super) const DATABASE_EXPORTS_AT_ONCE: Setting = Setting {
    key: "database.exports_at_once",
    default: Default::Value("2"),
    form: "exports, 1 to 20",
    example: "2",
    help: "How many exports each replica runs at once, each on a connection of its own beside the \
           pool's. One more is refused with 429.",
    ..PLAIN
};

pub(super) const DATABASE_EXPORT_TIMEOUT: Setting = Setting {
    key: "database.export_timeout_s",
    default: Default::Value("1800"),
    form: "seconds, 10 to 86400",
    example: "1800",
    help: "How long one export may take. It keeps what it sees from being cleared up, and an \
           exchange that is busy meanwhile becomes slower.",
    ..PLAIN
};

pub(super) const DATABASE_ENGINE: Setting = Setting {
    key: "database.engine",
    default: Default::Value("shared"),
    form: "shared or single_writer",
    example: "shared",
    help: "Who moves money. `shared`: every replica. `single_writer`: the one replica that holds the \
           book, which keeps balances in memory; the others wait to take over, and meanwhile answer \
           503 where money moves. See docs/OPERATIONS.md before choosing it.",
    ..PLAIN
};

pub(super) const DATABASE_BATCHERS: Setting = Setting {
    key: "database.batchers",
    default: Default::Value("2"),
    form: "batches, 1 to 8",
    example: "2",
    help: "How many batches of changes may be under way at once. More than two rarely help: \
           concurrent batches wait for each other's accounts.",
    ..PLAIN
};

pub(super) const DATABASE_BATCH_ITEMS: Setting = Setting {
    key: "database.batch_items",
    default: Default::Missing("64, and 256 for a single writer"),
    form: "changes, 1 to 1,024",
    example: "64",
    help: "How many changes one batch takes at most. Where the book is shared, big batches wait for \
           each other's accounts.",
    ..PLAIN
};

pub(super) const DATABASE_QUEUE_ITEMS: Setting = Setting {
    key: "database.queue_items",
    default: Default::Value("1024"),
    form: "changes, 1 to 1,000,000",
    example: "1024",
    help: "How many changes may wait for a batch; beyond that requests are answered with 503 \
           before they have any effect.",
    ..PLAIN
};

pub(super) const DATABASE_QUEUE_WAIT: Setting = Setting {
    key: "database.queue_wait_ms",
    default: Default::Value("250"),
    form: "milliseconds, 10 to 60,000",
    example: "250",
    help: "How long a change may wait for its batch; after that its request is answered with 503, \
           and has no effect. One that would wait longer, as fast as batches go, is refused at once. \
           Bulks wait five times as long.",
    ..PLAIN
};

pub(super) const DATABASE_MIGRATE: Setting = Setting {
    key: "database.migrate",
    default: Default::Value("true"),
    form: "`true` or `false`",
    example: "true",
    help: "Whether `bursar serve` applies pending migrations at start. With `false` it refuses \
           to serve on a database that `bursar migrate` has not brought up to date, as `token`, \
           `access-key`, `operator`, `import`, `reseal`, `after-restore` and `verify` always do.",
    ..PLAIN
};

pub(super) const CALLBACK_HTTP_HOSTS: Setting = Setting {
    key: "callback.http_hosts",
    default: Default::ByProfile {
        production: "",
        development: "localhost",
    },
    form: "host names",
    example: "localhost",
    list: true,
    help: "Names that callbacks may go to over plain http too, and on any port. For development \
           only; everywhere else callbacks go over https. Private addresses of these names must be \
           in `callback.allow_cidrs`.",
    ..PLAIN
};

pub(super) const CALLBACK_ALLOW_CIDRS: Setting = Setting {
    key: "callback.allow_cidrs",
    default: Default::ByProfile {
        production: "",
        development: "127.0.0.0/8,::1/128",
    },
    form: "IP addresses and CIDR ranges",
    example: "127.0.0.0/8",
    list: true,
    help: "Private addresses that callbacks may go to, by name or as they are, over plain http too, \
           and on any port. For development only; everywhere else callbacks go to public addresses \
           and nowhere else.",
    ..PLAIN
};

pub(super) const CALLBACK_EXTRA_PORTS: Setting = Setting {
    key: "callback.extra_ports",
    default: Default::Missing("callbacks go to 443 and 8443 only"),
    form: "ports, 1 to 65,535",
    example: "9443",
    list: true,
    help: "Ports that callbacks may go to, beside 443 and 8443. Each is one more that a customer \
           can make Bursar knock at, on any public host.",
    ..PLAIN
};

pub(super) const CALLBACK_OWN_ADDRESSES: Setting = Setting {
    key: "callback.own_addresses",
    default: Default::Missing("this machine's own addresses and `callback.sending_addresses`"),
    form: "IP addresses and CIDR ranges",
    example: "203.0.113.0/28",
    list: true,
    help: "Public addresses of this exchange (load balancers, gateways, the addresses that \
           callbacks come from): no callback goes there.",
    ..PLAIN
};

pub(super) const CALLBACK_CONCURRENCY: Setting = Setting {
    key: "callback.concurrency",
    default: Default::Value("256"),
    form: "callbacks, 1 to 1,024",
    example: "256",
    help: "How many callbacks one replica delivers at once. Half of the places are kept for \
           receivers that answer.",
    ..PLAIN
};

pub(super) const CALLBACK_PER_SUBSCRIBER: Setting = Setting {
    key: "callback.per_subscriber",
    default: Default::Value("32"),
    form: "callbacks, 1 to 1,024",
    example: "32",
    help: "How many callbacks of one user, or of one client of the back office, one replica \
           delivers at once. Half of the places are kept for receivers that answer.",
    ..PLAIN
};

pub(super) const CALLBACK_PER_HOST: Setting = Setting {
    key: "callback.per_host",
    default: Default::Value("8"),
    form: "callbacks, 1 to 1,024",
    example: "8",
    help: "How many callbacks one replica delivers at once to one host and port. A host that has \
           not answered yet, or not lately, gets one at a time.",
    ..PLAIN
};

pub(super) const CALLBACK_POLL: Setting = Setting {
    key: "callback.poll_ms",
    default: Default::Value("1000"),
    form: "milliseconds, 10 to 60,000",
    example: "1000",
    help: "How often to look for callbacks that are due again, or were left behind by another \
           replica. New ones are delivered at once.",
    ..PLAIN
};

pub(super) const CALLBACK_SENDING_ADDRESSES: Setting = Setting {
    key: "callback.sending_addresses",
    default: Default::Missing("none are told"),
    form: "IP addresses and CIDR ranges",
    example: "203.0.113.7",
    list: true,
    help: "From which addresses callbacks leave, as `GET /callback-addresses` tells receivers for \
           their firewalls: those of the NAT gateway or of the replicas themselves. Callbacks leave \
           as they did; none goes to these addresses, as with `callback.own_addresses`.",
    ..PLAIN
};

pub(super) const LOG_FORMAT: Setting = Setting {
    key: "log.format",
    default: Default::ByProfile {
        production: "json",
        development: "human",
    },
    form: "`human` or `json`",
    example: "json",
    help: "How log lines look. They go to standard error.",
    ..PLAIN
};

pub(super) const LOG_LEVEL: Setting = Setting {
    key: "log.level",
    default: Default::Value("info"),
    form: "`error`, `warn`, `info`, `debug`, `trace`, or directives by target",
    example: "info,bursar_app=debug",
    help: "Which log lines are written.",
    ..PLAIN
};

pub(super) const SHUTDOWN_DRAIN: Setting = Setting {
    key: "shutdown.drain_ms",
    default: Default::ByProfile {
        production: "5000",
        development: "0",
    },
    form: "milliseconds, 0 to 600,000",
    example: "5000",
    help: "How long requests are still taken after SIGTERM or SIGINT, while `/health/ready` already \
           says no: longer than a balancer takes to notice. A single writer leaves the book to \
           another replica at once, and sends money there meanwhile; with 0 it first does what it \
           has taken.",
    ..PLAIN
};

pub(super) const SHUTDOWN_GRACE: Setting = Setting {
    key: "shutdown.grace_seconds",
    default: Default::Value("30"),
    form: "seconds, 0 to 600",
    example: "30",
    help: "How long requests under way may take to end once none are taken any more. A second \
           signal ends Bursar at once.",
    ..PLAIN
};

/// Every setting, in the order of the documentation.
pub(super) const ALL: &[&Setting] = &[
    &PROFILE,
    &LISTEN,
    &LISTEN_OPERATORS,
    &ROOT_ASSET,
    &MASTER_KEY,
    &CODE_KEY,
    &DATABASE_URL,
    &DATABASE_POOL_SIZE,
    &DATABASE_LISTS_AT_ONCE,
    &DATABASE_EXPORTS_AT_ONCE,
    &DATABASE_EXPORT_TIMEOUT,
    &DATABASE_ENGINE,
    &DATABASE_BATCHERS,
    &DATABASE_BATCH_ITEMS,
    &DATABASE_QUEUE_ITEMS,
    &DATABASE_QUEUE_WAIT,
    &DATABASE_MIGRATE,
    &http::WORKERS,
    &http::HEAD_TIMEOUT,
    &http::BODY_TIMEOUT,
    &http::KEEP_ALIVE,
    &http::UNREAD_TIMEOUT,
    &http::EVENT_STREAMS,
    &http::TRUSTED_PROXIES,
    &jwt::ISSUER,
    &jwt::AUDIENCE,
    &jwt::ALGORITHMS,
    &jwt::JWKS_URL,
    &jwt::JWKS_FILE,
    &jwt::SECRET,
    &jwt::LEEWAY,
    &jwt::USER_CLAIM,
    &jwt::REFRESH,
    &CALLBACK_HTTP_HOSTS,
    &CALLBACK_ALLOW_CIDRS,
    &CALLBACK_EXTRA_PORTS,
    &CALLBACK_OWN_ADDRESSES,
    &CALLBACK_CONCURRENCY,
    &CALLBACK_PER_SUBSCRIBER,
    &CALLBACK_PER_HOST,
    &CALLBACK_POLL,
    &CALLBACK_SENDING_ADDRESSES,
    &limits::REDIS_URL,
    &limits::REDIS_TIMEOUT,
    &limits::REPLICAS,
    &limits::INTERNAL,
    &limits::FAILED_CREDENTIALS,
    &transfers::FEE_FREE_ROLES,
    &transfers::CONFIRM_WITHIN,
    &transfers::APPROVE_WITHIN,
    &transfers::EXPIRING_NOTICE,
    &payout::URL,
    &payout::SECRET,
    &payout::TIMEOUT,
    &console::ENABLED,
    &console::IDLE,
    &console::SESSION,
    &console::SECURE_COOKIES,
    &console::SECOND_LOOK_ABOVE,
    &console::PASSWORD_SIGN_IN,
    &oidc::ISSUER,
    &oidc::CLIENT_ID,
    &oidc::CLIENT_SECRET,
    &oidc::REDIRECT_URL,
    &oidc::LABEL,
    &oidc::ALGORITHMS,
    &oidc::SCOPES,
    &oidc::ACR,
    &LOG_FORMAT,
    &LOG_LEVEL,
    &SHUTDOWN_DRAIN,
    &SHUTDOWN_GRACE,
];
