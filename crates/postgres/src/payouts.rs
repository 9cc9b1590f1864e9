//! When payouts under way are tried next.
//!
//! A row is written by the money transaction that begins the payout (`engine/writes.rs`), so that
//! one exists exactly if the other does. A claim writes a lease, a random token, into the row and
//! the lease's end into `next_attempt_at`, and is committed before anything is sent. It locks the
//! rows that it takes and waits for none (`SKIP LOCKED`); whether a row is due is judged again on
//! what the lock returned, so two claims never take the same one. Only the server's clock counts.
//!
//! What may keep an order back is the book's: the status of the owner (`owners`), which a freeze
//! writes first, and `stops`. Both are read by one statement right before an order and never
//! remembered, so that both are as fresh as can be: of two statements the first one would be older,
//! and no lock could hold a freeze or a stop back while a gateway is asked.

use async_trait::async_trait;
use bursar_domain::{AssetId, TransferId, UserId};
use bursar_ports::{
    ClaimedPayout, LeaseToken, PayoutClearance, PayoutFigures, PayoutSchedule, PostponedPayout,
    StoreError,
};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Bool, Integer, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::{error::inconsistent, pool::Database, row::SealedRow, schema::payouts, seal::SealKeys};

const CLAIM: &str = "UPDATE book_main.payouts \
     SET lease = $1, next_attempt_at = statement_timestamp() + $2 * interval '1 millisecond' \
     WHERE transfer_id = ANY(ARRAY( \
       SELECT transfer_id FROM book_main.payouts \
       WHERE next_attempt_at <= statement_timestamp() \
       ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED)) \
     RETURNING transfer_id, attempts";

const CLEARANCE: &str = "SELECT status, EXISTS ( \
       SELECT FROM book_main.stops \
       WHERE name = 'read_only' OR (name = 'outgoing' AND asset = $2)) AS is_stopped \
     FROM book_main.owners WHERE id = $1";

const POSTPONE: &str = "UPDATE book_main.payouts \
     SET lease = NULL, next_attempt_at = statement_timestamp() + $3 * interval '1 millisecond', \
       outcome = $4, attempts = attempts + $5::int \
     WHERE transfer_id = $1 AND lease = $2";

const FIGURES: &str = "SELECT count(*) AS under_way, \
       coalesce(1000 * extract(epoch FROM statement_timestamp() - min(began_at)), 0)::bigint \
         AS oldest_ms \
     FROM book_main.payouts";

/// The payouts of the main book.
#[derive(Clone)]
pub struct PgPayouts {
    database: Database,
    seals: SealKeys,
}

impl PgPayouts {
    /// A schedule on these connections, with the keys of the seals of what is paid.
    pub fn new(database: Database, seals: SealKeys) -> Self {
        Self { database, seals }
    }
}

#[derive(QueryableByName)]
struct Claimed {
    #[diesel(sql_type = BigInt)]
    transfer_id: i64,
    #[diesel(sql_type = Integer)]
    attempts: i32,
}

#[derive(QueryableByName)]
struct Clearance {
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Bool)]
    is_stopped: bool,
}

#[derive(QueryableByName)]
struct Figures {
    #[diesel(sql_type = BigInt)]
    under_way: i64,
    #[diesel(sql_type = BigInt)]
    oldest_ms: i64,
}

#[async_trait]
impl PayoutSchedule for PgPayouts {
    async fn claim_due(&self, lease_ms: i64, limit: u32) -> Result<Vec<ClaimedPayout>, StoreError> {
        let lease = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let claimed: Vec<Claimed> = self
            .database
            .run(async |connection| {
                sql_query(CLAIM)
                    .bind::<SqlUuid, _>(lease)
                    .bind::<BigInt, _>(lease_ms)
                    .bind::<BigInt, _>(i64::from(limit))
                    .load(connection)
                    .await
            })
            .await?;
        if claimed.is_empty() {
            return Ok(vec![]);
        }
        let ids: Vec<i64> = claimed.iter().map(|row| row.transfer_id).collect();
        let mut rows: Vec<SealedRow> = self
            .database
            .run(async |connection| SealedRow::load_many(connection, ids).await)
            .await?;
        // One that nobody can read must not hold up the others: it stays leased and comes up again.
        let read = claimed.into_iter().filter_map(|claimed| {
            let place = rows.iter().position(|row| row.id() == claimed.transfer_id);
            let row = place.map(|place| rows.swap_remove(place));
            match read(&claimed, row, lease, &self.seals) {
                Ok(payout) => Some(payout),
                Err(error) => {
                    tracing::error!(%error, "a payout that is due cannot be read");
                    None
                }
            }
        });
        Ok(read.collect())
    }

    async fn clearance(
        &self,
        owner: UserId,
        asset: AssetId,
    ) -> Result<PayoutClearance, StoreError> {
        let found: Option<Clearance> = self
            .database
            .run(async |connection| {
                sql_query(CLEARANCE)
                    .bind::<SqlUuid, _>(owner.as_uuid())
                    .bind::<Text, _>(asset.as_str())
                    .get_result(connection)
                    .await
                    .optional()
            })
            .await?;
        let bad = |what| inconsistent("owners", format!("id {owner}: {what}"));
        let found = found.ok_or_else(|| bad("no row"))?;
        Ok(PayoutClearance {
            owner: found.status.parse().map_err(|_| bad("status"))?,
            is_stopped: found.is_stopped,
        })
    }

    async fn postpone(&self, postponed: PostponedPayout) -> Result<bool, StoreError> {
        let changed = self
            .database
            .run(async |connection| {
                sql_query(POSTPONE)
                    .bind::<BigInt, _>(postponed.id.get())
                    .bind::<SqlUuid, _>(postponed.lease.0)
                    .bind::<BigInt, _>(postponed.wait_ms)
                    .bind::<Text, _>(postponed.outcome)
                    .bind::<Bool, _>(postponed.was_tried)
                    .execute(connection)
                    .await
            })
            .await?;
        Ok(changed > 0)
    }

    async fn end(&self, id: TransferId) -> Result<(), StoreError> {
        let ended = diesel::delete(payouts::table.filter(payouts::transfer_id.eq(id.get())));
        self.database
            .run(async |connection| ended.execute(connection).await)
            .await?;
        Ok(())
    }

    async fn figures(&self) -> Result<PayoutFigures, StoreError> {
        let figures: Figures = self
            .database
            .run(async |connection| sql_query(FIGURES).get_result(connection).await)
            .await?;
        Ok(PayoutFigures {
            under_way: u32::try_from(figures.under_way).unwrap_or(u32::MAX),
            oldest_ms: figures.oldest_ms.max(0),
        })
    }
}

fn read(
    claimed: &Claimed,
    row: Option<SealedRow>,
    lease: Uuid,
    seals: &SealKeys,
) -> Result<ClaimedPayout, StoreError> {
    let id = claimed.transfer_id;
    let row = row.ok_or_else(|| inconsistent("payouts", format!("no transfer {id}")))?;
    Ok(ClaimedPayout {
        transfer: row.prove(seals)?,
        lease: LeaseToken(lease),
        attempts: u32::try_from(claimed.attempts)
            .map_err(|error| inconsistent("payouts", error.to_string()))?,
    })
}
