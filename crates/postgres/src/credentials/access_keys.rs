//! Access keys with their encrypted secrets.

use bursar_domain::{Timestamp, UserId};
use bursar_ports::{AccessKey, SealedSecret, StoreError};
use diesel::{dsl::exists, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Pool};
use uuid::Uuid;

use super::{permission_names, read_permissions};
use crate::{
    error::{inconsistent, unavailable},
    pool::checkout,
    schema::access_keys,
    value::At,
};

#[derive(Queryable, Selectable)]
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
    pool: &Pool<AsyncPgConnection>,
    access_key: String,
) -> Result<Option<AccessKey>, StoreError> {
    let row = access_keys::table
        .find(access_key)
        .select(AccessKeyRow::as_select())
        .get_result(&mut checkout(pool).await?)
        .await
        .optional()
        .map_err(unavailable)?;
    row.map(AccessKey::try_from).transpose()
}

pub(super) async fn add(pool: &Pool<AsyncPgConnection>, key: AccessKey) -> Result<(), StoreError> {
    let ranges: Vec<String> = key.allowed_ips.iter().map(ToString::to_string).collect();
    // A column of 32 bits with a sign; nobody sends two thousand million requests a minute.
    let per_minute = key
        .requests_per_minute
        .map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
    diesel::insert_into(access_keys::table)
        .values((
            access_keys::access_key.eq(key.access_key),
            access_keys::user_id.eq(key.user.as_uuid()),
            access_keys::permissions.eq(permission_names(&key.permissions)),
            access_keys::secret_key_id.eq(key.secret.key_id),
            access_keys::secret.eq(key.secret.bytes),
            access_keys::allowed_ips.eq(ranges),
            access_keys::requests_per_minute.eq(per_minute),
            access_keys::created_at.eq(At(key.created_at)),
            access_keys::revoked_at.eq(key.revoked_at.map(At)),
        ))
        .execute(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    Ok(())
}

pub(super) async fn list(
    pool: &Pool<AsyncPgConnection>,
    after: Option<String>,
    limit: u32,
) -> Result<Vec<AccessKey>, StoreError> {
    let mut query = access_keys::table
        .select(AccessKeyRow::as_select())
        .order(access_keys::access_key)
        .limit(i64::from(limit))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(access_keys::access_key.gt(after));
    }
    let rows: Vec<AccessKeyRow> = query
        .load(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    rows.into_iter().map(AccessKey::try_from).collect()
}

/// Whether there is such a key; it is revoked now.
pub(super) async fn revoke(
    pool: &Pool<AsyncPgConnection>,
    access_key: String,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let mut connection = checkout(pool).await?;
    let named = access_keys::table.find(access_key);
    // The first revocation is the one that counts.
    diesel::update(named.clone().filter(access_keys::revoked_at.is_null()))
        .set(access_keys::revoked_at.eq(At(at)))
        .execute(&mut connection)
        .await
        .map_err(unavailable)?;
    diesel::select(exists(named))
        .get_result(&mut connection)
        .await
        .map_err(unavailable)
}
