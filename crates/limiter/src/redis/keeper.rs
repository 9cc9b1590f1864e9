//! The one connection of a replica: whoever needs it gets it at once or not at all.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bursar_ports::StoreError;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, ServerErrorKind, aio::MultiplexedConnection,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{RedisConfig, RedisError, RedisGuard, RedisLimiter, limiter};

/// How often the connection is tried while nobody complains, and while there is none.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long after a complaint: what was a moment's trouble is over then.
const COMPLAINT_PAUSE: Duration = Duration::from_millis(100);
/// Written at each check: a server that only answers questions is of no use.
const CHECK_KEY: &str = "bursar:check";
const CHECK_KEY_MS: u32 = 60_000;

/// The connection as requests see it.
#[derive(Default)]
pub(super) struct Link {
    current: RwLock<Current>,
    complaint: Notify,
    /// Whether the log has it already that something is refused over this connection.
    is_refusal_told: AtomicBool,
}

#[derive(Default)]
struct Current {
    connection: Option<MultiplexedConnection>,
    /// Tells a connection from the one before.
    number: u64,
}

/// A connection, and how to complain about it.
pub(super) struct Lent {
    pub(super) connection: MultiplexedConnection,
    link: Arc<Link>,
    number: u64,
}

impl Link {
    /// The connection, if there is one: nobody waits for a Redis that is away.
    pub(super) fn lend(self: &Arc<Self>) -> Result<Lent, StoreError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let connection = current.connection.clone();
        Ok(Lent {
            connection: connection.ok_or_else(|| unavailable(RedisError::Away))?,
            link: Arc::clone(self),
            number: current.number,
        })
    }

    /// Takes a connection out of use, unless it was replaced already; says whether it was in use.
    fn withdraw(&self, number: u64) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.number == number && current.connection.take().is_some()
    }

    fn publish(&self, connection: MultiplexedConnection) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.connection = Some(connection);
        current.number = current.number.wrapping_add(1);
        self.is_refusal_told.store(false, Ordering::Relaxed);
    }
}

impl Lent {
    /// Takes an error to the keeper, and says what it means to the request. One that concerns this
    /// command alone leaves the connection to the others: it would be the same over another one.
    pub(super) fn complain(self, error: redis::RedisError) -> StoreError {
        if is_lost(&error) {
            self.give_up(&error);
        } else if !self.link.is_refusal_told.swap(true, Ordering::Relaxed) {
            report_refusal(&error);
        }
        unavailable(RedisError::Failed(error))
    }

    /// From here on nobody uses this connection, until the keeper has found one that works.
    fn give_up(&self, error: &redis::RedisError) {
        if self.link.withdraw(self.number) {
            report_away(error);
            self.link.complaint.notify_one();
        }
    }
}

/// Whether an error says that nothing more can be done over a connection: it is broken, nobody
/// answers in time, or the server at its other end takes no part at present.
fn is_lost(error: &redis::RedisError) -> bool {
    let takes_no_part = matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown
        )
    );
    takes_no_part || error.is_io_error() || error.is_unrecoverable_error()
}

fn unavailable(error: RedisError) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

fn report_away(error: &redis::RedisError) {
    metrics::gauge!("bursar_redis_up").set(0.0);
    tracing::error!(%error, "Redis is away: each replica keeps the limits by itself");
}

fn report_refusal(error: &redis::RedisError) {
    tracing::error!(%error, "Redis refuses a command: what it refuses counts as if it were away");
}

fn report_back() {
    metrics::gauge!("bursar_redis_up").set(1.0);
    tracing::info!("Redis is there: all replicas keep the limits together");
}

/// Keeps the connection, and finds another when it breaks.
pub struct RedisKeeper {
    client: Client,
    config: AsyncConnectionConfig,
    link: Arc<Link>,
}

impl RedisKeeper {
    /// A keeper that has no connection yet.
    ///
    /// # Errors
    /// [`RedisError::Address`]; it does not repeat the address, which may hold a password.
    pub fn try_new(config: &RedisConfig) -> Result<Self, RedisError> {
        let client = Client::open(config.url.as_str()).map_err(|_| RedisError::Address)?;
        let timeout = Some(config.timeout);
        Ok(Self {
            client,
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(timeout)
                .set_response_timeout(timeout),
            link: Arc::default(),
        })
    }

    /// Limits over this connection.
    pub fn limiter(&self) -> RedisLimiter {
        RedisLimiter::new(Arc::clone(&self.link))
    }

    /// Used signatures over this connection.
    pub fn guard(&self) -> RedisGuard {
        RedisGuard::new(Arc::clone(&self.link))
    }

    /// Tries once to connect, so that a service can begin with Redis if it is there.
    pub async fn connect(&self) {
        if let Err(error) = self.try_connect().await {
            report_away(&error);
        }
    }

    /// Looks after the connection until told to stop. It lives on the runtime that this runs on,
    /// whatever becomes of the threads that use it.
    pub async fn run(self, stop: CancellationToken) {
        let look_after = async {
            loop {
                let complaint = self.link.complaint.notified();
                // Without complaints, too: a request should not be what finds out.
                if tokio::time::timeout(CHECK_INTERVAL, complaint)
                    .await
                    .is_ok()
                {
                    tokio::time::sleep(COMPLAINT_PAUSE).await;
                }
                self.check().await;
            }
        };
        stop.run_until_cancelled(look_after).await;
    }

    async fn check(&self) {
        match self.link.lend() {
            Ok(mut lent) => {
                // Whatever it is, requests would meet with it too.
                if let Err(error) = try_out(&mut lent.connection).await {
                    lent.give_up(&error);
                }
            }
            // Its going away was reported; that it is still away is no news.
            Err(_) => drop(self.try_connect().await),
        }
    }

    async fn try_connect(&self) -> Result<(), redis::RedisError> {
        let client = &self.client;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?;
        try_out(&mut connection).await?;
        self.link.publish(connection);
        report_back();
        Ok(())
    }
}

/// Does what requests do: writes something, and runs the script.
async fn try_out(connection: &mut MultiplexedConnection) -> Result<(), redis::RedisError> {
    redis::cmd("SET")
        .arg(CHECK_KEY)
        .arg(1)
        .arg("PX")
        .arg(CHECK_KEY_MS)
        .exec_async(connection)
        .await?;
    limiter::try_out(connection).await
}

#[cfg(test)]
mod tests;
