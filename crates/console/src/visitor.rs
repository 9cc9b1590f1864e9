//! Who is looking.

use std::{
    fmt::Write,
    future::{Ready, ready},
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::BoxBody,
    dev::Payload,
    http::{Method, StatusCode, header},
};
use bursar_app::Principal;
use bursar_ports::Permission;
use maud::html;

use crate::layout;

/// An operator who has signed in. Whoever checks sessions puts it into the request's extensions.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// What the operator acts as: its name, its permissions, its session, and where from.
    pub principal: Principal,
    /// The operator's name.
    pub operator: String,
    /// What every form of this session must carry.
    pub csrf: String,
    /// The public id of the session.
    pub session: String,
}

impl Visitor {
    /// Whether the operator has this permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.principal.grant(permission).is_ok()
    }
}

impl FromRequest for Visitor {
    type Error = SignInFirst;
    type Future = Ready<Result<Self, SignInFirst>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let visitor = request.extensions().get::<Self>().cloned();
        ready(visitor.ok_or_else(|| SignInFirst::then(request)))
    }
}

/// Nobody has signed in: a page sends its reader to the sign-in and back again; everything else is
/// refused, for what a form said must not be done by somebody who signs in later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sign in first")]
pub struct SignInFirst {
    /// Where a page's reader goes.
    location: Option<String>,
}

impl SignInFirst {
    /// Refuses, without a way back.
    pub(crate) const fn nowhere() -> Self {
        Self { location: None }
    }

    fn then(request: &HttpRequest) -> Self {
        let accept = request.headers().get(header::ACCEPT);
        let streams = accept.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
        let reads = [Method::GET, Method::HEAD].contains(request.method()) && !streams;
        let wanted = request.uri().path_and_query().map_or("/", |it| it.as_str());
        let location = reads.then(|| format!("/console/sign-in?next={}", escaped(wanted)));
        Self { location }
    }
}

impl ResponseError for SignInFirst {
    fn status_code(&self) -> StatusCode {
        if self.location.is_some() {
            StatusCode::SEE_OTHER
        } else {
            StatusCode::UNAUTHORIZED
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut answer = HttpResponse::build(self.status_code());
        if let Some(location) = &self.location {
            return answer
                .insert_header((header::LOCATION, location.as_str()))
                .finish();
        }
        let body = html! {
            h1 { "You are signed out" }
            p { "Nothing was done. Sign in, look at what is there now, and do it again." }
            p { a class="button" href="/console/sign-in" { "Sign in" } }
        };
        layout::respond(answer, layout::page(None, "Signed out", body))
    }
}

/// A text as a value in a query.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => {
                // Writing to a string cannot fail.
                let _written = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}
