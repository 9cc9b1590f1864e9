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
