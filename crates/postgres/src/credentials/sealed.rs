//! The secrets of access keys as what has to be encrypted anew when the key changes. Revoked keys
//! are left alone: nobody opens their secrets any more.

use bursar_ports::{SealedRecord, SealedSecret, StoreError};
use diesel::{dsl::count_star, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Pool};

use crate::{error::unavailable, pool::checkout, schema::access_keys};

pub(super) async fn list(
    pool: &Pool<AsyncPgConnection>,
    not_under: String,
    after: Option<String>,
    limit: u32,
) -> Result<Vec<SealedRecord>, StoreError> {
    let rows: Vec<(String, String, Vec<u8>)> = access_keys::table
        .filter(access_keys::revoked_at.is_null())
        .filter(access_keys::secret_key_id.ne(not_under))
        .filter(access_keys::access_key.gt(after.unwrap_or_default()))
        .select((
            access_keys::access_key,
            access_keys::secret_key_id,
            access_keys::secret,
        ))
        .order(access_keys::access_key)
        .limit(i64::from(limit))
        .load(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    let record = |(belongs_to, key_id, bytes)| SealedRecord {
        belongs_to,
        secret: SealedSecret { key_id, bytes },
    };
    Ok(rows.into_iter().map(record).collect())
}

/// Whether the secret was still the old one; it is the new one now.
pub(super) async fn replace(
    pool: &Pool<AsyncPgConnection>,
    old: SealedRecord,
    new: SealedSecret,
) -> Result<bool, StoreError> {
    let unchanged = access_keys::table
        .find(old.belongs_to)
        .filter(access_keys::secret_key_id.eq(old.secret.key_id))
        .filter(access_keys::secret.eq(old.secret.bytes));
    let replaced = diesel::update(unchanged)
        .set((
            access_keys::secret_key_id.eq(new.key_id),
            access_keys::secret.eq(new.bytes),
        ))
        .execute(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    Ok(replaced > 0)
}

pub(super) async fn count(
    pool: &Pool<AsyncPgConnection>,
) -> Result<Vec<(String, u64)>, StoreError> {
    let rows: Vec<(String, i64)> = access_keys::table
        .filter(access_keys::revoked_at.is_null())
        .group_by(access_keys::secret_key_id)
        .select((access_keys::secret_key_id, count_star()))
        .order(access_keys::secret_key_id)
        .load(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    let counted = |(key_id, count)| (key_id, u64::try_from(count).unwrap_or_default());
    Ok(rows.into_iter().map(counted).collect())
}
