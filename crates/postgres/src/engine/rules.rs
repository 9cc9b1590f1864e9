//! The rules as a batcher knows them.
//!
//! A money transaction reads one number, their revision, once it holds its locks. Only when it is
//! another one than the batcher knows are the rules themselves read, in the same transaction, with
//! the revision that they belong to.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bursar_domain::{
    AccountKey, Amount, AssetId, FeeSchedule, Kind, Limits, Percent, Rules, Stops, Unit, Usage,
    UsageKey,
};
use bursar_ports::{StopScope, StoreError};
use diesel::{
    QueryDsl as _, QueryResult, SelectableHelper as _,
    prelude::{Queryable, Selectable},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::try_join;
use uuid::Uuid;

use super::writer::Kept;
use crate::{
    error::inconsistent,
    row::{Uses, read_scale},
    schema::{fee_schedules, limits, rule_sets, stops},
    statement::{LockRootUses, ReadRootUses, UpdateRootUses},
    usage::usage_key,
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

    /// The revision in force.
    pub(crate) async fn revision(connection: &AsyncPgConnection) -> QueryResult<i64> {
        rule_sets::table
            .find(RULE_SET)
            .select(rule_sets::revision)
            .get_result(&mut &*connection)
            .await
    }

    /// The rules in force, of the revision that was just read or of a later one.
    ///
    /// Each statement sees what is committed when it begins, so what they read is of that revision only
    /// if it is still in force behind them. Else everything is read again: once for each change that
    /// comes in between, and no longer than the caller waits.
    pub(crate) async fn load(
        connection: &AsyncPgConnection,
        mut revision: i64,
    ) -> QueryResult<Result<Self, StoreError>> {
        loop {
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
            let behind = Self::revision(connection).await?;
            if behind == revision {
                return Ok(Self::from_rows(revision, fee_rows, limit_rows, stop_rows));
            }
            revision = behind;
        }
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
            if let Some(unit) = row.unit().ok_or_else(bad)? {
                rules.root_units.insert(scope.0, unit);
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
fn read_scope(
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
    root_asset: Option<String>,
    root_scale: Option<i16>,
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

    /// The unit that limits over all assets are set in: `Some(None)` where nobody remembers it, and of
    /// limits of one asset; `None` for one that cannot be.
    #[expect(clippy::option_option, reason = "a missing unit is not a wrong one")]
    pub(crate) fn unit(&self) -> Option<Option<Unit>> {
        match (&self.root_asset, self.root_scale) {
            (None, None) => Some(None),
            (Some(asset), Some(scale)) => Some(Some(Unit {
                asset: AssetId::parse(asset).ok()?,
                scale: read_scale(scale)?,
            })),
            (Some(_), None) | (None, Some(_)) => None,
        }
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

/// Keys of uses in the root asset as arrays.
#[derive(Default)]
pub(super) struct RootUseKeys {
    users: Vec<Uuid>,
    kinds: Vec<&'static str>,
}

impl RootUseKeys {
    pub(super) fn of<'k>(keys: impl IntoIterator<Item = &'k UsageKey>) -> Self {
        let mut columns = Self::default();
        for key in keys.into_iter().filter(|key| key.asset.is_none()) {
            columns.push(key);
        }
        columns
    }

    fn push(&mut self, key: &UsageKey) {
        self.users.push(key.user.as_uuid());
        self.kinds.push(key.kind.as_str());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    pub(super) fn lock(&self) -> LockRootUses<'_> {
        LockRootUses {
            users: &self.users,
            kinds: &self.kinds,
        }
    }

    pub(super) fn read(&self) -> ReadRootUses<'_> {
        ReadRootUses {
            users: &self.users,
            kinds: &self.kinds,
        }
    }
}

/// Uses that changed: those of an asset for their account, those of all for their statement.
#[derive(Default)]
pub(super) struct ChangedUses {
    of_assets: HashMap<UsageKey, Vec<u8>>,
    keys: RootUseKeys,
    of_all: Vec<Vec<u8>>,
}

impl ChangedUses {
    pub(super) fn of(
        before: &HashMap<UsageKey, Usage>,
        after: &HashMap<UsageKey, Usage>,
        known: &KnownRules,
    ) -> Result<Self, StoreError> {
        let mut changed = Self::default();
        let differ = after
            .iter()
            .filter(|(key, usage)| before.get(key) != Some(usage));
        let mut differ: Vec<_> = differ.collect();
        // In the order in which everybody locks them.
        differ.sort_unstable_by_key(|(key, _)| **key);
        for (key, usage) in differ {
            let Some(epoch) = known.epoch_of(key) else {
                continue;
            };
            let bad = || inconsistent("uses", format!("{}: out of order", key.user));
            let uses = Uses::write(epoch, usage).ok_or_else(bad)?;
            if key.asset.is_some() {
                changed.of_assets.insert(*key, uses);
            } else {
                changed.keys.push(key);
                changed.of_all.push(uses);
            }
        }
        Ok(changed)
    }

    /// What an account's owner now has used of the limits of its asset, if that changed.
    pub(super) fn take(&mut self, account: &AccountKey, kind: Kind) -> Option<Vec<u8>> {
        self.of_assets.remove(&usage_key(account, kind)?)
    }

    /// Brings what is remembered of uses in the root asset up to date.
    pub(super) fn remember(&self, root_uses: &mut Kept<(Uuid, &'static str), Option<Vec<u8>>>) {
        let keys = self.keys.users.iter().zip(&self.keys.kinds);
        for ((user, kind), uses) in keys.zip(&self.of_all) {
            if let Some(remembered) = root_uses.get(&(*user, *kind)) {
                *remembered = Some(uses.clone());
            }
        }
    }

    /// Whether nothing changed in the root asset.
    pub(super) fn is_empty(&self) -> bool {
        self.of_all.is_empty()
    }

    pub(super) fn statement(&self) -> UpdateRootUses<'_> {
        UpdateRootUses {
            users: &self.keys.users,
            kinds: &self.keys.kinds,
            uses: &self.of_all,
        }
    }
}
