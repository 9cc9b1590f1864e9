//! Every secret at rest as what has to be encrypted anew when the key changes: those of access keys,
//! then those that sign callbacks, then what operators' codes are made from. What was revoked, has
//! ended or belongs to somebody disabled is left alone: nobody opens it any more.

use std::collections::BTreeMap;

use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::{SealedRecord, SealedSecret, SecretOwner, StoreError};
use diesel::{
    dsl::{count_star, now},
    prelude::*,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::json;
use uuid::Uuid;

use crate::{
    audit_log::note_in_directory,
    operators::ACTIVE,
    pool::Database,
    schema::{access_keys, callback_secrets, operators},
    tx::run_tx,
};

type Page = Result<Vec<SealedRecord>, StoreError>;

fn record(belongs_to: SecretOwner, key_id: String, bytes: Vec<u8>) -> SealedRecord {
    let secret = SealedSecret { key_id, bytes };
    SealedRecord { belongs_to, secret }
}

pub(super) async fn list(
    database: &Database,
    not_under: String,
    after: Option<SecretOwner>,
    limit: u32,
) -> Page {
    let (mut access_key, mut callback_secret, mut operator) = (None, None, None);
    match after {
        Some(SecretOwner::AccessKey(key)) => access_key = Some(key),
        Some(SecretOwner::CallbackSecret(id)) => callback_secret = Some(id),
        Some(SecretOwner::OperatorTotp(name)) => operator = Some(name),
        None => access_key = Some(String::new()),
    }
    if let Some(after) = access_key {
        let page = list_access_keys(database, not_under.clone(), after, limit).await?;
        if !page.is_empty() {
            return Ok(page);
        }
        callback_secret = Some(Uuid::nil());
    }
    if let Some(after) = callback_secret {
        let page = list_callback_secrets(database, not_under.clone(), after, limit).await?;
        if !page.is_empty() {
            return Ok(page);
        }
    }
    list_operators(database, not_under, operator.unwrap_or_default(), limit).await
}

async fn list_operators(database: &Database, not_under: String, after: String, limit: u32) -> Page {
    let rows: Vec<(String, String, Vec<u8>)> = database
        .run(async |connection| {
            operators::table
                .filter(operators::status.eq(ACTIVE))
                .filter(operators::totp_key_id.ne(not_under))
                .filter(operators::name.gt(after))
                .select((
                    operators::name,
                    operators::totp_key_id,
                    operators::totp_secret,
                ))
                .order(operators::name)
                .limit(i64::from(limit))
                .load(connection)
                .await
        })
        .await?;
    let of_row = |(name, id, bytes)| record(SecretOwner::OperatorTotp(name), id, bytes);
    Ok(rows.into_iter().map(of_row).collect())
}

async fn list_access_keys(
    database: &Database,
    not_under: String,
    after: String,
    limit: u32,
) -> Page {
    let rows: Vec<(String, String, Vec<u8>)> = database
        .run(async |connection| {
            access_keys::table
                .filter(access_keys::revoked_at.is_null())
                .filter(access_keys::secret_key_id.ne(not_under))
                .filter(access_keys::access_key.gt(after))
                .select((
                    access_keys::access_key,
                    access_keys::secret_key_id,
                    access_keys::secret,
                ))
                .order(access_keys::access_key)
                .limit(i64::from(limit))
                .load(connection)
                .await
        })
        .await?;
    let of_row = |(key, id, bytes)| record(SecretOwner::AccessKey(key), id, bytes);
    Ok(rows.into_iter().map(of_row).collect())
}

async fn list_callback_secrets(
    database: &Database,
    not_under: String,
    after: Uuid,
    limit: u32,
) -> Page {
    let open = callback_secrets::expires_at
        .is_null()
        .or(callback_secrets::expires_at.gt(now));
    let rows: Vec<(Uuid, String, Vec<u8>)> = database
        .run(async |connection| {
            callback_secrets::table
                .filter(callback_secrets::revoked_at.is_null())
                .filter(open)
                .filter(callback_secrets::secret_key_id.ne(not_under))
                .filter(callback_secrets::id.gt(after))
                .select((
                    callback_secrets::id,
                    callback_secrets::secret_key_id,
                    callback_secrets::secret,
                ))
                .order(callback_secrets::id)
                .limit(i64::from(limit))
                .load(connection)
                .await
        })
        .await?;
    let of_row = |(id, key_id, bytes)| record(SecretOwner::CallbackSecret(id), key_id, bytes);
    Ok(rows.into_iter().map(of_row).collect())
}

/// Whether the secret was still the old one; it is the new one now.
pub(super) async fn replace(
    database: &Database,
    old: SealedRecord,
    new: SealedSecret,
    at: Timestamp,
    audit: AuditDraft,
) -> Result<bool, StoreError> {
    run_tx(database.pool(), "replace secret", move |connection| {
        let (old, new, audit) = (old.clone(), new.clone(), audit.clone());
        async move {
            // What the secret is under is all that anybody may read of it.
            let [before, after] = [&old.secret, &new].map(|secret| {
                let key = &secret.key_id;
                json!({"master_key": key})
            });
            let replaced = replace_once(connection, old, new).await?;
            if replaced {
                note_in_directory(connection, &audit, at, Some(&before), Some(&after)).await?;
            }
            Ok(replaced)
        }
        .boxed()
    })
    .await
}

async fn replace_once(
    connection: &mut AsyncPgConnection,
    old: SealedRecord,
    new: SealedSecret,
) -> QueryResult<bool> {
    let SealedRecord { belongs_to, secret } = old;
    let replaced = match belongs_to {
        SecretOwner::AccessKey(access_key) => {
            let unchanged = access_keys::table
                .find(access_key)
                .filter(access_keys::secret_key_id.eq(secret.key_id))
                .filter(access_keys::secret.eq(secret.bytes));
            diesel::update(unchanged)
                .set((
                    access_keys::secret_key_id.eq(new.key_id),
                    access_keys::secret.eq(new.bytes),
                ))
                .execute(connection)
                .await
        }
        SecretOwner::CallbackSecret(id) => {
            let unchanged = callback_secrets::table
                .find(id)
                .filter(callback_secrets::secret_key_id.eq(secret.key_id))
                .filter(callback_secrets::secret.eq(secret.bytes));
            diesel::update(unchanged)
                .set((
                    callback_secrets::secret_key_id.eq(new.key_id),
                    callback_secrets::secret.eq(new.bytes),
                ))
                .execute(connection)
                .await
        }
        SecretOwner::OperatorTotp(name) => {
            let unchanged = operators::table
                .find(name)
                .filter(operators::totp_key_id.eq(secret.key_id))
                .filter(operators::totp_secret.eq(secret.bytes));
            diesel::update(unchanged)
                .set((
                    operators::totp_key_id.eq(new.key_id),
                    operators::totp_secret.eq(new.bytes),
                ))
                .execute(connection)
                .await
        }
    };
    Ok(replaced? > 0)
}

/// How many there are under each key, in order of the keys' names.
pub(super) async fn count(database: &Database) -> Result<Vec<(String, u64)>, StoreError> {
    database
        .run(async |connection| count_on(connection).await)
        .await
}

async fn count_on(connection: &mut AsyncPgConnection) -> QueryResult<Vec<(String, u64)>> {
    let keys: Vec<(String, i64)> = access_keys::table
        .filter(access_keys::revoked_at.is_null())
        .group_by(access_keys::secret_key_id)
        .select((access_keys::secret_key_id, count_star()))
        .load(connection)
        .await?;
    let open = callback_secrets::expires_at
        .is_null()
        .or(callback_secrets::expires_at.gt(now));
    let secrets: Vec<(String, i64)> = callback_secrets::table
        .filter(callback_secrets::revoked_at.is_null())
        .filter(open)
        .group_by(callback_secrets::secret_key_id)
        .select((callback_secrets::secret_key_id, count_star()))
        .load(connection)
        .await?;
    let totp: Vec<(String, i64)> = operators::table
        .filter(operators::status.eq(ACTIVE))
        .group_by(operators::totp_key_id)
        .select((operators::totp_key_id, count_star()))
        .load(connection)
        .await?;
    let mut counted = BTreeMap::<String, u64>::new();
    for (key_id, count) in keys.into_iter().chain(secrets).chain(totp) {
        let sum = counted.entry(key_id).or_default();
        *sum = sum.saturating_add(u64::try_from(count).unwrap_or_default());
    }
    Ok(counted.into_iter().collect())
}
