//! Reading for as long as it takes, from one snapshot.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bursar_ports::StoreError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio::{sync::OwnedSemaphorePermit, task::JoinHandle, time::Instant};

use crate::{
    error::unavailable,
    pool::{Database, LONG_STATEMENT_MAX},
};

/// The snapshot is taken by the first statement, not by `BEGIN`.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1";
/// How much later than the server a statement is given up here.
const GRACE: Duration = Duration::from_secs(5);

/// A transaction that sees what was committed when it began and nothing else, on a connection of
/// its own. Dropping it closes the connection, and that ends the transaction, also in the middle of
/// a statement. So does a reader that pauses for too long: a snapshot that is kept keeps the server
/// from clearing up behind payments, and its place from whoever comes next.
pub(crate) struct Snapshot {
    rest: Arc<Mutex<Rest>>,
    ends_at: Instant,
    watch: JoinHandle<()>,
}

/// What waits for the next reading.
struct Rest {
    /// None while it is read from, and once it has ended.
    held: Option<Held>,
    since: Instant,
}

struct Held {
    connection: AsyncPgConnection,
    _place: OwnedSemaphorePermit,
}

impl Snapshot {
    /// Takes a snapshot; none when as many are being read as may be read at once.
    pub(crate) async fn open(database: &Database) -> Result<Option<Self>, StoreError> {
        let Some(place) = database.take_export_place() else {
            return Ok(None);
        };
        let mut connection = database.connect_for_exports().await?;
        connection.batch_execute(BEGIN).await.map_err(unavailable)?;
        let held = Held {
            connection,
            _place: place,
        };
        let since = Instant::now();
        let rest = Arc::new(Mutex::new(Rest {
            held: Some(held),
            since,
        }));
        let ends_at = since + database.export_timeout();
        let watch = watch(Arc::clone(&rest), ends_at, database.export_pause());
        Ok(Some(Self {
            rest,
            ends_at,
            watch: tokio::spawn(watch),
        }))
    }

    /// Reads from it. Once this has failed there is nothing more to be read: what was half done
    /// must not be taken for whole.
    pub(crate) async fn read<T>(
        &mut self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Taken out, so that it is gone when this is not waited for until the end.
        let held = locked(&self.rest).held.take();
        let mut held =
            held.ok_or_else(|| StoreError::Unavailable("the snapshot has ended".into()))?;
        let left = self.ends_at.saturating_duration_since(Instant::now());
        let wait = left.min(LONG_STATEMENT_MAX.saturating_add(GRACE));
        let answer = tokio::time::timeout(wait, ask(&mut held.connection))
            .await
            .map_err(|elapsed| StoreError::Unavailable(elapsed.into()))??;
        *locked(&self.rest) = Rest {
            held: Some(held),
            since: Instant::now(),
        };
        Ok(answer)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.watch.abort();
        // The watch holds it too, and ends a little later.
        locked(&self.rest).held = None;
    }
}

/// Ends a snapshot that nobody reads from, and any when its time is over.
async fn watch(rest: Arc<Mutex<Rest>>, ends_at: Instant, pause_max: Duration) {
    loop {
        let looked_at = Instant::now();
        let pause_ends = {
            let mut rest = locked(&rest);
            let pause_ends = match &rest.held {
                Some(_) => rest.since + pause_max,
                // It is being read from.
                None => looked_at + pause_max,
            };
            if pause_ends.min(ends_at) <= looked_at {
                rest.held = None;
                return;
            }
            pause_ends
        };
        tokio::time::sleep_until(pause_ends.min(ends_at)).await;
    }
}

fn locked(rest: &Mutex<Rest>) -> std::sync::MutexGuard<'_, Rest> {
    rest.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use diesel::{QueryableByName, sql_query, sql_types::BigInt};
    use diesel_async::{AsyncConnection, RunQueryDsl};

    use super::*;
    use crate::{pool::PoolConfig, testing::TestDatabase};

    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }

    /// Waits until this many others sleep on the server.
    async fn until_asleep(connection: &mut AsyncPgConnection, count: i64) {
        let asleep = "SELECT count(*) AS count FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
                      AND datname = current_database()";
        let wait = async {
            loop {
                let found: Count = sql_query(asleep).get_result(connection).await.unwrap();
                if found.count == count {
                    return;
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.expect("nothing changes");
    }

    #[tokio::test]
    async fn a_statement_whose_reader_has_gone_is_ended() {
        let database = TestDatabase::create().await;
        let mut looking = AsyncPgConnection::establish(database.url()).await.unwrap();
        let config = PoolConfig {
            exports_at_once: 1,
            ..PoolConfig::new(database.url())
        };
        let connections = Database::connect(config).await.unwrap();
        let mut snapshot = Snapshot::open(&connections).await.unwrap().unwrap();
        let sleep = snapshot.read(async |connection| {
            let slept = connection.batch_execute("SELECT pg_sleep(600)").await;
            slept.map_err(unavailable)
        });
        tokio::select! {
            slept = sleep => panic!("it went on: {slept:?}"),
            () = until_asleep(&mut looking, 1) => {}
        }
        // The server notices by itself, before the statement would have ended.
        until_asleep(&mut looking, 0).await;
        let after = snapshot.read(async |_| Ok(())).await;
        assert!(
            matches!(after, Err(StoreError::Unavailable(_))),
            "{after:?}"
        );
        // What was given up in the middle has given its place back.
        assert!(Snapshot::open(&connections).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_snapshot_writes_nothing() {
        let database = TestDatabase::create().await;
        let connections = Database::connect(PoolConfig::new(database.url()));
        let connections = connections.await.unwrap();
        let mut snapshot = Snapshot::open(&connections).await.unwrap().unwrap();
        let write = "DELETE FROM book_main.entries";
        let written = snapshot
            .read(async |connection| connection.batch_execute(write).await.map_err(unavailable));
        let Err(StoreError::Unavailable(cause)) = written.await else {
            panic!("it was written");
        };
        assert!(cause.to_string().contains("read-only"), "{cause}");
    }
}
