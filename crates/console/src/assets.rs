//! The style sheet and the script, embedded. Their addresses carry what they are, so they may be
//! kept for ever.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{self, ServiceConfig},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

static CSS: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/console.css");
    Asset::of("console.css", "text/css; charset=utf-8", text)
});
static JS: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/console.js");
    Asset::of("console.js", "text/javascript; charset=utf-8", text)
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::of("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// Where the style sheet is.
pub(crate) fn css_url() -> &'static str {
    &CSS.url
}

/// Where the script is.
pub(crate) fn js_url() -> &'static str {
    &JS.url
}

/// Where the picture is that stands on the browser's tab.
pub(crate) fn icon_url() -> &'static str {
    &ICON.url
}

pub(crate) fn routes(service: &mut ServiceConfig) {
    service
        .route("/assets/console.css", web::get().to(css))
        .route("/assets/console.js", web::get().to(js))
        .route("/assets/icon.svg", web::get().to(icon));
}

async fn css(request: HttpRequest) -> HttpResponse {
    CSS.answer(&request)
}

async fn js(request: HttpRequest) -> HttpResponse {
    JS.answer(&request)
}

async fn icon(request: HttpRequest) -> HttpResponse {
    ICON.answer(&request)
}

/// A file that pages load.
struct Asset {
    kind: &'static str,
    text: &'static str,
    /// The query of its address, which says what is in it.
    hash: String,
    url: String,
}

impl Asset {
    fn of(name: &str, kind: &'static str, text: &'static str) -> Self {
        let digest = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
        let hash = digest.get(..16).unwrap_or(&digest).to_owned();
        Self {
            kind,
            text,
            url: format!("/console/assets/{name}?{hash}"),
            hash,
        }
    }

    /// Kept for ever under its own address alone: while an upgrade goes round, a page of one replica
    /// asks another, which has another file.
    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let kept = if request.query_string() == self.hash {
            "public, max-age=31536000, immutable"
        } else {
            "no-store"
        };
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, self.kind))
            .insert_header((header::CACHE_CONTROL, kept))
            .body(self.text)
    }
}
