//! Assets, which live in the book, and the directory's record of which book that is.

use bursar_domain::{Asset, AssetId, AuditDraft};
use bursar_ports::{Expected, PutAsset, StoreError};
use diesel::{
    dsl::{exists, sql},
    prelude::*,
    sql_types::Bool,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::{
    audit_log::note_in_book,
    error::inconsistent,
    pool::Database,
    row::read_scale,
    schema::{accounts, asset_books, assets, fee_schedules, limits},
    tx::run_tx,
    value::{At, Units},
};

/// The only book there is so far.
const BOOK: &str = "book_main";

#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = assets)]
struct AssetRow {
    id: String,
    name: String,
    scale: i16,
    can_deposit: bool,
    can_withdraw: bool,
    can_transfer: bool,
}

impl AssetRow {
    /// As the audit log tells it.
    fn told(&self) -> Value {
        json!({
            "name": self.name,
            "scale": self.scale,
            "can_deposit": self.can_deposit,
            "can_withdraw": self.can_withdraw,
            "can_transfer": self.can_transfer,
        })
    }
}

impl From<Asset> for AssetRow {
    fn from(asset: Asset) -> Self {
        Self {
            id: asset.id.as_str().to_owned(),
            name: asset.name,
            scale: i16::from(asset.scale.get()),
            can_deposit: asset.can_deposit,
            can_withdraw: asset.can_withdraw,
            can_transfer: asset.can_transfer,
        }
    }
}

impl TryFrom<AssetRow> for Asset {
    type Error = StoreError;

    fn try_from(row: AssetRow) -> Result<Self, StoreError> {
        let fault = |column| inconsistent("assets", format!("id {}: {column}", row.id));
        Ok(Self {
            id: AssetId::parse(&row.id).map_err(|_| fault("id"))?,
            scale: read_scale(row.scale).ok_or_else(|| fault("scale"))?,
            name: row.name,
            can_deposit: row.can_deposit,
            can_withdraw: row.can_withdraw,
            can_transfer: row.can_transfer,
        })
    }
}

pub(super) async fn find(database: &Database, id: AssetId) -> Result<Option<Asset>, StoreError> {
    let row = database
        .look_up_once(async |connection| {
            assets::table
                .find(id.as_str())
                .select(AssetRow::as_select())
                .get_result(connection)
                .await
                .optional()
        })
        .await?;
    row.map(Asset::try_from).transpose()
}

pub(super) async fn find_many(
    database: &Database,
    ids: Vec<AssetId>,
) -> Result<Vec<Asset>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(AssetId::as_str).collect();
    let rows: Vec<AssetRow> = database
        .look_up_once(async |connection| {
            assets::table
                .filter(assets::id.eq_any(ids))
                .select(AssetRow::as_select())
                .load(connection)
                .await
        })
        .await?;
    rows.into_iter().map(Asset::try_from).collect()
}

/// Sorted here, so that the order does not depend on the server's locale.
pub(super) async fn list(database: &Database) -> Result<Vec<Asset>, StoreError> {
    let rows: Vec<AssetRow> = database
        .run(async |connection| {
            assets::table
                .select(AssetRow::as_select())
                .load(connection)
                .await
        })
        .await?;
    let mut assets: Vec<Asset> = rows
        .into_iter()
        .map(Asset::try_from)
        .collect::<Result<_, _>>()?;
    assets.sort_unstable_by_key(|asset| asset.id);
    Ok(assets)
}

/// The book is claimed first: an asset must never come into being in two of them.
pub(super) async fn put(
    database: &Database,
    asset: Asset,
    was: Expected<Option<Asset>>,
    at: At,
    audit: AuditDraft,
) -> Result<PutAsset, StoreError> {
    let book = claim_book(database, asset.id).await?;
    if book != BOOK {
        return Err(inconsistent(
            "asset_books",
            format!("asset {} lives in {book}", asset.id),
        ));
    }
    let row = AssetRow::from(asset);
    let was = was.map(|was| was.map(AssetRow::from));
    run_tx(database.pool(), "put asset", move |connection| {
        let (row, was, audit) = (row.clone(), was.clone(), audit.clone());
        async move { write(connection, row, &was, at, &audit).await }.boxed()
    })
    .await
}

async fn claim_book(database: &Database, id: AssetId) -> Result<String, StoreError> {
    run_tx(database.pool(), "claim asset's book", move |connection| {
        async move {
            diesel::insert_into(asset_books::table)
                .values((
                    asset_books::asset.eq(id.as_str()),
                    asset_books::book.eq(BOOK),
                ))
                .on_conflict_do_nothing()
                .execute(connection)
                .await?;
            asset_books::table
                .find(id.as_str())
                .select(asset_books::book)
                .get_result(connection)
                .await
        }
        .boxed()
    })
    .await
}

/// Whoever creates an account or writes amounts of fees or limits holds the asset's row `FOR SHARE`: with
/// the row locked here, nothing can slip in between the check and the change of scale.
async fn write(
    connection: &mut AsyncPgConnection,
    row: AssetRow,
    was: &Expected<Option<AssetRow>>,
    At(at): At,
    audit: &AuditDraft,
) -> QueryResult<PutAsset> {
    let after = Some(row.told());
    if was.allows(&None) {
        let created = diesel::insert_into(assets::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(connection)
            .await?;
        if created > 0 {
            note_in_book(connection, audit, at, None, after.as_ref()).await?;
            return Ok(PutAsset::Written);
        }
    }
    let old: Option<AssetRow> = assets::table
        .find(&row.id)
        .select(AssetRow::as_select())
        .for_update()
        .get_result(connection)
        .await
        .optional()?;
    let Some(old) = old.filter(|old| was.allows(&Some(old.clone()))) else {
        return Ok(PutAsset::Overtaken);
    };
    if old.scale != row.scale && is_counted(connection, &row.id).await? {
        return Ok(PutAsset::ScaleInUse);
    }
    diesel::update(assets::table.find(&row.id))
        .set(&row)
        .execute(connection)
        .await?;
    let before = Some(old.told());
    note_in_book(connection, audit, at, before.as_ref(), after.as_ref()).await?;
    Ok(PutAsset::Written)
}

/// Whether anything stands in smallest units of an asset. It reads through the accounts until it finds
/// one, or all of them when there is none: an index for something this rare would not earn its place.
async fn is_counted(connection: &mut AsyncPgConnection, asset: &str) -> QueryResult<bool> {
    let accounts = accounts::table.filter(accounts::asset.eq(asset));
    let fees = fee_schedules::table
        .filter(fee_schedules::asset.eq(asset))
        .filter(
            (fee_schedules::min
                .gt(Units(0))
                .or(fee_schedules::absolute.gt(Units(0))))
            .or(fee_schedules::max.is_not_null()),
        );
    let amounts = "num_nonnulls(min_amount, max_amount, daily, monthly, approval_above) > 0";
    let of_it = limits::table
        .filter(limits::asset.eq(asset))
        .filter(sql::<Bool>(amounts));
    // Limits over all assets, set while it was the root asset.
    let in_it = limits::table
        .filter(limits::root_asset.eq(asset))
        .filter(sql::<Bool>(amounts));
    let rules = exists(fees).or(exists(of_it)).or(exists(in_it));
    diesel::select(rules.or(exists(accounts)))
        .get_result(connection)
        .await
}
