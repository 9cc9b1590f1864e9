//! `GET /callback-addresses`: from where callbacks come, for the firewalls of those who get them.

use std::future::{Ready, ready};

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};
use bursar_ports::IpRange;
use serde::Serialize;

use crate::{
    answer,
    problem::Problem,
    routes::{get, path},
    state::Shared,
};

#[derive(Serialize)]
struct Addresses {
    data: Vec<String>,
}

pub(crate) fn mount(service: &mut ServiceConfig) {
    service.service(path("/callback-addresses", "GET, HEAD").route(get().to(list)));
}

/// Receivers ask, so no credentials are needed.
fn list(shared: web::Data<Shared>) -> Ready<Result<HttpResponse, Problem>> {
    let shared = shared.into_inner();
    let addresses = shared.callback_addresses.iter();
    let data = addresses.map(IpRange::to_shortest).collect();
    ready(answer::json(&Addresses { data }))
}
