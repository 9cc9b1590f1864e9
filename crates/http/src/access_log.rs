//! One line and two figures for every request: at level `debug` when it went well or only asked for
//! Bursar's health, `info` when it was refused, `warn` when Bursar is at fault, though not more of those
//! than a [`LineBudget`] has.
//! Never in them: bodies, credentials, query values.

use std::{borrow::Cow, time::Instant};

use actix_web::{
    HttpMessage, HttpRequest,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
};
use bursar_app::Principal;

use crate::{
    call::Subject,
    client_address::client_address,
    line_budget::LineBudget,
    request_id::RequestId,
    routes::{BESIDE, Pattern},
};

/// What the route of an unknown path is called.
const NO_ROUTE: &str = "none";
/// What balancers ask all the time, and a standby of a single writer answers with no all the time.
const PROBES: &str = "/health/";

static FAULTS: LineBudget = LineBudget::new();
/// Of their own: an outage must not hide a panic.
static PANICS: LineBudget = LineBudget::new();

/// What is known of a request beforehand. A panic takes everything else with it.
pub(crate) struct Asked {
    method: &'static str,
    is_beside: bool,
    pattern: Pattern,
}

impl Asked {
    /// Looks at a request, and has its pattern noted once it is known.
    pub(crate) fn of(request: &ServiceRequest) -> Self {
        let pattern = Pattern::default();
        request.extensions_mut().insert(pattern.clone());
        Self {
            method: method_label(request.method()),
            is_beside: request.path().starts_with(BESIDE),
            pattern,
        }
    }

    /// The pattern that the path matched: ours, or one that was mounted beside ours.
    fn route(&self, request: &HttpRequest) -> Cow<'static, str> {
        match self.pattern.name() {
            Some(name) => Cow::Borrowed(name),
            None if self.is_beside => request
                .match_pattern()
                .map_or(Cow::Borrowed(NO_ROUTE), Cow::Owned),
            None => Cow::Borrowed(NO_ROUTE),
        }
    }
}

/// What is told of a request.
struct Told<'r> {
    route: Cow<'static, str>,
    status: StatusCode,
    subject: &'r str,
    client: Option<String>,
}

/// Records one answer.
pub(crate) fn record(answer: &ServiceResponse, asked: &Asked, id: &RequestId, started: Instant) {
    let request = answer.request();
    let extensions = request.extensions();
    let subject = extensions.get::<Subject>().map(|it| it.0.as_str());
    let subject = subject
        .or_else(|| extensions.get::<Principal>().map(|it| it.subject.as_str()))
        .unwrap_or_default();
    let told = Told {
        route: asked.route(request),
        status: answer.status(),
        subject,
        client: client_address(request).map(|address| address.to_string()),
    };
    tell(told, asked.method, &FAULTS, id, started);
}

/// Records a request whose handler panicked.
pub(crate) fn record_panic(asked: &Asked, id: &RequestId, started: Instant) {
    let beside = if asked.is_beside { BESIDE } else { NO_ROUTE };
    let told = Told {
        route: Cow::Borrowed(asked.pattern.name().unwrap_or(beside)),
        status: StatusCode::INTERNAL_SERVER_ERROR,
        subject: "",
        client: None,
    };
    tell(told, asked.method, &PANICS, id, started);
}

fn tell(
    told: Told<'_>,
    method: &'static str,
    faults: &LineBudget,
    id: &RequestId,
    started: Instant,
) {
    let Told {
        route,
        status,
        subject,
        client,
    } = told;
    let seconds = started.elapsed().as_secs_f64();
    metrics::counter!(
        "bursar_http_requests_total",
        "route" => route.clone(), "method" => method, "status" => status_label(status)
    )
    .increment(1);
    metrics::histogram!("bursar_http_request_seconds", "route" => route.clone(), "method" => method)
        .record(seconds);
    macro_rules! line {
        ($level:expr $(, $left_out:ident)?) => {
            tracing::event!(
                target: "bursar_http::access",
                $level,
                method,
                route = &*route,
                status = status.as_u16(),
                seconds,
                request_id = id.as_str(),
                subject,
                client,
                $($left_out,)?
                "answered"
            )
        };
    }
    // What went well is counted above; a line for each would be most of the log.
    if status.is_server_error() && !route.starts_with(PROBES) {
        if let Some(left_out) = faults.take() {
            line!(tracing::Level::WARN, left_out);
        }
    } else if status.is_client_error() {
        line!(tracing::Level::INFO);
    } else {
        line!(tracing::Level::DEBUG);
    }
}

/// Labels must not be as many as clients can think of.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        204 => "204",
        302 => "302",
        303 => "303",
        304 => "304",
        308 => "308",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        409 => "409",
        410 => "410",
        413 => "413",
        415 => "415",
        422 => "422",
        429 => "429",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_known_is_its_own_label() {
        const KNOWN: [u16; 19] = [
            200, 204, 302, 303, 304, 308, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 429,
            500, 503,
        ];
        for code in KNOWN {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(status_label(status), code.to_string());
        }
        assert_eq!(status_label(StatusCode::IM_A_TEAPOT), "other");
    }
}
