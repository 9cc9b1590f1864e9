//! The OpenAPI document and the page that shows it.
//!
//! The document is written by hand, because its examples keep the order of keys that clients rely
//! on; tests hold it to the routes and its examples to real answers.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_ENCODING, HeaderValue, LOCATION},
    web::{self, ServiceConfig},
};
use utoipa_swagger_ui::Config;

use crate::{
    problem::Problem,
    routes::{get, path, paths},
};

/// The document, as it is served.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

pub(crate) fn mount(service: &mut ServiceConfig) {
    service
        .service(path("/openapi.json", "GET, HEAD").route(get().to(document)))
        .service(path("/docs", "GET, HEAD").route(get().to(to_page)))
        .service(paths(&["/docs/{file:.*}"], "GET, HEAD").route(get().to(page)));
}

fn document() -> Ready<HttpResponse> {
    let answer = HttpResponse::Ok()
        .content_type(HeaderValue::from_static("application/json"))
        .body(OPENAPI);
    ready(answer)
}

fn to_page() -> Ready<HttpResponse> {
    let answer = HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, HeaderValue::from_static("/docs/")))
        .finish();
    ready(answer)
}

/// A file of Swagger UI; all of it is inside the binary.
fn page(file: web::Path<String>) -> Ready<Result<HttpResponse, Problem>> {
    ready(page_file(&file.into_inner()))
}

fn page_file(file: &str) -> Result<HttpResponse, Problem> {
    // The page would otherwise ask a stranger whether the document is valid.
    let config = Arc::new(Config::from("/openapi.json").validator_url("none"));
    match utoipa_swagger_ui::serve(file, config) {
        Ok(Some(file)) => {
            let mut response = HttpResponse::Ok();
            if file.gzpipped {
                response.insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
            }
            Ok(response
                .content_type(file.content_type)
                .body(file.bytes.into_owned()))
        }
        Ok(None) => Err(Problem::route_unknown()),
        Err(error) => {
            tracing::error!(%error, "the page of the API cannot be rendered");
            Err(Problem::internal())
        }
    }
}
