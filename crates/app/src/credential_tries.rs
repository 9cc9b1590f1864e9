//! How often somebody at one address may fail to present credentials (contract §0).
//!
//! Secrets have 256 random bits, so this is not what keeps them from being guessed: it keeps
//! whoever tries from costing a look-up each time. Others may share the address, behind a network's
//! translation or a proxy that the configuration does not name, so a credential that was good a
//! little while ago is looked at whatever happens around it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use bursar_domain::Timestamp;
use bursar_ports::Quota;
use sha2::{Digest, Sha256};

use crate::{App, AuthError, Error, Limit, Principal, RateLimited, limits::MINUTE_MS};

/// How long a credential is known to have been good, in microseconds.
const KNOWN_US: i64 = 3_600_000_000;
/// How many are known at most. Who is beyond that is treated as new.
const KNOWN_MAX: usize = 100_000;
/// How often those that are over are looked for at most, in microseconds: all of them are looked at.
const SWEPT_EVERY_US: i64 = 60_000_000;
/// The part of an IPv6 address that one customer of a provider has to itself.
const NETWORK_BITS: u32 = 64;

/// Credentials that were good a little while ago, by a hash of them and of where they came from.
#[derive(Debug, Default)]
pub(crate) struct KnownCredentials(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    until: HashMap<[u8; 32], Timestamp>,
    /// When those that are over were last looked for.
    swept_at: Option<Timestamp>,
}

impl KnownCredentials {
    fn has(&self, hash: &[u8; 32], now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.until.get(hash).is_some_and(|until| *until > now)
    }

    fn add(&self, hash: [u8; 32], now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.until.len() >= KNOWN_MAX && !known.until.contains_key(&hash) {
            let may_sweep = |at: Timestamp| now >= at.plus_micros(SWEPT_EVERY_US);
            if known.swept_at.is_none_or(may_sweep) {
                known.until.retain(|_, until| *until > now);
                known.swept_at = Some(now);
            }
            if known.until.len() >= KNOWN_MAX {
                return;
            }
        }
        known.until.insert(hash, now.plus_micros(KNOWN_US));
    }
}

/// A try to present credentials that may be looked at.
#[derive(Debug)]
#[must_use]
pub struct CredentialTry {
    key: String,
    quota: Quota,
    hash: [u8; 32],
    /// Whether a failure counts: of a network that has had as many as it may, no more are kept.
    counts: bool,
}

impl App {
    /// Begins a try, before anything about the credentials is looked up; none when tries are not
    /// counted. `credential` is what was presented, as far as it tells one credential from another.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when too many from this address have failed, unless this very
    /// credential was good a little while ago.
    pub async fn begin_credentials(
        &self,
        client: Option<IpAddr>,
        credential: &[u8],
    ) -> Result<Option<CredentialTry>, Error> {
        let units = self.settings.limits.failed_credentials_per_minute;
        let Some(network) = client.map(network_of).filter(|_| units > 0) else {
            return Ok(None);
        };
        let hash = hash_of(network, credential);
        let key = format!("failed_credentials:{network}");
        let quota = Quota {
            units,
            window_ms: MINUTE_MS,
        };
        let limiter = &self.ports.local_limiter;
        let peeked = limiter.peek(key.clone(), 1, quota).await?;
        if peeked.allowed || self.known_credentials.has(&hash, self.now()) {
            return Ok(Some(CredentialTry {
                key,
                quota,
                hash,
                counts: peeked.allowed,
            }));
        }
        Err(RateLimited::new(Limit::FailedCredentials, peeked.retry_after_ms).into())
    }

    /// Knows a credential that was just given to somebody, as if it had been presented already.
    pub(crate) fn know_credential(&self, client: Option<IpAddr>, credential: &[u8]) {
        if let Some(network) = client.map(network_of) {
            let hash = hash_of(network, credential);
            self.known_credentials.add(hash, self.now());
        }
    }

    /// Ends a try with what came of it.
    pub async fn end_credentials(
        &self,
        begun: Option<CredentialTry>,
        found: &Result<Principal, Error>,
    ) {
        let Some(CredentialTry {
            key,
            quota,
            hash,
            counts,
        }) = begun
        else {
            return;
        };
        match found {
            Ok(_) => self.known_credentials.add(hash, self.now()),
            Err(Error::Unauthenticated(error)) if counts && is_failed_try(*error) => {
                if let Err(error) = self.ports.local_limiter.record(key, 1, quota).await {
                    tracing::warn!(%error, "a failed credential was not counted");
                }
            }
            Err(_) => {}
        }
    }
}

/// A credential and where it came from.
fn hash_of(network: IpAddr, credential: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(network.to_string());
    hash.update(b"\n");
    hash.update(credential);
    hash.finalize().into()
}

/// Whether somebody presented a secret that is none. What is missing or badly timed is an honest
/// mistake, and tells nobody anything.
const fn is_failed_try(error: AuthError) -> bool {
    match error {
        AuthError::TokenInvalid | AuthError::AccessKeyUnknown | AuthError::SignatureInvalid => true,
        AuthError::Missing
        | AuthError::AccessKeyMissed
        | AuthError::TimestampMissed
        | AuthError::SignatureMissed
        | AuthError::TimestampInvalid
        | AuthError::TimestampExpired
        | AuthError::SignatureReplayed
        | AuthError::IpNotAllowed => false,
    }
}

/// The address, or the network that stands for all the addresses that its owner can choose from.
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let host_bits = u128::MAX.checked_shr(NETWORK_BITS).unwrap_or_default();
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host_bits))
        }
    }
}

#[cfg(test)]
mod tests;
