//! Settings of how much may be asked for.

use super::{Default, PLAIN, Setting};

pub(in crate::config) const REDIS_URL: Setting = Setting {
    key: "limits.redis_url",
    default: Default::Missing("none: this replica counts in memory, by itself"),
    form: "`redis://user:password@host:port/number`, or `rediss://` for TLS",
    example: "redis://:password@127.0.0.1:6379/0",
    secret: true,
    help: "The Redis (release 6.2 or newer, not a cluster) in which all replicas count requests \
           and remember signatures together. While it is away each replica keeps the limits by \
           itself.",
    ..PLAIN
};

pub(in crate::config) const REDIS_TIMEOUT: Setting = Setting {
    key: "limits.redis_timeout_ms",
    default: Default::Value("200"),
    form: "milliseconds, 10 to 10,000",
    example: "200",
    help: "How long a command to Redis may take. Only requests that are under way when Redis goes \
           away wait for that long; later ones do not ask it before it is back.",
    ..PLAIN
};

pub(in crate::config) const REPLICAS: Setting = Setting {
    key: "limits.replicas",
    default: Default::Value("1"),
    form: "replicas, 1 to 1,000",
    example: "1",
    help: "How many replicas serve this exchange. More than one need `limits.redis_url`, and \
           answer signed POSTs with 503 while Redis is away: no replica can then know which \
           signatures another has taken.",
    ..PLAIN
};

pub(in crate::config) const INTERNAL: Setting = Setting {
    key: "limits.internal_per_minute",
    default: Default::Value("600"),
    form: "requests, 1 to 1,000,000,000",
    example: "600",
    help: "How many requests of each kind (create, list, get) of the internal-transfer API a \
           principal may make in any 60 seconds; each item of a bulk is one. An access key's own \
           `requests_per_minute` counts instead for that key.",
    ..PLAIN
};

pub(in crate::config) const FAILED_CREDENTIALS: Setting = Setting {
    key: "limits.failed_credentials_per_minute",
    default: Default::ByProfile {
        production: "600",
        development: "0",
    },
    form: "tries, 0 to 1,000,000,000",
    example: "600",
    help: "How many credentials of one client address (IPv6: of one /64 network) may be refused \
           in any 60 seconds, on each replica; beyond that its requests are answered with 429 \
           before anything is looked up, except with credentials that were good from there within \
           the last hour. 0 = no limit.",
    ..PLAIN
};
