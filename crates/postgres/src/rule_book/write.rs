//! Writing fees and limits. The caller holds the row of the rules' revision, so nobody writes between
//! what is read here and what is written.

use bursar_domain::{Amount, AssetId, AuditDraft, FeeSchedule, Kind, Limits, Timestamp, Unit};
use bursar_ports::{Expected, PutRule};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};

use crate::{
    audit_log::note_in_book,
    engine::{FeeRow, LimitsRow, scope_column},
    schema::{assets, fee_schedules, limits},
    value::Units,
};

/// Whether amounts that were read in this unit still are what they were. Whoever changes the asset's scale
/// from now on waits for this transaction and finds what it wrote; whoever did before is waited for here.
async fn is_in_use(connection: &mut AsyncPgConnection, unit: Unit) -> QueryResult<bool> {
    let scale: Option<i16> = assets::table
        .find(unit.asset.as_str())
        .select(assets::scale)
        .for_share()
        .get_result(connection)
        .await
        .optional()?;
    let read_with = i16::from(unit.scale.get());
    // An asset that is not there has no amounts in another scale.
    Ok(scale.is_none_or(|scale| scale == read_with))
}

pub(super) async fn write_fees(
    connection: &mut AsyncPgConnection,
    (kind, unit): (Kind, Unit),
    (schedule, percent): (&FeeSchedule, i64),
    was: &Expected<FeeSchedule>,
    (audit, at): (&AuditDraft, Timestamp),
) -> QueryResult<PutRule> {
    if !is_in_use(connection, unit).await? {
        return Ok(PutRule::OtherScale);
    }
    let asset = unit.asset;
    let found = fee_schedules::table.find((kind.as_str(), asset.as_str()));
    let had: Option<FeeRow> = found
        .select(FeeRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    let had = had.and_then(|row| row.read());
    if !was.allows(&had.unwrap_or_default()) {
        return Ok(PutRule::Overtaken);
    }
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
    let before = had.as_ref().map(told_fees);
    let after = told_fees(schedule);
    note_in_book(connection, audit, at, before.as_ref(), Some(&after)).await?;
    Ok(PutRule::Written)
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
/// of date, and belong to another epoch. So do those that were counted in another unit, or in one that
/// nobody remembers.
pub(super) async fn write_limits(
    connection: &mut AsyncPgConnection,
    (kind, asset): (Kind, Option<AssetId>),
    (new, unit): (Limits, Unit),
    was: &Expected<Limits>,
    (audit, at): (&AuditDraft, Timestamp),
) -> QueryResult<PutRule> {
    if !is_in_use(connection, unit).await? {
        return Ok(PutRule::OtherScale);
    }
    // What is of one asset is in that asset's unit, whose scale stays as it is.
    let root_unit = asset.is_none().then_some(unit);
    let scope = scope_column(asset.as_ref());
    let had: Option<LimitsRow> = limits::table
        .find((kind.as_str(), scope))
        .select(LimitsRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    let read = had.as_ref().and_then(LimitsRow::read);
    if !was.allows(&read.unwrap_or_default()) {
        return Ok(PutRule::Overtaken);
    }
    let had_unit = had.as_ref().and_then(|had| had.unit().flatten());
    let epoch = had.map_or(1, |had| {
        // What rolled on in the same unit has been counted all the time.
        let rolls = read.is_some_and(|had| had.is_rolling());
        let rolls_on = rolls && had.unit() == Some(root_unit);
        had.epoch.saturating_add((!rolls_on).into())
    });
    let units = |amount: Option<Amount>| amount.map(|amount| Units(amount.units()));
    let row = (
        limits::min_amount.eq(units(new.min_amount)),
        limits::max_amount.eq(units(new.max_amount)),
        limits::daily.eq(units(new.daily)),
        limits::monthly.eq(units(new.monthly)),
        limits::approval_above.eq(units(new.approval_above)),
        limits::epoch.eq(epoch),
        limits::root_asset.eq(root_unit.as_ref().map(|unit| unit.asset.as_str())),
        limits::root_scale.eq(root_unit.map(|unit| i16::from(unit.scale.get()))),
    );
    diesel::insert_into(limits::table)
        .values((limits::kind.eq(kind.as_str()), limits::asset.eq(scope), row))
        .on_conflict((limits::kind, limits::asset))
        .do_update()
        .set(row)
        .execute(connection)
        .await?;
    let before = read.as_ref().map(|limits| told_limits(limits, had_unit));
    let after = told_limits(&new, root_unit);
    note_in_book(connection, audit, at, before.as_ref(), Some(&after)).await?;
    Ok(PutRule::Written)
}

/// Limits as the audit log tells them: amounts in smallest units, over all assets in this unit. The same
/// figures are other limits in another one.
fn told_limits(limits: &Limits, unit: Option<Unit>) -> Value {
    let units = |amount: Option<Amount>| amount.map(|amount| amount.units().to_string());
    json!({
        "min_amount": units(limits.min_amount),
        "max_amount": units(limits.max_amount),
        "daily": units(limits.daily),
        "monthly": units(limits.monthly),
        "approval_above": units(limits.approval_above),
        "root_asset": unit.as_ref().map(|unit| unit.asset.as_str()),
        "root_scale": unit.map(|unit| unit.scale.get()),
    })
}
