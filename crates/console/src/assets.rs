//! The style sheet and the script, embedded. Their addresses carry what they are, so they may be
//! kept for ever.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header,
    web::{self, ServiceConfig},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

const CSS: &str = include_str!("assets/console.css");
const JS: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

static CSS_URL: LazyLock<String> = LazyLock::new(|| url("console.css", CSS));
static JS_URL: LazyLock<String> = LazyLock::new(|| url("console.js", JS));
static ICON_URL: LazyLock<String> = LazyLock::new(|| url("icon.svg", ICON));

/// Where the style sheet is.
pub(crate) fn css_url() -> &'static str {
    &CSS_URL
}

/// Where the script is.
pub(crate) fn js_url() -> &'static str {
    &JS_URL
}

/// Where the picture is that stands on the browser's tab.
pub(crate) fn icon_url() -> &'static str {
    &ICON_URL
}

pub(crate) fn routes(service: &mut ServiceConfig) {
    service
        .route("/assets/console.css", web::get().to(css))
        .route("/assets/console.js", web::get().to(js))
        .route("/assets/icon.svg", web::get().to(icon));
}

async fn css() -> HttpResponse {
    asset("text/css; charset=utf-8", CSS)
}

async fn js() -> HttpResponse {
    asset("text/javascript; charset=utf-8", JS)
}

async fn icon() -> HttpResponse {
    asset("image/svg+xml", ICON)
}

fn asset(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(text)
}

fn url(name: &str, text: &str) -> String {
    let hash = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
    let (short, _) = hash.split_at(16);
    format!("/console/assets/{name}?{short}")
}
