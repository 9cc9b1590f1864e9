//! The rules as a batcher knows them.
//!
//! A money transaction reads one number, their revision, once it holds its locks. Only when it is
//! another one than the batcher knows are the rules themselves read, in the same transaction.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bursar_domain::{
    Amount, AssetId, FeeSchedule, Kind, Limits, Percent, Rules, Stops, Usage, UsageKey, UserId,
};
use bursar_ports::{StopScope, StoreError};
use diesel::{
    QueryDsl as _, QueryResult, SelectableHelper as _,
    prelude::{Queryable, Selectable},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::try_join;
use uuid::Uuid;

use super::transfer_columns::array_text;
use crate::{
    error::inconsistent,
    schema::{fee_schedules, limits, stops},
    statement::{LockUsage, UpdateUsage},
    value::Units,
};

/// The name of the one set of rules that there is.
pub(crate) const RULE_SET: &str = "main";

/// Rules, and which counts of past transfers belong to them.
#[derive(Clone, Default)]
pub(crate) struct KnownRules {
    pub(crate) rules: Arc<Rules>,
    pub(crate) epochs: Arc<BTreeMap<(Kind, Option<AssetId>), i32>>,
}

impl KnownRules {
    /// Which epoch a count belongs to; none when nothing is counted.
    pub(crate) fn epoch_of(&self, key: &UsageKey) -> Option<i32> {
        self.epochs.get(&(key.kind, key.asset)).copied()
    }

    /// The rules in force.
    pub(crate) async fn load(
        connection: &AsyncPgConnection,
        revision: i64,
    ) -> QueryResult<Result<Self, StoreError>> {
        // One connection after the other is fine here: rules seldom change.
        let (mut first, mut second, mut third) = (connection, connection, connection);
        let (fee_rows, limit_rows, stop_rows) = try_join!(
            fee_schedules::table
                .select(FeeRow::as_select())
                .load(&mut first),
            limits::table
                .select(LimitsRow::as_select())
                .load(&mut second),
            stops::table
                .select((stops::name, stops::asset))
                .load::<(String, String)>(&mut third),
        )?;
        Ok(Self::from_rows(revision, fee_rows, limit_rows, stop_rows))
    }

    fn from_rows(
        revision: i64,
        fee_rows: Vec<FeeRow>,
        limit_rows: Vec<LimitsRow>,
        stop_rows: Vec<(String, String)>,
    ) -> Result<Self, StoreError> {
        let mut rules = Rules {
            revision,
            ..Rules::default()
        };
        let mut epochs = BTreeMap::new();
        for row in fee_rows {
            let (kind, asset) = read_scope("fee_schedules", &row.kind, &row.asset)?;
            let bad = || inconsistent("fee_schedules", format!("{} {}", row.kind, row.asset));
            let asset = asset.ok_or_else(bad)?;
            rules
                .fees
                .insert((kind, asset), row.read().ok_or_else(bad)?);
        }
        for row in limit_rows {
            let scope = read_scope("limits", &row.kind, &row.asset)?;
            let bad = || inconsistent("limits", format!("{} {}", row.kind, row.asset));
            let limits = row.read().ok_or_else(bad)?;
            if limits.is_rolling() {
                epochs.insert(scope, row.epoch);
            }
            rules.limits.insert(scope, limits);
        }
        rules.stops = read_stops(stop_rows)?;
        Ok(Self {
            rules: Arc::new(rules),
            epochs: Arc::new(epochs),
        })
    }
}

fn read_stops(rows: Vec<(String, String)>) -> Result<Stops, StoreError> {
    let mut stops = Stops::default();
    for (name, asset) in rows {
        match read_stop_scope(&name, &asset)? {
            StopScope::ReadOnly => stops.read_only = true,
            StopScope::Outgoing(asset) => {
                stops.outgoing.insert(asset);
            }
        }
    }
    Ok(stops)
}

/// What a row of `stops` stops.
pub(crate) fn read_stop_scope(name: &str, asset: &str) -> Result<StopScope, StoreError> {
    if name == "read_only" {
        return Ok(StopScope::ReadOnly);
    }
    AssetId::parse(asset)
        .map(StopScope::Outgoing)
        .map_err(|_| inconsistent("stops", format!("{name} {asset}")))
}

/// The kind and asset of a rule; no asset stands for all of them.
pub(crate) fn read_scope(
    table: &'static str,
    kind: &str,
    asset: &str,
) -> Result<(Kind, Option<AssetId>), StoreError> {
    let bad = || inconsistent(table, format!("{kind} {asset}"));
    let asset = match asset {
        "" => None,
        id => Some(AssetId::parse(id).map_err(|_| bad())?),
    };
    Ok((Kind::from_name(kind).ok_or_else(bad)?, asset))
}

/// The column of an asset that may be all of them.
pub(crate) fn scope_column(asset: Option<&AssetId>) -> &str {
    asset.map_or("", AssetId::as_str)
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = fee_schedules)]
pub(crate) struct FeeRow {
    kind: String,
    asset: String,
    percent: i64,
    min: Units,
    max: Option<Units>,
    absolute: Units,
}

impl FeeRow {
    pub(crate) fn read(&self) -> Option<FeeSchedule> {
        Some(FeeSchedule {
            percent: Percent::try_from_parts(self.percent.into()).ok()?,
            min: amount(self.min)?,
            max: optional(self.max)?,
            absolute: amount(self.absolute)?,
        })
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = limits)]
pub(crate) struct LimitsRow {
    kind: String,
    asset: String,
    min_amount: Option<Units>,
    max_amount: Option<Units>,
    daily: Option<Units>,
    monthly: Option<Units>,
    approval_above: Option<Units>,
    pub(crate) epoch: i32,
}

impl LimitsRow {
    pub(crate) fn read(&self) -> Option<Limits> {
        Some(Limits {
            min_amount: optional(self.min_amount)?,
            max_amount: optional(self.max_amount)?,
            daily: optional(self.daily)?,
            monthly: optional(self.monthly)?,
            approval_above: optional(self.approval_above)?,
        })
    }
}

fn amount(units: Units) -> Option<Amount> {
    Amount::try_from_units(units.0).ok()
}

/// `Some(None)` for no amount, `None` for one that cannot be.
#[expect(clippy::option_option, reason = "a missing amount is not a wrong one")]
fn optional(units: Option<Units>) -> Option<Option<Amount>> {
    units.map_or(Some(None), |units| amount(units).map(Some))
}

/// A row of `limit_usage`.
pub(crate) type UsageRow = (Uuid, String, String, i32, Vec<i64>, Vec<Units>);

/// The key of a row, its epoch and what it counts.
pub(crate) fn read_usage(row: UsageRow) -> Result<(UsageKey, i32, Usage), StoreError> {
    let (user, kind, asset, epoch, times, amounts) = row;
    let (kind, asset) = read_scope("limit_usage", &kind, &asset)?;
    let user = UserId::new(user);
    let bad = || inconsistent("limit_usage", format!("{user}: amounts"));
    let mut uses = Vec::with_capacity(times.len());
    for (micros, units) in times.into_iter().zip(amounts) {
        let at = bursar_domain::Timestamp::from_micros(micros);
        uses.push((at, amount(units).ok_or_else(bad)?));
    }
    Ok((
        UsageKey { user, kind, asset },
        epoch,
        Usage::from_uses(uses),
    ))
}

/// Keys of uses as arrays.
#[derive(Default)]
pub(crate) struct UsageKeyColumns<'a> {
    pub(crate) users: Vec<Uuid>,
    pub(crate) kinds: Vec<&'a str>,
    pub(crate) assets: Vec<&'a str>,
}

impl<'a> UsageKeyColumns<'a> {
    pub(crate) fn of(keys: impl IntoIterator<Item = &'a UsageKey>) -> Self {
        let mut columns = Self::default();
        for key in keys {
            columns.push(key);
        }
        columns
    }

    fn push(&mut self, key: &'a UsageKey) {
        self.users.push(key.user.as_uuid());
        self.kinds.push(key.kind.as_str());
        self.assets.push(scope_column(key.asset.as_ref()));
    }

    pub(crate) fn lock(&self) -> LockUsage<'_> {
        LockUsage {
            users: &self.users,
            kinds: &self.kinds,
            assets: &self.assets,
        }
    }
}

/// Uses that changed, as the columns of their statement.
#[derive(Default)]
pub(super) struct UsageColumns<'a> {
    keys: UsageKeyColumns<'a>,
    epochs: Vec<i32>,
    times: Vec<String>,
    amounts: Vec<String>,
}

impl<'a> UsageColumns<'a> {
    pub(super) fn of(
        before: &HashMap<UsageKey, Usage>,
        after: &'a HashMap<UsageKey, Usage>,
        known: &KnownRules,
    ) -> Self {
        let mut columns = Self::default();
        let changed = after
            .iter()
            .filter(|(key, usage)| before.get(key) != Some(usage));
        for (key, usage) in changed {
            let Some(epoch) = known.epoch_of(key) else {
                continue;
            };
            columns.keys.push(key);
            columns.epochs.push(epoch);
            let uses = usage.uses().iter();
            let times = uses.clone().map(|(at, _)| at.as_micros());
            columns.times.push(array_text(times));
            let amounts = uses.map(|(_, amount)| amount.units());
            columns.amounts.push(array_text(amounts));
        }
        columns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    pub(super) fn statement(&self) -> UpdateUsage<'_> {
        UpdateUsage {
            users: &self.keys.users,
            kinds: &self.keys.kinds,
            assets: &self.keys.assets,
            epochs: &self.epochs,
            times: &self.times,
            amounts: &self.amounts,
        }
    }
}
