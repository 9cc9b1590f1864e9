//! Settings of the limits and of what replicas share.

use std::time::Duration;

use secrecy::SecretString;

use super::{Reader, parse, setting};

/// How often things may happen, and where replicas meet to count it.
#[derive(Debug)]
pub struct LimitsConfig {
    /// The Redis that replicas share, with its password.
    pub redis_url: Option<SecretString>,
    /// How long a command to it may take.
    pub redis_timeout: Duration,
    /// How many replicas serve this exchange.
    pub replicas: u32,
    /// Requests of each internal-transfer call that a principal may make in any 60 seconds.
    pub internal_per_minute: u32,
    /// Failed credentials of one client address in any 60 seconds; 0 = no limit.
    pub failed_credentials_per_minute: u32,
}

impl LimitsConfig {
    pub(super) fn load(read: &mut Reader<'_>) -> Option<Self> {
        let redis_url = read.optional(&setting::limits::REDIS_URL, parse::redis_url);
        let timeout = read.value(&setting::limits::REDIS_TIMEOUT, parse::millis(10, 10_000));
        let replicas = read.value(&setting::limits::REPLICAS, parse::number(1, 1_000));
        let internal = read.value(&setting::limits::INTERNAL, parse::number(1, 1_000_000_000));
        let failed = read.value(
            &setting::limits::FAILED_CREDENTIALS,
            parse::number(0, 1_000_000_000),
        );
        if replicas.is_some_and(|replicas| replicas > 1) && matches!(redis_url, Some(None)) {
            read.refuse(
                &setting::limits::REPLICAS,
                "several replicas need limits.redis_url: each by itself would take a signature \
                 that another has taken",
            );
        }
        if matches!(redis_url, Some(None)) {
            let how = [&setting::limits::REDIS_TIMEOUT];
            read.idle(&how, "there is no Redis without limits.redis_url");
        }
        Some(Self {
            redis_url: redis_url?,
            redis_timeout: timeout?,
            replicas: replicas?,
            internal_per_minute: internal?,
            failed_credentials_per_minute: failed?,
        })
    }
}
