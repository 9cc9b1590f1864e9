//! Reading for as long as it takes, from one snapshot.

use std::time::{Duration, Instant};

use bursar_ports::StoreError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio::sync::OwnedSemaphorePermit;

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
/// a statement.
pub(crate) struct Snapshot {
    /// None once it has failed: nobody knows what would come out of it.
    connection: Option<AsyncPgConnection>,
    ends_at: Instant,
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
        Ok(Some(Self {
            connection: Some(connection),
            ends_at: Instant::now() + database.export_timeout(),
            _place: place,
        }))
    }

    /// Reads from it. Once this has failed there is nothing more to be read: what was half done
    /// must not be taken for whole.
    pub(crate) async fn read<T>(
        &mut self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Taken out, so that it is gone when this is not waited for until the end.
        let mut connection = self
            .connection
            .take()
            .ok_or_else(|| StoreError::Unavailable("the snapshot has ended".into()))?;
        // A snapshot that is kept keeps the server from clearing up behind payments.
        let left = self.ends_at.saturating_duration_since(Instant::now());
        let wait = left.min(LONG_STATEMENT_MAX.saturating_add(GRACE));
        let answer = tokio::time::timeout(wait, ask(&mut connection))
            .await
            .map_err(|elapsed| StoreError::Unavailable(elapsed.into()))??;
        self.connection = Some(connection);
        Ok(answer)
    }
}
