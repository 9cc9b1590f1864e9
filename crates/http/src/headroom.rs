//! What a user may still move: `GET /admin/v1/users/{id}/headroom`, and `GET /limits` for users.

use actix_web::{HttpRequest, HttpResponse, web::ServiceConfig};
use bursar_app::LimitHeadroom;
use bursar_domain::{Amount, AssetId, UserId};
use bursar_ports::Permission;
use serde::Serialize;

use crate::{
    admin::List,
    answer,
    call::Call,
    problem::Problem,
    routes::{get, path},
};

pub(crate) fn mount(service: &mut ServiceConfig) {
    for pattern in ["/limits", "/api/v1/limits"] {
        service.service(path(pattern, "GET, HEAD").route(get().to(own)));
    }
}

/// What users are answered; it is no list of the admin API.
#[derive(Serialize)]
struct OwnHeadroom<'a> {
    data: Vec<HeadroomBody<'a>>,
}

#[derive(Serialize)]
struct HeadroomBody<'a> {
    kind: &'static str,
    asset: Option<&'a str>,
    counted_in: &'a str,
    min_amount: Option<String>,
    max_amount: Option<String>,
    daily: Option<Rolling>,
    monthly: Option<Rolling>,
}

/// A rolling limit and what is left of it.
#[derive(Serialize)]
struct Rolling {
    limit: String,
    left: String,
}

impl<'a> HeadroomBody<'a> {
    fn of(headroom: &'a LimitHeadroom) -> Self {
        let limited = &headroom.limits;
        let (scale, limits) = (limited.counted_in.scale, &limited.limits);
        let plain = |amount: Amount| amount.to_plain(scale);
        let rolling = |limit: Option<Amount>, left: Option<Amount>| {
            limit.zip(left).map(|(limit, left)| Rolling {
                limit: plain(limit),
                left: plain(left),
            })
        };
        Self {
            kind: limited.kind.as_str(),
            asset: limited.asset.as_ref().map(AssetId::as_str),
            counted_in: limited.counted_in.id.as_str(),
            min_amount: limits.min_amount.map(plain),
            max_amount: limits.max_amount.map(plain),
            daily: rolling(limits.daily, headroom.left.daily),
            monthly: rolling(limits.monthly, headroom.left.monthly),
        }
    }
}

fn rows(headroom: &[LimitHeadroom]) -> Vec<HeadroomBody<'_>> {
    headroom.iter().map(HeadroomBody::of).collect()
}

/// A user's own.
async fn own(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_user(Permission::AllowTransfer)?;
    let headroom = call.app().own_headroom(&grant).await?;
    let data = rows(&headroom);
    answer::json(&OwnHeadroom { data })
}

/// Any user's, for operators.
pub(crate) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let user = call.only(call.guid()).map(UserId::new)?;
    let headroom = call.app().user_headroom(&grant, user).await?;
    answer::json(&List::whole(rows(&headroom)))
}
