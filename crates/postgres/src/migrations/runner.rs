//! Migrating a database that others serve on.
//!
//! Whoever waits for a lock on a table has everybody wait behind him who comes later, also those whom
//! its holder would let in: a migration that waits for somebody's forgotten transaction stops all
//! money. So each waits for a moment only, lets everybody pass, and is tried again, for minutes.
//!
//! One process at a time migrates. The others ask again and again whether it has ended, rather than
//! wait for its lock: building an index `CONCURRENTLY` waits for whoever is in a transaction, and
//! would wait for them.

use std::time::Duration;

use diesel::{dsl::sql, sql_types::Bool};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
    async_connection_wrapper::AsyncConnectionWrapper,
};
use diesel_migrations::MigrationHarness;
use tokio::time::{Instant, sleep};

use super::{
    BoxError, EMBEDDED, MigrateError, connect, locks::Locks, pending, remainders::drop_invalid,
};

/// The advisory lock of whoever migrates a database.
pub const TURN: i64 = 0x0062_7572_7361_7202;
/// How often to see whether the one who migrates has ended.
const TURN_POLL: Duration = Duration::from_millis(250);

/// How often a migration may fail in a row, for another reason than a lock, before it is given up.
const ATTEMPTS_MAX: u32 = 3;
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// For how long a migration is tried that finds its table locked.
const LOCKED_MAX: Duration = Duration::from_secs(300);
/// How long others go first before it is tried again.
const LOCKED_PAUSE: Duration = Duration::from_secs(1);
/// Every so many tries one waits for longer.
const LONG_WAIT_EVERY: u32 = 8;

/// How long a statement of a migration waits for a lock.
const SHORT_WAIT: &str = "SET lock_timeout = '500ms'";
/// Longer than it takes the server to send an autovacuum away that is in the way: it does so for
/// whoever has waited for `deadlock_timeout`, and for nobody else.
const LONG_WAIT: &str = "SELECT set_config('lock_timeout', (500 + ceil(1000 * \
    extract(epoch FROM current_setting('deadlock_timeout')::interval)))::bigint::text, false)";

/// What ended a try.
struct Failure {
    version: String,
    source: BoxError,
}

/// What has failed since something was applied.
#[derive(Default)]
struct Failures {
    locked: u32,
    /// When a lock was not to be had first: a try itself may take hours.
    locked_since: Option<Instant>,
    others: u32,
}

impl Failures {
    /// The second try waits for longer, in case that it is an autovacuum, and then some do.
    const fn wait(&self) -> &'static str {
        if self.locked % LONG_WAIT_EVERY == 1 {
            LONG_WAIT
        } else {
            SHORT_WAIT
        }
    }
}

/// The one process that migrates the database.
pub(super) struct Runner {
    connection: AsyncPgConnection,
    locks: Locks,
    failures: Failures,
}

impl Runner {
    /// Waits until nobody else migrates.
    pub(super) async fn begin(
        url: &str,
        mut connection: AsyncPgConnection,
    ) -> Result<Self, MigrateError> {
        take_turn(&mut connection).await?;
        let locks = Locks::of(&mut connection, connect(url).await?).await?;
        Ok(Self {
            connection,
            locks,
            failures: Failures::default(),
        })
    }

    /// Applies what is still pending.
    pub(super) async fn run(mut self, known: &[String]) -> Result<(), MigrateError> {
        let mut left = pending(&mut self.connection, known).await?;
        while let [next, ..] = left.as_slice() {
            self.connection
                .batch_execute(self.failures.wait())
                .await
                .map_err(|error| MigrateError::Read(error.into()))?;
            let ran = self.locks.watch(attempt(self.connection, next)).await?;
            self.connection = ran.0;
            let before = left.len();
            left = pending(&mut self.connection, known).await?;
            if left.len() < before {
                self.failures = Failures::default();
            }
            if let Err(failure) = ran.1 {
                self.pause(failure).await?;
            }
        }
        Ok(())
    }

    /// Waits before the next try, unless there is to be none.
    async fn pause(&mut self, failure: Failure) -> Result<(), MigrateError> {
        let Failure { version, source } = failure;
        let failures = &mut self.failures;
        if !self.locks.explain(&source).await {
            failures.others = failures.others.saturating_add(1);
            if failures.others >= ATTEMPTS_MAX {
                return Err(MigrateError::Failed { version, source });
            }
            sleep(PAUSE_AFTER_FAILURE).await;
            return Ok(());
        }
        let holders = self.locks.holders();
        let since = failures.locked_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= LOCKED_MAX {
            return Err(MigrateError::Locked {
                version,
                holders,
                source,
            });
        }
        if failures.locked == 0 {
            tracing::warn!(
                version,
                holders,
                "a migration waits for others' transactions, and is tried again and again"
            );
        }
        failures.locked = failures.locked.saturating_add(1);
        sleep(LOCKED_PAUSE).await;
        Ok(())
    }
}

async fn take_turn(connection: &mut AsyncPgConnection) -> Result<(), MigrateError> {
    let take = format!("pg_try_advisory_lock({TURN})");
    let mut told = false;
    loop {
        let taken: bool = diesel::select(sql::<Bool>(&take))
            .get_result(connection)
            .await
            .map_err(|error| MigrateError::Read(error.into()))?;
        if taken {
            return Ok(());
        }
        if !told {
            tracing::info!("another process migrates the database and is waited for");
            told = true;
        }
        sleep(TURN_POLL).await;
    }
}

type Ran = (AsyncPgConnection, Result<(), Failure>);

/// Applies what is pending, of which `next` comes first.
async fn attempt(mut connection: AsyncPgConnection, next: &str) -> Result<Ran, MigrateError> {
    if let Err(error) = drop_invalid(&mut connection).await {
        let failure = Failure {
            version: next.to_owned(),
            source: error.into(),
        };
        return Ok((connection, Err(failure)));
    }
    run_pending(connection).await
}

/// Runs diesel's blocking harness on a thread of its own, the only way that works both on tokio's
/// multi-threaded runtime and on actix's single-threaded one.
async fn run_pending(connection: AsyncPgConnection) -> Result<Ran, MigrateError> {
    let run = move || {
        let mut harness = AsyncConnectionWrapper::<AsyncPgConnection>::from(connection);
        let outcome = run_each(&mut harness)?;
        Ok((harness.into_inner(), outcome))
    };
    tokio::task::spawn_blocking(run)
        .await
        .map_err(MigrateError::Interrupted)?
}

fn run_each(
    harness: &mut AsyncConnectionWrapper<AsyncPgConnection>,
) -> Result<Result<(), Failure>, MigrateError> {
    for migration in harness
        .pending_migrations(EMBEDDED)
        .map_err(MigrateError::Read)?
    {
        if let Err(source) = harness.run_migration(&*migration) {
            let version = migration.name().version().to_string();
            return Ok(Err(Failure { version, source }));
        }
        tracing::info!(migration = %migration.name(), "migrated");
    }
    Ok(Ok(()))
}
