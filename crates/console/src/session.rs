//! What stands round everything below `/console`: the body is read in time, what another site sends
//! is refused, the session's cookie becomes a [`Visitor`], and every answer gets its headers.

use std::time::Duration;

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::BoxBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{
            ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
        },
    },
    middleware::Next,
};
use bursar_app::{Caller, Error as AppError, SignedIn};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use maud::html;

use crate::{
    Console, Unreadable, Visitor, cookies::Cookie, elsewhere, forms::holds_nul, headers, layout,
    sign_in::SIGN_IN,
};

/// Longer than any form of ours, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a form may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const ASSETS: &str = "/console/assets/";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Serves a request of the console.
pub(crate) async fn guard(
    console: Console,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_asset = request.path().starts_with(ASSETS);
    let is_secure = console.settings().secure_cookies;
    let mut answer = if is_asset {
        next.call(request).await?
    } else if holds_nul(request.query_string()) {
        request.error_response(Unreadable)
    } else {
        serve(&console, request, &next).await?
    };
    if let Some(error) = answer.response().error() {
        // A page of our own, before anybody makes a document for programs of it.
        let page = error.as_response_error().error_response();
        answer = answer.into_response(page);
    }
    if is_no_page(&answer) {
        answer = answer.into_response(no_page());
    }
    let is_kept = is_asset && answer.status().is_success();
    headers::protect(answer.headers_mut(), is_kept, is_secure);
    Ok(answer)
}

/// Whether nobody answers to the address, or not to the method.
fn is_no_page(answer: &ServiceResponse<BoxBody>) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
    unknown.contains(&answer.status()) && !is_page
}

async fn serve(
    console: &Console,
    mut request: ServiceRequest,
    next: &Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !reads(request.method()) {
        if let Err(refused) = read_body(&mut request).await {
            return Ok(request.into_response(refused));
        }
        if is_from_elsewhere(request.headers()) {
            return Ok(request.into_response(from_elsewhere()));
        }
    }
    let is_secure = console.settings().secure_cookies;
    if let Some(again) = elsewhere::again(request.request(), is_secure) {
        return Ok(request.into_response(again));
    }
    if let Some(token) = Cookie::Session.of(request.headers(), is_secure) {
        let caller = caller(request.request());
        let is_used = !is_stream(request.headers());
        match console.app().session(&token, &caller, is_used).await {
            Ok(Some(signed_in)) => introduce(&request, signed_in),
            Ok(None) => {}
            // Whoever cannot be known for now may still sign in.
            Err(AppError::RateLimited(_)) if request.path().starts_with(SIGN_IN) => {}
            Err(AppError::RateLimited(limited)) => {
                return Ok(request.into_response(too_many(limited.retry_after_s)));
            }
            Err(error) => {
                tracing::error!(%error, "a session cannot be looked up");
                return Ok(request.into_response(unavailable()));
            }
        }
    }
    next.call(request).await
}

/// Tells everybody further in who is looking.
fn introduce(request: &ServiceRequest, signed_in: SignedIn) {
    let mut extensions = request.extensions_mut();
    // For the access log.
    extensions.insert(signed_in.principal.clone());
    extensions.insert(Visitor {
        operator: signed_in.principal.subject.clone(),
        principal: signed_in.principal,
        csrf: signed_in.csrf,
        session: signed_in.session.id.to_string(),
    });
}

/// The request, as whoever stands round it has named it.
pub(crate) fn caller(request: &HttpRequest) -> Caller {
    let named = request.extensions().get::<Caller>().cloned();
    named.unwrap_or_else(|| Caller {
        request_id: "unknown".to_owned(),
        address: request.peer_addr().map(|peer| peer.ip().to_canonical()),
    })
}

fn reads(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

/// Whether the page asks by itself: nobody need sit before it.
fn is_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT);
    accept.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// Whether another site sends this, as the browser says. Forms carry tokens too; this holds for
/// what has none.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let from = origin.to_str().ok().and_then(|origin| {
        let plain = origin.strip_prefix("http://");
        plain.or_else(|| origin.strip_prefix("https://"))
    });
    from.is_none() || from != host
}

/// Reads the whole body, so that nobody further in waits for what never comes.
async fn read_body(request: &mut ServiceRequest) -> Result<(), HttpResponse> {
    let payload = request.take_payload();
    let body = tokio::time::timeout(BODY_TIMEOUT, collect(payload)).await;
    match body {
        Ok(Some(body)) => {
            request.set_payload(Payload::from(body));
            Ok(())
        }
        Ok(None) => Err(refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "This cannot be read",
            "It is longer than any form of the console, or it broke off.",
        )),
        Err(_) => Err(refusal(
            StatusCode::BAD_REQUEST,
            "This took too long to arrive",
            "Send it again.",
        )),
    }
}

async fn collect(mut payload: Payload) -> Option<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.ok()?;
        if body.len().saturating_add(chunk.len()) > BODY_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body.freeze())
}

pub(crate) fn no_page() -> HttpResponse {
    refusal(
        StatusCode::NOT_FOUND,
        "There is no such page",
        "The address is none of the console’s.",
    )
}

fn from_elsewhere() -> HttpResponse {
    refusal(
        StatusCode::FORBIDDEN,
        "This came from another site",
        "Only the console’s own pages may send forms to it. Open the page here, and repeat what you wanted to do.",
    )
}

/// A page for when the database is away.
pub(crate) fn unavailable() -> HttpResponse {
    let mut page = refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "The console cannot answer right now",
        "It does not get through to its database. Wait a moment, and open the page again.",
    );
    page.headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    page
}

/// A page for whoever brings a session that is not known, from where too many were none.
fn too_many(retry_after_s: u32) -> HttpResponse {
    let mut page = refusal(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many made-up sessions come from your network",
        "So yours is not looked at for now. Wait a minute and open the page again, or sign in anew at /console/sign-in.",
    );
    page.headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
    page
}

fn refusal(status: StatusCode, title: &str, what_to_do: &str) -> HttpResponse {
    let body = html! {
        h1 { (title) }
        p { "Nothing was done. " (what_to_do) }
        p { a class="button" href="/console" { "To the overview" } }
    };
    layout::respond(HttpResponse::build(status), layout::page(None, title, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_foreign(pairs: &[(HeaderName, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        is_from_elsewhere(&headers)
    }

    #[test]
    fn what_the_browser_says_of_the_sender_counts() {
        for (site, foreign) in [
            ("same-origin", false),
            ("none", false),
            ("same-site", true),
            ("cross-site", true),
            ("", true),
        ] {
            assert_eq!(is_foreign(&[(SEC_FETCH_SITE, site)]), foreign, "{site}");
        }
        let host = (HOST, "console.example:8443");
        for (origin, foreign) in [
            ("https://console.example:8443", false),
            ("http://console.example:8443", false),
            ("https://console.example", true),
            ("https://evil.example", true),
            ("null", true),
            ("", true),
        ] {
            let said = [host.clone(), (ORIGIN, origin)];
            assert_eq!(is_foreign(&said), foreign, "{origin}");
        }
        // No browser: whoever it is must know the tokens.
        assert!(!is_foreign(&[host]) && !is_foreign(&[]));
    }
}
