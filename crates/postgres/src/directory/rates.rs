//! What assets are worth in the root asset.

use bursar_domain::{AssetId, AuditDraft, BigDecimal};
use bursar_ports::{AssetRate, Expected, PutRate, StoreError};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::{
    audit_log::note_in_directory, pool::Database, schema::asset_rates, tx::run_tx, value::At,
};

pub(super) async fn find(
    database: &Database,
    asset: AssetId,
) -> Result<Option<AssetRate>, StoreError> {
    let row: Option<(BigDecimal, String, At)> = database
        .look_up_once(async |connection| {
            asset_rates::table
                .find(asset.as_str())
                .select((
                    asset_rates::rate,
                    asset_rates::source,
                    asset_rates::updated_at,
                ))
                .get_result(connection)
                .await
                .optional()
        })
        .await?;
    Ok(row.map(|(rate, source, rated_at)| AssetRate {
        rate,
        source,
        rated_at: rated_at.0,
    }))
}

pub(super) async fn put(
    database: &Database,
    asset: AssetId,
    rate: AssetRate,
    was: Expected<Option<BigDecimal>>,
    audit: AuditDraft,
) -> Result<PutRate, StoreError> {
    run_tx(database.pool(), "put rate", |connection| {
        let (rate, was, audit) = (rate.clone(), was.clone(), audit.clone());
        async move { write(connection, asset, rate, &was, &audit).await }.boxed()
    })
    .await
}

async fn write(
    connection: &mut AsyncPgConnection,
    asset: AssetId,
    rate: AssetRate,
    was: &Expected<Option<BigDecimal>>,
    audit: &AuditDraft,
) -> QueryResult<PutRate> {
    let at = rate.rated_at;
    let row = (
        asset_rates::rate.eq(rate.rate.clone()),
        asset_rates::source.eq(rate.source.clone()),
        asset_rates::updated_at.eq(At(at)),
    );
    let after = Some(told(&rate.rate, &rate.source));
    if was.allows(&None) {
        let created = diesel::insert_into(asset_rates::table)
            .values((asset_rates::asset.eq(asset.as_str()), row.clone()))
            .on_conflict_do_nothing()
            .execute(connection)
            .await?;
        if created > 0 {
            note_in_directory(connection, audit, at, None, after.as_ref()).await?;
            return Ok(PutRate::Written(rate));
        }
    }
    let old: Option<(BigDecimal, String)> = asset_rates::table
        .find(asset.as_str())
        .select((asset_rates::rate, asset_rates::source))
        .for_update()
        .get_result(connection)
        .await
        .optional()?;
    let Some((old, source)) = old.filter(|(old, _)| was.allows(&Some(old.clone()))) else {
        return Ok(PutRate::Overtaken);
    };
    diesel::update(asset_rates::table.find(asset.as_str()))
        .set(row)
        .execute(connection)
        .await?;
    let before = Some(told(&old, &source));
    note_in_directory(connection, audit, at, before.as_ref(), after.as_ref()).await?;
    Ok(PutRate::Written(rate))
}

/// As the audit log tells it.
fn told(rate: &BigDecimal, source: &str) -> Value {
    json!({"rate": rate.normalized().to_plain_string(), "source": source})
}
