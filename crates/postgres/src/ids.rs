//! Transfer ids in ranges, and random bytes.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bursar_domain::{Timestamp, TransferId};
use bursar_ports::{IdSource, StoreError};
use diesel::{
    dsl::sql,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt as _;
use rand::RngExt as _;
use uuid::{Builder, Uuid};

use crate::{
    error::inconsistent,
    pool::Database,
    tx::{not_prepared, run_tx},
};

/// The first range is small, so that ids stay dense where little happens; each is four times as
/// large as the one before, up to the largest.
const RANGE_FIRST: i64 = 64;
const RANGE_MAX: i64 = 16_384;

/// Hands out transfer ids from ranges that the database hands out. No clock is involved, and an id
/// that is lost in a crash is never used.
pub struct PgIds {
    database: Database,
    range: Mutex<Range<i64>>,
    /// The size of the next range; also lets one caller at a time fetch one.
    next_size: tokio::sync::Mutex<i64>,
}

impl PgIds {
    /// Over this database.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            range: Mutex::new(0..0),
            next_size: tokio::sync::Mutex::new(RANGE_FIRST),
        }
    }

    fn take(&self) -> Option<i64> {
        self.range
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    }

    async fn fetch(&self, size: i64) -> Result<Range<i64>, StoreError> {
        let end: i64 = run_tx(self.database.lookups(), "take transfer ids", |connection| {
            async move {
                sql::<BigInt>("UPDATE directory.id_ranges SET next = next + ")
                    .bind::<BigInt, _>(size)
                    .sql(" WHERE name = ")
                    .bind::<Text, _>("transfers")
                    .sql(" RETURNING next")
                    .get_result(connection)
                    .await
            }
            .boxed()
        })
        .await
        .map_err(not_prepared)?;
        Ok(end.saturating_sub(size)..end)
    }
}

#[async_trait]
impl IdSource for PgIds {
    async fn next_transfer_id(&self) -> Result<TransferId, StoreError> {
        if let Some(id) = self.take() {
            return transfer_id(id);
        }
        let mut size = self.next_size.lock().await;
        // Somebody else may have fetched a range while this one waited.
        if let Some(id) = self.take() {
            return transfer_id(id);
        }
        let mut range = self.fetch(*size).await?;
        *size = size.saturating_mul(4).min(RANGE_MAX);
        let first = range.next();
        *self.range.lock().unwrap_or_else(PoisonError::into_inner) = range;
        transfer_id(first.ok_or_else(|| inconsistent("id_ranges", "an empty range"))?)
    }

    fn random_bytes(&self) -> [u8; 32] {
        rand::rng().random()
    }
}

fn transfer_id(id: i64) -> Result<TransferId, StoreError> {
    TransferId::try_new(id).map_err(|error| inconsistent("id_ranges", error.to_string()))
}

/// A UUID of version 7. It goes to customers, so it tells the time and nothing else.
pub(crate) fn time_ordered_id(at: Timestamp) -> Uuid {
    let millis = at.as_micros().div_euclid(1_000);
    let random: [u8; 10] = rand::rng().random();
    Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or_default(), &random)
        .into_uuid()
}
