//! From the name of a host to its addresses.

use std::{
    fmt, io,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, ResolverOpts},
    net::NetError,
};
use tokio::time::Instant;

/// Looks names up.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All addresses of a name, IPv4 and IPv6, in the order in which they should be tried.
    ///
    /// # Errors
    /// The name is unknown, or nobody could tell.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// How often the system's configuration is read again: name servers come and go with a network.
const REREAD: Duration = Duration::from_secs(60);

/// How long one question may wait for its answer, and how often it is asked again. Both together
/// stay below what a look-up may take: when a server never answers for one of the two families, the
/// other's addresses still come in time.
const PATIENCE: Duration = Duration::from_secs(1);
const REPEATS: usize = 1;

/// The most questions at a time on one connection to a name server; only used for long answers.
const QUESTIONS_MAX: usize = 1_024;

type Read = fn() -> Result<TokioResolver, NetError>;

/// Asks the system's name servers, and knows the names in its hosts file.
///
/// It asks by itself: the system's own function holds a thread until it is done, so that strangers'
/// name servers which never answer would use up all threads, and everybody's callbacks wait for
/// theirs. Here an unanswered question costs a socket, for as long as somebody waits.
pub struct SystemResolver {
    read: Read,
    current: Mutex<Option<(Instant, TokioResolver)>>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::reading(|| {
            let mut builder = TokioResolver::builder_tokio()?;
            bound(builder.options_mut());
            builder.build()
        })
    }
}

impl SystemResolver {
    fn reading(read: Read) -> Self {
        Self {
            read,
            current: Mutex::new(None),
        }
    }

    /// The resolver by the configuration of this minute, or by the last one that could be read.
    fn current(&self) -> Result<TokioResolver, NetError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((read_at, resolver)) = &*current
            && now.duration_since(*read_at) < REREAD
        {
            return Ok(resolver.clone());
        }
        let resolver = match ((self.read)(), &*current) {
            (Ok(read), _) => read,
            (Err(error), Some((_, last))) => {
                tracing::warn!(%error, "the system's name servers cannot be read; asking those of before");
                last.clone()
            }
            (Err(error), None) => return Err(error),
        };
        *current = Some((now, resolver.clone()));
        Ok(resolver)
    }
}

fn bound(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = PATIENCE;
    options.attempts = REPEATS;
    options.max_active_requests = QUESTIONS_MAX;
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

fn fully_qualified(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    format!("{name}.")
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // The full stop keeps the machine's own search domains out of it: a customer's name must
        // not lead to a service of ours, nor tell whether there is one.
        let found = self
            .current()
            .map_err(io::Error::other)?
            .lookup_ip(fully_qualified(name))
            .await;
        Ok(found.map_err(io::Error::other)?.iter().collect())
    }
}

#[cfg(test)]
mod tests;
