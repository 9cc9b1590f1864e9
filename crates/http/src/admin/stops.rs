//! `/admin/v1/stops`: what operators stopped by hand.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::FieldError;
use bursar_ports::{Expected, Permission, Stop, StopScope};
use serde::Serialize;

use super::page::List;
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

/// The longest reason, in characters.
const REASON_MAX: usize = 1_000;

#[derive(Serialize)]
struct StopBody<'a> {
    stop: &'static str,
    asset: Option<&'a str>,
    reason: &'a str,
    stopped_by: &'a str,
    stopped_at: String,
}

impl<'a> StopBody<'a> {
    fn of(stop: &'a Stop) -> Self {
        let (name, asset) = match &stop.scope {
            StopScope::ReadOnly => ("read_only", None),
            StopScope::Outgoing(asset) => ("outgoing", Some(asset.as_str())),
        };
        Self {
            stop: name,
            asset,
            reason: &stop.reason,
            stopped_by: stop.stopped_by.as_str(),
            stopped_at: stop.stopped_at.to_micros_text(),
        }
    }
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    call.without_parameters()?;
    let stops = call.app().list_stops(&grant).await?;
    let data = stops.iter().map(StopBody::of).collect();
    answer::json(&List::whole(data))
}

pub(super) async fn stop(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut fields = call.fields(Names::Strict)?;
    let scope = fields.also(scope(&call));
    let reason = fields.required_text(name!("reason"), REASON_MAX);
    let (scope, reason) = fields.finish(scope.zip(reason))?;
    call.app().stop(&grant, scope, reason).await?;
    Ok(answer::empty())
}

pub(super) async fn lift(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    let scope = call.only(scope(&call))?;
    call.app()
        .lift_stop(&grant, scope, Expected::Anything)
        .await?;
    Ok(answer::empty())
}

/// Everything, or what leaves accounts of the asset in the path.
fn scope(call: &Call) -> Result<StopScope, FieldError> {
    if call.segment("asset").is_empty() {
        Ok(StopScope::ReadOnly)
    } else {
        call.asset_id().map(StopScope::Outgoing)
    }
}
