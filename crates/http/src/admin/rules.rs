//! `/admin/v1/fees/{kind}/{asset}` and `/admin/v1/limits/{kind}[/{asset}]`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::{Fees, FieldError, KindLimits, NewFees, NewLimits};
use bursar_domain::{Amount, AssetId, DecimalAmount, Kind};
use bursar_ports::{Expected, Permission};
use serde::Serialize;

use crate::{
    answer,
    call::Call,
    fields::{Fields, Names, name},
    problem::Problem,
};

#[derive(Serialize)]
struct FeesBody<'a> {
    kind: &'static str,
    asset: &'a str,
    percent: String,
    min: String,
    max: Option<String>,
    absolute: String,
}

impl<'a> FeesBody<'a> {
    fn of(fees: &'a Fees) -> Self {
        let (scale, schedule) = (fees.asset.scale, &fees.schedule);
        Self {
            kind: fees.kind.as_str(),
            asset: fees.asset.id.as_str(),
            percent: schedule.percent.to_plain(),
            min: schedule.min.to_plain(scale),
            max: schedule.max.map(|max| max.to_plain(scale)),
            absolute: schedule.absolute.to_plain(scale),
        }
    }
}

#[derive(Serialize)]
struct LimitsBody<'a> {
    kind: &'static str,
    asset: Option<&'a str>,
    counted_in: &'a str,
    min_amount: Option<String>,
    max_amount: Option<String>,
    daily: Option<String>,
    monthly: Option<String>,
    approval_above: Option<String>,
}

impl<'a> LimitsBody<'a> {
    fn of(limited: &'a KindLimits) -> Self {
        let (scale, limits) = (limited.counted_in.scale, &limited.limits);
        let plain = |amount: Option<Amount>| amount.map(|amount| amount.to_plain(scale));
        Self {
            kind: limited.kind.as_str(),
            asset: limited.asset.as_ref().map(AssetId::as_str),
            counted_in: limited.counted_in.id.as_str(),
            min_amount: plain(limits.min_amount),
            max_amount: plain(limits.max_amount),
            daily: plain(limits.daily),
            monthly: plain(limits.monthly),
            approval_above: plain(limits.approval_above),
        }
    }
}

pub(super) async fn show_fees(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let (kind, asset) = both(&call, kind(&call), call.asset_id())?;
    let fees = call.app().find_fees(&grant, kind, asset).await?;
    answer::json(&FeesBody::of(&fees))
}

pub(super) async fn replace_fees(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut fields = call.fields(Names::Strict)?;
    let (kind, asset) = (fields.also(kind(&call)), fields.also(call.asset_id()));
    let percent = fields.optional_decimal(name!("percent"));
    let min = fields.optional_decimal(name!("min"));
    let max = fields.optional_decimal(name!("max"));
    let absolute = fields.optional_decimal(name!("absolute"));
    let nothing = DecimalAmount::ZERO;
    let new = NewFees {
        percent: percent.unwrap_or(nothing),
        min: min.unwrap_or(nothing),
        max,
        absolute: absolute.unwrap_or(nothing),
    };
    fields.also_wrong(new.faults().into_iter());
    let read = || Some((kind?, asset?, new));
    let (kind, asset, new) = fields.finish(read())?;
    let fees = call
        .app()
        .put_fees(&grant, kind, asset, new, Expected::Anything)
        .await?;
    answer::json(&FeesBody::of(&fees))
}

pub(super) async fn show_limits(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let (kind, asset) = both(&call, kind(&call), optional_asset(&call))?;
    let limits = call.app().find_limits(&grant, kind, asset).await?;
    answer::json(&LimitsBody::of(&limits))
}

pub(super) async fn replace_limits(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut fields = call.fields(Names::Strict)?;
    let (kind, asset) = (fields.also(kind(&call)), fields.also(optional_asset(&call)));
    let new = read_limits(&mut fields);
    fields.also_wrong(new.faults(kind).into_iter());
    let read = || Some((kind?, asset?, new));
    let (kind, asset, new) = fields.finish(read())?;
    let limits = call
        .app()
        .put_limits(&grant, kind, asset, new, Expected::Anything)
        .await?;
    answer::json(&LimitsBody::of(&limits))
}

fn read_limits(fields: &mut Fields<'_>) -> NewLimits {
    NewLimits {
        min_amount: fields.optional_decimal(name!("min_amount")),
        max_amount: fields.optional_decimal(name!("max_amount")),
        daily: fields.optional_decimal(name!("daily")),
        monthly: fields.optional_decimal(name!("monthly")),
        approval_above: fields.optional_decimal(name!("approval_above")),
    }
}

/// The same as [`Call::only`] for two parts of the path.
fn both<A, B>(
    call: &Call,
    one: Result<A, FieldError>,
    other: Result<B, FieldError>,
) -> Result<(A, B), Problem> {
    let mut fields = call.optional_fields(Names::Strict)?;
    let (one, other) = (fields.also(one), fields.also(other));
    fields.finish(one.zip(other))
}

fn kind(call: &Call) -> Result<Kind, FieldError> {
    Kind::from_name(call.segment("kind")).ok_or_else(|| {
        let detail = "must be one of deposit, withdrawal, internal";
        FieldError::new("kind", "kind.invalid", detail)
    })
}

/// The asset in the path; none where the path has none.
fn optional_asset(call: &Call) -> Result<Option<AssetId>, FieldError> {
    if call.segment("asset").is_empty() {
        Ok(None)
    } else {
        call.asset_id().map(Some)
    }
}
