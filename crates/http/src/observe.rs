//! What stands round every request: its id, its span, its log line and figures, and the rendering
//! of every refusal, also of those that actix makes and of panics.

use std::{
    future::{Future, Ready, ready},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::atomic::Ordering,
    time::Instant,
};

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::{ConnectionType, StatusCode, header::CONTENT_TYPE},
    web,
};
use bursar_app::Caller;
use futures_util::{FutureExt, future::Either};
use tracing::Instrument;

use crate::{
    access_log::{self, Asked},
    client_address::client_behind,
    problem::Problem,
    rate_limit,
    request_id::{RequestId, X_REQUEST_ID},
    routes::{BESIDE, is_hidden},
    state::Shared,
    unread,
};

/// Wraps the routes.
pub(crate) struct Observe(pub(crate) web::Data<Shared>);

impl<S> Transform<S, ServiceRequest> for Observe
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = Observed<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Observed {
            service,
            shared: self.0.clone(),
        }))
    }
}

/// The routes, observed.
pub(crate) struct Observed<S> {
    service: S,
    shared: web::Data<Shared>,
}

impl<S> Service<ServiceRequest> for Observed<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<ServiceResponse, Error>>>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let started = Instant::now();
        let id = RequestId::of(request.headers(), || self.shared.app().random_bytes());
        // For the handlers whose answers hold problems of their own.
        request.extensions_mut().insert(id.clone());
        if request.path().starts_with(BESIDE) {
            let caller = Caller {
                request_id: id.as_str().to_owned(),
                address: client_behind(request.request(), &self.shared.trusted_proxies),
            };
            request.extensions_mut().insert(caller);
        }
        // Of the highest level, so that an error names its request whatever else is logged.
        let span = tracing::error_span!("request", request_id = id.as_str());
        let shared = self.shared.clone();
        let asked = Asked::of(&request);
        let held = unread::hold(&mut request);
        let answering = if is_hidden(&request, self.shared.operators) {
            Either::Left(ready(Ok(request.error_response(Problem::route_unknown()))))
        } else {
            Either::Right(self.service.call(request))
        };
        let served = AssertUnwindSafe(answering).catch_unwind();
        Box::pin(
            async move {
                let Ok(answer) = served.await else {
                    // The panic took the request with it, so there is little more to tell.
                    tracing::error!("a handler panicked");
                    access_log::record_panic(&asked, &id, started);
                    return Err(Panicked(id).into());
                };
                let mut answer = unread::until_answered(render(answer?, &id), held);
                answer
                    .response_mut()
                    .headers_mut()
                    .insert(X_REQUEST_ID, id.to_header());
                if !shared.state.ready.load(Ordering::Relaxed) {
                    // Whoever would ask here again is to ask elsewhere.
                    let head = answer.response_mut().head_mut();
                    head.set_connection_type(ConnectionType::Close);
                }
                rate_limit::show(&mut answer);
                access_log::record(&answer, &asked, &id, started);
                Ok(answer)
            }
            .instrument(span),
        )
    }
}

/// Gives refusals their body.
fn render(answer: ServiceResponse, id: &RequestId) -> ServiceResponse {
    let response = answer.response();
    if let Some(error) = response.error() {
        let rendered = match error.as_error::<Problem>() {
            Some(problem) => problem.respond(id),
            None => Problem::of_status(response.status()).respond(id),
        };
        return answer.into_response(rendered);
    }
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    if refused && !response.headers().contains_key(CONTENT_TYPE) {
        return answer.into_response(Problem::of_status(status).respond(id));
    }
    answer
}

/// A handler that ended in a panic.
#[derive(Debug)]
struct Panicked(RequestId);

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a handler panicked")
    }
}

impl ResponseError for Panicked {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = Problem::internal().respond(&self.0);
        response
            .headers_mut()
            .insert(X_REQUEST_ID, self.0.to_header());
        response
    }
}
