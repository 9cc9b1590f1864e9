//! What waits for operators, and who is at it.
//!
//! A queue is one range of an index in its order: by age of `transfers_others_idx` or
//! `transfers_stage_idx`, by value of `transfers_open_value_idx`. Assets have no index of their own:
//! when one is asked for, a page looks at no more than 10,000 rows and tells where it stopped.
//!
//! A taking is one row per transfer, and taking is one statement: of two who insert it at once the
//! second waits for the first and is then told who has it.

mod places;
mod takings;

use std::fmt;

use async_trait::async_trait;
use bursar_domain::{ActorId, AuditDraft, Timestamp, Transfer, TransferId, Version};
use bursar_ports::{LetGo, QueueScan, QueueSlice, StoreError, Take, Taking, WorkQueue};
use diesel::OptionalExtension as _;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use self::places::{PlaceRow, Places};
use crate::{error::unavailable, pool::Database, row::TransferRow};

/// The queues of the main book.
#[derive(Clone)]
pub struct PgWorkQueue {
    database: Database,
}

impl PgWorkQueue {
    /// Works on these connections.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

impl fmt::Debug for PgWorkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgWorkQueue")
            .field("database", &self.database)
            .finish()
    }
}

#[async_trait]
impl WorkQueue for PgWorkQueue {
    async fn list_open(&self, scan: QueueScan) -> Result<QueueSlice, StoreError> {
        self.database
            .read_list(async move |connection| list_open(connection, scan).await)
            .await
    }

    async fn take(&self, taking: Taking, audit: AuditDraft) -> Result<Take, StoreError> {
        let now = taking.taken_at;
        let take = takings::take(&self.database, taking, audit).await?;
        if let Take::Taken(_) = take {
            takings::sweep(&self.database, now).await;
        }
        Ok(take)
    }

    async fn let_go(
        &self,
        transfer: TransferId,
        version: Version,
        by: ActorId,
        now: Timestamp,
        audit: AuditDraft,
    ) -> Result<LetGo, StoreError> {
        let ended = takings::Ended {
            transfer,
            version,
            by,
            now,
        };
        takings::let_go(&self.database, ended, audit).await
    }

    async fn list_takings(
        &self,
        transfers: Vec<TransferId>,
        now: Timestamp,
    ) -> Result<Vec<Taking>, StoreError> {
        self.database
            .read(async move |connection| takings::list(connection, &transfers, now).await)
            .await
    }
}

async fn list_open(
    connection: &mut AsyncPgConnection,
    scan: QueueScan,
) -> Result<QueueSlice, StoreError> {
    let QueueScan { which, order, .. } = scan;
    let after = scan.after.filter(|place| place.order() == order);
    let places = Places::new(which, order, after);
    let mut end = None;
    if scan.asset.is_some() {
        // Found first: what is committed meanwhile cannot move it under the rows.
        let horizon = places.clone().horizon();
        let last: Option<PlaceRow> = horizon
            .get_result(connection)
            .await
            .optional()
            .map_err(unavailable)?;
        end = last.map(|row| row.place(order)).transpose()?;
    }
    let asset = scan.asset.map(|asset| asset.to_string());
    let found = places.of(asset, end.clone(), scan.limit);
    let mut found: Vec<PlaceRow> = found.load(connection).await.map_err(unavailable)?;
    let limit = usize::try_from(scan.limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let transfers = read(connection, found.iter().map(|row| row.id).collect()).await?;
    let last = found.pop().filter(|_| more);
    let next = match last {
        Some(row) => Some(row.place(order)?),
        None => end,
    };
    Ok(QueueSlice { transfers, next })
}

/// The transfers with these ids, in this order. One that was acted on meanwhile is as it is now.
async fn read(
    connection: &mut AsyncPgConnection,
    ids: Vec<i64>,
) -> Result<Vec<Transfer>, StoreError> {
    let mut rows = TransferRow::load_many(connection, ids.clone())
        .await
        .map_err(unavailable)?;
    rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id));
    rows.into_iter().map(Transfer::try_from).collect()
}

#[cfg(test)]
mod tests;
