//! `GET …/account/`: deposits and withdrawals of one user.

use actix_web::{HttpRequest, HttpResponse};
use bursar_ports::{AccountHistory, Permission};

use super::TransferBody;
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

/// How many rows a page may have.
const LIMIT_MAX: u32 = 999;

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::BackofficeRead)?;
    let filter = read(&call)?;
    let transfers = call.app().list_account_history(&grant, filter).await?;
    let rows: Vec<_> = transfers.iter().map(TransferBody::of).collect();
    answer::json(&rows)
}

fn read(call: &Call) -> Result<AccountHistory, Problem> {
    let mut query = call.query(Names::AnyCase)?;
    let user = query.required_user_id(name!("userId"));
    let from = query.time(name!("startDate"));
    let to = query.time(name!("endDate"));
    let limit = query.limit(name!("limit"), &["count", "pageSize"], LIMIT_MAX);
    let offset = query.page(name!("cursor"), &[], limit);
    query.finish(user.map(|user| AccountHistory {
        user,
        from,
        to,
        limit,
        offset,
    }))
}
