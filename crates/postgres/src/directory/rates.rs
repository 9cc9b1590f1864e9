//! What assets are worth in the root asset.

use bursar_domain::{AssetId, BigDecimal};
use bursar_ports::{AssetRate, StoreError};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Pool};

use crate::{error::unavailable, pool::checkout, schema::asset_rates, value::At};

pub(super) async fn find(
    pool: &Pool<AsyncPgConnection>,
    asset: AssetId,
) -> Result<Option<AssetRate>, StoreError> {
    let row: Option<(BigDecimal, String, At)> = asset_rates::table
        .find(asset.as_str())
        .select((
            asset_rates::rate,
            asset_rates::source,
            asset_rates::updated_at,
        ))
        .get_result(&mut checkout(pool).await?)
        .await
        .optional()
        .map_err(unavailable)?;
    Ok(row.map(|(rate, source, rated_at)| AssetRate {
        rate,
        source,
        rated_at: rated_at.0,
    }))
}

pub(super) async fn put(
    pool: &Pool<AsyncPgConnection>,
    asset: AssetId,
    rate: &AssetRate,
) -> Result<(), StoreError> {
    let row = (
        asset_rates::rate.eq(rate.rate.clone()),
        asset_rates::source.eq(rate.source.clone()),
        asset_rates::updated_at.eq(At(rate.rated_at)),
    );
    diesel::insert_into(asset_rates::table)
        .values((asset_rates::asset.eq(asset.as_str()), row.clone()))
        .on_conflict(asset_rates::asset)
        .do_update()
        .set(row)
        .execute(&mut checkout(pool).await?)
        .await
        .map_err(unavailable)?;
    Ok(())
}
