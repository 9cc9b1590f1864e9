//! Whether the service lives and can be used, and its figures.

use std::{
    future::{self, Ready},
    sync::atomic::Ordering,
};

use actix_web::{
    HttpResponse,
    http::header::HeaderValue,
    web::{self, ServiceConfig},
};
use serde::Serialize;

use crate::{
    answer,
    problem::Problem,
    routes::{get, path},
    state::Shared,
};

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

pub(crate) fn mount(service: &mut ServiceConfig) {
    service
        .service(path("/health/live", "GET, HEAD").route(get().to(live)))
        .service(path("/health/ready", "GET, HEAD").route(get().to(ready)))
        .service(path("/metrics", "GET, HEAD").route(get().to(metrics)));
}

/// The process answers.
fn live() -> Ready<Result<HttpResponse, Problem>> {
    future::ready(answer::json(&OK))
}

/// The service is not stopping, and its database takes writes.
async fn ready(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    if !shared.state.ready.load(Ordering::Relaxed) {
        return Err(Problem::unavailable());
    }
    shared.app().ready().await?;
    answer::json(&OK)
}

fn metrics(shared: web::Data<Shared>) -> Ready<HttpResponse> {
    let shared = shared.into_inner();
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let text = (shared.state.metrics)();
    future::ready(HttpResponse::Ok().content_type(format).body(text))
}
