//! Fees, limits and stops, as operators set them.
//!
//! Every change moves the rules' revision on in the same transaction: that is how batchers learn of
//! it. The revision's row is locked first, so that changes come one after the other.

use std::sync::Arc;

use async_trait::async_trait;
use bursar_domain::{
    ActorId, Amount, AssetId, AuditDraft, FeeSchedule, Kind, Limits, Rules, Timestamp, Usage,
    UsageKey, UserId,
};
use bursar_ports::{Clock, RuleBook, Stop, StopScope, StoreError};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::{
    audit_log::note_in_book,
    engine::{FeeRow, KnownRules, LimitsRow, RULE_SET, read_stop_scope, scope_column},
    error::{inconsistent, unavailable},
    pool::Database,
    schema::{fee_schedules, limits, rule_sets, stops},
    tx::run_tx,
    usage::{count_anew, load_uses},
    value::{At, Units},
};

/// The rules in the database.
#[derive(Clone)]
pub struct PgRuleBook {
    database: Database,
    clock: Arc<dyn Clock>,
}

impl PgRuleBook {
    /// Rules on these connections; the clock says from when on uses are looked at.
    pub const fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }

    async fn known(&self, connection: &mut AsyncPgConnection) -> Result<KnownRules, StoreError> {
        let revision = rule_sets::table
            .find(RULE_SET)
            .select(rule_sets::revision)
            .get_result(connection)
            .await
            .map_err(unavailable)?;
        KnownRules::load(connection, revision)
            .await
            .map_err(unavailable)?
    }
}

#[async_trait]
impl RuleBook for PgRuleBook {
    async fn rules(&self) -> Result<Arc<Rules>, StoreError> {
        let known = async |connection: &mut _| self.known(connection).await;
        Ok(self.database.read(known).await?.rules)
    }

    async fn put_fees(
        &self,
        kind: Kind,
        asset: AssetId,
        schedule: FeeSchedule,
        audit: AuditDraft,
    ) -> Result<(), StoreError> {
        let percent = i64::try_from(schedule.percent.parts())
            .map_err(|error| inconsistent("fee_schedules", error.to_string()))?;
        let at = self.clock.now();
        run_tx(self.database.pool(), "put fees", move |connection| {
            let audit = audit.clone();
            async move {
                move_on(connection).await?;
                write_fees(connection, (kind, asset, percent), &schedule, (&audit, at)).await
            }
            .boxed()
        })
        .await
    }

    async fn put_limits(
        &self,
        kind: Kind,
        asset: Option<AssetId>,
        limits: Limits,
        audit: AuditDraft,
    ) -> Result<(), StoreError> {
        let at = self.clock.now();
        run_tx(self.database.pool(), "put limits", move |connection| {
            let audit = audit.clone();
            async move {
                move_on(connection).await?;
                write_limits(connection, kind, asset, limits, (&audit, at)).await
            }
            .boxed()
        })
        .await
    }

    async fn list_stops(&self) -> Result<Vec<Stop>, StoreError> {
        let rows: Vec<(String, String, String, String, At)> = self
            .database
            .run(async |connection| {
                stops::table
                    .select((
                        stops::name,
                        stops::asset,
                        stops::reason,
                        stops::stopped_by,
                        stops::stopped_at,
                    ))
                    .load(connection)
                    .await
            })
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for (name, asset, reason, stopped_by, stopped_at) in rows {
            found.push(Stop {
                scope: read_stop_scope(&name, &asset)?,
                reason,
                stopped_by: ActorId::new(stopped_by),
                stopped_at: stopped_at.0,
            });
        }
        found.sort_by_key(|stop| stop.scope);
        Ok(found)
    }

    async fn stop(&self, stop: Stop, audit: AuditDraft) -> Result<(), StoreError> {
        run_tx(self.database.pool(), "stop", move |connection| {
            let (stop, audit) = (stop.clone(), audit.clone());
            async move {
                move_on(connection).await?;
                let (name, asset) = stop_columns(&stop.scope);
                let after = json!({"reason": stop.reason});
                let stopped = diesel::insert_into(stops::table)
                    .values((
                        stops::name.eq(name),
                        stops::asset.eq(asset),
                        stops::reason.eq(stop.reason),
                        stops::stopped_by.eq(stop.stopped_by.as_str()),
                        stops::stopped_at.eq(At(stop.stopped_at)),
                    ))
                    .on_conflict_do_nothing()
                    .execute(connection)
                    .await?;
                if stopped > 0 {
                    let at = stop.stopped_at;
                    note_in_book(connection, &audit, at, None, Some(&after)).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn lift(&self, scope: StopScope, audit: AuditDraft) -> Result<bool, StoreError> {
        let at = self.clock.now();
        run_tx(self.database.pool(), "lift stop", move |connection| {
            let audit = audit.clone();
            async move {
                move_on(connection).await?;
                let (name, asset) = stop_columns(&scope);
                let reason: Option<String> = diesel::delete(stops::table.find((name, asset)))
                    .returning(stops::reason)
                    .get_result(connection)
                    .await
                    .optional()?;
                let Some(reason) = reason else {
                    return Ok(false);
                };
                let before = json!({"reason": reason});
                note_in_book(connection, &audit, at, Some(&before), None).await?;
                Ok(true)
            }
            .boxed()
        })
        .await
    }

    async fn usage(&self, keys: Vec<UsageKey>) -> Result<Vec<Usage>, StoreError> {
        self.database
            .read(async |connection| self.usage_on(connection, &keys).await)
            .await
    }
}

impl PgRuleBook {
    async fn usage_on(
        &self,
        connection: &mut AsyncPgConnection,
        keys: &[UsageKey],
    ) -> Result<Vec<Usage>, StoreError> {
        let known = self.known(connection).await?;
        let users: Vec<UserId> = keys.iter().map(|key| key.user).collect();
        let mut stored = load_uses(connection, &users).await?;
        stored.retain(|key, uses| known.epoch_of(key) == Some(uses.epoch));
        let uncounted = keys.iter().copied();
        let uncounted = uncounted.filter(|key| !stored.contains_key(key)).collect();
        let counted = count_anew(connection, &uncounted, self.clock.now());
        let counted = counted.await.map_err(unavailable)??;
        let usage = |key| {
            let stored = stored.get(key).map(|uses| &uses.usage);
            stored.or(counted.get(key)).cloned().unwrap_or_default()
        };
        Ok(keys.iter().map(usage).collect())
    }
}

/// The next revision of the rules. Its row is locked by that, so changes come one after the other.
async fn move_on(connection: &mut AsyncPgConnection) -> QueryResult<()> {
    let changed = diesel::update(rule_sets::table.find(RULE_SET))
        .set(rule_sets::revision.eq(rule_sets::revision + 1))
        .execute(connection)
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(diesel::result::Error::NotFound)
    }
}

async fn write_fees(
    connection: &mut AsyncPgConnection,
    (kind, asset, percent): (Kind, AssetId, i64),
    schedule: &FeeSchedule,
    (audit, at): (&AuditDraft, Timestamp),
) -> QueryResult<()> {
    let found = fee_schedules::table.find((kind.as_str(), asset.as_str()));
    let had: Option<FeeRow> = found
        .select(FeeRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    let row = (
        fee_schedules::percent.eq(percent),
        fee_schedules::min.eq(Units(schedule.min.units())),
        fee_schedules::max.eq(schedule.max.map(|max| Units(max.units()))),
        fee_schedules::absolute.eq(Units(schedule.absolute.units())),
    );
    diesel::insert_into(fee_schedules::table)
        .values((
            fee_schedules::kind.eq(kind.as_str()),
            fee_schedules::asset.eq(asset.as_str()),
            row,
        ))
        .on_conflict((fee_schedules::kind, fee_schedules::asset))
        .do_update()
        .set(row)
        .execute(connection)
        .await?;
    let before = had.and_then(|row| row.read()).map(|had| told_fees(&had));
    let after = told_fees(schedule);
    note_in_book(connection, audit, at, before.as_ref(), Some(&after)).await
}

/// A fee schedule as the audit log tells it: amounts in smallest units.
fn told_fees(schedule: &FeeSchedule) -> Value {
    json!({
        "percent": schedule.percent.to_plain(),
        "min": schedule.min.units().to_string(),
        "max": schedule.max.map(|max| max.units().to_string()),
        "absolute": schedule.absolute.units().to_string(),
    })
}

/// Uses are counted from when a limit begins to roll; those of an earlier time when it did are out
/// of date, and belong to another epoch.
async fn write_limits(
    connection: &mut AsyncPgConnection,
    kind: Kind,
    asset: Option<AssetId>,
    new: Limits,
    (audit, at): (&AuditDraft, Timestamp),
) -> QueryResult<()> {
    let scope = scope_column(asset.as_ref());
    let had: Option<LimitsRow> = limits::table
        .find((kind.as_str(), scope))
        .select(LimitsRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    let epoch = had.as_ref().map_or(1, |had| {
        // What rolled on has been counted all the time.
        let rolls = had.read().is_some_and(|had| had.is_rolling());
        had.epoch.saturating_add((!rolls).into())
    });
    let units = |amount: Option<Amount>| amount.map(|amount| Units(amount.units()));
    let row = (
        limits::min_amount.eq(units(new.min_amount)),
        limits::max_amount.eq(units(new.max_amount)),
        limits::daily.eq(units(new.daily)),
        limits::monthly.eq(units(new.monthly)),
        limits::approval_above.eq(units(new.approval_above)),
        limits::epoch.eq(epoch),
    );
    diesel::insert_into(limits::table)
        .values((limits::kind.eq(kind.as_str()), limits::asset.eq(scope), row))
        .on_conflict((limits::kind, limits::asset))
        .do_update()
        .set(row)
        .execute(connection)
        .await?;
    let before = had.and_then(|row| row.read()).map(|had| told_limits(&had));
    let after = told_limits(&new);
    note_in_book(connection, audit, at, before.as_ref(), Some(&after)).await
}

/// Limits as the audit log tells them: amounts in smallest units.
fn told_limits(limits: &Limits) -> Value {
    let units = |amount: Option<Amount>| amount.map(|amount| amount.units().to_string());
    json!({
        "min_amount": units(limits.min_amount),
        "max_amount": units(limits.max_amount),
        "daily": units(limits.daily),
        "monthly": units(limits.monthly),
        "approval_above": units(limits.approval_above),
    })
}

fn stop_columns(scope: &StopScope) -> (&'static str, &str) {
    match scope {
        StopScope::ReadOnly => ("read_only", ""),
        StopScope::Outgoing(asset) => ("outgoing", asset.as_str()),
    }
}
