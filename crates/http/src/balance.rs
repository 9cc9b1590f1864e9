//! `GET /balance`: what a user has.

use actix_web::{HttpRequest, HttpResponse, web::ServiceConfig};
use bursar_app::UserBalance;
use bursar_domain::Timestamp;
use bursar_ports::Permission;
use serde::Serialize;

use crate::{
    answer,
    call::Call,
    problem::Problem,
    routes::{get, path},
};

pub(crate) fn mount(service: &mut ServiceConfig) {
    for pattern in ["/balance", "/api/v1/balance"] {
        service.service(path(pattern, "GET, HEAD").route(get().to(list)));
    }
}

#[derive(Serialize)]
struct Row {
    currency: String,
    available: String,
    frozen: String,
    updated_at: Option<String>,
}

impl Row {
    fn of(balance: &UserBalance) -> Self {
        let scale = balance.asset.scale;
        Self {
            currency: balance.asset.id.as_str().to_ascii_uppercase(),
            available: balance.available.to_fixed(scale),
            frozen: balance.held.to_fixed(scale),
            updated_at: balance.updated_at.map(Timestamp::to_seconds_text),
        }
    }
}

async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_user(Permission::AllowBalance)?;
    let balances = call.app().own_balances(&grant).await?;
    let rows: Vec<_> = balances.iter().map(Row::of).collect();
    answer::json(&rows)
}
