//! Fees, limits and stops, as operators set them.
//!
//! Every change moves the rules' revision on in the same transaction: that is how batchers learn of
//! it. The revision's row is locked first, so that changes come one after the other.

mod write;

use std::sync::Arc;

use async_trait::async_trait;
use bursar_domain::{
    ActorId, AssetId, AuditDraft, FeeSchedule, Kind, Limits, Rules, Timestamp, Unit, Usage,
    UsageKey, UserId,
};
use bursar_ports::{
    Clock, Expected, Lift, PutRule, RuleBook, Stop, StopMark, StopScope, StoreError,
};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::json;

use self::write::{write_fees, write_limits};
use crate::{
    audit_log::note_in_book,
    engine::{KnownRules, RULE_SET, read_stop_scope},
    error::{inconsistent, unavailable},
    pool::Database,
    schema::{rule_sets, stops},
    tx::run_tx,
    usage::{count_anew, load_uses},
    value::At,
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
        let revision = KnownRules::revision(connection)
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
        unit: Unit,
        schedule: FeeSchedule,
        was: Expected<FeeSchedule>,
        audit: AuditDraft,
    ) -> Result<PutRule, StoreError> {
        let percent = i64::try_from(schedule.percent.parts())
            .map_err(|error| inconsistent("fee_schedules", error.to_string()))?;
        let at = self.clock.now();
        run_tx(self.database.pool(), "put fees", move |connection| {
            let audit = audit.clone();
            async move {
                move_on(connection).await?;
                let new = (&schedule, percent);
                write_fees(connection, (kind, unit), new, &was, (&audit, at)).await
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
        unit: Unit,
        was: Expected<Limits>,
        audit: AuditDraft,
    ) -> Result<PutRule, StoreError> {
        let at = self.clock.now();
        run_tx(self.database.pool(), "put limits", move |connection| {
            let audit = audit.clone();
            async move {
                move_on(connection).await?;
                let new = (limits, unit);
                write_limits(connection, (kind, asset), new, &was, (&audit, at)).await
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

    async fn lift(
        &self,
        scope: StopScope,
        was: Expected<StopMark>,
        audit: AuditDraft,
    ) -> Result<Lift, StoreError> {
        let at = self.clock.now();
        run_tx(self.database.pool(), "lift stop", move |connection| {
            let (was, audit) = (was.clone(), audit.clone());
            async move {
                move_on(connection).await?;
                lift(connection, scope, &was, (&audit, at)).await
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
        // Of a limit that does not roll nothing is counted.
        let rolling = keys.iter().copied();
        let rolling = rolling.filter(|key| known.epoch_of(key).is_some());
        let uncounted = rolling.filter(|key| !stored.contains_key(key)).collect();
        let units = &known.rules.root_units;
        let counted = count_anew(connection, &uncounted, units, self.clock.now());
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

/// The caller holds the row of the rules' revision: nobody stops or lifts anything meanwhile.
async fn lift(
    connection: &mut AsyncPgConnection,
    scope: StopScope,
    was: &Expected<StopMark>,
    (audit, at): (&AuditDraft, Timestamp),
) -> QueryResult<Lift> {
    let place = stops::table.find(stop_columns(&scope));
    let found: Option<(String, String, At)> = place
        .select((stops::reason, stops::stopped_by, stops::stopped_at))
        .get_result(connection)
        .await
        .optional()?;
    let Some((reason, stopped_by, stopped_at)) = found else {
        return Ok(Lift::NotStopped);
    };
    let stands = StopMark {
        stopped_by: ActorId::new(stopped_by),
        stopped_at: stopped_at.0,
    };
    if !was.allows(&stands) {
        return Ok(Lift::Overtaken);
    }
    diesel::delete(place).execute(connection).await?;
    let before = json!({"reason": reason});
    note_in_book(connection, audit, at, Some(&before), None).await?;
    Ok(Lift::Lifted)
}

fn stop_columns(scope: &StopScope) -> (&'static str, &str) {
    match scope {
        StopScope::ReadOnly => ("read_only", ""),
        StopScope::Outgoing(asset) => ("outgoing", asset.as_str()),
    }
}
