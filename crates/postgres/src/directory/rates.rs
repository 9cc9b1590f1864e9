//! What assets are worth in the root asset.

use bursar_domain::{AssetId, AuditDraft, BigDecimal};
use bursar_ports::StoreError;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Pool};

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::{
    audit_log::note_in_directory, error::unavailable, pool::checkout, schema::asset_rates,
    tx::run_tx, value::At,
};

pub(super) async fn find(
    pool: &Pool<AsyncPgConnection>,
    asset: AssetId,
) -> Result<Option<BigDecimal>, StoreError> {
    asset_rates::table
        .find(asset.as_str())
        .select(asset_rates::rate)
        .get_result(&mut checkout(pool).await?)
        .await
        .optional()
        .map_err(unavailable)
}

pub(super) async fn put(
    pool: &Pool<AsyncPgConnection>,
    asset: AssetId,
    rate: BigDecimal,
    at: At,
    audit: AuditDraft,
) -> Result<(), StoreError> {
    run_tx(pool, "put rate", move |connection| {
        let (rate, audit) = (rate.clone(), audit.clone());
        async move { write(connection, asset, &rate, at, &audit).await }.boxed()
    })
    .await
}

async fn write(
    connection: &mut AsyncPgConnection,
    asset: AssetId,
    rate: &BigDecimal,
    at: At,
    audit: &AuditDraft,
) -> QueryResult<()> {
    let row = (asset_rates::rate.eq(rate), asset_rates::updated_at.eq(at));
    let created = diesel::insert_into(asset_rates::table)
        .values((asset_rates::asset.eq(asset.as_str()), row))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    let after = Some(told(rate));
    if created > 0 {
        return note_in_directory(connection, audit, at.0, None, after.as_ref()).await;
    }
    let old: BigDecimal = asset_rates::table
        .find(asset.as_str())
        .select(asset_rates::rate)
        .for_update()
        .get_result(connection)
        .await?;
    diesel::update(asset_rates::table.find(asset.as_str()))
        .set(row)
        .execute(connection)
        .await?;
    let before = Some(told(&old));
    note_in_directory(connection, audit, at.0, before.as_ref(), after.as_ref()).await
}

/// As the audit log tells it.
fn told(rate: &BigDecimal) -> Value {
    json!({"rate": rate.normalized().to_plain_string()})
}
