//! The secrets that sign callbacks, with what was read lately kept in memory.
//!
//! That a subscriber has one current secret at most is kept by a unique index. Rotations of one
//! subscriber come one after the other. One can meet a first secret at the index, where there was
//! none yet, and then it tries again.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Subscriber, Timestamp};
use bursar_ports::{CallbackSecrets, SealedSecret, StoreError, StoredCallbackSecret};
use diesel::{
    prelude::*,
    sql_types::{Integer, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    audit_log::note_in_directory, cache::ReadCache, error::inconsistent, pool::Database,
    schema::callback_secrets, tx::run_tx, value::At,
};

/// How long another replica's rotation or revocation may go unnoticed here.
const TIME_TO_LIVE: Duration = Duration::from_secs(10);
const SUBSCRIBERS_MAX: u64 = 10_000;
/// How often a rotation begins again because a first secret was faster; once is enough, unless there
/// are also revocations in between.
const TRIES_MAX: u32 = 5;
/// The first half of the advisory locks of rotations; the other is the subscriber's.
const ROTATIONS: i32 = 0x6275_7202;

/// The callback secrets, with what was read lately kept in memory.
#[derive(Clone)]
pub struct PgCallbackSecrets {
    database: Database,
    active: Arc<ReadCache<Subscriber, Vec<StoredCallbackSecret>>>,
}

impl PgCallbackSecrets {
    /// Callback secrets on these connections.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            active: Arc::new(ReadCache::new(SUBSCRIBERS_MAX, TIME_TO_LIVE)),
        }
    }
}

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = callback_secrets)]
struct SecretRow {
    id: Uuid,
    subscriber: String,
    secret_key_id: String,
    secret: Vec<u8>,
    created_at: At,
    expires_at: Option<At>,
    revoked_at: Option<At>,
}

impl SecretRow {
    /// As the audit log tells it: without the secret.
    fn told(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "subscriber": self.subscriber,
            "created_at": self.created_at.0.to_micros_text(),
            "expires_at": self.expires_at.map(|at| at.0.to_micros_text()),
            "revoked_at": self.revoked_at.map(|at| at.0.to_micros_text()),
        })
    }
}

impl From<StoredCallbackSecret> for SecretRow {
    fn from(secret: StoredCallbackSecret) -> Self {
        Self {
            id: secret.id,
            subscriber: secret.subscriber.to_string(),
            secret_key_id: secret.secret.key_id,
            secret: secret.secret.bytes,
            created_at: At(secret.created_at),
            expires_at: secret.expires_at.map(At),
            revoked_at: secret.revoked_at.map(At),
        }
    }
}

impl TryFrom<SecretRow> for StoredCallbackSecret {
    type Error = StoreError;

    fn try_from(row: SecretRow) -> Result<Self, StoreError> {
        let fault = || inconsistent("callback_secrets", format!("id {}: subscriber", row.id));
        Ok(Self {
            subscriber: Subscriber::from_name(&row.subscriber).ok_or_else(fault)?,
            id: row.id,
            secret: SealedSecret {
                key_id: row.secret_key_id,
                bytes: row.secret,
            },
            created_at: row.created_at.0,
            expires_at: row.expires_at.map(Timestamp::from),
            revoked_at: row.revoked_at.map(Timestamp::from),
        })
    }
}

fn read(rows: Vec<SecretRow>) -> Result<Vec<StoredCallbackSecret>, StoreError> {
    rows.into_iter()
        .map(StoredCallbackSecret::try_from)
        .collect()
}

#[async_trait]
impl CallbackSecrets for PgCallbackSecrets {
    async fn find_active(
        &self,
        subscriber: Subscriber,
        at: Timestamp,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError> {
        let load = async || {
            let active = self.load_active(&subscriber, at).await?;
            Ok(Some(active).filter(|active| !active.is_empty()))
        };
        let found = self.active.get_or_load(subscriber.clone(), load).await?;
        let mut active = found.map(Arc::unwrap_or_clone).unwrap_or_default();
        // Since it was read one may have come to its end.
        active.retain(|secret| secret.is_active(at));
        Ok(active)
    }

    async fn add_first(
        &self,
        secret: StoredCallbackSecret,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError> {
        let (subscriber, at) = (secret.subscriber.clone(), secret.created_at);
        let row = SecretRow::from(secret);
        let add = async |connection: &mut _| add_current(connection, &row).await;
        let added = self.database.run(add).await;
        self.active.forget(&subscriber);
        added?;
        self.load_active(&subscriber, at).await
    }

    async fn rotate(
        &self,
        secret: StoredCallbackSecret,
        overlap_until: Timestamp,
        audit: AuditDraft,
    ) -> Result<(), StoreError> {
        let subscriber = secret.subscriber.clone();
        let row = SecretRow::from(secret);
        let mut rotated = Ok(false);
        for _ in 0..TRIES_MAX {
            let (row, audit) = (row.clone(), audit.clone());
            rotated = run_tx(self.database.pool(), "rotate callback secret", move |c| {
                let (row, audit) = (row.clone(), audit.clone());
                async move { rotate(c, row, At(overlap_until), &audit).await }.boxed()
            })
            .await;
            if !matches!(rotated, Ok(false)) {
                break;
            }
        }
        self.active.forget(&subscriber);
        if rotated? {
            Ok(())
        } else {
            let cause = "others kept adding callback secrets of the same subscriber";
            Err(StoreError::Unavailable(cause.into()))
        }
    }

    async fn list(
        &self,
        subscriber: Option<Subscriber>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError> {
        let rows = self
            .database
            .run(async |connection| load_page(connection, subscriber, after, limit).await)
            .await?;
        read(rows)
    }

    async fn revoke(&self, id: Uuid, at: Timestamp, audit: AuditDraft) -> Result<bool, StoreError> {
        let revoked = run_tx(self.database.pool(), "revoke callback secret", move |c| {
            let audit = audit.clone();
            async move { revoke(c, id, at, &audit).await }.boxed()
        });
        let revoked = revoked.await;
        match &revoked {
            Ok(Some(name)) => {
                if let Some(subscriber) = Subscriber::from_name(name) {
                    self.active.forget(&subscriber);
                }
            }
            Ok(None) => {}
            // It may have been, and nobody says whose secret that was.
            Err(_) => self.active.forget_all(),
        }
        Ok(revoked?.is_some())
    }
}

impl PgCallbackSecrets {
    async fn load_active(
        &self,
        subscriber: &Subscriber,
        at: Timestamp,
    ) -> Result<Vec<StoredCallbackSecret>, StoreError> {
        let open = callback_secrets::expires_at
            .is_null()
            .or(callback_secrets::expires_at.gt(At(at)));
        let rows: Vec<SecretRow> = self
            .database
            .run(async |connection| {
                callback_secrets::table
                    .filter(callback_secrets::subscriber.eq(subscriber.to_string()))
                    .filter(callback_secrets::revoked_at.is_null())
                    .filter(open)
                    .select(SecretRow::as_select())
                    .order((
                        callback_secrets::expires_at.is_null().desc(),
                        callback_secrets::id.desc(),
                    ))
                    .load(connection)
                    .await
            })
            .await?;
        read(rows)
    }
}

/// Whether this is the current secret now; not when there is one already.
async fn add_current(connection: &mut AsyncPgConnection, row: &SecretRow) -> QueryResult<bool> {
    let added = diesel::insert_into(callback_secrets::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    Ok(added > 0)
}

async fn rotate(
    connection: &mut AsyncPgConnection,
    row: SecretRow,
    overlap_until: At,
    audit: &AuditDraft,
) -> QueryResult<bool> {
    // What another rotation is about to add cannot be locked: of two that had waited for the same
    // rows, the later would let more than two secrets sign.
    diesel::sql_query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind::<Integer, _>(ROTATIONS)
        .bind::<Text, _>(&row.subscriber)
        .execute(connection)
        .await?;
    let theirs = callback_secrets::subscriber.eq(row.subscriber.clone());
    let left = callback_secrets::table
        .filter(theirs.clone())
        .filter(callback_secrets::revoked_at.is_null());
    // Nobody revokes them meanwhile.
    let locked: Vec<SecretRow> = left
        .clone()
        .select(SecretRow::as_select())
        .order(callback_secrets::id)
        .for_no_key_update()
        .load(connection)
        .await?;
    // What has an end ends now, unless it is over already.
    diesel::update(
        left.clone()
            .filter(callback_secrets::expires_at.gt(row.created_at)),
    )
    .set(callback_secrets::revoked_at.eq(row.created_at))
    .execute(connection)
    .await?;
    diesel::update(left.filter(callback_secrets::expires_at.is_null()))
        .set(callback_secrets::expires_at.eq(overlap_until))
        .execute(connection)
        .await?;
    let added = add_current(connection, &row).await?;
    if added {
        let current = locked.iter().find(|one| one.expires_at.is_none());
        let (before, after) = (current.map(SecretRow::told), row.told());
        let at = row.created_at.0;
        note_in_directory(connection, audit, at, before.as_ref(), Some(&after)).await?;
    }
    Ok(added)
}

async fn load_page(
    connection: &mut AsyncPgConnection,
    subscriber: Option<Subscriber>,
    after: Option<Uuid>,
    limit: u32,
) -> QueryResult<Vec<SecretRow>> {
    let mut query = callback_secrets::table
        .select(SecretRow::as_select())
        .order(callback_secrets::id)
        .limit(i64::from(limit))
        .into_boxed();
    if let Some(subscriber) = subscriber {
        query = query.filter(callback_secrets::subscriber.eq(subscriber.to_string()));
    }
    if let Some(after) = after {
        query = query.filter(callback_secrets::id.gt(after));
    }
    query.load(connection).await
}

/// Whose secret it is that is ended now, if there is one with this id. The first revocation is the
/// one that counts.
async fn revoke(
    connection: &mut AsyncPgConnection,
    id: Uuid,
    at: Timestamp,
    audit: &AuditDraft,
) -> QueryResult<Option<String>> {
    let found: Option<SecretRow> = callback_secrets::table
        .find(id)
        .select(SecretRow::as_select())
        .for_no_key_update()
        .get_result(connection)
        .await
        .optional()?;
    let Some(mut row) = found else {
        return Ok(None);
    };
    if row.revoked_at.is_none() {
        let before = row.told();
        row.revoked_at = Some(At(at));
        diesel::update(callback_secrets::table.find(id))
            .set(callback_secrets::revoked_at.eq(row.revoked_at))
            .execute(connection)
            .await?;
        let after = row.told();
        note_in_directory(connection, audit, at, Some(&before), Some(&after)).await?;
    }
    Ok(Some(row.subscriber))
}

impl fmt::Debug for PgCallbackSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgCallbackSecrets")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
