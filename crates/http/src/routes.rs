//! Which path answers to what.

use std::future::{Ready, ready};

use actix_web::{
    HttpResponse, Resource,
    guard::{Any, Get, Guard, Head},
    web::{self, ServiceConfig},
};

use crate::{
    HttpConfig, HttpState, admin, backoffice, balance, health, internal, observe::Observe, openapi,
    problem::Problem, state::Shared,
};

/// The pattern that a path matched, for the log and the figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern(pub(crate) &'static str);

/// Mounts every route on an application of one's own, such as a test's.
pub fn configure(service: &mut ServiceConfig, config: &HttpConfig, state: HttpState) {
    mount(service, web::Data::new(Shared::new(config, state)));
}

/// Mounts every route.
pub(crate) fn mount(service: &mut ServiceConfig, shared: web::Data<Shared>) {
    let scope = web::scope("")
        .app_data(shared.clone())
        .configure(internal::mount)
        .configure(backoffice::mount)
        .configure(balance::mount)
        .configure(admin::mount)
        .configure(health::mount)
        .configure(openapi::mount)
        .default_service(web::to(unknown))
        .wrap(Observe(shared));
    service.service(scope);
}

/// A path and the methods it answers to; any other is refused with these.
pub(crate) fn path(pattern: &'static str, allow: &'static str) -> Resource {
    paths(&[pattern], allow)
}

/// Several spellings of one path, the first of which names it.
pub(crate) fn paths(patterns: &[&'static str], allow: &'static str) -> Resource {
    let name = patterns.first().copied().unwrap_or_default();
    web::resource(patterns.to_vec())
        .app_data(Pattern(name))
        .default_service(web::to(move || refuse_method(allow)))
}

/// A route for GET, and for HEAD, which is GET without the body.
pub(crate) fn get() -> actix_web::Route {
    web::route().guard(readable())
}

fn readable() -> impl Guard {
    Any(Get()).or(Head())
}

fn unknown() -> Ready<Result<HttpResponse, Problem>> {
    ready(Err(Problem::route_unknown()))
}

fn refuse_method(allow: &'static str) -> Ready<Result<HttpResponse, Problem>> {
    ready(Err(Problem::method_not_allowed(allow)))
}
