//! `/admin/v1/rates/{asset}`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_domain::{AssetId, BigDecimal, DecimalAmount};
use bursar_ports::{AssetRate, Expected, Permission};
use serde::Serialize;

use crate::{
    answer,
    call::Call,
    fields::{Names, Prose, name},
    problem::Problem,
};

/// The longest name of a source, in characters.
const SOURCE_MAX: usize = 255;

#[derive(Serialize)]
struct RateBody<'a> {
    asset: &'a str,
    rate: String,
    source: Option<&'a str>,
    rated_at: Option<String>,
}

impl<'a> RateBody<'a> {
    /// Nobody needs to say that the root asset is worth itself.
    fn of(asset: &'a AssetId, found: &'a AssetRate) -> Self {
        let source = Some(found.source.as_str()).filter(|source| !source.is_empty());
        Self {
            asset: asset.as_str(),
            rate: found.rate.normalized().to_plain_string(),
            rated_at: source.map(|_| found.rated_at.to_micros_text()),
            source,
        }
    }
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let asset = call.only(call.asset_id())?;
    let rate = call.app().find_rate(&grant, asset).await?;
    answer::json(&RateBody::of(&asset, &rate))
}

pub(super) async fn replace(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let (asset, rate, source) = read(&call)?;
    let rate = call
        .app()
        .put_rate(&grant, asset, rate, source, Expected::Anything)
        .await?;
    answer::json(&RateBody::of(&asset, &rate))
}

/// A rate has the form of an amount. Whether it may be the root asset's is said here too, so that all
/// that is wrong is told at once.
fn read(call: &Call) -> Result<(AssetId, BigDecimal, Option<String>), Problem> {
    let mut fields = call.fields(Names::Strict)?;
    let asset = fields.also(call.asset_id());
    let rate = fields.amount(name!("rate"));
    let rate = fields.judged(rate.map(DecimalAmount::to_decimal), |rate| {
        asset.map_or(Ok(()), |asset| call.app().check_rate(asset, rate))
    });
    let source = fields.text(name!("source"), SOURCE_MAX, Prose::Line);
    let source = source.filter(|source| !source.is_empty());
    let read = || Some((asset?, rate?, source));
    fields.finish(read())
}
