//! `GET /internal-transfer`.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::InternalCall;
use bursar_domain::{Status, Timestamp, UserId};
use bursar_ports::InternalFilter;

use super::TransferBody;
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

/// How many transfers are shown at once.
const LIMIT_MAX: u32 = 200;
/// How many may be passed over.
const OFFSET_MAX: u32 = 10_000;
/// The longest identifier, in characters.
const CUSTOM_ID_MAX: usize = 255;

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.admit(InternalCall::List, 1).await?;
    let filter = read(&call, grant.principal().user)?;
    let views = call.app().list_internal(&grant, filter).await?;
    let rows = views
        .iter()
        .map(TransferBody::of)
        .collect::<Result<Vec<_>, Problem>>()?;
    answer::json(&rows)
}

fn read(call: &Call, user: Option<UserId>) -> Result<InternalFilter, Problem> {
    let mut query = call.query(Names::Exact)?;
    let statuses = "pending, success, rejected";
    let status = query.one_of(name!("status"), status_named, statuses);
    let asset = query.asset_id(name!("currency_code"), &["currency"]);
    let custom_id = query.text(name!("custom_id"), &[], CUSTOM_ID_MAX);
    let from = query.time(name!("start_at"));
    let to = query.time(name!("end_at"));
    let limit = query.limit(name!("limit"), &[], LIMIT_MAX);
    let offset = query.offset(name!("offset"), OFFSET_MAX);
    query.finish(user.map(|user| InternalFilter {
        user,
        status,
        asset,
        custom_id,
        from: from.map(Timestamp::floor_second),
        to: to.map(Timestamp::floor_second),
        limit,
        offset,
    }))
}

fn status_named(text: &str) -> Option<Status> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    if is("pending") {
        Some(Status::Pending)
    } else if is("success") || is("completed") {
        Some(Status::Success)
    } else if is("rejected") {
        Some(Status::Rejected)
    } else {
        None
    }
}
