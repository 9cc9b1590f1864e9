//! `/admin/v1/rates/{asset}`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::FieldError;
use bursar_domain::{AssetId, BigDecimal, DecimalAmount};
use bursar_ports::Permission;
use serde::Serialize;

use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

#[derive(Serialize)]
struct RateBody<'a> {
    asset: &'a str,
    rate: String,
}

impl<'a> RateBody<'a> {
    fn of(asset: &'a AssetId, rate: &BigDecimal) -> Self {
        Self {
            asset: asset.as_str(),
            rate: rate.normalized().to_plain_string(),
        }
    }
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let asset = parse_asset(&call).map_err(Problem::of_field)?;
    let rate = call.app().find_rate(&grant, asset).await?;
    answer::json(&RateBody::of(&asset, &rate))
}

pub(super) async fn replace(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let (asset, rate) = read(&call)?;
    let rate = call.app().put_rate(&grant, asset, rate).await?;
    answer::json(&RateBody::of(&asset, &rate))
}

/// A rate has the form of an amount.
fn read(call: &Call) -> Result<(AssetId, BigDecimal), Problem> {
    let mut fields = call.fields(Names::Strict)?;
    let asset = fields.also(parse_asset(call));
    let rate = fields.amount(name!("rate"));
    let rate = rate.map(DecimalAmount::to_decimal);
    let read = || Some((asset?, rate?));
    fields.finish(read())
}

fn parse_asset(call: &Call) -> Result<AssetId, FieldError> {
    AssetId::parse(call.segment("asset"))
        .map_err(|error| FieldError::new("asset", "asset.invalid", error.to_string()))
}
