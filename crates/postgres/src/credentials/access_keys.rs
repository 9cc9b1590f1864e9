//! Access keys with their encrypted secrets.

use bursar_domain::{AuditDraft, Timestamp, UserId};
use bursar_ports::{AccessKey, SealedSecret, StoreError};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{permission_names, read_permissions};
use crate::{
    audit_log::note_in_directory,
    error::{inconsistent, unavailable},
    pool::Database,
    schema::access_keys,
    tx::run_tx,
    value::At,
};

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = access_keys)]
struct AccessKeyRow {
    access_key: String,
    user_id: Uuid,
    permissions: Vec<String>,
    secret_key_id: String,
    secret: Vec<u8>,
    allowed_ips: Vec<String>,
    requests_per_minute: Option<i32>,
    created_at: At,
    revoked_at: Option<At>,
}

impl AccessKeyRow {
    /// As the audit log tells it: without the secret.
    fn told(&self) -> Value {
        json!({
            "access_key": self.access_key,
            "user_id": self.user_id.to_string(),
            "permissions": self.permissions,
            "allowed_ips": self.allowed_ips,
            "requests_per_minute": self.requests_per_minute,
            "created_at": self.created_at.0.to_micros_text(),
            "revoked_at": self.revoked_at.map(|at| at.0.to_micros_text()),
        })
    }
}

impl From<AccessKey> for AccessKeyRow {
    fn from(key: AccessKey) -> Self {
        // A column of 32 bits with a sign; nobody sends two thousand million requests a minute.
        let per_minute = key
            .requests_per_minute
            .map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        Self {
            access_key: key.access_key,
            user_id: key.user.as_uuid(),
            permissions: permission_names(&key.permissions),
            secret_key_id: key.secret.key_id,
            secret: key.secret.bytes,
            allowed_ips: key.allowed_ips.iter().map(ToString::to_string).collect(),
            requests_per_minute: per_minute,
            created_at: At(key.created_at),
            revoked_at: key.revoked_at.map(At),
        }
    }
}

impl TryFrom<AccessKeyRow> for AccessKey {
    type Error = StoreError;

    fn try_from(row: AccessKeyRow) -> Result<Self, StoreError> {
        let name = row.access_key.clone();
        let fault = |column| inconsistent("access_keys", format!("access_key {name}: {column}"));
        let ranges: Result<Vec<_>, _> = row.allowed_ips.iter().map(|ip| ip.parse()).collect();
        let per_minute = row.requests_per_minute.map(u32::try_from).transpose();
        Ok(Self {
            permissions: read_permissions(&row.permissions).ok_or_else(|| fault("permissions"))?,
            allowed_ips: ranges.map_err(|_| fault("allowed_ips"))?,
            requests_per_minute: per_minute.map_err(|_| fault("requests_per_minute"))?,
            access_key: row.access_key,
            user: UserId::new(row.user_id),
            secret: SealedSecret {
                key_id: row.secret_key_id,
                bytes: row.secret,
            },
            created_at: row.created_at.0,
            revoked_at: row.revoked_at.map(Timestamp::from),
        })
    }
}

pub(super) async fn find(
    database: &Database,
    access_key: String,
) -> Result<Option<AccessKey>, StoreError> {
    let key = access_keys::table
        .find(access_key)
        .select(AccessKeyRow::as_select());
    let row = database
        .look_up(async move |connection| {
            let found = key.get_result(connection).await.optional();
            found.map_err(unavailable)
        })
        .await?;
    row.map(AccessKey::try_from).transpose()
}

pub(super) async fn add(
    database: &Database,
    key: AccessKey,
    audit: AuditDraft,
) -> Result<(), StoreError> {
    let row = AccessKeyRow::from(key);
    run_tx(database.pool(), "add access key", move |connection| {
        let (row, audit) = (row.clone(), audit.clone());
        async move {
            diesel::insert_into(access_keys::table)
                .values(&row)
                .execute(connection)
                .await?;
            let (at, after) = (row.created_at.0, row.told());
            note_in_directory(connection, &audit, at, None, Some(&after)).await
        }
        .boxed()
    })
    .await
}

pub(super) async fn list(
    database: &Database,
    user: Option<UserId>,
    after: Option<String>,
    limit: u32,
) -> Result<Vec<AccessKey>, StoreError> {
    let mut query = access_keys::table
        .select(AccessKeyRow::as_select())
        .order(access_keys::access_key)
        .limit(i64::from(limit))
        .into_boxed();
    if let Some(user) = user {
        query = query.filter(access_keys::user_id.eq(user.as_uuid()));
    }
    if let Some(after) = after {
        query = query.filter(access_keys::access_key.gt(after));
    }
    let rows: Vec<AccessKeyRow> = database
        .run(async |connection| query.load(connection).await)
        .await?;
    rows.into_iter().map(AccessKey::try_from).collect()
}

/// Whether there is such a key; it is revoked now.
pub(super) async fn revoke(
    database: &Database,
    access_key: String,
    at: Timestamp,
    audit: AuditDraft,
) -> Result<bool, StoreError> {
    run_tx(database.pool(), "revoke access key", move |connection| {
        let (access_key, audit) = (access_key.clone(), audit.clone());
        async move { revoke_once(connection, access_key, at, &audit).await }.boxed()
    })
    .await
}

/// The first revocation is the one that counts.
async fn revoke_once(
    connection: &mut AsyncPgConnection,
    access_key: String,
    at: Timestamp,
    audit: &AuditDraft,
) -> QueryResult<bool> {
    let named = access_keys::table.find(access_key);
    let found: Option<AccessKeyRow> = named
        .clone()
        .select(AccessKeyRow::as_select())
        .for_no_key_update()
        .get_result(connection)
        .await
        .optional()?;
    let Some(mut row) = found else {
        return Ok(false);
    };
    if row.revoked_at.is_none() {
        let before = row.told();
        row.revoked_at = Some(At(at));
        diesel::update(named)
            .set(access_keys::revoked_at.eq(row.revoked_at))
            .execute(connection)
            .await?;
        let after = row.told();
        note_in_directory(connection, audit, at, Some(&before), Some(&after)).await?;
    }
    Ok(true)
}
